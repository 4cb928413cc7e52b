//! Expressions of a wanted type.

use crate::generate::Generator;
use crate::generate::types::{KEYS, NUMBERS, Place, Step, Type, WORDS};
use crate::generate::world::{Kind, path_text};

/// Text as Rego writes it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Generator {
    /// An expression; it may be undefined where the values that it reads are.
    pub(crate) fn expression(&mut self, wanted: &Type, depth: usize) -> String {
        if *wanted == Type::Any {
            let some = Type::any(&mut self.random, 1);
            return self.expression(&some, depth);
        }
        if depth == 0 {
            return self.atom(wanted);
        }
        let found = match self.random.below(100) {
            0..30 => None,
            30..50 => self.rule_value(wanted, depth - 1),
            50..88 => self.call(wanted, depth - 1),
            _ => self.comprehension(wanted, depth - 1),
        };
        found.unwrap_or_else(|| {
            if self.random.chance(30) {
                self.constructor(wanted, depth - 1)
            } else {
                self.atom(wanted)
            }
        })
    }

    /// A variable, a part of a document or a constant.
    pub(crate) fn atom(&mut self, wanted: &Type) -> String {
        let roll = self.random.below(100);
        if roll < 50
            && let Some(name) = self.local(wanted)
        {
            return name;
        }
        if roll < 85
            && let Some(reference) = self.document_part(wanted)
        {
            return reference;
        }
        self.constructor(wanted, 0)
    }

    /// A local variable of this type.
    pub(crate) fn local(&mut self, wanted: &Type) -> Option<String> {
        let fitting: Vec<String> = self
            .scopes
            .iter()
            .flatten()
            .filter(|(_, content)| content == wanted || *wanted == Type::Any)
            .map(|(name, _)| name.clone())
            .collect();
        self.random.choose(&fitting).cloned()
    }

    fn constructor(&mut self, wanted: &Type, depth: usize) -> String {
        let count = self.random.between(0, 3);
        let several = |generator: &mut Self, item: &Type| {
            (0..count).map(|_| generator.expression(item, depth)).collect::<Vec<_>>()
        };
        match wanted {
            Type::Null => "null".into(),
            Type::Bool => if self.random.chance(75) { "true" } else { "false" }.into(),
            Type::Number => self.random.pick(NUMBERS).into(),
            Type::String => {
                let word = self.random.pick(WORDS);
                if self.random.chance(5) { format!("`{word}`") } else { quoted(word) }
            }
            Type::Any => {
                let some = Type::scalar(&mut self.random);
                self.constructor(&some, depth)
            }
            Type::Array(item) => format!("[{}]", several(self, item).join(", ")),
            Type::Set(item) => {
                let items = several(self, item);
                if items.is_empty() { "set()".into() } else { format!("{{{}}}", items.join(", ")) }
            }
            Type::Map(item) => {
                let mut keys = KEYS.to_vec();
                self.random.shuffle(&mut keys);
                let keys = keys.into_iter().take(count);
                let members: Vec<_> = keys
                    .map(|key| {
                        let key = match self.local(&Type::String) {
                            Some(name) if self.random.chance(20) => name,
                            _ => quoted(key),
                        };
                        format!("{key}: {}", self.expression(item, depth))
                    })
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
            Type::Record(fields) => {
                let members: Vec<_> = fields
                    .iter()
                    .map(|(name, field)| format!("\"{name}\": {}", self.expression(field, depth)))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    /// A part of the input or of base data.
    pub(crate) fn document_part(&mut self, wanted: &Type) -> Option<String> {
        let input = self.random.chance(60);
        let places = if input { &self.input } else { &self.base };
        let fitting: Vec<Place> = places
            .iter()
            .filter(|place| place.content == *wanted && !place.steps.is_empty())
            .cloned()
            .collect();
        let place = self.random.choose(&fitting)?.clone();
        let root = if input { "input" } else { "data.base" };
        Some(self.walk_to(root, &place))
    }

    /// The reference to a part of a document.
    pub(crate) fn walk_to(&mut self, root: &str, place: &Place) -> String {
        let mut text = root.to_owned();
        for step in &place.steps {
            match step {
                Step::Field(name) if self.random.chance(10) => {
                    text.push_str(&format!("[\"{name}\"]"))
                }
                Step::Field(name) => text.push_str(&format!(".{name}")),
                Step::Index => {
                    let index = self.index();
                    text.push_str(&format!("[{index}]"));
                }
                Step::Key => {
                    let key = self.key();
                    text.push_str(&key);
                }
            }
        }
        text
    }

    fn index(&mut self) -> String {
        match self.random.below(10) {
            0..4 => self.random.pick(&["0", "0", "1", "2"]).into(),
            4..6 => self.local(&Type::Number).unwrap_or_else(|| "0".into()),
            6..9 if self.closed == 0 => "_".into(),
            _ => "0".into(),
        }
    }

    /// A key of a map, in brackets or after a dot.
    pub(crate) fn key(&mut self) -> String {
        match self.random.below(10) {
            0..4 => format!(".{}", self.random.pick(KEYS)),
            4 => format!("[\"{}\"]", self.random.pick(KEYS)),
            5..7 => match self.local(&Type::String) {
                Some(name) => format!("[{name}]"),
                None => "[input.user]".into(),
            },
            7..9 if self.closed == 0 => "[_]".into(),
            _ => format!(".{}", self.random.pick(KEYS)),
        }
    }

    /// The value of an earlier rule, a part of it, or a function's value.
    pub(crate) fn rule_value(&mut self, wanted: &Type, depth: usize) -> Option<String> {
        let mut fitting = Vec::new();
        for (number, name) in self.world.earlier(self.rank) {
            let part = name.kind.content().and_then(|content| content.elements());
            match &name.kind {
                Kind::Function(_, result) if result == wanted => fitting.push((number, 0)),
                Kind::Function(..) => {}
                kind if kind.content().as_ref() == Some(wanted) => fitting.push((number, 1)),
                Kind::Object(item) if item == wanted => fitting.push((number, 2)),
                _ => {
                    if part.is_some_and(|(_, item)| item == *wanted) {
                        fitting.push((number, 3));
                    }
                }
            }
        }
        let (number, form) = *self.random.choose(&fitting)?;
        let spelled = self.spell(number);
        Some(match form {
            0 => self.applied(number, &spelled, depth),
            1 => spelled,
            2 => format!("{spelled}{}", self.key()),
            _ if self.closed == 0 => format!("{spelled}[_]"),
            _ => return None,
        })
    }

    /// A call of a function with arguments of its parameters' types.
    pub(crate) fn applied(&mut self, number: usize, spelled: &str, depth: usize) -> String {
        let Some(Kind::Function(parameters, _)) =
            self.world.names.get(number).map(|name| name.kind.clone())
        else {
            return spelled.to_owned();
        };
        let arguments: Vec<_> =
            parameters.iter().map(|parameter| self.expression(parameter, depth)).collect();
        format!("{spelled}({})", arguments.join(", "))
    }

    /// One of the ways to write a name in the module: alone, by an import, or by its whole path.
    pub(crate) fn spell(&mut self, number: usize) -> String {
        let (Some(name), Some(module)) =
            (self.world.names.get(number), self.world.modules.get(self.module))
        else {
            return "true".into();
        };
        let path = self.world.packages.get(name.package).map(|path| path_text(path));
        let mut ways = vec![format!("data{}.{}", path.unwrap_or_default(), name.name)];
        if name.package == module.package {
            ways.extend([name.name.clone(), name.name.clone(), name.name.clone()]);
        }
        for (alias, imported) in &module.aliases {
            if *imported == number {
                ways.extend([alias.clone(), alias.clone()]);
            }
        }
        for (alias, package) in &module.packages {
            if *package == name.package {
                ways.extend([
                    format!("{alias}.{}", name.name),
                    format!("{alias}[\"{}\"]", name.name),
                ]);
            }
        }
        self.random.choose(&ways).cloned().unwrap_or_default()
    }

    fn comprehension(&mut self, wanted: &Type, depth: usize) -> Option<String> {
        let closed = std::mem::take(&mut self.closed);
        let text = match wanted {
            Type::Array(item) => {
                let (head, body) =
                    self.collected(|generator| generator.expression(item, depth.min(1)), depth);
                Some(format!("[{head} | {body}]"))
            }
            Type::Set(item) => {
                let (head, body) =
                    self.collected(|generator| generator.expression(item, depth.min(1)), depth);
                Some(format!("{{{head} | {body}}}"))
            }
            Type::Map(item) => {
                let member = |generator: &mut Self| {
                    let key = generator.atom(&Type::String);
                    format!("{key}: {}", generator.expression(item, depth.min(1)))
                };
                let (head, body) = self.collected(member, depth);
                Some(format!("{{{head} | {body}}}"))
            }
            Type::Null | Type::Bool | Type::Number | Type::String | Type::Any | Type::Record(_) => {
                None
            }
        };
        self.closed = closed;
        text
    }

    /// A body, and a head that may use its variables.
    fn collected(
        &mut self,
        head: impl FnOnce(&mut Self) -> String,
        depth: usize,
    ) -> (String, String) {
        self.scopes.push(Vec::new());
        let count = self.random.between(1, 2);
        let mut body = self.body(count, depth.min(1));
        let head = head(self);
        self.close(&mut body, &head);
        (head, body.join("; "))
    }
}
