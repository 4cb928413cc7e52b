//! Policies of all constructs by chance, and what is asked of them.

use super::chance::{Chance, KEYS, NUMBERS, STRINGS, likely};
use super::json;
use super::runs::{Case, Run};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Any,
    Truth,
    Number,
    Text,
    Members,
}

/// What a built-in function mostly takes.
fn taken(name: &str) -> Kind {
    match name.split('.').next().unwrap_or(name) {
        "count" | "max" | "min" | "product" | "sort" | "sum" | "union" | "intersection"
        | "array" | "object" => Kind::Members,
        "abs" | "ceil" | "floor" | "round" | "numbers" | "bits" | "to_number" => Kind::Number,
        "is_array" | "is_boolean" | "is_null" | "is_number" | "is_object" | "is_set"
        | "is_string" | "type_name" | "json" => Kind::Any,
        _ => Kind::Text,
    }
}

#[derive(Clone, Debug)]
struct Function {
    name: String,
    parameters: usize,
}

/// A module's text as it comes to be.
#[derive(Debug)]
struct Writer<'a> {
    chance: &'a mut Chance,
    rules: Vec<String>,
    functions: Vec<Function>,
    /// Of another package: name and whether it is a function.
    library: Vec<(String, bool)>,
    variables: Vec<String>,
    /// Those of an `every`, which the gate does not let be keys.
    quantified: Vec<String>,
    /// Whether it is within a comprehension, an `every` or a `not`, where the gate lets no other
    /// comprehension through.
    is_within: bool,
    next: usize,
    /// How much more may be written.
    left: usize,
}

impl Writer<'_> {
    fn fresh(&mut self) -> String {
        // Now and then one that is there already.
        if !self.variables.is_empty() && self.chance.one_in(40) {
            return self.variables[self.chance.below(self.variables.len())].clone();
        }
        self.next += 1;
        format!("v{}", self.next)
    }

    fn variable(&mut self) -> Option<String> {
        let count = self.variables.len();
        (count > 0).then(|| self.variables[self.chance.below(count)].clone())
    }

    fn constant(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Truth => self.chance.pick(&["true", "false"]).to_owned(),
            Kind::Number => match self.chance.below(8) {
                0 => format!("-{}", self.chance.pick(&["1", "2"])),
                _ => self.chance.pick(NUMBERS).to_owned(),
            },
            Kind::Text => match self.chance.below(6) {
                0 => "`a`".to_owned(),
                _ => format!("{:?}", self.chance.pick(STRINGS)),
            },
            Kind::Members => self
                .chance
                .pick(&[
                    "[1, 2, 3]",
                    "[]",
                    "{}",
                    "{\"a\", \"b\"}",
                    "{1, 2}",
                    "{\"a\": 1, \"b\": 2}",
                    "[[1, 2], [3, 4]]",
                    "[\"a\", [\"b\"]]",
                    "{\"a\": [1], \"xs\": {\"b\": 1}}",
                    "set()",
                    "[null, false, 0]",
                    "{0: \"a\", 1: \"b\"}",
                    "[{0: 1, 1: 2}, {0, 1}, [1, 2], {0}, [3]]",
                    "{0, \"0\"}",
                ])
                .to_owned(),
            Kind::Any => {
                let kind = self.some_kind();
                if kind == Kind::Any { "null".to_owned() } else { self.constant(kind) }
            }
        }
    }

    fn some_kind(&mut self) -> Kind {
        [Kind::Any, Kind::Truth, Kind::Number, Kind::Text, Kind::Members, Kind::Text, Kind::Number]
            [self.chance.below(7)]
    }

    fn key(&mut self, depth: usize, may_find: bool) -> String {
        match self.chance.below(14) {
            0 => "[0]".to_owned(),
            1 => "[1]".to_owned(),
            2 | 3 => match self.variable() {
                Some(name) if self.quantified.contains(&name) && !self.chance.one_in(40) => {
                    ".b".to_owned()
                }
                Some(name) => format!("[{name}]"),
                None => ".a".to_owned(),
            },
            4 if depth > 0 => format!("[{}]", self.reference(depth - 1, false)),
            5 | 6 if may_find => "[_]".to_owned(),
            // The gate lets no name find keys.
            7 if may_find && self.chance.one_in(20) => {
                let name = self.fresh();
                if !self.variables.contains(&name) {
                    self.variables.push(name.clone());
                }
                format!("[{name}]")
            }
            8 => "[`b`]".to_owned(),
            9 if depth > 0 && self.chance.one_in(3) => {
                format!("[{}]", self.expression(depth - 1, Kind::Text))
            }
            _ => format!(".{}", self.chance.pick(KEYS)),
        }
    }

    fn reference(&mut self, depth: usize, may_find: bool) -> String {
        let mut text = match self.chance.below(12) {
            0..=2 => "input".to_owned(),
            3 => {
                if self.chance.one_in(3) {
                    "given".to_owned()
                } else {
                    "input".to_owned()
                }
            }
            4 | 5 => format!("data.{}", self.chance.pick(&["d", "e", "missing"])),
            6..=8 => match self.variable() {
                Some(name) => name,
                None => "input".to_owned(),
            },
            9 | 10 => match self.rules.len() {
                0 => "input".to_owned(),
                count => {
                    let prefix = match self.chance.below(10) {
                        0 => "data.tenants.a.",
                        1 => "data.tenants[\"a\"].",
                        _ => "",
                    };
                    format!("{prefix}{}", self.rules[self.chance.below(count)])
                }
            },
            _ => match self.library.len() {
                0 => "imported".to_owned(),
                count => {
                    let (name, is_function) = self.library[self.chance.below(count)].clone();
                    if is_function {
                        return format!("lib.{name}({})", self.reference(0, false));
                    }
                    let prefix = if self.chance.one_in(20) { "lib" } else { "data.tenants.a.lib" };
                    format!("{prefix}.{name}")
                }
            },
        };
        let is_root = text == "input" || text.starts_with("data.") && !text.contains("tenants");
        let keys = self.chance.below(3) + usize::from(is_root && !self.chance.one_in(6));
        let mut has_found = false;
        for _ in 0..keys {
            // The gate does not let through what has other keys behind one that is found.
            let is_plain = has_found && text.starts_with("data.") && !self.chance.one_in(20);
            let known = self.variables.len();
            let key = match is_plain {
                true => format!(".{}", self.chance.pick(KEYS)),
                false => self.key(depth, may_find),
            };
            has_found |= key == "[_]" || self.variables.len() > known;
            text.push_str(&key);
        }
        text
    }

    fn expression(&mut self, depth: usize, kind: Kind) -> String {
        self.term(depth, kind, false)
    }

    fn term(&mut self, depth: usize, kind: Kind, may_find: bool) -> String {
        self.left = self.left.saturating_sub(1);
        if depth == 0 || self.left == 0 {
            return if self.chance.one_in(2) {
                self.constant(kind)
            } else {
                self.reference(0, may_find)
            };
        }
        let depth = depth - 1;
        let kind = if self.chance.one_in(12) { Kind::Any } else { kind };
        match (kind, self.chance.below(10)) {
            (_, 0) => self.constant(kind),
            (_, 1..=3) => self.reference(depth, may_find),
            (_, 4) if !self.functions.is_empty() => self.call(depth, may_find),
            (Kind::Truth, 5..=7) => {
                let operator = self.chance.pick(&["==", "!=", "<", "<=", ">", ">="]);
                let kind = self.some_kind();
                let (left, right) =
                    (self.term(depth, kind, may_find), self.term(depth, kind, may_find));
                format!("({left} {operator} {right})")
            }
            (Kind::Truth, 8) => {
                let left = self.term(depth, Kind::Any, may_find);
                let right = self.term(depth, Kind::Members, may_find);
                format!("({left} in {right})")
            }
            (Kind::Truth, _) => match self.chance.below(8) {
                0 => {
                    let (left, right) = (
                        self.term(depth, Kind::Text, may_find),
                        self.term(depth, Kind::Text, may_find),
                    );
                    let name = self.chance.pick(&["startswith", "endswith", "contains"]);
                    format!("{name}({left}, {right})")
                }
                1 => {
                    format!("regex.match(\"^[a-b]+$\", {})", self.term(depth, Kind::Text, may_find))
                }
                2 => format!(
                    "glob.match(\"a*\", [\".\"], {})",
                    self.term(depth, Kind::Text, may_find)
                ),
                _ => {
                    let name = self.chance.pick(&[
                        "is_string",
                        "is_number",
                        "is_array",
                        "is_null",
                        "is_set",
                    ]);
                    format!("{name}({})", self.term(depth, Kind::Any, may_find))
                }
            },
            (Kind::Number, 5..=7) => {
                let operator = self.chance.pick(&["+", "-", "*", "/", "%"]);
                let (left, right) = (
                    self.term(depth, Kind::Number, may_find),
                    self.term(depth, Kind::Number, may_find),
                );
                format!("({left} {operator} {right})")
            }
            (Kind::Number, _) => {
                let name = self.chance.pick(&[
                    "count",
                    "count",
                    "sum",
                    "max",
                    "min",
                    "abs",
                    "to_number",
                    "product",
                ]);
                let kind = taken(name);
                format!("{name}({})", self.term(depth, kind, may_find))
            }
            (Kind::Text, 5..=6) => {
                let name = self.chance.pick(&["upper", "lower", "trim_space", "type_name"]);
                format!("{name}({})", self.term(depth, Kind::Text, may_find))
            }
            (Kind::Text, 7) => {
                let (left, right) =
                    (self.term(depth, Kind::Any, may_find), self.term(depth, Kind::Any, may_find));
                let format = self.chance.pick(&["%v %v", "%s-%v", "%d %v"]);
                format!("sprintf(\"{format}\", [{left}, {right}])")
            }
            (Kind::Text, 8) => {
                format!("concat(\",\", {})", self.term(depth, Kind::Members, may_find))
            }
            (Kind::Text, _) => {
                format!("object.get({}, \"a\", \"z\")", self.term(depth, Kind::Members, may_find))
            }
            (Kind::Members, 5) => {
                let items: Vec<String> = (0..self.chance.below(4))
                    .map(|_| self.term(depth, Kind::Any, may_find))
                    .collect();
                match self.chance.below(2) {
                    0 => format!("[{}]", items.join(", ")),
                    _ if items.is_empty() => "set()".to_owned(),
                    _ => format!("{{{}}}", items.join(", ")),
                }
            }
            (Kind::Members, 6) => {
                let (left, right) =
                    (self.term(depth, Kind::Any, may_find), self.term(depth, Kind::Any, may_find));
                match self.chance.below(3) {
                    0 => format!("{{{left}: {right}}}"),
                    _ => format!("{{\"b\": {left}, \"a\": {right}}}"),
                }
            }
            (Kind::Members, 7) => {
                let operator = self.chance.pick(&["|", "&", "-"]);
                let (left, right) = (
                    self.term(depth, Kind::Members, may_find),
                    self.term(depth, Kind::Members, may_find),
                );
                format!("({left} {operator} {right})")
            }
            (Kind::Members, 8) => match self.chance.below(3) {
                0 => format!("split({}, \".\")", self.term(depth, Kind::Text, may_find)),
                1 => format!("object.keys({})", self.term(depth, Kind::Members, may_find)),
                _ => format!(
                    "array.concat({}, {})",
                    self.term(depth, Kind::Members, may_find),
                    self.term(depth, Kind::Members, may_find)
                ),
            },
            (Kind::Members, _) => self.comprehension(depth),
            (Kind::Any, 5) => self.comprehension(depth),
            (Kind::Any, 6) => {
                let names = super::super::builtins::NAMES;
                // The first two are operators.
                let name = names[2 + self.chance.below(names.len() - 2)];
                let (_, arity) = regorus::unstable::BUILTINS.get(name).unwrap();
                let params: Vec<String> = (0..*arity)
                    .map(|_| {
                        let kind =
                            if self.chance.one_in(4) { self.some_kind() } else { taken(name) };
                        self.term(depth, kind, may_find)
                    })
                    .collect();
                format!("{name}({})", params.join(", "))
            }
            (Kind::Any, _) => {
                let kind = self.some_kind();
                self.term(depth, kind, may_find)
            }
        }
    }

    fn call(&mut self, depth: usize, may_find: bool) -> String {
        let function = self.functions[self.chance.below(self.functions.len())].clone();
        let params: Vec<String> =
            (0..function.parameters).map(|_| self.term(depth, Kind::Any, may_find)).collect();
        format!("{}({})", function.name, params.join(", "))
    }

    fn comprehension(&mut self, depth: usize) -> String {
        if self.is_within && !self.chance.one_in(40) {
            return self.constant(Kind::Members);
        }
        let was_within = std::mem::replace(&mut self.is_within, true);
        let outside = self.variables.len();
        let body = self.body(depth, 3);
        let text = match self.chance.below(4) {
            0 | 1 => format!("[{} | {body}]", self.expression(depth, Kind::Any)),
            2 => format!("{{{} | {body}}}", self.expression(depth, Kind::Any)),
            _ => {
                let key = match self.variable() {
                    Some(name) if self.chance.one_in(2) => name,
                    Some(name) => format!("type_name({name})"),
                    None => self.expression(depth, Kind::Text),
                };
                format!("{{{key}: {} | {body}}}", self.expression(depth, Kind::Any))
            }
        };
        self.variables.truncate(outside);
        self.is_within = was_within;
        text
    }

    /// What a value may be given to.
    fn target(&mut self) -> String {
        let name = self.fresh();
        if !self.variables.contains(&name) {
            self.variables.push(name.clone());
        }
        name
    }

    fn pattern(&mut self, depth: usize) -> String {
        match self.chance.below(10) {
            0 => "_".to_owned(),
            1 if depth > 0 && self.chance.one_in(20) => {
                let items: Vec<String> =
                    (0..1 + self.chance.below(3)).map(|_| self.pattern(depth - 1)).collect();
                format!("[{}]", items.join(", "))
            }
            2 if depth > 0 => self.constant(Kind::Any),
            _ => {
                let name = self.fresh();
                if !self.variables.contains(&name) {
                    self.variables.push(name.clone());
                }
                name
            }
        }
    }

    fn body(&mut self, depth: usize, statements: usize) -> String {
        let count = 1 + self.chance.below(statements);
        let mut statements: Vec<String> = (0..count).map(|_| self.statement(depth)).collect();
        if self.chance.one_in(4) {
            // They are evaluated in the order of what they need.
            let first = self.chance.below(count);
            statements.swap(0, first);
        }
        statements.join("; ")
    }

    fn statement(&mut self, depth: usize) -> String {
        match self.chance.below(16) {
            0..=3 => {
                let members = if self.chance.one_in(4) {
                    self.term(depth, Kind::Members, true)
                } else {
                    self.reference(1, false)
                };
                match self.chance.below(3) {
                    0 => {
                        let (key, value) = (self.pattern(0), self.pattern(1));
                        format!("some {key}, {value} in {members}")
                    }
                    _ => format!("some {} in {members}", self.pattern(1)),
                }
            }
            4 | 5 => {
                let value = self.term(depth, Kind::Any, true);
                if self.chance.one_in(5) {
                    let names: Vec<String> =
                        (0..1 + self.chance.below(3)).map(|_| self.target()).collect();
                    return format!("[{}] := {value}", names.join(", "));
                }
                format!("{} := {value}", self.target())
            }
            6 => {
                let value = self.term(depth, Kind::Any, true);
                let operator = if self.chance.one_in(40) { "=" } else { "==" };
                format!("{value} {operator} {}", self.term(depth, Kind::Any, true))
            }
            7 | 8 => {
                let was_within = std::mem::replace(&mut self.is_within, true);
                let text = format!("not {}", self.expression(depth, Kind::Truth));
                self.is_within = was_within;
                text
            }
            9 if depth > 0 && (!self.is_within || self.chance.one_in(40)) => {
                let members = self.expression(depth - 1, Kind::Members);
                let outside = self.variables.len();
                let value = self.fresh();
                self.variables.push(value.clone());
                let known = self.quantified.len();
                self.quantified.push(value.clone());
                let names = match self.chance.below(3) {
                    0 => {
                        let key = self.fresh();
                        self.variables.push(key.clone());
                        self.quantified.push(key.clone());
                        format!("{key}, {value}")
                    }
                    1 => format!("_, {value}"),
                    _ => value,
                };
                let was_within = std::mem::replace(&mut self.is_within, true);
                let body = self.body(depth - 1, 2);
                self.is_within = was_within;
                self.variables.truncate(outside);
                self.quantified.truncate(known);
                format!("every {names} in {members} {{ {body} }}")
            }
            10 | 11 => self.reference(2, true),
            _ => self.term(depth, Kind::Truth, true),
        }
    }

    fn rule(&mut self, name: &str, kind: Kind) -> String {
        self.left = 40;
        let depth = 1 + self.chance.below(3);
        let mut text = String::new();
        let form = self.chance.below(16);
        match form {
            0..=4 => {
                if self.chance.one_in(2) {
                    text.push_str(&format!("default {name} := {}\n", self.constant(kind)));
                }
                for _ in 0..1 + self.chance.below(2) {
                    self.variables.clear();
                    text.push_str(&format!("{name} if {{ {} }}\n", self.body(depth, 4)));
                }
            }
            5..=8 => {
                if self.chance.one_in(3) {
                    text.push_str(&format!("default {name} := {}\n", self.constant(kind)));
                }
                for _ in 0..self.chance.below(3) {
                    self.variables.clear();
                    let body = self.body(depth, 2);
                    let value = if self.chance.one_in(3) {
                        self.expression(1, kind)
                    } else {
                        self.constant(kind)
                    };
                    text.push_str(&format!("{name} := {value} if {{ {body} }}\n"));
                }
                self.variables.clear();
                let body = self.body(depth, 3);
                let has_else = self.chance.one_in(2);
                let value = match has_else {
                    true if self.chance.one_in(2) => self.constant(kind),
                    true if self.chance.one_in(2) => self.expression(1, kind),
                    _ => self.expression(depth, kind),
                };
                text.push_str(&format!("{name} := {value} if {{ {body} }}"));
                if !has_else {
                    text.push('\n');
                    return text;
                }
                for _ in 0..self.chance.below(3) {
                    self.variables.clear();
                    let body = self.body(depth, 2);
                    let value = self.expression(depth, kind);
                    match self.chance.below(4) {
                        0 => text.push_str(&format!(" else if {{ {body} }}")),
                        _ => text.push_str(&format!(" else := {value} if {{ {body} }}")),
                    }
                }
                if self.chance.one_in(3) {
                    self.variables.clear();
                    text.push_str(&format!(" else := {}", self.expression(1, kind)));
                }
                text.push('\n');
            }
            9 => {
                self.variables.clear();
                text.push_str(&format!("{name} := {}\n", self.expression(depth, kind)));
            }
            10..=13 => {
                for _ in 0..1 + self.chance.below(2) {
                    self.variables.clear();
                    let body = self.body(depth, 3);
                    let value = match self.variable() {
                        Some(name) if !self.chance.one_in(3) => name,
                        _ => self.expression(depth, Kind::Any),
                    };
                    text.push_str(&format!("{name} contains {value} if {{ {body} }}\n"));
                }
            }
            _ => {
                self.variables.clear();
                let body = self.body(depth, 3);
                let key = match self.variable() {
                    Some(name) if self.chance.one_in(2) => name,
                    Some(name) => format!("type_name({name})"),
                    None => self.reference(0, false),
                };
                let value = match self.variable() {
                    Some(name) if self.chance.one_in(2) => name,
                    _ => self.expression(depth, Kind::Any),
                };
                text.push_str(&format!("{name}[{key}] := {value} if {{ {body} }}\n"));
                if self.chance.one_in(3) {
                    self.variables.clear();
                    let body = self.body(depth, 2);
                    let key = match self.variable() {
                        Some(name) => name,
                        _ => self.reference(0, false),
                    };
                    let value = self.expression(depth, Kind::Any);
                    text.push_str(&format!("{name}[{key}] := {value} if {{ {body} }}\n"));
                }
            }
        }
        text
    }

    fn function(&mut self, name: &str) -> (String, usize) {
        self.left = 40;
        let depth = 1 + self.chance.below(2);
        let parameters = 1 + self.chance.below(2);
        let mut text = String::new();
        let is_truth = self.chance.one_in(2);
        let definitions = 1 + self.chance.below(3);
        for _ in 0..definitions {
            self.variables.clear();
            let patterns: Vec<String> = (0..parameters).map(|_| self.pattern(1)).collect();
            let head = format!("{name}({})", patterns.join(", "));
            let kept = self.variables.clone();
            let body = self.body(depth, 3);
            if is_truth {
                text.push_str(&format!("{head} if {{ {body} }}\n"));
                continue;
            }
            match self.chance.below(3) {
                0 => {
                    self.variables = kept;
                    text.push_str(&format!("{head} := {}\n", self.expression(depth, Kind::Any)));
                }
                1 => {
                    let value = self.expression(depth, Kind::Any);
                    text.push_str(&format!("{head} := {value} if {{ {body} }}\n"));
                }
                _ => {
                    let (one, other) = (self.constant(Kind::Any), self.constant(Kind::Any));
                    self.variables = kept;
                    let second = self.body(depth, 2);
                    text.push_str(&format!(
                        "{head} := {one} if {{ {body} }} else := {other} if {{ {second} }}\n"
                    ));
                }
            }
        }
        (text, parameters)
    }
}

/// The modules of a policy.
fn policy(chance: &mut Chance) -> Vec<(String, String)> {
    let mut modules = Vec::new();
    let mut library = Vec::new();
    if chance.one_in(3) {
        let mut writer = Writer {
            chance: &mut *chance,
            rules: vec![],
            functions: vec![],
            library: vec![],
            variables: vec![],
            quantified: vec![],
            is_within: false,
            next: 0,
            left: 0,
        };
        let mut text =
            "package tenants.a.lib\nimport data.e as imported\nimport input.m as given\n"
                .to_owned();
        text.push_str(&writer.rule("known", Kind::Members));
        let (function, parameters) = writer.function("help");
        text.push_str(&function);
        modules.push(("lib.rego".to_owned(), text));
        library.push(("known".to_owned(), false));
        if parameters == 1 {
            library.push(("help".to_owned(), true));
        }
    }
    let mut text =
        "package tenants.a\nimport data.e as imported\nimport input.m as given\n".to_owned();
    if !library.is_empty() {
        text.push_str("import data.tenants.a.lib\n");
    }
    let mut writer = Writer {
        chance,
        rules: vec![],
        functions: vec![],
        library,
        variables: vec![],
        quantified: vec![],
        is_within: false,
        next: 0,
        left: 0,
    };
    for index in 0..writer.chance.below(3) {
        let name = format!("f{index}");
        let (function, parameters) = writer.function(&name);
        text.push_str(&function);
        writer.functions.push(Function { name, parameters });
    }
    for index in 0..writer.chance.below(4) {
        let name = format!("r{index}");
        let kind = writer.some_kind();
        text.push_str(&writer.rule(&name, kind));
        writer.rules.push(name);
    }
    if writer.chance.one_in(4) {
        let mut rest = "package tenants.a\nimport input.m as given\n".to_owned();
        if !writer.chance.one_in(6) {
            rest.push_str("import data.e as imported\n");
        }
        if !writer.library.is_empty() {
            rest.push_str("import data.tenants.a.lib\n");
        }
        modules.push(("first.rego".to_owned(), std::mem::replace(&mut text, rest)));
    }
    for (name, kind) in [("allow", Kind::Truth), ("redact", Kind::Members), ("reason", Kind::Text)]
    {
        if name == "allow" || !writer.chance.one_in(3) {
            text.push_str(&writer.rule(name, kind));
            writer.rules.push(name.to_owned());
        }
    }
    modules.push(("policy.rego".to_owned(), text));
    modules
}

/// A policy by chance, its data, and what it is asked.
pub(super) fn case(chance: &mut Chance) -> Case {
    let mut modules = policy(chance);
    // Of two tenants, one has a name that is no identifier.
    let tenant = chance.pick(&["a", "a-b"]);
    if tenant != "a" {
        let whole = format!("tenants[{tenant:?}]");
        for (_, text) in &mut modules {
            *text = text.replace("tenants[\"a\"]", &whole).replace("tenants.a", &whole);
        }
    }
    let data = json(&format!("{{\"d\":{},\"e\":{}}}", likely(chance), likely(chance)));
    let inputs = (0..8).map(|_| json(&likely(chance))).collect();
    Case { tenant: tenant.to_owned(), modules, data, inputs }
}

#[test]
fn the_bytecode_never_answers_otherwise_than_the_interpreter() {
    Run::over(0..600, case).check();
}
