//! Calls of built-ins and operators of a wanted type. Their values are tested elsewhere, one by
//! one: here they are a part of policies.

use crate::generate::Generator;
use crate::generate::types::{KEYS, Type};

impl Generator {
    /// A call or an operation that yields this type.
    pub(crate) fn call(&mut self, wanted: &Type, depth: usize) -> Option<String> {
        match wanted {
            Type::Number => Some(self.number_call(depth)),
            Type::String => Some(self.string_call(depth)),
            Type::Bool => Some(self.test(depth)),
            Type::Array(item) => self.array_call(wanted, item, depth),
            Type::Set(item) => Some(self.set_call(wanted, item, depth)),
            Type::Map(item) => Some(self.map_call(wanted, item, depth)),
            Type::Null | Type::Any | Type::Record(_) => None,
        }
    }

    fn number_call(&mut self, depth: usize) -> String {
        let numbers = Type::array(Type::Number);
        match self.random.below(18) {
            0..5 => {
                let operator = self.random.pick(&["+", "-", "*", "/", "+", "-"]);
                let left = self.expression(&Type::Number, depth);
                let right = self.expression(&Type::Number, depth);
                if self.random.chance(10) {
                    let name = self.random.pick(&["plus", "minus", "mul", "div"]);
                    return format!("{name}({left}, {right})");
                }
                format!("({left} {operator} {right})")
            }
            5 => {
                let left = self.random.pick(&["7", "10", "-7", "input.n"]);
                format!("({left} % {})", self.random.pick(&["3", "2", "-4", "0"]))
            }
            6..9 => {
                let some = Type::scalar(&mut self.random);
                let collection = match self.random.below(3) {
                    0 => Type::array(some),
                    1 => Type::set(some),
                    _ => Type::map(some),
                };
                format!("count({})", self.expression(&collection, depth))
            }
            9..11 => {
                let name = self.random.pick(&["sum", "max", "min", "product"]);
                format!("{name}({})", self.expression(&numbers, depth))
            }
            11..13 => {
                let name = self.random.pick(&["abs", "ceil", "floor", "round"]);
                format!("{name}({})", self.expression(&Type::Number, depth))
            }
            13 => {
                format!("to_number({})", self.random.pick(&["\"12\"", "\"-1.5\"", "\"x\"", "true"]))
            }
            14 => {
                let text = self.expression(&Type::String, depth);
                format!("indexof({text}, {})", self.atom(&Type::String))
            }
            15 => {
                let map = self.expression(&Type::map(Type::Number), depth);
                format!(
                    "object.get({map}, {}, {})",
                    self.atom(&Type::String),
                    self.atom(&Type::Number)
                )
            }
            16 => {
                let name = self.random.pick(&["and", "or", "xor"]);
                format!("bits.{name}({}, {})", self.random.between(0, 9), self.random.between(0, 9))
            }
            _ => self
                .random
                .pick(&[
                    "time.now_ns()",
                    "numbers.range(1, 3)[1]",
                    "semver.compare(\"1.2.0\", \"1.10.0\")",
                    "units.parse(\"2K\")",
                ])
                .into(),
        }
    }

    fn string_call(&mut self, depth: usize) -> String {
        let text = self.expression(&Type::String, depth);
        let other = self.atom(&Type::String);
        match self.random.below(20) {
            0..2 => {
                format!("concat({other}, {})", self.expression(&Type::array(Type::String), depth))
            }
            2..4 => format!(
                "{}({text})",
                self.random.pick(&["lower", "upper", "trim_space", "strings.reverse"])
            ),
            4..6 => {
                let verb = self.random.pick(&["%v", "%s", "%d", "<%v>", "%v%%"]);
                let some = Type::any(&mut self.random, 1);
                format!("sprintf(\"{verb} %v\", [{}, {text}])", self.expression(&some, depth))
            }
            6 => format!(
                "format_int({}, {})",
                self.expression(&Type::Number, depth),
                self.random.pick(&["10", "2", "16"])
            ),
            7 => format!(
                "substring({text}, {}, {})",
                self.random.below(3),
                self.random.pick(&["1", "-1", "2"])
            ),
            8..10 => {
                let name = self.random.pick(&[
                    "trim",
                    "trim_left",
                    "trim_prefix",
                    "trim_suffix",
                    "trim_right",
                ]);
                format!("{name}({text}, {other})")
            }
            10 => format!("replace({text}, {other}, \"-\")"),
            11 => {
                let some = Type::any(&mut self.random, 1);
                format!(
                    "{}({})",
                    self.random.pick(&["json.marshal", "type_name"]),
                    self.expression(&some, depth)
                )
            }
            12 => format!(
                "{}({text})",
                self.random.pick(&[
                    "base64.encode",
                    "hex.encode",
                    "urlquery.encode",
                    "crypto.sha256"
                ])
            ),
            13 => format!("split({text}, \",\")[{}]", self.random.below(2)),
            14 => {
                let map = self.expression(&Type::map(Type::String), depth);
                format!("object.get({map}, {other}, {text})")
            }
            15..18 if !self.world.v0 => self.template(depth),
            _ => format!("regex.replace({text}, \"[a-c]+\", {other})"),
        }
    }

    /// A template string.
    fn template(&mut self, depth: usize) -> String {
        // No name is resolved within a template string.
        self.closed += 1;
        let some = Type::any(&mut self.random, 1);
        let first = self.expression(&some, depth);
        let second = self.atom(&Type::String);
        self.closed -= 1;
        match self.random.below(4) {
            0 => format!("$`{{{first}}} and {{{second}}}`"),
            1 => format!("$\"\\{{ {{{second}}}\""),
            _ => format!("$\"is {{{first}}}, {{{second}}}\""),
        }
    }

    /// A test as an expression.
    pub(crate) fn test(&mut self, depth: usize) -> String {
        match self.random.below(20) {
            0..5 => {
                let compared = Type::scalar(&mut self.random);
                let operator = self.random.pick(&["==", "==", "!=", "<", "<=", ">", ">="]);
                let left = self.expression(&compared, depth);
                let right = self.expression(&compared, depth);
                if self.random.chance(10) {
                    let name = self.random.pick(&["equal", "neq", "lt", "lte", "gt", "gte"]);
                    return format!("{name}({left}, {right})");
                }
                format!("({left} {operator} {right})")
            }
            5..7 => {
                let name = self.random.pick(&["startswith", "endswith", "contains"]);
                let text = self.expression(&Type::String, depth);
                format!("{name}({text}, {})", self.atom(&Type::String))
            }
            7 => {
                let pattern = self.random.pick(&["^[a-z]+$", "a|b", "^$", "\\\\w", "("]);
                format!("regex.match(\"{pattern}\", {})", self.expression(&Type::String, depth))
            }
            8..10 => {
                let name = self.random.pick(&[
                    "is_string",
                    "is_number",
                    "is_boolean",
                    "is_array",
                    "is_object",
                    "is_set",
                    "is_null",
                ]);
                let some = Type::any(&mut self.random, 1);
                format!("{name}({})", self.expression(&some, depth))
            }
            10..15 if !self.legacy() => {
                let item = Type::scalar(&mut self.random);
                let collection = self.collection_of(&item);
                let element = self.expression(&item, depth);
                let collection_text = self.expression(&collection, depth);
                match collection.elements() {
                    Some((key, _)) if self.random.chance(25) => {
                        format!("({}, {element} in {collection_text})", self.atom(&key))
                    }
                    _ => format!("({element} in {collection_text})"),
                }
            }
            15 => format!(
                "glob.match(\"{}\", [\"/\"], {})",
                self.random.pick(&["*", "a*", "**", "{a,b}", "?"]),
                self.expression(&Type::String, depth)
            ),
            16 => {
                let some = Type::set(Type::String);
                let left = self.expression(&some, depth);
                format!("object.subset({left}, {})", self.expression(&some, depth))
            }
            17 => {
                let (left, right) = (self.atom(&Type::Any), self.atom(&Type::Any));
                format!("({left} {} {right})", self.random.pick(&["==", "!=", "<", ">="]))
            }
            _ => self.atom(&Type::Bool),
        }
    }

    /// A type whose elements are of this type.
    pub(crate) fn collection_of(&mut self, item: &Type) -> Type {
        match self.random.below(5) {
            0..3 => Type::array(item.clone()),
            3 => Type::set(item.clone()),
            _ => Type::map(item.clone()),
        }
    }

    fn array_call(&mut self, wanted: &Type, item: &Type, depth: usize) -> Option<String> {
        let inner = self.expression(wanted, depth);
        Some(match self.random.below(8) {
            0..2 => format!("array.concat({inner}, {})", self.expression(wanted, depth)),
            2 => format!(
                "array.slice({inner}, {}, {})",
                self.random.below(2),
                self.random.between(1, 3)
            ),
            3 => format!("array.reverse({inner})"),
            4 => {
                let set = Type::set(item.clone());
                format!("sort({})", self.expression(&set, depth))
            }
            5 if *item == Type::String => {
                format!(
                    "split({}, {})",
                    self.expression(&Type::String, depth),
                    self.atom(&Type::String)
                )
            }
            5 if *item == Type::Number => "numbers.range(1, 4)".into(),
            6 => {
                let map = Type::map(wanted.clone());
                format!(
                    "object.get({}, {}, {inner})",
                    self.expression(&map, 0),
                    self.atom(&Type::String)
                )
            }
            _ => return None,
        })
    }

    fn set_call(&mut self, wanted: &Type, item: &Type, depth: usize) -> String {
        let left = self.expression(wanted, depth);
        let right = self.expression(wanted, depth);
        match self.random.below(8) {
            0..5 => format!("({left} {} {right})", self.random.pick(&["|", "&", "-"])),
            5 if *item == Type::String => {
                let map = Type::map(Type::Number);
                format!("object.keys({})", self.expression(&map, depth))
            }
            6 => format!("{}({{{left}, {right}}})", self.random.pick(&["union", "intersection"])),
            _ => format!("({left} | {right})"),
        }
    }

    fn map_call(&mut self, wanted: &Type, item: &Type, depth: usize) -> String {
        let inner = self.expression(wanted, depth);
        let key = self.random.pick(KEYS);
        match self.random.below(8) {
            0..3 => format!("object.union({inner}, {})", self.expression(wanted, depth)),
            3 => format!("object.remove({inner}, [\"{key}\", {}])", self.atom(&Type::String)),
            4 => format!("object.filter({inner}, {{\"{key}\", \"a\"}})"),
            5 => format!("json.remove({inner}, [\"{key}\"])"),
            6 => format!("json.filter({inner}, [\"{key}\", \"a\"])"),
            _ => {
                let value = self.expression(item, 0);
                format!(
                    "json.patch({inner}, [{{\"op\": \"add\", \"path\": \"{key}\", \"value\": {value}}}])"
                )
            }
        }
    }

    /// Whether the module is written in Rego v0, without the later keywords.
    pub(crate) fn legacy(&self) -> bool {
        self.world.modules.get(self.module).is_some_and(|module| module.legacy)
    }
}
