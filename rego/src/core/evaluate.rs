//! An evaluator of core that is easy to check against the table of meanings: the oracle of tests.
//! It serves no requests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use regorus::Value;
use regorus::value::{Array, Object, Set};

use super::data::{self, Data};
use super::own::{self, UNIQUE_KEYS};
use super::{
    Block, Body, Collection, Expr, Operand, Program, Replacement, Root, Rule, RuleId, RuleKind,
    Slot, SlotId, Statement, StatementKind, Substitute, Target, Var,
};
use crate::builtins::{self, Context, Failure, order};
use crate::source::Span;

/// The highest nesting of rules and blocks: a thread with a stack of 8 MiB has room for it in a
/// debug build.
const MAX_DEPTH: usize = 1_000;

/// Why an evaluation has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A complete rule or function with two values, or an object with two values for one key.
    #[error("{message}")]
    Conflict {
        /// OPA's message.
        message: String,
        /// The place of the second value.
        span: Option<Span>,
    },
    /// A built-in that ends the evaluation.
    #[error("{0}")]
    Builtin(Failure),
    /// Deeper than this evaluator's bound.
    #[error("the evaluation is too deep")]
    Depth,
    /// The program is not valid core.
    #[error("{0}")]
    Program(String),
}

/// A rule's or document's value.
///
/// # Errors
/// See [`Fault`].
pub fn evaluate(
    program: &Program,
    rule: RuleId,
    input: Option<Value>,
    data: Value,
    context: &mut Context,
) -> Result<Option<Value>, Fault> {
    let environment = Environment {
        input,
        data: Data::new(data),
        replaced: BTreeSet::new(),
        functions: BTreeMap::new(),
        values: RefCell::default(),
        calls: RefCell::default(),
    };
    let mut machine = Machine { program, context, depth: 0 };
    machine.rule(rule, Vec::new(), &Rc::new(environment))
}

/// A replacement of a function.
#[derive(Clone)]
enum Mock {
    Value(Value),
    Function(RuleId),
}

/// The values of functions by their arguments.
type Calls = BTreeMap<(RuleId, Vec<Value>), Option<Value>>;

/// See [`super`].
struct Environment {
    input: Option<Value>,
    data: Data,
    replaced: BTreeSet<SlotId>,
    functions: BTreeMap<SlotId, Mock>,
    values: RefCell<HashMap<RuleId, Option<Value>>>,
    calls: RefCell<Calls>,
}

impl Environment {
    /// The same without replaced functions.
    fn without_functions(&self) -> Self {
        Self {
            input: self.input.clone(),
            data: self.data.clone(),
            replaced: self.replaced.clone(),
            functions: BTreeMap::new(),
            values: RefCell::default(),
            calls: RefCell::default(),
        }
    }
}

/// Whether to continue with the next solution.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Next {
    More,
    Enough,
}

type Frame = Vec<Option<Value>>;
type Solution<'f> = dyn FnMut(&mut Machine<'_>, &mut Frame) -> Result<Next, Fault> + 'f;

/// A `Collect`'s kind, block, key, value and place.
type Comprehension<'c> = (Collection, &'c Block, Option<&'c Operand>, &'c Operand, Option<Span>);

struct Machine<'p> {
    program: &'p Program,
    context: &'p mut Context,
    depth: usize,
}

fn malformed(what: &str) -> Fault {
    Fault::Program(what.to_owned())
}

fn set(frame: &mut Frame, var: Var, value: Value) -> Result<(), Fault> {
    let index = usize::try_from(var.0).map_err(|_| malformed("a variable's number"))?;
    let place = frame.get_mut(index).ok_or_else(|| malformed("a variable above the rule's"))?;
    *place = Some(value);
    Ok(())
}

fn operand(frame: &Frame, operand: &Operand) -> Result<Value, Fault> {
    match operand {
        Operand::Const(value) => Ok(value.clone()),
        Operand::Var(var) => usize::try_from(var.0)
            .ok()
            .and_then(|index| frame.get(index))
            .and_then(Clone::clone)
            .ok_or_else(|| malformed("a variable without a value")),
    }
}

fn operands(frame: &Frame, all: &[Operand]) -> Result<Vec<Value>, Fault> {
    all.iter().map(|one| operand(frame, one)).collect()
}

/// Whether the first solution is enough: all bodies yield the same constant.
fn first_decides(rule: &Rule) -> bool {
    let mut values =
        rule.definitions.iter().flat_map(|definition| &definition.bodies).map(|body| {
            match &body.value {
                Operand::Const(value) => Some(value),
                Operand::Var(_) => None,
            }
        });
    values.next().is_none_or(|first| first.is_some() && values.all(|value| value == first))
}

impl Machine<'_> {
    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// A rule's or function's value; the latter has as many arguments as parameters.
    fn rule(
        &mut self,
        id: RuleId,
        args: Vec<Value>,
        environment: &Rc<Environment>,
    ) -> Result<Option<Value>, Fault> {
        let program = self.program;
        let rule = usize::try_from(id.0)
            .ok()
            .and_then(|index| program.rules.get(index))
            .ok_or_else(|| malformed("a rule"))?;
        if let RuleKind::Function(_) | RuleKind::Entry = rule.kind {
            if let Some(mock) = rule.slot.and_then(|slot| environment.functions.get(&slot)) {
                return match mock.clone() {
                    Mock::Value(value) => Ok(Some(value)),
                    Mock::Function(id) => {
                        let environment = Rc::new(environment.without_functions());
                        self.deeper(|machine| machine.rule(id, args, &environment))
                    }
                };
            }
            let call = (id, args);
            if let Some(value) = environment.calls.borrow().get(&call) {
                return Ok(value.clone());
            }
            let args = call.1.clone();
            let value = self.deeper(|machine| machine.complete(rule, args, environment))?;
            environment.calls.borrow_mut().insert(call, value.clone());
            return Ok(value);
        }
        if let Some(value) = environment.values.borrow().get(&id) {
            return Ok(value.clone());
        }
        let value = self.deeper(|machine| match rule.kind {
            RuleKind::Complete | RuleKind::Function(_) | RuleKind::Entry => {
                machine.complete(rule, args, environment)
            }
            RuleKind::Set => machine.set(rule, environment).map(Some),
            RuleKind::Object => machine.object(rule, environment).map(Some),
        })?;
        environment.values.borrow_mut().insert(id, value.clone());
        Ok(value)
    }

    fn frame(rule: &Rule, args: Vec<Value>) -> Result<Frame, Fault> {
        let variables = usize::try_from(rule.variables).map_err(|_| malformed("variables"))?;
        let mut frame: Frame = args.into_iter().map(Some).collect();
        if frame.len() > variables {
            return Err(malformed("fewer variables than parameters"));
        }
        frame.resize(variables, None);
        Ok(frame)
    }

    fn complete(
        &mut self,
        rule: &Rule,
        args: Vec<Value>,
        environment: &Rc<Environment>,
    ) -> Result<Option<Value>, Fault> {
        let parameters = match rule.kind {
            RuleKind::Function(count) => usize::try_from(count).unwrap_or(usize::MAX),
            RuleKind::Entry => 1,
            RuleKind::Complete | RuleKind::Set | RuleKind::Object => 0,
        };
        if args.len() != parameters {
            return Err(malformed("the number of arguments differs from that of parameters"));
        }
        let early = first_decides(rule);
        let mut found: Option<Value> = None;
        for definition in &rule.definitions {
            for body in &definition.bodies {
                let mut frame = Self::frame(rule, args.clone())?;
                let mut solved = false;
                self.block(&body.block, &mut frame, environment, &mut |_, frame| {
                    solved = true;
                    let value = operand(frame, &body.value)?;
                    match &found {
                        Some(earlier) if *earlier != value => {
                            return Err(conflict(rule, body));
                        }
                        Some(_) => {}
                        None => found = Some(value),
                    }
                    Ok(if early { Next::Enough } else { Next::More })
                })?;
                if solved && early {
                    return Ok(found);
                }
                if solved {
                    break;
                }
            }
        }
        Ok(found.or_else(|| rule.default.clone()))
    }

    fn set(&mut self, rule: &Rule, environment: &Rc<Environment>) -> Result<Value, Fault> {
        let mut result = Set::new();
        for body in rule.definitions.iter().flat_map(|definition| &definition.bodies) {
            let mut frame = Self::frame(rule, Vec::new())?;
            self.block(&body.block, &mut frame, environment, &mut |_, frame| {
                result.insert(operand(frame, &body.value)?);
                Ok(Next::More)
            })?;
        }
        Ok(result.into_value())
    }

    fn object(&mut self, rule: &Rule, environment: &Rc<Environment>) -> Result<Value, Fault> {
        let mut result = Object::new();
        for body in rule.definitions.iter().flat_map(|definition| &definition.bodies) {
            let mut frame = Self::frame(rule, Vec::new())?;
            let key = body.key.as_ref().ok_or_else(|| malformed("an object without keys"))?;
            self.block(&body.block, &mut frame, environment, &mut |_, frame| {
                insert(&mut result, operand(frame, key)?, operand(frame, &body.value)?, body.span)?;
                Ok(Next::More)
            })?;
        }
        Ok(result.into_value())
    }

    /// Calls `solution` at each of a block's.
    fn block(
        &mut self,
        block: &[Statement],
        frame: &mut Frame,
        environment: &Rc<Environment>,
        solution: &mut Solution<'_>,
    ) -> Result<Next, Fault> {
        for (position, statement) in block.iter().enumerate() {
            match &statement.kind {
                StatementKind::Let(var, expr) => {
                    let Some(value) = self.expr(expr, frame, environment)? else {
                        return Ok(Next::More);
                    };
                    set(frame, *var, value)?;
                }
                StatementKind::Test(expr) => match self.expr(expr, frame, environment)? {
                    None | Some(Value::Bool(false)) => return Ok(Next::More),
                    Some(_) => {}
                },
                StatementKind::Not(inner) => {
                    if self.has_solution(inner, frame, environment)? {
                        return Ok(Next::More);
                    }
                }
                StatementKind::Each { key, value, collection, block: inner } => {
                    if position + 1 != block.len() {
                        return Err(malformed("a loop that is not the last statement"));
                    }
                    for (k, v) in elements(&operand(frame, collection)?).unwrap_or_default() {
                        if let Some(key) = key {
                            set(frame, *key, k)?;
                        }
                        set(frame, *value, v)?;
                        let next = self
                            .deeper(|machine| machine.block(inner, frame, environment, solution))?;
                        if next == Next::Enough {
                            return Ok(Next::Enough);
                        }
                    }
                    return Ok(Next::More);
                }
                StatementKind::Every { key, value, collection, block: inner } => {
                    let Some(all) = elements(&operand(frame, collection)?) else {
                        return Ok(Next::More);
                    };
                    for (k, v) in all {
                        if let Some(key) = key {
                            set(frame, *key, k)?;
                        }
                        set(frame, *value, v)?;
                        if !self.has_solution(inner, frame, environment)? {
                            return Ok(Next::More);
                        }
                    }
                }
                StatementKind::Collect { var, kind, block: inner, key, value } => {
                    let collected = self.collect(
                        (*kind, inner, key.as_ref(), value, statement.span),
                        frame,
                        environment,
                    )?;
                    set(frame, *var, collected)?;
                }
            }
        }
        solution(self, frame)
    }

    fn has_solution(
        &mut self,
        block: &Block,
        frame: &mut Frame,
        environment: &Rc<Environment>,
    ) -> Result<bool, Fault> {
        let mut found = false;
        self.deeper(|machine| {
            machine.block(block, frame, environment, &mut |_, _| {
                found = true;
                Ok(Next::Enough)
            })
        })?;
        Ok(found)
    }

    fn collect(
        &mut self,
        (kind, block, key, value, span): Comprehension<'_>,
        frame: &mut Frame,
        environment: &Rc<Environment>,
    ) -> Result<Value, Fault> {
        let (mut array, mut members, mut object) = (Array::new(), Set::new(), Object::new());
        self.deeper(|machine| {
            machine.block(block, frame, environment, &mut |_, frame| {
                let value = operand(frame, value)?;
                match kind {
                    Collection::Array => array.push(value),
                    Collection::Set => {
                        members.insert(value);
                    }
                    Collection::Object => {
                        let key = key.ok_or_else(|| malformed("an object without keys"))?;
                        insert(&mut object, operand(frame, key)?, value, span)?;
                    }
                }
                Ok(Next::More)
            })
        })?;
        Ok(match kind {
            Collection::Array => array.into_value(),
            Collection::Set => members.into_value(),
            Collection::Object => object.into_value(),
        })
    }

    fn expr(
        &mut self,
        expr: &Expr,
        frame: &mut Frame,
        environment: &Rc<Environment>,
    ) -> Result<Option<Value>, Fault> {
        Ok(match expr {
            Expr::Operand(one) => Some(operand(frame, one)?),
            Expr::Path(root, keys) => {
                let keys = operands(frame, keys)?;
                let value_in = |root: &Value| {
                    keys.iter().try_fold(root, |value, key| data::value_at(value, key)).cloned()
                };
                match root {
                    Root::Input => environment.input.as_ref().and_then(value_in),
                    Root::Data => environment.data.find(&keys).cloned(),
                    Root::Extent => environment.data.find_extent(&keys).cloned(),
                    Root::Operand(root) => value_in(&operand(frame, root)?),
                }
            }
            Expr::Builtin(name, args) => self.builtin(name, &operands(frame, args)?)?,
            Expr::Call(id, args) => self.rule(*id, operands(frame, args)?, environment)?,
            Expr::Rule(id) => self.rule(*id, Vec::new(), environment)?,
            Expr::Array(all) => Some(Value::from(operands(frame, all)?)),
            Expr::Set(all) => Some(operands(frame, all)?.into_iter().collect::<Set>().into_value()),
            Expr::Object(all) => {
                let pair = |(key, value)| Ok((operand(frame, key)?, operand(frame, value)?));
                let pairs = all.iter().map(|(key, value)| pair((key, value)));
                Some(pairs.collect::<Result<Object, Fault>>()?.into_value())
            }
            Expr::Replaced(slots) => {
                Some(Value::Bool(slots.iter().any(|slot| environment.replaced.contains(slot))))
            }
            Expr::With { function, args, replacements } => {
                let args = operands(frame, args)?;
                let inner = self.environment(environment, replacements, frame)?;
                self.rule(*function, args, &Rc::new(inner))?
            }
        })
    }

    fn environment(
        &self,
        outer: &Environment,
        replacements: &[Replacement],
        frame: &Frame,
    ) -> Result<Environment, Fault> {
        let mut inner = outer.without_functions();
        inner.functions.clone_from(&outer.functions);
        for replacement in replacements {
            match (&replacement.target, &replacement.value) {
                (Target::Input(path), Substitute::Value(value)) => {
                    let value = operand(frame, value)?;
                    inner.input = Some(data::put(inner.input.as_ref(), path, value));
                }
                (Target::Data(slot), Substitute::Value(value)) => {
                    let Some(Slot::Data(path)) = self.slot(*slot) else {
                        return Err(malformed("a slot that is not a path"));
                    };
                    inner.data = inner.data.with(path, operand(frame, value)?);
                    inner.replaced.insert(*slot);
                }
                (Target::Function(slot), Substitute::Value(value)) => {
                    inner.functions.insert(*slot, Mock::Value(operand(frame, value)?));
                }
                (Target::Function(slot), Substitute::Function(id)) => {
                    match self.slot(*slot) {
                        Some(Slot::Function { candidates, .. }) if candidates.contains(id) => {}
                        _ => return Err(malformed("a replacement that is not a candidate")),
                    }
                    inner.functions.insert(*slot, Mock::Function(*id));
                }
                (Target::Input(_) | Target::Data(_), Substitute::Function(_)) => {
                    return Err(malformed("a function where a document is expected"));
                }
            }
        }
        Ok(inner)
    }

    fn slot(&self, slot: SlotId) -> Option<&Slot> {
        self.program.slots.get(usize::try_from(slot.0).ok()?)
    }

    fn builtin(&mut self, name: &str, args: &[Value]) -> Result<Option<Value>, Fault> {
        let Some(function) = own::function(name).or_else(|| builtins::function(name)) else {
            return Err(malformed(&format!("no built-in {name}")));
        };
        match function(self.context, args) {
            Ok(Value::Undefined) => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(failure @ (Failure::Conflict(_) | Failure::Halt(_))) => {
                Err(Fault::Builtin(failure))
            }
            Err(failure @ (Failure::Builtin(_) | Failure::Type(_))) => {
                self.context.errors.push(failure);
                Ok(None)
            }
        }
    }
}

/// The elements of a collection with their keys.
fn elements(collection: &Value) -> Option<Vec<(Value, Value)>> {
    Some(match collection {
        Value::Array(array) => {
            array.iter().enumerate().map(|(i, value)| (Value::from(i), value.clone())).collect()
        }
        Value::Object(object) => {
            order::entries(object).into_iter().map(|(k, v)| (k.clone(), v.clone())).collect()
        }
        Value::Set(set) => {
            order::elements(set).into_iter().map(|v| (v.clone(), v.clone())).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => {
            return None;
        }
    })
}

fn insert(object: &mut Object, key: Value, value: Value, span: Option<Span>) -> Result<(), Fault> {
    if object.get(&key).is_some_and(|earlier| *earlier != value) {
        return Err(Fault::Conflict { message: UNIQUE_KEYS.to_owned(), span });
    }
    object.insert(key, value);
    Ok(())
}

fn conflict(rule: &Rule, body: &Body) -> Fault {
    let message = match rule.kind {
        RuleKind::Function(_) => {
            format!("function {} produced conflicting values for the same inputs", rule.name)
        }
        RuleKind::Entry => UNIQUE_KEYS.to_owned(),
        RuleKind::Complete | RuleKind::Set | RuleKind::Object => {
            format!("rule {} produced conflicting values", rule.name)
        }
    };
    Fault::Conflict { message, span: body.span }
}
