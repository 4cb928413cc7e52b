//! Trees of nodes to values: aliases and merge keys are resolved, and keys become texts.

use std::collections::{BTreeMap, HashMap, HashSet};

use regorus::Value;

use super::parse::{self, Index, Kind, Node, Nodes};
use super::resolve::{self, Scalar};
use super::{YamlError, emit};
use crate::builtins::go::quote::quote;
use crate::builtins::{Failure, limits, number};

/// Beyond these Go looks at how much of a document comes from aliases.
const ALIASED: usize = 100;
const DECODED: usize = 1_000;

/// Up to the first number of values nearly all may come from aliases, beyond the second one in ten.
const FEW: f64 = 400_000.0;
const MANY: f64 = 4_000_000.0;

/// Messages about one mapping at most.
const MESSAGES: usize = 100;

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    Sequence(Vec<Yaml>),
    Mapping(BTreeMap<String, Yaml>),
}

impl Yaml {
    /// The value of the JSON that this stands for.
    pub(super) fn into_value(self) -> Result<Value, YamlError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::from(value),
            Self::Integer(value) => Value::from(value),
            Self::Unsigned(value) => Value::from(value),
            Self::Float(value) => {
                number::text::parse(&emit::json_float(value)?).map_err(|error| match error {
                    Failure::Builtin(what) | Failure::Type(what) => YamlError::new(what),
                    Failure::Halt(what) | Failure::Conflict(what) => {
                        YamlError { is_limit: true, ..YamlError::new(what) }
                    }
                })?
            }
            Self::Text(text) => Value::from(text),
            Self::Sequence(elements) => {
                let elements: Result<Vec<Value>, YamlError> =
                    elements.into_iter().map(Self::into_value).collect();
                Value::from(elements?)
            }
            Self::Mapping(entries) => {
                let entries: Result<BTreeMap<Value, Value>, YamlError> = entries
                    .into_iter()
                    .map(|(key, value)| Ok((Value::from(key), value.into_value()?)))
                    .collect();
                Value::from(entries?)
            }
        })
    }

    /// As Go shows a value of its own (`%#v`).
    fn go_syntax(&self) -> String {
        match self {
            Self::Null => "interface {}(nil)".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Unsigned(value) => format!("{value:#x}"),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => quote(text),
            Self::Sequence(elements) => {
                let shown: Vec<_> = elements.iter().map(Self::go_syntax).collect();
                format!("[]interface {{}}{{{}}}", shown.join(", "))
            }
            Self::Mapping(entries) => {
                let shown: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| format!("{}:{}", quote(key), value.go_syntax()))
                    .collect();
                format!("map[string]interface {{}}{{{}}}", shown.join(", "))
            }
        }
    }
}

/// The value of a text's first document; null where there is none.
pub(super) fn decode(text: &str, depth: usize) -> Result<Yaml, YamlError> {
    let (mut nodes, root) = parse::parse(text, depth)?;
    normalize(&mut nodes);
    let Some(root) = root else { return Ok(Yaml::Null) };
    let mut decoder = Decoder {
        nodes: &nodes,
        aliases: HashSet::new(),
        decoded: 0,
        aliased: 0,
        alias_depth: 0,
        depth,
        problems: Vec::new(),
        merged: None,
        late: None,
    };
    let value = decoder.value(root)?.unwrap_or(Yaml::Null);
    if !decoder.problems.is_empty() {
        let problems = decoder.problems.join("\n  ");
        return Err(YamlError::at(0, format!("unmarshal errors:\n  {problems}")));
    }
    match decoder.late {
        Some(what) => Err(YamlError::new(what)),
        None => Ok(value),
    }
}

/// What OPA does to a tree before it is decoded: dates are texts, the last of equal keys counts, and
/// several merge keys are one.
fn normalize(nodes: &mut Nodes) {
    let mut index = 0;
    // A mapping comes before its keys, and these may be dates as long as it has not been looked at.
    while let Some(node) = nodes.get(index).cloned() {
        match node.kind {
            Kind::Scalar { .. } if node.is_bare && node.tag == resolve::TIMESTAMP => {
                if let Some(node) = nodes.get_mut(index) {
                    resolve::STRING.clone_into(&mut node.tag);
                }
            }
            Kind::Mapping(pairs) => {
                let pairs = without_repeated_merges(nodes, pairs);
                let pairs = without_repeated_keys(nodes, pairs);
                if let Some(node) = nodes.get_mut(index) {
                    node.kind = Kind::Mapping(pairs);
                }
            }
            Kind::Scalar { .. } | Kind::Sequence(_) | Kind::Alias { .. } => {}
        }
        index += 1;
    }
}

type Pairs = Vec<(Index, Index)>;

fn is_scalar_merge(nodes: &Nodes, key: Index) -> bool {
    nodes
        .get(key)
        .is_some_and(|key| matches!(key.kind, Kind::Scalar { .. }) && key.tag == resolve::MERGE)
}

fn without_repeated_merges(nodes: &mut Nodes, pairs: Pairs) -> Pairs {
    let mut merged = Vec::new();
    for (_, value) in pairs.iter().filter(|(key, _)| is_scalar_merge(nodes, *key)) {
        match nodes.get(*value).map(|value| &value.kind) {
            Some(Kind::Sequence(many)) => merged.extend_from_slice(many),
            _ => merged.push(*value),
        }
    }
    if merged.len() < 2 {
        return pairs;
    }
    let sequence = Kind::Sequence(merged);
    let tag = "!!seq".to_owned();
    let mut all = Some(nodes.add(Node { kind: sequence, tag, is_bare: false, line: 0 }));
    let mut kept = Vec::new();
    for (key, value) in pairs {
        if !is_scalar_merge(nodes, key) {
            kept.push((key, value));
        } else if let Some(all) = all.take() {
            kept.push((key, all));
        }
    }
    kept
}

fn without_repeated_keys(nodes: &Nodes, pairs: Pairs) -> Pairs {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Pairs = Vec::new();
    for (key, value) in pairs {
        let text = nodes
            .get(key)
            .filter(|node| node.tag != resolve::MERGE)
            .and_then(|node| scalar(node).ok().flatten())
            .and_then(|scalar| key_text(&scalar));
        let place = text.as_ref().and_then(|text| places.get(text));
        if let Some((_, earlier)) = place.and_then(|place| kept.get_mut(*place)) {
            *earlier = value;
            continue;
        }
        if let Some(text) = text {
            places.insert(text, kept.len());
        }
        kept.push((key, value));
    }
    kept
}

/// A scalar that is decoded, or a time, which is no key.
enum Decoded {
    Value(Yaml),
    Time(String),
}

/// What a scalar node stands for.
fn scalar(node: &Node) -> Result<Option<Decoded>, String> {
    let Kind::Scalar { text } = &node.kind else { return Ok(None) };
    if node.tag == resolve::STRING {
        return Ok(Some(Decoded::Value(Yaml::Text(text.clone()))));
    }
    let (found, other) = if node.is_bare && node.tag != resolve::MERGE {
        (resolve::plain(text), None)
    } else {
        resolve::tagged(&node.tag, text)?
    };
    Ok(Some(match found {
        Scalar::Null => Decoded::Value(Yaml::Null),
        Scalar::Bool(value) => Decoded::Value(Yaml::Bool(value)),
        Scalar::Integer(value) => Decoded::Value(Yaml::Integer(value)),
        Scalar::Unsigned(value) => Decoded::Value(Yaml::Unsigned(value)),
        Scalar::Float(value) => Decoded::Value(Yaml::Float(value)),
        Scalar::Time(time) => Decoded::Time(time),
        Scalar::Text => Decoded::Value(Yaml::Text(other.unwrap_or_else(|| text.clone()))),
    }))
}

/// The text that a key is in JSON.
fn key_text(key: &Decoded) -> Option<String> {
    let Decoded::Value(value) = key else { return None };
    match value {
        Yaml::Text(text) => Some(text.clone()),
        Yaml::Integer(value) => Some(value.to_string()),
        Yaml::Unsigned(value) => Some(value.to_string()),
        Yaml::Float(value) => Some(emit::key_float(*value)),
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) => None,
    }
}

struct Decoder<'a> {
    nodes: &'a Nodes,
    /// The aliases that are being decoded.
    aliases: HashSet<Index>,
    decoded: usize,
    aliased: usize,
    alias_depth: usize,
    depth: usize,
    /// What Go collects and reports together.
    problems: Vec<String>,
    /// The keys that a mapping has before another is merged into it, and their kinds.
    merged: Option<HashSet<String>>,
    /// What is found where a document is turned into JSON.
    late: Option<String>,
}

/// A key's identity, and the text that it is in JSON, or what is said of one that is none.
type Key = (String, Result<String, &'static str>);

/// A mapping that is being made.
#[derive(Default)]
struct Making {
    entries: BTreeMap<String, Yaml>,
    /// Whether all its keys are texts: then those that are merged into it are too.
    is_of_texts: bool,
}

impl<'a> Decoder<'a> {
    fn node(&self, index: Index) -> Result<&'a Node, YamlError> {
        self.nodes.get(index).ok_or_else(YamlError::too_much)
    }

    fn failed(what: impl Into<String>) -> YamlError {
        YamlError::at(0, what.into())
    }

    fn count(&mut self) -> Result<(), YamlError> {
        self.decoded += 1;
        self.aliased += usize::from(self.alias_depth > 0);
        if self.decoded > limits::ELEMENTS {
            return Err(YamlError::too_much());
        }
        if self.aliased > ALIASED && self.decoded > DECODED {
            let [aliased, decoded] = [self.aliased, self.decoded]
                .map(|count| u32::try_from(count).map_or(f64::INFINITY, f64::from));
            let beyond = ((decoded - FEW) / (MANY - FEW)).clamp(0.0, 1.0);
            if aliased / decoded > 0.99 - 0.89 * beyond {
                return Err(Self::failed("document contains excessive aliasing"));
            }
        }
        Ok(())
    }

    /// Goes into an alias.
    fn follow<T>(
        &mut self,
        alias: Index,
        name: &str,
        decode: impl FnOnce(&mut Self) -> Result<T, YamlError>,
    ) -> Result<T, YamlError> {
        if !self.aliases.insert(alias) {
            return Err(Self::failed(format!("anchor '{name}' value contains itself")));
        }
        self.alias_depth += 1;
        let decoded = self.deeper(decode)?;
        self.alias_depth -= 1;
        self.aliases.remove(&alias);
        Ok(decoded)
    }

    fn deeper<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Result<T, YamlError>,
    ) -> Result<T, YamlError> {
        self.depth = self.depth.checked_sub(1).ok_or_else(YamlError::too_deep)?;
        let decoded = decode(self)?;
        self.depth += 1;
        Ok(decoded)
    }

    /// A node's value; `None` where Go has left it out, which is a problem.
    fn value(&mut self, index: Index) -> Result<Option<Yaml>, YamlError> {
        self.count()?;
        let node = self.node(index)?;
        match &node.kind {
            Kind::Scalar { .. } => Ok(match scalar(node).map_err(Self::failed)? {
                Some(Decoded::Value(value)) => Some(value),
                Some(Decoded::Time(time)) => Some(Yaml::Text(time)),
                None => None,
            }),
            Kind::Sequence(children) => self.deeper(|decoder| {
                let mut elements = Vec::new();
                for child in children {
                    elements.extend(decoder.value(*child)?);
                }
                Ok(Some(Yaml::Sequence(elements)))
            }),
            Kind::Mapping(pairs) => {
                let is_of_texts = pairs.iter().all(|(key, _)| {
                    self.nodes
                        .get(*key)
                        .is_some_and(|key| key.tag == resolve::STRING || key.tag == resolve::MERGE)
                });
                let mut making = Making { is_of_texts, ..Making::default() };
                let whole = self.deeper(|decoder| decoder.mapping(index, &mut making))?;
                Ok(whole.then_some(Yaml::Mapping(making.entries)))
            }
            Kind::Alias { name, target } => {
                self.follow(index, name, |decoder| decoder.value(*target))
            }
        }
    }

    /// Whether no key is there twice.
    fn keys_differ(&mut self, pairs: &[(Index, Index)]) -> Result<bool, YamlError> {
        let mut known: HashMap<(u8, &str), Vec<usize>> = HashMap::new();
        let mut messages = Vec::new();
        for (key, _) in pairs {
            let node = self.node(*key)?;
            let id = match &node.kind {
                Kind::Scalar { text } => (0, text.as_str()),
                Kind::Alias { name, .. } => (1, name.as_str()),
                Kind::Sequence(_) => (2, ""),
                Kind::Mapping(_) => (3, ""),
            };
            let lines = known.entry(id).or_default();
            for line in lines.iter().take(MESSAGES.saturating_sub(messages.len())) {
                let (now, key) = (node.line, quote(id.1));
                messages.push((
                    *line,
                    format!("line {now}: mapping key {key} already defined at line {line}"),
                ));
            }
            lines.push(node.line);
        }
        let differ = messages.is_empty();
        messages.sort_by_key(|(line, _)| *line);
        self.problems.extend(messages.into_iter().map(|(_, message)| message));
        Ok(differ)
    }

    /// Decodes a mapping into one that is being made. Gives whether it is whole.
    fn mapping(&mut self, index: Index, making: &mut Making) -> Result<bool, YamlError> {
        let Kind::Mapping(pairs) = &self.node(index)?.kind else { return Ok(false) };
        if !self.keys_differ(pairs)? {
            return Ok(false);
        }
        let mut merged = self.merged.take();
        let mut merge = None;
        for (key, value) in pairs {
            let key_node = self.node(*key)?;
            let is_merge = matches!(&key_node.kind, Kind::Scalar { text } if text == "<<")
                && key_node.tag == resolve::MERGE;
            if is_merge {
                merge = Some(*value);
                continue;
            }
            let Some((id, text)) = self.key(*key, making.is_of_texts)? else { continue };
            if merged.as_mut().is_some_and(|merged| !merged.insert(id)) {
                continue;
            }
            let Some(value) = self.value(*value)? else { continue };
            match text {
                Ok(text) => {
                    making.entries.insert(text, value);
                }
                Err(kind) => {
                    let value = value.go_syntax();
                    let value = if value.contains("(nil)") { "<nil>".to_owned() } else { value };
                    let what = format!("unsupported map key of type: {kind}, value: {value}");
                    self.late.get_or_insert(what);
                }
            }
        }
        self.merged = merged;
        if let Some(merge) = merge {
            self.merge(pairs, merge, making)?;
        }
        Ok(true)
    }

    /// A key's identity, and the text that it is in JSON, or what is said of one that is none. Nothing
    /// where the key is left out.
    fn key(&mut self, key: Index, as_text: bool) -> Result<Option<Key>, YamlError> {
        let mut node = self.node(key)?;
        let mut alias = None;
        if let Kind::Alias { target, .. } = &node.kind {
            alias = Some(key);
            node = self.node(*target)?;
        }
        if as_text {
            return self.text_key(node);
        }
        match &node.kind {
            Kind::Scalar { text } => {
                self.count()?;
                let decoded = scalar(node).map_err(Self::failed)?;
                let key_text = decoded.as_ref().and_then(key_text);
                let kind = match decoded {
                    Some(Decoded::Time(_)) => "time.Time, key: time.Time{}",
                    _ => "%!s(<nil>), key: <nil>",
                };
                let id = format!("{} {}", node.tag, key_text.as_deref().unwrap_or(text));
                Ok(Some((id, key_text.ok_or(kind))))
            }
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Alias { .. } => {
                let index = alias.unwrap_or(key);
                let Some(value) = self.value(index)? else { return Ok(None) };
                Err(Self::failed(format!("invalid map key: {}", value.go_syntax())))
            }
        }
    }

    /// A key of a mapping whose keys are all texts.
    fn text_key(&mut self, node: &Node) -> Result<Option<Key>, YamlError> {
        self.count()?;
        match &node.kind {
            Kind::Scalar { text } => match scalar(node).map_err(Self::failed)? {
                Some(Decoded::Value(Yaml::Null)) | None => Ok(None),
                Some(Decoded::Value(Yaml::Text(text))) => {
                    Ok(Some((format!("{} {text}", resolve::STRING), Ok(text))))
                }
                Some(Decoded::Value(_) | Decoded::Time(_)) => {
                    Ok(Some((format!("{} {text}", resolve::STRING), Ok(text.clone()))))
                }
            },
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Alias { .. } => {
                let (line, tag) = (node.line, &node.tag);
                self.problems.push(format!("line {line}: cannot unmarshal {tag} into string"));
                Ok(None)
            }
        }
    }

    fn merge(
        &mut self,
        parent: &[(Index, Index)],
        merge: Index,
        making: &mut Making,
    ) -> Result<(), YamlError> {
        let is_outermost = self.merged.is_none();
        if is_outermost {
            let mut keys = HashSet::new();
            for (key, _) in parent {
                if let Some((id, _)) = self.key(*key, false)? {
                    keys.insert(id);
                }
            }
            self.merged = Some(keys);
        }
        match &self.node(merge)?.kind {
            Kind::Sequence(many) => {
                for one in many {
                    self.merge_one(*one, making)?;
                }
            }
            Kind::Mapping(_) | Kind::Alias { .. } => self.merge_one(merge, making)?,
            Kind::Scalar { .. } => return Err(Self::no_map()),
        }
        if is_outermost {
            self.merged = None;
        }
        Ok(())
    }

    fn no_map() -> YamlError {
        Self::failed("map merge requires map or sequence of maps as the value")
    }

    fn merge_one(&mut self, index: Index, making: &mut Making) -> Result<(), YamlError> {
        self.count()?;
        match &self.node(index)?.kind {
            Kind::Mapping(_) => self.deeper(|decoder| decoder.mapping(index, making)).map(drop),
            Kind::Alias { name, target } => {
                if !matches!(self.node(*target)?.kind, Kind::Mapping(_)) {
                    return Err(Self::no_map());
                }
                self.follow(index, name, |decoder| {
                    decoder.count()?;
                    decoder.mapping(*target, making)
                })
                .map(drop)
            }
            Kind::Scalar { .. } | Kind::Sequence(_) => Err(Self::no_map()),
        }
    }
}
