//! A block's fields by type. What does not fit is a fault in Go's words.

use serde_json::{Number, Value};

use super::yaml::{Kind, Node, Resolved};

/// A block as it is written.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) scope: String,
    pub(super) title: String,
    pub(super) entrypoint: bool,
    pub(super) description: String,
    pub(super) organizations: Vec<String>,
    pub(super) related_resources: Vec<Any>,
    pub(super) authors: Vec<Any>,
    pub(super) schemas: Vec<Vec<(String, Any)>>,
    pub(super) compile: Option<Vec<(String, Any)>>,
    pub(super) custom: Option<Vec<(String, Any)>>,
    pub(super) labels: Option<Vec<(String, Any)>>,
}

/// A value of any type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Any {
    Scalar(Value),
    /// A point in time: no string, though it is printed as one.
    Time(String),
    Sequence(Vec<Any>),
    /// Keys, which are strings in most mappings, and values.
    Mapping(Vec<(Any, Any)>),
}

impl Any {
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Scalar(Value::String(text)) => Some(text),
            Self::Scalar(_) | Self::Time(_) | Self::Sequence(_) | Self::Mapping(_) => None,
        }
    }

    /// Whether the value is a mapping whose keys are strings.
    fn has_string_keys(&self) -> bool {
        matches!(self, Self::Mapping(pairs) if pairs.iter().all(|(key, _)| key.as_str().is_some()))
    }

    /// The member of a mapping.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Mapping(pairs) => {
                pairs.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
            }
            Self::Scalar(_) | Self::Time(_) | Self::Sequence(_) => None,
        }
    }

    /// Checks that keys are strings. As OPA does, below a mapping with other keys only.
    ///
    /// # Errors
    /// OPA's message.
    pub(super) fn check_keys(&self, path: &[&str]) -> Result<(), String> {
        match self {
            Self::Scalar(_) | Self::Time(_) => Ok(()),
            Self::Sequence(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                let index = index.to_string();
                item.check_keys(&[path, &[index.as_str()]].concat())
            }),
            Self::Mapping(_) if self.has_string_keys() => Ok(()),
            Self::Mapping(pairs) => pairs.iter().try_for_each(|(key, value)| match key.as_str() {
                Some(key) => value.check_keys(&[path, &[key]].concat()),
                None => Err(format!("invalid map key type(s): {}", path.join("/"))),
            }),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::Time(text) => Value::String(text.clone()),
            Self::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Self::Mapping(pairs) => pairs
                .iter()
                .map(|(key, value)| {
                    let key = key.as_str().map_or_else(|| key.to_json().to_string(), str::to_owned);
                    (key, value.to_json())
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// As Go's `%s` prints it.
    pub(super) fn go_text(&self) -> String {
        match self {
            Self::Scalar(Value::Null) => "%!s(<nil>)".to_owned(),
            Self::Scalar(_) | Self::Time(_) | Self::Sequence(_) | Self::Mapping(_) => self.inner(),
        }
    }

    fn inner(&self) -> String {
        match self {
            Self::Scalar(Value::String(text)) | Self::Time(text) => text.clone(),
            Self::Scalar(Value::Null) => "<nil>".to_owned(),
            Self::Scalar(Value::Bool(value)) => format!("%!s(bool={value})"),
            Self::Scalar(Value::Number(number)) if number.is_f64() => {
                format!("%!s(float64={number})")
            }
            Self::Scalar(value) => format!("%!s(int={value})"),
            Self::Sequence(items) => {
                let items: Vec<String> = items.iter().map(Self::inner).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Mapping(pairs) => {
                let mut pairs: Vec<String> = pairs
                    .iter()
                    .map(|(key, value)| format!("{}:{}", key.inner(), value.inner()))
                    .collect();
                pairs.sort_unstable();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }
}

/// Reads a block.
///
/// # Errors
/// [`Misfit`]
pub(super) fn raw(node: &Node) -> Result<Raw, Misfit> {
    let mut decoder = Decoder { errors: Vec::new(), end: None };
    let mut raw = Raw::default();
    decoder.block(node, &mut raw);
    match decoder {
        Decoder { end: Some(error), .. } => Err(Misfit::Key(error)),
        Decoder { errors, .. } if errors.is_empty() => Ok(raw),
        Decoder { errors, .. } => Err(Misfit::Types(errors)),
    }
}

/// Why a block's values cannot be taken.
#[derive(Debug)]
pub(super) enum Misfit {
    /// What does not fit its type: a line each, as Go prints them.
    Types(Vec<String>),
    /// A key that is a sequence or a mapping.
    Key(String),
}

struct Decoder {
    errors: Vec<String>,
    /// What ends reading at once.
    end: Option<String>,
}

const STRING: &str = "string";
const ANY_MAP: &str = "map[string]interface {}";

impl Decoder {
    fn block(&mut self, node: &Node, raw: &mut Raw) {
        let Some(pairs) = self.mapping(node, "ast.rawAnnotation") else { return };
        for (key, value) in pairs {
            let Some(name) = self.string(&key) else { continue };
            match name.as_str() {
                "scope" => raw.scope = self.string(&value).unwrap_or_default(),
                "title" => raw.title = self.string(&value).unwrap_or_default(),
                "description" => raw.description = self.string(&value).unwrap_or_default(),
                "entrypoint" => raw.entrypoint = self.boolean(&value).unwrap_or_default(),
                "organizations" => {
                    raw.organizations = self.sequence(&value, "[]string", Self::string);
                }
                "related_resources" => {
                    raw.related_resources = self.sequence(&value, "[]interface {}", Self::any);
                }
                "authors" => raw.authors = self.sequence(&value, "[]interface {}", Self::any),
                "schemas" => {
                    raw.schemas =
                        self.sequence(&value, "[]map[string]interface {}", |this, item| match item
                            .resolve()
                        {
                            Resolved::Null => Some(Vec::new()),
                            _ => this.any_map(item),
                        });
                }
                "compile" => raw.compile = self.any_map(&value),
                "custom" => raw.custom = self.any_map(&value),
                "labels" => raw.labels = self.any_map(&value),
                _ => {}
            }
        }
    }

    fn wrong(&mut self, node: &Node, kind: &str) {
        let value = match &node.kind {
            Kind::Scalar { text, .. } => {
                let shown = match text.get(..7) {
                    Some(start) if text.len() > 10 => format!("{start}..."),
                    _ => text.clone(),
                };
                format!("{} `{shown}`", node.resolve().tag())
            }
            Kind::Sequence(_) => "!!seq".to_owned(),
            Kind::Mapping(_) => "!!map".to_owned(),
        };
        self.errors.push(format!("line {}: cannot unmarshal {value} into {kind}", node.line));
    }

    /// The pairs of a mapping, merges applied. Nothing if the node is none or a key is there twice.
    fn mapping(&mut self, node: &Node, kind: &str) -> Option<Vec<(Node, Node)>> {
        let Kind::Mapping(pairs) = &node.kind else {
            if node.resolve() != Resolved::Null {
                self.wrong(node, kind);
            }
            return None;
        };
        self.unique(pairs).then(|| merged(pairs))
    }

    fn unique(&mut self, pairs: &[(Node, Node)]) -> bool {
        let before = self.errors.len();
        let text = |node: &Node| match &node.kind {
            Kind::Scalar { text, .. } => (0, text.clone()),
            Kind::Sequence(_) => (1, String::new()),
            Kind::Mapping(_) => (2, String::new()),
        };
        for (index, (key, _)) in pairs.iter().enumerate() {
            for (other, _) in pairs.iter().skip(index + 1) {
                if text(key) == text(other) {
                    self.errors.push(format!(
                        "line {}: mapping key {:?} already defined at line {}",
                        other.line,
                        text(other).1,
                        key.line
                    ));
                }
            }
        }
        self.errors.len() == before
    }

    fn string(&mut self, node: &Node) -> Option<String> {
        match &node.kind {
            _ if node.resolve() == Resolved::Null => None,
            Kind::Scalar { text, .. } => Some(text.clone()),
            Kind::Mapping(pairs) if !self.unique(pairs) => None,
            Kind::Sequence(_) | Kind::Mapping(_) => {
                self.wrong(node, STRING);
                None
            }
        }
    }

    fn boolean(&mut self, node: &Node) -> Option<bool> {
        match (node.resolve(), &node.kind) {
            (Resolved::Null, _) => return None,
            (Resolved::Bool(value), _) => return Some(value),
            (Resolved::Text, Kind::Scalar { text, .. }) => match text.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(true),
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(false),
                _ => {}
            },
            (_, Kind::Mapping(pairs)) if !self.unique(pairs) => return None,
            _ => {}
        }
        self.wrong(node, "bool");
        None
    }

    fn sequence<T>(
        &mut self,
        node: &Node,
        kind: &str,
        mut item: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        match &node.kind {
            Kind::Sequence(items) => items.iter().filter_map(|one| item(self, one)).collect(),
            _ if node.resolve() == Resolved::Null => Vec::new(),
            Kind::Mapping(pairs) if !self.unique(pairs) => Vec::new(),
            Kind::Scalar { .. } | Kind::Mapping(_) => {
                self.wrong(node, kind);
                Vec::new()
            }
        }
    }

    fn any_map(&mut self, node: &Node) -> Option<Vec<(String, Any)>> {
        let pairs = self.mapping(node, ANY_MAP)?;
        let mut members = Vec::new();
        for (key, value) in &pairs {
            if let Some(key) = self.string(key)
                && let Some(value) = self.any(value)
            {
                members.push((key, value));
            }
        }
        Some(members)
    }

    fn any(&mut self, node: &Node) -> Option<Any> {
        match &node.kind {
            Kind::Scalar { text, .. } => Some(scalar(text, node.resolve())),
            Kind::Sequence(items) => {
                Some(Any::Sequence(items.iter().filter_map(|item| self.any(item)).collect()))
            }
            Kind::Mapping(pairs) => {
                if !self.unique(pairs) {
                    return None;
                }
                let mut members = Vec::new();
                for (key, value) in &merged(pairs) {
                    let Some(key) = self.any(key) else { continue };
                    if let Any::Sequence(_) | Any::Mapping(_) = key {
                        let error = format!("invalid map key: {}", key.go_text());
                        self.end.get_or_insert(error);
                        continue;
                    }
                    if let Some(value) = self.any(value) {
                        members.push((key, value));
                    }
                }
                Some(Any::Mapping(members))
            }
        }
    }
}

fn scalar(text: &str, resolved: Resolved) -> Any {
    Any::Scalar(match resolved {
        Resolved::Null => Value::Null,
        Resolved::Bool(value) => Value::Bool(value),
        Resolved::Integer(value) => Value::Number(value.into()),
        Resolved::Unsigned(value) => Value::Number(value.into()),
        Resolved::Float(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
        Resolved::Timestamp(text) => return Any::Time(text),
        Resolved::Text => Value::String(text.to_owned()),
    })
}

/// Pairs with those of `<<`, which do not replace what is there.
fn merged(pairs: &[(Node, Node)]) -> Vec<(Node, Node)> {
    let is_merge =
        |node: &Node| matches!(&node.kind, Kind::Scalar { text, plain: true } if text == "<<");
    let (merges, mut all): (Vec<_>, Vec<_>) =
        pairs.iter().cloned().partition(|(key, _)| is_merge(key));
    for (_, value) in merges {
        let sources = match value.kind {
            Kind::Sequence(items) => items,
            Kind::Mapping(_) | Kind::Scalar { .. } => vec![value],
        };
        for source in sources {
            let Kind::Mapping(others) = source.kind else { continue };
            for (key, value) in others {
                if !all.iter().any(|(own, _)| own.kind == key.kind) {
                    all.push((key, value));
                }
            }
        }
    }
    all
}
