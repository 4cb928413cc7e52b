//! Random core programs, for comparisons of evaluators. A seed always makes the same program.

use regorus::Value;
use regorus::value::{Object, Set};

use super::{
    Block, Body, Collection, Definition, Expr, Operand, Program, Replacement, Root, Rule, RuleId,
    RuleKind, Slot, SlotId, Statement, StatementKind, Substitute, Target, Var,
};
use crate::builtins;
use crate::source::{FileId, Span};

/// Built-ins for calls, with their numbers of arguments. Some fail for some arguments.
const BUILTINS: [(&str, usize); 23] = [
    ("equal", 2),
    ("equal", 2),
    ("neq", 2),
    ("lt", 2),
    ("lte", 2),
    ("gt", 2),
    ("gte", 2),
    ("plus", 2),
    ("minus", 2),
    ("or", 2),
    ("count", 1),
    ("sum", 1),
    ("max", 1),
    ("sort", 1),
    ("type_name", 1),
    ("is_set", 1),
    ("internal.member_2", 2),
    ("internal.member_2", 2),
    ("internal.member_3", 3),
    ("$keys", 2),
    ("$items", 1),
    ("$is_array", 2),
    ("$document", 1),
];

/// The names in inputs and data.
const NAMES: [&str; 8] = ["a", "b", "list", "obj", "n", "0", "1", "deep"];

/// The nesting depth of blocks.
const DEPTH: usize = 3;

/// A source of pseudo-random numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers by a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(mixed % bound).unwrap_or(0)
    }

    /// True once in this many times.
    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.below(all.len())) }
    }
}

/// A program with its inputs, data and queries.
#[derive(Debug, Clone)]
pub struct Case {
    /// The program.
    pub program: Program,
    /// Inputs; one may be undefined.
    pub inputs: Vec<Option<Value>>,
    /// The base data.
    pub data: Value,
}

impl Case {
    /// The rules that can be evaluated.
    pub fn rules(&self) -> impl Iterator<Item = RuleId> {
        let is_rule = |rule: &Rule| !matches!(rule.kind, RuleKind::Function(_) | RuleKind::Entry);
        (0..)
            .map(RuleId)
            .zip(&self.program.rules)
            .filter(move |(_, rule)| is_rule(rule))
            .map(|(id, _)| id)
    }
}

/// The case of a seed.
#[must_use]
pub fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let count = 2 + random.below(5);
    let mut maker = Maker { random, program: Program::default(), variables: 0, places: 0 };
    if maker.random.one_in(2) {
        let paths: [&[&str]; 3] = [&["a"], &["obj", "b"], &["deep"]];
        for path in paths {
            let path = path.iter().map(|key| Value::from(*key)).collect();
            maker.program.slots.push(Slot::Data(path));
        }
    }
    for number in 0..count {
        maker.rule(number);
    }
    let Maker { mut random, program, .. } = maker;
    let inputs = vec![Some(document(&mut random)), Some(document(&mut random)), None];
    let data = document(&mut random);
    Case { program, inputs, data }
}

/// A JSON document with most of [`NAMES`].
fn document(random: &mut Random) -> Value {
    let mut object = Object::new();
    for name in NAMES {
        if random.one_in(4) {
            continue;
        }
        let value = match name {
            "list" => {
                Value::from((0..random.below(4)).map(|_| json(random, 1)).collect::<Vec<_>>())
            }
            "obj" | "deep" => (0..random.below(4))
                .map(|_| (Value::from(*random.pick(&NAMES).unwrap_or(&"a")), json(random, 1)))
                .collect::<Object>()
                .into_value(),
            _ => json(random, 1),
        };
        object.insert(Value::from(name), value);
    }
    object.into_value()
}

fn json(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 8 } else { 10 }) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => Value::Bool(false),
        3 => Value::from(random.below(3)),
        4 => Value::from(1.5),
        5..=7 => Value::from(*random.pick(&NAMES).unwrap_or(&"a")),
        8 => Value::from((0..random.below(3)).map(|_| json(random, depth - 1)).collect::<Vec<_>>()),
        _ => (0..random.below(3))
            .map(|_| (Value::from(*random.pick(&NAMES).unwrap_or(&"a")), json(random, depth - 1)))
            .collect::<Object>()
            .into_value(),
    }
}

struct Maker {
    random: Random,
    program: Program,
    variables: u32,
    places: u32,
}

impl Maker {
    fn place(&mut self) -> Option<Span> {
        self.places += 1;
        Some(Span { file: FileId(0), start: self.places, end: self.places + 1 })
    }

    const fn variable(&mut self) -> Var {
        let var = Var(self.variables);
        self.variables += 1;
        var
    }

    fn rule(&mut self, number: usize) {
        let kind = match self.random.below(10) {
            0..=3 => RuleKind::Complete,
            4 | 5 => RuleKind::Function(match self.random.below(8) {
                0 => 0,
                1..=4 => 1,
                5 | 6 => 2,
                _ => 10,
            }),
            6 => RuleKind::Entry,
            7 | 8 => RuleKind::Set,
            _ => RuleKind::Object,
        };
        let parameters = match kind {
            RuleKind::Function(count) => count,
            RuleKind::Entry => 1,
            RuleKind::Complete | RuleKind::Set | RuleKind::Object => 0,
        };
        self.variables = parameters;
        let is_collection = matches!(kind, RuleKind::Set | RuleKind::Object);
        let default = (!is_collection && self.random.one_in(3)).then(|| self.constant());
        let same = (!is_collection && self.random.one_in(3)).then(|| self.constant());
        let definitions = (0..1 + self.random.below(3))
            .map(|_| {
                let bodies = if is_collection { 1 } else { 1 + self.random.below(4) / 2 };
                Definition {
                    bodies: (0..bodies)
                        .map(|_| self.body(kind, parameters, same.as_ref()))
                        .collect(),
                }
            })
            .collect();
        let span = self.place();
        let slot = self.slot(number, kind, parameters);
        self.program.rules.push(Rule {
            name: format!("data.r{number}"),
            kind,
            default,
            definitions,
            variables: self.variables,
            slot,
            span,
        });
    }

    /// A function may be replaced, by functions before it.
    fn slot(&mut self, number: usize, kind: RuleKind, parameters: u32) -> Option<SlotId> {
        if !matches!(kind, RuleKind::Function(_)) || self.random.one_in(2) {
            return None;
        }
        let rule = RuleId(u32::try_from(number).ok()?);
        let candidates = self.callable(|count| count == parameters);
        let slot = SlotId(u32::try_from(self.program.slots.len()).ok()?);
        self.program.slots.push(Slot::Function { rule, candidates });
        Some(slot)
    }

    fn callable(&self, fits: impl Fn(u32) -> bool) -> Vec<RuleId> {
        let parameters = |rule: &Rule| match rule.kind {
            RuleKind::Function(count) => Some(count),
            RuleKind::Entry => Some(1),
            RuleKind::Complete | RuleKind::Set | RuleKind::Object => None,
        };
        let rules = (0..).map(RuleId).zip(&self.program.rules);
        rules.filter(|(_, rule)| parameters(rule).is_some_and(&fits)).map(|(id, _)| id).collect()
    }

    fn body(&mut self, kind: RuleKind, parameters: u32, same: Option<&Value>) -> Body {
        let mut bound: Vec<Var> = (0..parameters).map(Var).collect();
        let block = self.block(&mut bound, DEPTH);
        let key = (kind == RuleKind::Object).then(|| self.operand(&bound));
        let value = match same {
            Some(value) => Operand::Const(value.clone()),
            None => self.operand(&bound),
        };
        Body { block, key, value, span: self.place() }
    }

    /// A block; the variables bound at its end are in `bound`.
    fn block(&mut self, bound: &mut Vec<Var>, depth: usize) -> Block {
        let mut block = Vec::new();
        for _ in 0..self.random.below(4) {
            let choice = self.random.below(if depth == 0 { 6 } else { 12 });
            let kind = match choice {
                0..=2 => {
                    let expr = self.expr(bound);
                    let var = self.variable();
                    bound.push(var);
                    StatementKind::Let(var, expr)
                }
                3..=5 => StatementKind::Test(self.expr(bound)),
                6 | 7 => StatementKind::Not(self.block(&mut bound.clone(), depth - 1)),
                8 => {
                    let collection = self.collection(bound, &mut block);
                    let (key, value, mut inner) = self.loop_variables(bound);
                    let inner = self.block(&mut inner, depth - 1);
                    StatementKind::Every { key, value, collection, block: inner }
                }
                9 | 10 => self.comprehension(bound, depth),
                _ => {
                    let collection = self.collection(bound, &mut block);
                    let (key, value, inner) = self.loop_variables(bound);
                    *bound = inner;
                    let inner = self.block(bound, depth - 1);
                    let kind = StatementKind::Each { key, value, collection, block: inner };
                    block.push(Statement { kind, span: self.place() });
                    return block;
                }
            };
            block.push(Statement { kind, span: self.place() });
        }
        block
    }

    fn comprehension(&mut self, bound: &mut Vec<Var>, depth: usize) -> StatementKind {
        let kind = match self.random.below(4) {
            0 | 1 => Collection::Array,
            2 => Collection::Set,
            _ => Collection::Object,
        };
        let mut inner = bound.clone();
        let mut block =
            if self.random.one_in(3) { Vec::new() } else { self.block(&mut inner, depth - 1) };
        if block.is_empty() {
            // A value, or undefined.
            let expr = self.expr(&inner);
            let var = self.variable();
            inner.push(var);
            block.push(Statement { kind: StatementKind::Let(var, expr), span: self.place() });
        }
        let key = (kind == Collection::Object).then(|| self.operand(&inner));
        let value = match inner.last() {
            Some(last) if self.random.one_in(2) => Operand::Var(*last),
            _ => self.operand(&inner),
        };
        let var = self.variable();
        bound.push(var);
        StatementKind::Collect { var, kind, block, key, value }
    }

    /// An operand for an iteration, mostly a collection.
    fn collection(&mut self, bound: &mut Vec<Var>, block: &mut Block) -> Operand {
        let expr = match self.random.below(6) {
            0 => Expr::Path(Root::Input, vec![Operand::Const(Value::from("list"))]),
            1 => Expr::Path(Root::Data, vec![Operand::Const(Value::from("obj"))]),
            2 => Expr::Path(Root::Input, Vec::new()),
            3 => match self.rule_of(|kind| matches!(kind, RuleKind::Set | RuleKind::Object)) {
                Some(rule) => Expr::Rule(rule),
                None => Expr::Array(vec![self.operand(bound), self.operand(bound)]),
            },
            _ => return self.operand(bound),
        };
        let var = self.variable();
        bound.push(var);
        block.push(Statement { kind: StatementKind::Let(var, expr), span: self.place() });
        Operand::Var(var)
    }

    fn loop_variables(&mut self, bound: &[Var]) -> (Option<Var>, Var, Vec<Var>) {
        let mut inner = bound.to_vec();
        let key = self.random.one_in(2).then(|| self.variable());
        let value = self.variable();
        inner.extend(key.into_iter().chain([value]));
        (key, value, inner)
    }

    fn rule_of(&mut self, fits: impl Fn(RuleKind) -> bool) -> Option<RuleId> {
        let rules = (0..).map(RuleId).zip(&self.program.rules);
        let found: Vec<RuleId> =
            rules.filter(|(_, rule)| fits(rule.kind)).map(|(id, _)| id).collect();
        self.random.pick(&found).copied()
    }

    fn operand(&mut self, bound: &[Var]) -> Operand {
        if self.random.one_in(4) {
            return Operand::Const(self.constant());
        }
        match self.random.pick(bound) {
            Some(var) => Operand::Var(*var),
            None => Operand::Const(self.constant()),
        }
    }

    fn operands(&mut self, bound: &[Var], count: usize) -> Vec<Operand> {
        (0..count).map(|_| self.operand(bound)).collect()
    }

    fn constant(&mut self) -> Value {
        match self.random.below(12) {
            0..=6 => json(&mut self.random, 0),
            7 => Value::from(1.0),
            8 => Value::from(vec![json(&mut self.random, 0), json(&mut self.random, 1)]),
            9 => (0..self.random.below(3))
                .map(|_| json(&mut self.random, 1))
                .collect::<Set>()
                .into_value(),
            10 => (0..1 + self.random.below(2))
                .map(|_| (json(&mut self.random, 0), json(&mut self.random, 0)))
                .collect::<Object>()
                .into_value(),
            _ => {
                let set = Set::from_iter([Value::from(1)]).into_value();
                [set, json(&mut self.random, 1)].into_iter().collect::<Set>().into_value()
            }
        }
    }

    fn expr(&mut self, bound: &[Var]) -> Expr {
        match self.random.below(20) {
            0..=4 => self.path(bound),
            5..=9 => self.builtin(bound),
            10 | 11 => self.call(bound).unwrap_or_else(|| Expr::Operand(self.operand(bound))),
            12 | 13 => match self
                .rule_of(|kind| !matches!(kind, RuleKind::Function(_) | RuleKind::Entry))
            {
                Some(rule) => Expr::Rule(rule),
                None => self.path(bound),
            },
            14 => Expr::Array(self.some_operands(bound)),
            15 => Expr::Set(self.some_operands(bound)),
            16 => {
                let fields = (0..1 + self.random.below(3))
                    .map(|_| (self.operand(bound), self.operand(bound)))
                    .collect();
                Expr::Object(fields)
            }
            17 => self.with(bound).unwrap_or_else(|| Expr::Operand(self.operand(bound))),
            18 => {
                let slots = self.slots(|slot| matches!(slot, Slot::Data(_)));
                let count = self.random.below(slots.len() + 1);
                Expr::Replaced(slots.into_iter().take(count).collect())
            }
            _ => Expr::Operand(self.operand(bound)),
        }
    }

    fn some_operands(&mut self, bound: &[Var]) -> Vec<Operand> {
        let count = self.random.below(4);
        self.operands(bound, count)
    }

    fn path(&mut self, bound: &[Var]) -> Expr {
        let root = match self.random.below(6) {
            0 | 1 => Root::Input,
            2 => Root::Data,
            3 => Root::Extent,
            _ => Root::Operand(self.operand(bound)),
        };
        let keys = (0..self.random.below(4))
            .map(|_| match self.random.below(3) {
                0 => self.operand(bound),
                _ => Operand::Const(Value::from(*self.random.pick(&NAMES).unwrap_or(&"a"))),
            })
            .collect();
        Expr::Path(root, keys)
    }

    fn builtin(&mut self, bound: &[Var]) -> Expr {
        let (name, count) = self.random.pick(&BUILTINS).copied().unwrap_or(("equal", 2));
        let mut args = self.operands(bound, count);
        if super::own::function(name).is_none() && builtins::function(name).is_none() {
            return Expr::Operand(self.operand(bound));
        }
        if name == "$document" {
            // Mostly in lowering's form; two values for one key are a conflict.
            let entry = |random: &mut Random| {
                let path =
                    Value::from(vec![Value::from(*random.pick(&NAMES[..2]).unwrap_or(&"a"))]);
                let value = json(random, 0);
                Value::from(vec![path, value, Value::Bool(random.one_in(3))])
            };
            let entries =
                (0..self.random.below(3)).map(|_| entry(&mut self.random)).collect::<Vec<_>>();
            args = vec![Operand::Const(Value::from(entries))];
        }
        Expr::Builtin(name, args)
    }

    fn call(&mut self, bound: &[Var]) -> Option<Expr> {
        let all = self.callable(|_| true);
        let function = *self.random.pick(&all)?;
        let count = self.parameters(function)?;
        Some(Expr::Call(function, self.operands(bound, count)))
    }

    fn parameters(&self, function: RuleId) -> Option<usize> {
        match self.program.rules.get(function.index())?.kind {
            RuleKind::Function(count) => usize::try_from(count).ok(),
            RuleKind::Entry => Some(1),
            RuleKind::Complete | RuleKind::Set | RuleKind::Object => None,
        }
    }

    fn slots(&self, fits: impl Fn(&Slot) -> bool) -> Vec<SlotId> {
        let slots = (0..).map(SlotId).zip(&self.program.slots);
        slots.filter(|(_, slot)| fits(slot)).map(|(id, _)| id).collect()
    }

    fn with(&mut self, bound: &[Var]) -> Option<Expr> {
        let all = self.callable(|_| true);
        let function = *self.random.pick(&all)?;
        let count = self.parameters(function)?;
        let args = self.operands(bound, count);
        let replacements = (0..1 + self.random.below(2)).map(|_| self.replacement(bound)).collect();
        Some(Expr::With { function, args, replacements })
    }

    fn replacement(&mut self, bound: &[Var]) -> Replacement {
        let slots = self.slots(|_| true);
        let slot = self.random.pick(&slots).copied().filter(|_| !self.random.one_in(3));
        let found = slot.and_then(|slot| {
            let index = usize::try_from(slot.0).ok()?;
            Some((slot, self.program.slots.get(index)?.clone()))
        });
        match found {
            Some((slot, Slot::Data(_))) => Replacement {
                target: Target::Data(slot),
                value: Substitute::Value(self.operand(bound)),
            },
            Some((slot, Slot::Function { candidates, .. })) => {
                let candidate = self.random.pick(&candidates).copied();
                let value = match candidate.filter(|_| !self.random.one_in(3)) {
                    Some(candidate) => Substitute::Function(candidate),
                    None => Substitute::Value(self.operand(bound)),
                };
                Replacement { target: Target::Function(slot), value }
            }
            None => {
                let path = (0..self.random.below(3))
                    .map(|_| Value::from(*self.random.pick(&NAMES).unwrap_or(&"a")))
                    .collect();
                let value = Substitute::Value(self.operand(bound));
                Replacement { target: Target::Input(path), value }
            }
        }
    }
}
