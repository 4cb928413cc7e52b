//! Converts trees of nodes to values of a requested type, as Go's decoder does. Aliases and merge
//! keys (`<<`) are resolved.

use std::collections::{HashMap, HashSet};

use super::YamlError;
use super::any::{Any, Identity, Mapping};
use super::parse::{Index, Kind, Node, Nodes};
use super::resolve::{self, Scalar};
use crate::builtins::go::quote::quote;
use crate::builtins::limits;

/// Above this number Go checks the share of values from aliases.
const ALIASED: usize = 100;
const DECODED: usize = 1_000;

/// Up to the first number of values nearly all may come from aliases, beyond the second one in ten.
const FEW: f64 = 400_000.0;
const MANY: f64 = 4_000_000.0;

/// Messages about one mapping at most.
const MESSAGES: usize = 100;

/// The value of a scalar node.
///
/// # Errors
/// Go's message, when its tag does not fit.
pub(super) fn scalar(node: &Node) -> Result<Any, YamlError> {
    let text = node.text();
    if node.tag == resolve::STRING {
        return Ok(Any::Text(text.to_owned()));
    }
    let (found, other) = if node.is_bare && node.tag != resolve::MERGE {
        (resolve::plain(text), None)
    } else {
        resolve::tagged(&node.tag, text).map_err(failed)?
    };
    Ok(match found {
        Scalar::Null => Any::Null,
        Scalar::Bool(value) => Any::Bool(value),
        Scalar::Integer(value) => Any::Integer(value),
        Scalar::Unsigned(value) => Any::Unsigned(value),
        Scalar::Float(value) => Any::Float(value),
        Scalar::Time(time) => Any::Time(time),
        Scalar::Text => Any::Text(other.unwrap_or_else(|| text.to_owned())),
    })
}

fn failed(what: impl Into<String>) -> YamlError {
    YamlError::at(0, what.into())
}

fn is_merge(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar { text } if text == "<<") && node.tag == resolve::MERGE
}

/// The keys that a mapping has before another is merged into it.
type Merged = HashSet<Identity>;

/// The target for the entries of a mapping, and for those merged into it.
trait Target<'a> {
    /// Called before the entries of each mapping.
    fn begin(&mut self) {}

    fn entry(
        &mut self,
        decoder: &mut Decoder<'a>,
        pair: (Index, Index),
        merged: Option<&mut Merged>,
    ) -> Result<(), YamlError>;
}

impl<'a> Target<'a> for Mapping {
    fn entry(
        &mut self,
        decoder: &mut Decoder<'a>,
        (key, value): (Index, Index),
        merged: Option<&mut Merged>,
    ) -> Result<(), YamlError> {
        let key = if self.is_of_texts() {
            decoder.text(key)?.map(Any::Text)
        } else {
            decoder.any(key)?
        };
        let Some(key) = key else { return Ok(()) };
        if let Some(merged) = merged
            && !merged.insert(hashed(&key)?)
        {
            return Ok(());
        }
        let identity =
            key.identity().map_err(|_| failed(format!("invalid map key: {}", key.go_syntax())))?;
        if let Some(value) = decoder.any(value)? {
            self.insert(key, identity, value);
        }
        Ok(())
    }
}

/// A key's identity among those of a merge.
fn hashed(key: &Any) -> Result<Identity, YamlError> {
    key.identity().map_err(|kind| failed(format!("runtime error: hash of unhashable type {kind}")))
}

/// The fields of a struct.
struct Fields<'f, F> {
    kind: &'static str,
    names: &'f [&'static str],
    done: HashSet<String>,
    field: F,
}

impl<'a, F> Target<'a> for Fields<'_, F>
where
    F: FnMut(&mut Decoder<'a>, &str, Index) -> Result<(), YamlError>,
{
    fn begin(&mut self) {
        self.done.clear();
    }

    fn entry(
        &mut self,
        decoder: &mut Decoder<'a>,
        (key, value): (Index, Index),
        merged: Option<&mut Merged>,
    ) -> Result<(), YamlError> {
        let Some(name) = decoder.text(key)? else { return Ok(()) };
        if merged.is_some_and(|merged| !merged.insert(Identity::Text(name.clone())))
            || !self.names.contains(&name.as_str())
        {
            return Ok(());
        }
        if self.done.contains(&name) {
            let (line, kind) = (decoder.node(key)?.line, self.kind);
            decoder.problems.push(format!("line {line}: field {name} already set in type {kind}"));
            return Ok(());
        }
        (self.field)(decoder, &name, value)?;
        self.done.insert(name);
        Ok(())
    }
}

/// Decodes nodes. A value that does not fit the requested type is left out, and reported by
/// [`Self::finish`] together with all others.
pub(crate) struct Decoder<'a> {
    nodes: &'a Nodes,
    /// The aliases that are being decoded.
    aliases: HashSet<Index>,
    decoded: usize,
    aliased: usize,
    alias_depth: usize,
    depth: usize,
    problems: Vec<String>,
    merged: Option<Merged>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(nodes: &'a Nodes, depth: usize) -> Self {
        Self {
            nodes,
            aliases: HashSet::new(),
            decoded: 0,
            aliased: 0,
            alias_depth: 0,
            depth,
            problems: Vec::new(),
            merged: None,
        }
    }

    /// Ends decoding.
    ///
    /// # Errors
    /// Values that did not fit their types, and duplicate keys of a mapping.
    pub(crate) fn finish(self) -> Result<(), YamlError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(failed(format!("unmarshal errors:\n  {}", self.problems.join("\n  "))))
    }

    /// A value of any type.
    ///
    /// # Errors
    /// When Go stops decoding.
    pub(crate) fn any(&mut self, index: Index) -> Result<Option<Any>, YamlError> {
        self.resolved(index, |decoder, node| match &node.kind {
            Kind::Scalar { .. } => scalar(node).map(Some),
            Kind::Sequence(children) => {
                decoder.elements(children, Self::any).map(|all| Some(Any::Sequence(all)))
            }
            Kind::Mapping(pairs) => {
                let mut mapping = Mapping::new(decoder.has_text_keys(pairs));
                let is_whole = decoder.mapping(pairs, &mut mapping)?;
                Ok(is_whole.then_some(Any::Mapping(mapping)))
            }
            Kind::Alias { .. } => Ok(None),
        })
    }

    /// A text, which any scalar but null is.
    ///
    /// # Errors
    /// When Go stops decoding.
    pub(crate) fn text(&mut self, index: Index) -> Result<Option<String>, YamlError> {
        self.resolved(index, |decoder, node| match &node.kind {
            Kind::Scalar { text } => Ok(match scalar(node)? {
                Any::Null => None,
                Any::Text(text) => Some(text),
                _ => Some(text.clone()),
            }),
            _ => decoder.misfit(node, "string"),
        })
    }

    /// A truth value, by the names of YAML 1.1 too.
    ///
    /// # Errors
    /// When Go stops decoding.
    pub(crate) fn boolean(&mut self, index: Index) -> Result<Option<bool>, YamlError> {
        self.resolved(index, |decoder, node| {
            if let Kind::Scalar { .. } = &node.kind {
                match scalar(node)? {
                    Any::Null => return Ok(None),
                    Any::Bool(value) => return Ok(Some(value)),
                    Any::Text(text) => match text.as_str() {
                        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                            return Ok(Some(true));
                        }
                        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                            return Ok(Some(false));
                        }
                        _ => {}
                    },
                    _ => {}
                }
            }
            decoder.misfit(node, "bool")
        })
    }

    /// A sequence of a type with this name in Go. It is empty for null.
    ///
    /// # Errors
    /// When Go stops decoding.
    pub(crate) fn sequence<T>(
        &mut self,
        index: Index,
        kind: &str,
        element: impl FnMut(&mut Self, Index) -> Result<Option<T>, YamlError>,
    ) -> Result<Option<Vec<T>>, YamlError> {
        self.resolved(index, |decoder, node| match &node.kind {
            Kind::Scalar { .. } if scalar(node)? == Any::Null => Ok(Some(Vec::new())),
            Kind::Sequence(children) => decoder.elements(children, element).map(Some),
            _ => decoder.misfit(node, kind),
        })
    }

    /// A mapping of texts to values of any type; the inner value is `None` for null.
    ///
    /// # Errors
    /// When Go stops decoding.
    pub(crate) fn text_mapping(
        &mut self,
        index: Index,
    ) -> Result<Option<Option<Mapping>>, YamlError> {
        self.resolved(index, |decoder, node| match &node.kind {
            Kind::Scalar { .. } if scalar(node)? == Any::Null => Ok(Some(None)),
            Kind::Mapping(pairs) => {
                let mut mapping = Mapping::new(true);
                let is_whole = decoder.mapping(pairs, &mut mapping)?;
                Ok(is_whole.then_some(Some(mapping)))
            }
            _ => decoder.misfit(node, "map[string]interface {}"),
        })
    }

    /// The fields of a struct with this name in Go. Each is passed at most once, and others are
    /// left out.
    ///
    /// # Errors
    /// When Go stops decoding.
    pub(crate) fn fields(
        &mut self,
        index: Index,
        kind: &'static str,
        names: &[&'static str],
        field: impl FnMut(&mut Self, &str, Index) -> Result<(), YamlError>,
    ) -> Result<(), YamlError> {
        self.resolved(index, |decoder, node| match &node.kind {
            Kind::Scalar { .. } if scalar(node)? == Any::Null => Ok(()),
            Kind::Mapping(pairs) => {
                let mut fields = Fields { kind, names, done: HashSet::new(), field };
                decoder.mapping(pairs, &mut fields).map(drop)
            }
            _ => decoder.misfit(node, kind).map(|_: Option<()>| ()),
        })
    }

    fn node(&self, index: Index) -> Result<&'a Node, YamlError> {
        self.nodes.get(index).ok_or_else(YamlError::too_much)
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
                return Err(failed("document contains excessive aliasing"));
            }
        }
        Ok(())
    }

    /// Decodes a node, or the one that it is an alias of.
    fn resolved<T>(
        &mut self,
        index: Index,
        decode: impl FnOnce(&mut Self, &'a Node) -> Result<T, YamlError>,
    ) -> Result<T, YamlError> {
        self.count()?;
        let node = self.node(index)?;
        let Kind::Alias { name, target } = &node.kind else { return decode(self, node) };
        if !self.aliases.insert(index) {
            return Err(failed(format!("anchor '{name}' value contains itself")));
        }
        self.alias_depth += 1;
        self.count()?;
        let node = self.node(*target)?;
        let decoded = self.deeper(|decoder| decode(decoder, node))?;
        self.alias_depth -= 1;
        self.aliases.remove(&index);
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

    /// Reports a value that does not fit its type.
    fn misfit<T>(&mut self, node: &Node, kind: &str) -> Result<Option<T>, YamlError> {
        match &node.kind {
            Kind::Scalar { .. } => drop(scalar(node)?),
            Kind::Mapping(pairs) if !self.keys_differ(pairs)? => return Ok(None),
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Alias { .. } => {}
        }
        let (line, tag) = (node.line, &node.tag);
        let shown = match tag.as_str() {
            resolve::SEQUENCE | resolve::MAPPING => String::new(),
            _ => format!(" `{}`", shortened(node.text())),
        };
        self.problems.push(format!("line {line}: cannot unmarshal {tag}{shown} into {kind}"));
        Ok(None)
    }

    fn elements<T>(
        &mut self,
        children: &[Index],
        mut element: impl FnMut(&mut Self, Index) -> Result<Option<T>, YamlError>,
    ) -> Result<Vec<T>, YamlError> {
        self.deeper(|decoder| {
            let mut elements = Vec::new();
            for child in children {
                elements.extend(element(decoder, *child)?);
            }
            Ok(elements)
        })
    }

    fn has_text_keys(&self, pairs: &[(Index, Index)]) -> bool {
        pairs.iter().all(|(key, _)| {
            let node = self.nodes.get(*key).and_then(|key| match &key.kind {
                Kind::Alias { target, .. } => self.nodes.get(*target),
                Kind::Scalar { .. } | Kind::Sequence(_) | Kind::Mapping(_) => Some(key),
            });
            node.is_some_and(|key| key.tag == resolve::STRING || key.tag == resolve::MERGE)
        })
    }

    /// Whether all keys are different.
    fn keys_differ(&mut self, pairs: &[(Index, Index)]) -> Result<bool, YamlError> {
        let mut known: HashMap<(u8, &str), Vec<(usize, usize)>> = HashMap::new();
        let mut messages = Vec::new();
        for (place, (key, _)) in pairs.iter().enumerate() {
            let node = self.node(*key)?;
            let id = match &node.kind {
                Kind::Scalar { text } => (0, text.as_str()),
                Kind::Alias { name, .. } => (1, name.as_str()),
                Kind::Sequence(_) => (2, ""),
                Kind::Mapping(_) => (3, ""),
            };
            let earlier = known.entry(id).or_default();
            let room = MESSAGES.saturating_sub(messages.len());
            for (earlier, line) in earlier.iter().take(room) {
                let (now, key) = (node.line, quote(id.1));
                let message =
                    format!("line {now}: mapping key {key} already defined at line {line}");
                messages.push((*earlier, message));
            }
            earlier.push((place, node.line));
        }
        let differ = messages.is_empty();
        messages.sort_by_key(|(earlier, _)| *earlier);
        self.problems.extend(messages.into_iter().map(|(_, message)| message));
        Ok(differ)
    }

    /// Decodes a mapping into a target. Returns whether it is complete.
    fn mapping(
        &mut self,
        pairs: &[(Index, Index)],
        target: &mut dyn Target<'a>,
    ) -> Result<bool, YamlError> {
        if !self.keys_differ(pairs)? {
            return Ok(false);
        }
        target.begin();
        let mut merged = self.merged.take();
        let mut merge = None;
        for (key, value) in pairs {
            if is_merge(self.node(*key)?) {
                merge = Some(*value);
            } else {
                self.deeper(|decoder| target.entry(decoder, (*key, *value), merged.as_mut()))?;
            }
        }
        self.merged = merged;
        if let Some(merge) = merge {
            self.deeper(|decoder| decoder.merge(pairs, merge, target))?;
        }
        Ok(true)
    }

    fn merge(
        &mut self,
        parent: &[(Index, Index)],
        merge: Index,
        target: &mut dyn Target<'a>,
    ) -> Result<(), YamlError> {
        let is_outermost = self.merged.is_none();
        if is_outermost {
            let mut keys = Merged::new();
            self.merged = Some(Merged::new());
            for (key, _) in parent {
                if let Some(key) = self.any(*key)? {
                    keys.insert(hashed(&key)?);
                }
            }
            self.merged = Some(keys);
        }
        match &self.node(merge)?.kind {
            Kind::Sequence(many) => {
                for one in many {
                    self.merge_one(*one, target)?;
                }
            }
            Kind::Mapping(_) | Kind::Alias { .. } => self.merge_one(merge, target)?,
            Kind::Scalar { .. } => return Err(Self::no_map()),
        }
        if is_outermost {
            self.merged = None;
        }
        Ok(())
    }

    fn no_map() -> YamlError {
        failed("map merge requires map or sequence of maps as the value")
    }

    fn merge_one(&mut self, index: Index, target: &mut dyn Target<'a>) -> Result<(), YamlError> {
        self.resolved(index, |decoder, node| {
            let Kind::Mapping(pairs) = &node.kind else { return Err(Self::no_map()) };
            decoder.mapping(pairs, target).map(drop)
        })
    }
}

/// The beginning of a text, as Go truncates it: in bytes, invalid ones replaced.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(7);
    let start = text.get(..end).unwrap_or_default();
    format!("{start}{}...", "\u{fffd}".repeat(7 - end))
}
