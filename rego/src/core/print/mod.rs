//! Core as text for regorus' interpreter, in the few forms that it evaluates with core's meaning.
//!
//! regorus misreads nested comprehensions, loops in arguments and `else` with loops, and swallows
//! errors of functions. So the text avoids these forms: an inner block becomes a function, whose
//! body is one comprehension without another in it; a value is bound by one call or copied; and a
//! function of the interpreter module decides over arrays of all solutions whether there is one
//! value, a conflict or a default. Values from outside are in `input`, which is the environment
//! ([`Printed`] says how), so `with` is always `with input as` a variable.
//!
//! | core | text |
//! |---|---|
//! | `Let x = e` | `v1 := e`; an array or a copy is `core.same([v1, v2])` |
//! | `Test e` | `v2 := e` and `v2` |
//! | `Not { b }` | `v2 := h3(v1)` and `v2`, with `h3(x1) := y if { a := [1 \| b]; y := core.none(a) }` |
//! | `Each k, v in c { b }` | `v2 := core.elements(c)` and `some v3 in v2`, then `v4 := v3[0]` and `v5 := v3[1]` |
//! | the same, in a block whose first solution is enough | `v1 := core.begin(0)` before it, `v6 := core.is_open(v1, v3)` and `v6` in the loop, `v9 := core.solved(v1, [v2, …])` at the end |
//! | `Every k, v in c { b }` | `v2 := h3(v1)` and `v2`: `h3` collects a boolean for each element, up to the first that is false |
//! | `Collect x = kind { b }` | `v4 := h3(v1)`: `h3` collects arrays of the yielded values |
//! | path, built-in | `core.path(v1, ["a", v2])`, `core.call("plus", [v1, 2])` |
//! | rule, function | `r7`, `f8(v1)` |
//! | `with` | `v2 := core.environment(input, 3, [v1])` and `v4 := f8(v1) with input as v2` |
//! | a body | `b7_0_1(x1) := y if { a := [v9 \| b]; y := [17, a] }`, where 17 is its place |
//! | a definition | `d7_0 := y if { y := b7_0_0; core.has(y) } else := …` |
//! | a rule | `r7 := y if { v0 := d7_0; v1 := d7_1; y := core.one(7, [v0, v1]) }` |

mod names;

use std::collections::BTreeSet;
use std::fmt::Write;

use regorus::Value;

use self::names::{Names, applied, call};
use super::walk::{self, TooDeep};
use super::{
    Block, Body, Collection, Definition, Expr, Operand, Program, Replacement, Root, Rule, RuleId,
    RuleKind, Slot, Statement, StatementKind, Substitute, Target, Var,
};
use crate::source::Span;

/// The package of the text.
pub(crate) const PACKAGE: &str = "core";

/// A program as text, with the tables that the text refers to by number.
#[derive(Debug)]
pub(crate) struct Printed {
    /// The text, in lines.
    pub(crate) text: String,
    /// Values that are not written, because text would not preserve them.
    pub(crate) constants: Vec<Value>,
    /// The rules and places of bodies and comprehensions.
    pub(crate) places: Vec<(RuleId, Option<Span>)>,
    /// The replacements of each `with`.
    pub(crate) withs: Vec<Vec<Replacing>>,
}

/// One replacement of a `with`.
#[derive(Debug, Clone)]
pub(crate) struct Replacing {
    /// The target.
    pub(crate) target: Target,
    /// The function that replaces it; `None` where the next value replaces it.
    pub(crate) function: Option<RuleId>,
}

/// Prints a program.
///
/// # Errors
/// When its blocks are nested too deeply.
pub(crate) fn print(program: &Program) -> Result<Printed, TooDeep> {
    let mut printer = Printer {
        program,
        printed: Printed {
            text: format!("package {PACKAGE}\n\nimport rego.v1\n"),
            constants: Vec::new(),
            places: Vec::new(),
            withs: Vec::new(),
        },
        rule: RuleId(0),
        helpers: 0,
        names: Names::default(),
    };
    for (id, rule) in (0..).map(RuleId).zip(&program.rules) {
        printer.rule = id;
        printer.rule(rule)?;
    }
    Ok(printer.printed)
}

/// The name of a rule's text.
pub(crate) fn name(id: RuleId, rule: &Rule) -> String {
    let letter = if parameters(rule) == 0 { 'r' } else { 'f' };
    format!("{letter}{}", id.0)
}

fn parameters(rule: &Rule) -> u32 {
    match rule.kind {
        RuleKind::Function(count) => count,
        RuleKind::Entry => 1,
        RuleKind::Complete | RuleKind::Set | RuleKind::Object => 0,
    }
}

struct Printer<'a> {
    program: &'a Program,
    printed: Printed,
    rule: RuleId,
    /// The number of helpers.
    helpers: u32,
    names: Names,
}

/// The kind of a block's solution.
#[derive(Clone, Copy)]
enum Yield<'a> {
    Nothing,
    Value(&'a Operand),
    Pair(&'a Operand, &'a Operand),
}

/// Which solutions of a block are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    First,
}

impl<'a> Yield<'a> {
    const fn of(key: Option<&'a Operand>, value: &'a Operand) -> Self {
        match key {
            Some(key) => Self::Pair(key, value),
            None => Self::Value(value),
        }
    }

    fn operands(self) -> Vec<&'a Operand> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Value(value) => vec![value],
            Self::Pair(key, value) => vec![key, value],
        }
    }
}

impl Printer<'_> {
    fn line(&mut self, line: &str) {
        self.printed.text.push_str(line);
        self.printed.text.push('\n');
    }

    fn new_helper(&mut self) -> String {
        self.helpers += 1;
        format!("h{}", self.helpers)
    }

    /// A call of a helper from here.
    fn call_helper(&self, helper: &str, free: &BTreeSet<Var>) -> String {
        let vars: Vec<String> = free.iter().map(|var| self.names.of(*var)).collect();
        applied(helper, &vars)
    }

    fn place(&mut self, span: Option<Span>) -> usize {
        self.printed.places.push((self.rule, span));
        self.printed.places.len() - 1
    }

    fn rule(&mut self, rule: &Rule) -> Result<(), TooDeep> {
        let params: Vec<Var> = (0..parameters(rule)).map(Var).collect();
        let own = match rule.slot {
            None => name(self.rule, rule),
            Some(slot) => {
                self.slot(rule, slot.0, &params);
                format!("g{}", self.rule.0)
            }
        };
        let _ = write!(self.printed.text, "\n# {}\n", rule.name.replace(['\n', '\r'], " "));
        let same = same_constant(&rule.definitions);
        let wanted = match rule.kind {
            RuleKind::Complete | RuleKind::Function(_) | RuleKind::Entry if same.is_some() => {
                Wanted::First
            }
            RuleKind::Complete
            | RuleKind::Function(_)
            | RuleKind::Entry
            | RuleKind::Set
            | RuleKind::Object => Wanted::All,
        };
        let mut bodies = Vec::new();
        for (number, definition) in rule.definitions.iter().enumerate() {
            bodies.push(self.definition(number, definition, (&params, wanted))?);
        }
        let (is_collected, kind) = match rule.kind {
            RuleKind::Complete | RuleKind::Function(_) | RuleKind::Entry => (false, "one"),
            RuleKind::Set => (true, "set"),
            RuleKind::Object => (true, "object"),
        };
        let mut head = call(&own, params.iter().copied());
        if let Some(value) = same.filter(|_| !is_collected) {
            // The first solution is enough.
            let value = self.constant(value);
            for body in bodies.iter().flatten() {
                self.line(&format!(
                    "{head} := y if {{\n\tv := {body}\n\tcore.has(v)\n\ty := {value}\n}}"
                ));
                head = "else".to_owned();
            }
            if let Some(default) = &rule.default {
                let default = self.constant(default);
                self.line(&format!("{head} := y if {{\n\ty := {default}\n}}"));
            }
            return Ok(());
        }
        let mut lines = String::new();
        let mut names = Vec::new();
        for (number, chain) in bodies.iter().enumerate() {
            let value = match chain.as_slice() {
                [body] => body.clone(),
                chain => self.chain(number, chain, &params),
            };
            let _ = writeln!(lines, "\tv{number:08} := {value}");
            names.push(format!("v{number:08}"));
        }
        let names = names.join(", ");
        let id = self.rule.0;
        self.line(&format!("{head} := y if {{\n{lines}\ty := core.{kind}({id}, [{names}])\n}}"));
        Ok(())
    }

    /// Checks whether a function is replaced.
    fn slot(&mut self, rule: &Rule, slot: u32, params: &[Var]) {
        let head = call(&name(self.rule, rule), params.iter().copied());
        let own = call(&format!("g{}", self.rule.0), params.iter().copied());
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        let candidates = match self.program.slots.get(index) {
            Some(Slot::Function { candidates, .. }) => candidates.as_slice(),
            Some(Slot::Data(_)) | None => &[],
        };
        self.line("");
        self.line(&format!(
            "{head} := y if {{\n\tcore.mocked(input, {slot}, -2)\n\ty := {own}\n}}"
        ));
        self.line(&format!(
            "else := y if {{\n\tcore.mocked(input, {slot}, -1)\n\ty := core.mock(input, {slot})\n}}"
        ));
        for candidate in candidates {
            let Some(function) = self.program.rules.get(candidate.index()) else {
                continue;
            };
            let value = call(&name(*candidate, function), params.iter().copied());
            self.line(&format!(
                "else := y if {{\n\tcore.mocked(input, {slot}, {})\n\te := core.without_mocks(input)\n\tv := {value} with input as e\n\ty := core.low(v)\n}}",
                candidate.0
            ));
        }
    }

    /// The bodies of a definition, each a call of its text.
    fn definition(
        &mut self,
        number: usize,
        definition: &Definition,
        (params, wanted): (&[Var], Wanted),
    ) -> Result<Vec<String>, TooDeep> {
        let mut calls = Vec::new();
        for (position, body) in definition.bodies.iter().enumerate() {
            let Body { block, key, value, span } = body;
            let yields = Yield::of(key.as_ref(), value);
            let name = format!("b{}_{number}_{position}", self.rule.0);
            let (lines, element) = self.closed_block(block, yields, wanted)?;
            let place = self.place(*span);
            let head = call(&name, params.iter().copied());
            self.line(&format!(
                "{head} := y if {{\n\ta := [{element} |\n{lines}\t]\n\ty := [{place}, a]\n}}"
            ));
            calls.push(head);
        }
        Ok(calls)
    }

    /// The first of bodies that has a solution, else the last.
    fn chain(&mut self, number: usize, bodies: &[String], params: &[Var]) -> String {
        let head = call(&format!("d{}_{number}", self.rule.0), params.iter().copied());
        let mut next = head.clone();
        for (position, body) in bodies.iter().enumerate() {
            let test = if position + 1 < bodies.len() { "\tcore.has(y)\n" } else { "" };
            self.line(&format!("{next} := y if {{\n\ty := {body}\n{test}}}"));
            "else".clone_into(&mut next);
        }
        head
    }

    /// A block's lines, and the element of a comprehension over it.
    fn block(
        &mut self,
        mut block: &[Statement],
        yields: Yield<'_>,
        wanted: Wanted,
    ) -> Result<(String, String), TooDeep> {
        let mut lines = String::new();
        let loops = matches!(block.last().map(|last| &last.kind), Some(StatementKind::Each { .. }));
        let begun = (loops && wanted == Wanted::First).then(|| {
            let begun = self.names.next();
            let _ = writeln!(lines, "\t{begun} := core.begin(0)");
            begun
        });
        loop {
            let mut rest = None;
            for statement in block {
                match &statement.kind {
                    StatementKind::Let(var, expr) => {
                        self.binding(Some(*var), expr, &mut lines);
                    }
                    StatementKind::Test(expr) => {
                        let test = self.binding(None, expr, &mut lines);
                        let _ = writeln!(lines, "\t{test}");
                    }
                    StatementKind::Not(inner) => {
                        let (helper, free) = self.exists(inner, "none")?;
                        let helper = self.call_helper(&helper, &free);
                        self.test(&helper, &mut lines);
                    }
                    StatementKind::Every { key, value, collection, block } => {
                        let helper = self.every(*key, *value, collection, block)?;
                        self.test(&helper, &mut lines);
                    }
                    StatementKind::Collect { var, kind, block, key, value } => {
                        let yields = Yield::of(key.as_ref(), value);
                        let helper = self.collect(*kind, block, yields, statement.span)?;
                        let name = self.names.bind(*var);
                        let _ = writeln!(lines, "\t{name} := {helper}");
                    }
                    StatementKind::Each { key, value, collection, block } => {
                        let pairs = self.operand(collection);
                        let elements = self.names.next();
                        let _ = writeln!(lines, "\t{elements} := core.elements({pairs})");
                        let pair = self.go_through(&elements, *key, *value, &mut lines);
                        if let Some(begun) = &begun {
                            self.test(&format!("core.is_open({begun}, {pair})"), &mut lines);
                        }
                        rest = Some(block);
                    }
                }
            }
            match rest {
                Some(inner) => block = inner,
                None => break,
            }
        }
        if let Some(begun) = &begun {
            let bound = self.names.after(begun).join(", ");
            self.test(&format!("core.solved({begun}, [{bound}])"), &mut lines);
        }
        if lines.is_empty() {
            lines.push_str("\ttrue\n");
        }
        let element = match yields {
            Yield::Nothing => "1".to_owned(),
            Yield::Value(value) => self.operand(value),
            Yield::Pair(key, value) => format!("[{}, {}]", self.operand(key), self.operand(value)),
        };
        Ok((lines, element))
    }

    fn go_through(
        &mut self,
        elements: &str,
        key: Option<Var>,
        value: Var,
        lines: &mut String,
    ) -> String {
        let pair = self.names.next();
        let _ = writeln!(lines, "\tsome {pair} in {elements}");
        if let Some(key) = key {
            let name = self.names.bind(key);
            let _ = writeln!(lines, "\t{name} := {pair}[0]");
        }
        let name = self.names.bind(value);
        let _ = writeln!(lines, "\t{name} := {pair}[1]");
        pair
    }

    fn test(&mut self, helper: &str, lines: &mut String) {
        let test = self.names.next();
        let _ = writeln!(lines, "\t{test} := {helper}\n\t{test}");
    }

    /// Binds a variable, or a new name, to a value; returns the name.
    fn binding(&mut self, var: Option<Var>, expr: &Expr, lines: &mut String) -> String {
        let text = match expr {
            Expr::Operand(operand) => format!("core.same({})", self.operand(operand)),
            Expr::Path(root, keys) => {
                let keys = self.array(keys);
                match root {
                    Root::Input => format!("core.input_at(input, {keys})"),
                    Root::Data => format!("core.data_at(input, {keys})"),
                    Root::Extent => format!("core.extent_at(input, {keys})"),
                    Root::Operand(root) => format!("core.path({}, {keys})", self.operand(root)),
                }
            }
            Expr::Builtin(name, args) => format!("core.call(\"{name}\", {})", self.array(args)),
            Expr::Call(function, args) => self.applied(*function, args),
            Expr::Rule(rule) => self.applied(*rule, &[]),
            Expr::Array(elements) => format!("core.same({})", self.array(elements)),
            Expr::Set(elements) => format!("core.set_of({})", self.array(elements)),
            Expr::Object(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(key, value)| format!("[{}, {}]", self.operand(key), self.operand(value)))
                    .collect();
                format!("core.object_of([{}])", fields.join(", "))
            }
            Expr::Replaced(slots) => {
                let slots: Vec<String> = slots.iter().map(|slot| slot.0.to_string()).collect();
                format!("core.replaced(input, [{}])", slots.join(", "))
            }
            Expr::With { function, args, replacements } => {
                let environment = self.environment(replacements, lines);
                format!("{} with input as {environment}", self.applied(*function, args))
            }
        };
        let name = match var {
            Some(var) => self.names.bind(var),
            None => self.names.next(),
        };
        let _ = writeln!(lines, "\t{name} := {text}");
        name
    }

    fn environment(&mut self, replacements: &[Replacement], lines: &mut String) -> String {
        let mut values = Vec::new();
        let mut replacing = Vec::new();
        for Replacement { target, value } in replacements {
            let function = match value {
                Substitute::Value(value) => {
                    values.push(self.operand(value));
                    None
                }
                Substitute::Function(function) => Some(*function),
            };
            replacing.push(Replacing { target: target.clone(), function });
        }
        let site = self.printed.withs.len();
        self.printed.withs.push(replacing);
        let environment = self.names.next();
        let values = values.join(", ");
        let _ = writeln!(lines, "\t{environment} := core.environment(input, {site}, [{values}])");
        environment
    }

    fn applied(&mut self, rule: RuleId, args: &[Operand]) -> String {
        let args: Vec<String> = args.iter().map(|arg| self.operand(arg)).collect();
        // A rule that does not exist is not evaluated either.
        let name = self
            .program
            .rules
            .get(rule.index())
            .map_or_else(String::new, |found| name(rule, found));
        applied(&name, &args)
    }

    fn operand(&mut self, operand: &Operand) -> String {
        match operand {
            Operand::Var(var) => self.names.of(*var),
            Operand::Const(value) => self.constant(value),
        }
    }

    fn array(&mut self, operands: &[Operand]) -> String {
        let operands: Vec<String> = operands.iter().map(|operand| self.operand(operand)).collect();
        format!("[{}]", operands.join(", "))
    }

    fn constant(&mut self, value: &Value) -> String {
        let is_simple = match value {
            Value::Null | Value::Bool(_) => true,
            Value::String(text) => text.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            Value::Number(_) | Value::Array(_) | Value::Set(_) | Value::Object(_) => false,
            Value::Undefined => false,
        };
        if is_simple {
            return value.to_string();
        }
        self.printed.constants.push(value.clone());
        format!("core.constant({})", self.printed.constants.len() - 1)
    }

    /// The parameters of a helper: the variables that it uses but does not bind.
    fn free(block: &[Statement], yields: Yield<'_>) -> Result<BTreeSet<Var>, TooDeep> {
        let mut used = BTreeSet::new();
        let mut bound = BTreeSet::new();
        walk::statements(block, &mut |statement| {
            used.extend(walk::own_operands(statement).into_iter().filter_map(walk::variable));
            match &statement.kind {
                StatementKind::Let(var, _) | StatementKind::Collect { var, .. } => {
                    bound.insert(*var);
                }
                StatementKind::Each { key, value, .. }
                | StatementKind::Every { key, value, .. } => {
                    bound.extend(key.iter().chain([value]));
                }
                StatementKind::Test(_) | StatementKind::Not(_) => {}
            }
        })?;
        used.extend(yields.operands().into_iter().filter_map(walk::variable));
        Ok(used.difference(&bound).copied().collect())
    }

    /// The lines of a block that becomes a function, and its element.
    fn closed_block(
        &mut self,
        block: &[Statement],
        yields: Yield<'_>,
        wanted: Wanted,
    ) -> Result<(String, String), TooDeep> {
        let outside = std::mem::take(&mut self.names);
        let printed = self.block(block, yields, wanted);
        self.names = outside;
        printed
    }

    /// A helper that returns whether a block has a solution (`some`) or no solution (`none`), and
    /// its parameters.
    fn exists(&mut self, block: &Block, says: &str) -> Result<(String, BTreeSet<Var>), TooDeep> {
        let free = Self::free(block, Yield::Nothing)?;
        let (lines, element) = self.closed_block(block, Yield::Nothing, Wanted::First)?;
        let helper = self.new_helper();
        let head = call(&helper, free.iter().copied());
        let says = if says == "none" { "core.none(a)" } else { "core.found(a)" };
        self.line(&format!(
            "{head} := y if {{\n\ta := [{element} |\n{lines}\t]\n\ty := {says}\n}}"
        ));
        Ok((helper, free))
    }

    fn every(
        &mut self,
        key: Option<Var>,
        value: Var,
        collection: &Operand,
        block: &Block,
    ) -> Result<String, TooDeep> {
        let (inner, inner_free) = self.exists(block, "some")?;
        let mut free = inner_free.clone();
        free.remove(&value);
        if let Some(key) = key {
            free.remove(&key);
        }
        free.extend(walk::variable(collection));
        let outside = std::mem::take(&mut self.names);
        let pairs = self.operand(collection);
        let elements = "a0";
        let begun = self.names.next();
        let mut lines = String::new();
        let pair = self.go_through(elements, key, value, &mut lines);
        self.test(&format!("core.is_open({begun}, {pair})"), &mut lines);
        let holds = self.names.next();
        let inner = self.call_helper(&inner, &inner_free);
        let _ = writeln!(lines, "\t{holds} := {inner}");
        self.test(&format!("core.refuted({begun}, {holds})"), &mut lines);
        self.names = outside;
        let helper = self.new_helper();
        let head = call(&helper, free.iter().copied());
        self.line(&format!(
            "{head} := y if {{\n\t{elements} := core.collection({pairs})\n\t{begun} := core.begin(0)\n\ta1 := [{holds} |\n{lines}\t]\n\ty := core.all(a1)\n}}"
        ));
        Ok(self.call_helper(&helper, &free))
    }

    fn collect(
        &mut self,
        kind: Collection,
        block: &Block,
        yields: Yield<'_>,
        span: Option<Span>,
    ) -> Result<String, TooDeep> {
        let free = Self::free(block, yields)?;
        let (lines, element) = self.closed_block(block, yields, Wanted::All)?;
        let helper = self.new_helper();
        let head = call(&helper, free.iter().copied());
        let made = match kind {
            Collection::Array => "a".to_owned(),
            Collection::Set => "core.set_of(a)".to_owned(),
            Collection::Object => format!("core.object(-1, [[{}, a]])", self.place(span)),
        };
        self.line(&format!(
            "{head} := y if {{\n\ta := [{element} |\n{lines}\t]\n\ty := {made}\n}}"
        ));
        Ok(self.call_helper(&helper, &free))
    }
}

/// The constant that all bodies yield, if they yield the same one.
fn same_constant(definitions: &[Definition]) -> Option<&Value> {
    let mut values = walk::bodies(definitions).map(|body| match &body.value {
        Operand::Const(value) => Some(value),
        Operand::Var(_) => None,
    });
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}
