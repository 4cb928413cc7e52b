//! Definitions of rules and functions.

use crate::generate::Generator;
use crate::generate::types::{KEYS, Type};
use crate::generate::world::{Kind, Name};

/// The nesting depth of expressions.
const DEPTH: usize = 2;

impl Generator {
    /// The definitions of a name: each with the module that it stands in.
    pub(crate) fn definitions(&mut self, name: &Name) -> Vec<(usize, String)> {
        let mut texts = Vec::new();
        for module in &name.modules {
            self.module = *module;
            let text = match &name.kind {
                Kind::Complete(content) => self.complete(&name.name, content),
                Kind::Holds => self.holds(&name.name),
                Kind::Members(item) => self.members(&name.name, item),
                Kind::Object(item) => self.object(&name.name, item),
                Kind::Nested(item) => self.nested(&name.name, item),
                Kind::NestedSet(item) => self.nested_set(&name.name, item),
                Kind::Function(parameters, result) => {
                    self.function(&name.name, &parameters.clone(), result)
                }
            };
            texts.push((*module, text));
        }
        let constant = match &name.kind {
            Kind::Complete(content) if self.random.chance(35) => Some(self.constant(content)),
            Kind::Holds if self.random.chance(50) => Some("false".to_owned()),
            Kind::Function(_, result) if self.random.chance(20) => Some(self.constant(result)),
            _ => None,
        };
        if let (Some(constant), Some(module)) = (constant, name.modules.first()) {
            let head = match &name.kind {
                Kind::Function(parameters, _) => {
                    format!("{}({})", name.name, vec!["_"; parameters.len()].join(", "))
                }
                _ => name.name.clone(),
            };
            let sign = self.random.pick(&[":=", "="]);
            texts.push((*module, format!("default {head} {sign} {constant}")));
            if self.random.chance(50) {
                texts.reverse();
            }
        }
        texts
    }

    /// A value that depends on no other.
    fn constant(&mut self, content: &Type) -> String {
        match content {
            Type::Array(_) => "[]".into(),
            Type::Set(_) => "set()".into(),
            Type::Map(_) | Type::Record(_) => "{}".into(),
            Type::Number => self.random.pick(&["0", "1", "-1.5"]).into(),
            Type::Bool => "false".into(),
            _ => self.random.pick(&["\"none\"", "null"]).into(),
        }
    }

    /// A body and the parts of its head; the head is written where the body's variables are known.
    fn bodied(
        &mut self,
        variables: Vec<(String, Type)>,
        head: impl FnOnce(&mut Self) -> String,
    ) -> (String, Vec<String>) {
        self.scopes = vec![variables, Vec::new()];
        self.fresh = 0;
        let count = match self.random.below(10) {
            0 => 0,
            1..5 => 1,
            5..8 => 2,
            _ => 3,
        };
        let mut body = self.body(count, DEPTH);
        let head = head(self);
        self.close(&mut body, &head);
        self.scopes.clear();
        (head, body)
    }

    /// A rule's text: with `if`, or in the v0 form.
    fn rule(&mut self, head: &str, body: &[String]) -> String {
        let word = if self.legacy() { "" } else { " if" };
        match body {
            [] => head.to_owned(),
            [one]
                if !self.legacy()
                    && self.random.chance(40)
                    && !one.starts_with(['{', '[', '('])
                    && !one.contains(';') =>
            {
                format!("{head}{word} {one}")
            }
            _ => {
                let lines: Vec<_> = body.iter().map(|line| format!("\t{line}\n")).collect();
                format!("{head}{word} {{\n{}}}", lines.concat())
            }
        }
    }

    fn complete(&mut self, name: &str, content: &Type) -> String {
        let depth = DEPTH;
        let (value, body) = self.bodied(Vec::new(), |generator| {
            if generator.random.chance(25) {
                generator.constant(content)
            } else {
                generator.expression(content, depth - 1)
            }
        });
        let sign = self.random.pick(&[":=", ":=", "="]);
        let mut text = self.rule(&format!("{name} {sign} {value}"), &body);
        if !body.is_empty() {
            text.push_str(&self.otherwise(content, Vec::new()));
        }
        text
    }

    /// `else` branches, now and then.
    fn otherwise(&mut self, content: &Type, variables: Vec<(String, Type)>) -> String {
        let mut text = String::new();
        while self.random.chance(25) {
            let (value, body) =
                self.bodied(variables.clone(), |generator| generator.expression(content, 1));
            text.push_str(&format!(" {}", self.rule(&format!("else := {value}"), &body)));
            if body.is_empty() {
                break;
            }
        }
        text
    }

    fn holds(&mut self, name: &str) -> String {
        let (_, mut body) = self.bodied(Vec::new(), |_| String::new());
        if body.is_empty() {
            body.push("input.flag".into());
        }
        let mut text = self.rule(name, &body);
        if self.random.chance(30) {
            text.push_str(&self.otherwise(&Type::Bool, Vec::new()));
        }
        text
    }

    fn members(&mut self, name: &str, item: &Type) -> String {
        let (value, body) = self.bodied(Vec::new(), |generator| generator.expression(item, 1));
        if self.legacy() {
            return match body.as_slice() {
                [] => self.rule(&format!("{name}[{value}]"), &["true".to_owned()]),
                _ => self.rule(&format!("{name}[{value}]"), &body),
            };
        }
        self.rule(&format!("{name} contains {value}"), &body)
    }

    fn object(&mut self, name: &str, item: &Type) -> String {
        let ((key, value), body) = self.keyed(item);
        let key = if self.random.chance(15) {
            format!(".{}", self.random.pick(KEYS))
        } else {
            format!("[{key}]")
        };
        self.rule(&format!("{name}{key} := {value}"), &body)
    }

    fn keyed(&mut self, item: &Type) -> ((String, String), Vec<String>) {
        let mut pair = Default::default();
        let (_, body) = self.bodied(Vec::new(), |generator| {
            let key = generator.expression(&Type::String, 1);
            let value = generator.expression(item, 1);
            let both = format!("{key} {value}");
            pair = (key, value);
            both
        });
        (pair, body)
    }

    /// The parts of a reference: constants and variables in turn.
    fn parts(&mut self, key: &str) -> String {
        let constant = |generator: &mut Self| format!(".{}", generator.random.pick(KEYS));
        match self.random.below(3) {
            0 => format!("{}[{key}]", constant(self)),
            1 => format!("[{key}]{}", constant(self)),
            _ => format!("{}{}", constant(self), constant(self)),
        }
    }

    fn nested(&mut self, name: &str, item: &Type) -> String {
        let ((key, value), body) = self.keyed(item);
        let parts =
            if self.random.chance(40) { format!("[{key}][input.user]") } else { self.parts(&key) };
        self.rule(&format!("{name}{parts} := {value}"), &body)
    }

    fn nested_set(&mut self, name: &str, item: &Type) -> String {
        let ((key, value), body) = self.keyed(item);
        if self.legacy() {
            // Rego v0 takes the last brackets for a member.
            return self.rule(&format!("{name}[{key}] = {{{value}}}"), &body);
        }
        let part = if self.random.chance(50) {
            format!(".{}", self.random.pick(KEYS))
        } else {
            format!("[{key}]")
        };
        self.rule(&format!("{name}{part} contains {value}"), &body)
    }

    fn function(&mut self, name: &str, parameters: &[Type], result: &Type) -> String {
        let mut variables = Vec::new();
        let mut texts = Vec::new();
        for (index, parameter) in parameters.iter().enumerate() {
            texts.push(self.parameter(index, parameter, &mut variables));
        }
        let (value, body) =
            self.bodied(variables.clone(), |generator| generator.expression(result, 1));
        let head = format!("{name}({})", texts.join(", "));
        let holds = *result == Type::Bool && !body.is_empty() && self.random.chance(60);
        let mut text = if holds {
            self.rule(&head, &body)
        } else {
            self.rule(&format!("{head} := {value}"), &body)
        };
        if !body.is_empty() {
            text.push_str(&self.otherwise(result, variables));
        }
        text
    }

    /// A parameter: mostly a variable, else a constant, a wildcard or a pattern.
    fn parameter(
        &mut self,
        index: usize,
        content: &Type,
        variables: &mut Vec<(String, Type)>,
    ) -> String {
        let mut variable = |text: String, content: &Type| {
            variables.push((text.clone(), content.clone()));
            text
        };
        match (self.random.below(20), content) {
            (0, _) => "_".into(),
            (1..4, Type::Array(item)) => {
                let first = variable(format!("p{index}"), item);
                format!("[{first}, {}]", variable(format!("q{index}"), item))
            }
            (1..4, Type::Record(fields)) => {
                let members: Vec<_> = fields
                    .iter()
                    .map(|(name, field)| {
                        format!("\"{name}\": {}", variable(format!("{name}{index}"), field))
                    })
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
            (1..3, Type::String) => format!("\"{}\"", self.random.pick(KEYS)),
            (1..3, Type::Number) => self.random.below(3).to_string(),
            (1, Type::Bool) => "true".into(),
            _ => variable(format!("p{index}"), content),
        }
    }
}
