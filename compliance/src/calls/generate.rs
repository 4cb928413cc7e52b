//! Arguments: mostly of the declared types and from pools of texts that the built-in understands,
//! sometimes of any type; or those of recorded calls, with changes.

mod graphql;
mod modules;
mod patterns;
mod pools;
mod schemas;
mod texts;
mod times;
mod values;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use super::recorded::Recorded;
use enforcer_rego::Value;
use enforcer_rego::builtins::table::{Declaration, StaticType};
use enforcer_rego::number;

/// The nesting depth of generated values.
const DEPTH: usize = 3;

/// Generates the arguments of one built-in's calls.
pub struct Generator<'a> {
    declaration: &'static Declaration,
    recorded: &'a Recorded,
    state: u64,
    /// The layout for a time.
    layout: String,
}

impl<'a> Generator<'a> {
    /// The same seed gives the same calls.
    #[must_use]
    pub fn new(seed: u64, declaration: &'static Declaration, recorded: &'a Recorded) -> Self {
        let state =
            declaration.name.bytes().fold(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), |h, b| {
                (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
            });
        Self { declaration, recorded, state, layout: String::new() }
    }

    /// The next call's arguments.
    pub fn arguments(&mut self) -> Vec<Value> {
        let declaration = self.declaration;
        let (recorded, name) = (self.recorded, declaration.name);
        let own = recorded.of(name);
        let calls =
            if own.is_empty() || self.below(3) == 0 { recorded.of_family(name) } else { own };
        if !calls.is_empty() && self.below(5) > 0 {
            return self.changed(calls);
        }
        let mut given = Vec::new();
        for (i, parameter) in declaration.parameters.iter().enumerate() {
            if let Some(value) = values::made(self, i) {
                given.push(value);
                continue;
            }
            let value = match whole::whole(declaration.name, i) {
                Some(pool) if self.below(8) > 0 => self.json(pool),
                _ if self.below(12) == 0 => self.any(DEPTH),
                _ => self.of(&parameter.of, i, DEPTH),
            };
            given.push(value);
        }
        given
    }

    /// A recorded call's arguments, often with one of another call's or with a character changed.
    fn changed(&mut self, recorded: &[Vec<Value>]) -> Vec<Value> {
        let mut args = self.pick(recorded).cloned().unwrap_or_default();
        let position = self.below(args.len());
        let other = self.pick(recorded).and_then(|other| other.get(position)).cloned();
        let change = self.below(6);
        if let Some(arg) = args.get_mut(position) {
            match (change, &*arg, other) {
                (0 | 1, _, Some(other)) => *arg = other,
                (2, Value::String(text), _) => *arg = Value::from(self.mistyped(text)),
                _ => {}
            }
        }
        // The calls of other built-ins of the family may have fewer.
        args.truncate(self.declaration.parameters.len());
        while args.len() < self.declaration.parameters.len() {
            args.push(self.any(DEPTH));
        }
        args
    }

    /// A text with one character left out, doubled or replaced.
    fn mistyped(&mut self, text: &str) -> String {
        let characters: Vec<char> = text.chars().collect();
        let at = self.below(characters.len());
        let mut changed: String = characters.iter().take(at).collect();
        let rest = characters.get(at..).unwrap_or_default();
        match (self.below(3), rest) {
            (0, [_, rest @ ..]) => changed.extend(rest),
            (1, [first, ..]) => {
                changed.push(*first);
                changed.extend(rest);
            }
            (_, [_, rest @ ..]) => {
                changed.push(
                    self.pick(&['A', 'a', '0', '=', '-', '\n', '.', 'é']).copied().unwrap_or('A'),
                );
                changed.extend(rest);
            }
            _ => {}
        }
        changed
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n.max(1)).unwrap_or(1);
        usize::try_from(self.next() % n).unwrap_or(0)
    }

    fn pick<'t, T>(&mut self, all: &'t [T]) -> Option<&'t T> {
        all.get(self.below(all.len()))
    }

    fn json(&mut self, pool: &[&str]) -> Value {
        let text = self.pick(pool).copied().unwrap_or("null");
        enforcer_rego::json::parse(text.as_bytes()).unwrap_or_else(|_| Value::from(text))
    }

    fn any(&mut self, depth: usize) -> Value {
        let kinds = if depth == 0 { 4 } else { 7 };
        match self.below(kinds) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => self.number(),
            3 => self.string(usize::MAX),
            4 => Value::from(self.some(|g| g.any(depth - 1))),
            5 => Value::from(self.some(|g| g.any(depth - 1)).into_iter().collect::<BTreeSet<_>>()),
            _ => {
                let pairs = self.some(|g| {
                    let key = if g.below(4) == 0 { g.any(depth - 1) } else { g.string(usize::MAX) };
                    (key, g.any(depth - 1))
                });
                Value::from(pairs.into_iter().collect::<BTreeMap<_, _>>())
            }
        }
    }

    fn some<T>(&mut self, mut f: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(5)).map(|_| f(self)).collect()
    }

    fn number(&mut self) -> Value {
        if self.below(3) == 0 {
            let small = i64::try_from(self.below(40)).unwrap_or(0) - 10;
            return Value::from(small);
        }
        let few = ["numbers.range", "numbers.range_step", "bits.lsh"];
        let pool = if few.contains(&self.declaration.name) { pools::FEW } else { pools::NUMBERS };
        let text = self.pick(pool).copied().unwrap_or("0");
        number::parse(text).unwrap_or(Value::Null)
    }

    /// A text for an argument, or for anything.
    fn string(&mut self, position: usize) -> Value {
        let special = pools::strings(self.declaration.name, position);
        let pool = if special.is_empty() || self.below(10) == 0 { pools::STRINGS } else { special };
        let mut text = self.pick(pool).copied().unwrap_or("").to_owned();
        let patterns = ["regex", "glob"].iter().any(|f| self.declaration.name.starts_with(f));
        let odds = if patterns { 2 } else { 6 };
        if (special.is_empty() || patterns) && self.below(odds) == 0 {
            text.push_str(self.pick(pool).copied().unwrap_or(""));
        }
        Value::from(text)
    }

    fn of(&mut self, of: &StaticType, position: usize, depth: usize) -> Value {
        let below = depth.saturating_sub(1);
        match of {
            StaticType::Null => Value::Null,
            StaticType::Boolean => Value::Bool(self.below(2) == 0),
            StaticType::Number => self.number(),
            StaticType::String => self.string(position),
            StaticType::Any => self.any(depth),
            StaticType::OneOf(types) => {
                let of = *self.pick(types).unwrap_or(&StaticType::Null);
                self.of(&of, position, depth)
            }
            StaticType::Array(element) => {
                Value::from(self.some(|g| g.of(element, position, below)))
            }
            StaticType::Tuple(elements) => Value::from(
                elements.iter().map(|e| self.of(e, position, below)).collect::<Vec<_>>(),
            ),
            StaticType::Set(element) => Value::from(
                self.some(|g| g.of(element, position, below)).into_iter().collect::<BTreeSet<_>>(),
            ),
            StaticType::Object(fields, rest) => {
                let mut object = BTreeMap::new();
                for (name, of) in *fields {
                    object.insert(Value::from(*name), self.of(of, position, below));
                }
                if let Some((key, value)) = rest {
                    for (key, value) in
                        self.some(|g| (g.of(key, position, below), g.of(value, position, below)))
                    {
                        object.insert(key, value);
                    }
                }
                Value::from(object)
            }
        }
    }
}
