//! The functions that bytecode calls.
//!
//! The VM has plain functions in its table, without state, and does not tell a function its index.
//! So there is one function for each index of the table ([`CALLS`]), all alike, that looks up the
//! running program's call there.

use regorus::Value;
use regorus::rvm::Program as Bytecode;
use regorus::unstable::{BuiltinFcn, Expr, NodeRef, Span};

use super::environment::{Environment, Mock};
use super::running::{self, Running};
use super::{ErrorKind, EvaluationError, Loaded, new_vm, remaining, timer};
use crate::builtins::order;
use crate::core::{RuleId, SlotId, depth};
use crate::emit::Call;

/// The highest nesting of environments. Emission bounds it by the size of the stack; this guards
/// against an error there.
const ENVIRONMENTS: usize = 512;

type Function = fn(&Span, &[NodeRef<Expr>], &[Value], bool) -> anyhow::Result<Value>;

/// A function for each index of a program's table, in rows of sixteen.
static FUNCTIONS: [[Function; 16]; 16] = {
    macro_rules! rows {
        ($($row:literal)*) => { [$(rows!(@row $row)),*] };
        (@row $row:literal) => {
            rows!(@cells $row: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
        };
        (@cells $row:literal: $($cell:literal)*) => { [$(at::<{ $row * 16 + $cell }>),*] };
    }
    rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
};

fn at<const PLACE: usize>(
    _: &Span,
    _: &[NodeRef<Expr>],
    args: &[Value],
    _: bool,
) -> anyhow::Result<Value> {
    call(PLACE, args)
}

/// The table of a program's functions.
pub(super) fn link(calls: &[Call], bytecode: &Bytecode) -> Vec<BuiltinFcn> {
    let functions = FUNCTIONS.iter().flatten();
    let arguments = bytecode.builtin_info_table.iter().map(|info| info.num_args);
    let linked = calls.iter().zip(functions).zip(arguments);
    linked
        .map(|((_, function), arguments)| (*function, u8::try_from(arguments).unwrap_or(u8::MAX)))
        .collect()
}

fn call(place: usize, args: &[Value]) -> anyhow::Result<Value> {
    let other = running::with(|running| {
        let program = running.program.as_deref();
        match program.and_then(|program| program.tables.calls.get(place)) {
            Some(Call::Builtin { name, function }) => {
                let (name, function) = (*name, *function);
                running.call(name, function, args).map(Ok)
            }
            Some(other) => Ok(Err(*other)),
            None => Err(broken(running, "no function with this index")),
        }
    })?;
    match other {
        Ok(value) => Ok(value),
        Err(other) => call_own(other, args),
    }
}

/// Makes a call that is not a built-in of the policy language.
#[inline(never)]
fn call_own(call: Call, args: &[Value]) -> anyhow::Result<Value> {
    match running::with(|running| own(running, call, args))? {
        Outcome::Value(value) => Ok(value),
        Outcome::Nested(nested) => {
            let value = nested.evaluate()?;
            if matches!(call, Call::Mock) && depth::is_high(&value) {
                return running::with(|running| Err(running.too_high()));
            }
            Ok(value)
        }
    }
}

/// The result of a call while the evaluation's state is borrowed.
enum Outcome {
    Value(Value),
    /// An evaluation that borrows the state itself.
    Nested(Box<Nested>),
}

/// A function in an environment.
struct Nested {
    entry: usize,
    args: Value,
    environment: Environment,
}

fn own(running: &mut Running, call: Call, args: &[Value]) -> anyhow::Result<Outcome> {
    let found = running.program.as_deref_mut().and_then(|program| match call {
        Call::Builtin { .. } | Call::Conflict(_) => None,
        Call::Stored => stored(program, args).map(Outcome::Value),
        Call::Extent => extent(program, args).map(Outcome::Value),
        Call::Ordered => args.first().map(ordered).map(Outcome::Value),
        Call::Pairs => args.first().map(pairs).map(Outcome::Value),
        Call::Replaced => replaced(program, args).map(Outcome::Value),
        Call::Mocked => mocked(program, args).map(Outcome::Value),
        Call::With => with(program, args).map(Box::new).map(Outcome::Nested),
        Call::Mock => mock(program, args),
        Call::Recall => recall(program, args).map(Outcome::Value),
        Call::Keep => keep(program, args).map(Outcome::Value),
    });
    match (found, call) {
        (Some(outcome), _) => Ok(outcome),
        // The rule is known where the VM ends.
        (None, Call::Conflict(conflict)) => Err(running.conflict(conflict)),
        (None, _) => Err(broken(running, "invalid arguments")),
    }
}

/// Bytecode that emission never makes.
fn broken(running: &mut Running, what: &str) -> anyhow::Error {
    running.end(ErrorKind::Internal, format!("broken bytecode: {what}"))
}

fn array(value: Option<&Value>) -> Option<&[Value]> {
    match value {
        Some(Value::Array(array)) => Some(array.as_slice()),
        _ => None,
    }
}

fn slot(value: Option<&Value>) -> Option<SlotId> {
    value.and_then(|value| value.as_u32().ok()).map(SlotId)
}

fn stored(program: &Loaded, args: &[Value]) -> Option<Value> {
    let keys = array(args.first())?;
    let found = program.environments.last()?.data.find(keys);
    Some(found.cloned().unwrap_or(Value::Undefined))
}

fn extent(program: &Loaded, args: &[Value]) -> Option<Value> {
    let keys = array(args.first())?;
    let found = program.environments.last()?.data.find_extent(keys);
    Some(found.cloned().unwrap_or(Value::Undefined))
}

/// A collection for an iteration in OPA's order.
fn ordered(collection: &Value) -> Value {
    match collection {
        Value::Set(set) if !is_simple(set.last()) => {
            Value::from(order::elements(set).into_iter().cloned().collect::<Vec<_>>())
        }
        Value::Object(object) if !is_simple(object.keys().last()) => {
            let entries = order::entries(object).into_iter();
            Value::from(entries.map(|(_, value)| value.clone()).collect::<Vec<_>>())
        }
        other => other.clone(),
    }
}

/// Keys and elements in OPA's order; undefined for a value that is not a collection.
fn pairs(collection: &Value) -> Value {
    let pair = |(key, value): (&Value, &Value)| Value::from(vec![key.clone(), value.clone()]);
    let pairs: Vec<Value> = match collection {
        Value::Array(array) => array
            .iter()
            .enumerate()
            .map(|(index, value)| pair((&Value::from(index), value)))
            .collect(),
        Value::Set(set) => {
            order::elements(set).into_iter().map(|value| pair((value, value))).collect()
        }
        Value::Object(object) => order::entries(object).into_iter().map(pair).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => {
            return Value::Undefined;
        }
    };
    Value::from(pairs)
}

/// Whether the last value in regorus' order is not a collection, so that no value is.
const fn is_simple(last: Option<&Value>) -> bool {
    !matches!(last, Some(Value::Array(_) | Value::Set(_) | Value::Object(_)))
}

fn replaced(program: &Loaded, args: &[Value]) -> Option<Value> {
    let replaced = &program.environments.last()?.replaced;
    let mut slots = array(args.first())?.iter().filter_map(|number| slot(Some(number)));
    Some(Value::Bool(slots.any(|slot| replaced.contains(&slot))))
}

fn mocked(program: &Loaded, args: &[Value]) -> Option<Value> {
    let mocks = &program.environments.last()?.mocks;
    Some(Value::Bool(mocks.contains_key(&slot(args.first())?)))
}

fn mock(program: &Loaded, args: &[Value]) -> Option<Outcome> {
    let [slot_number, args] = args else { return None };
    let environment = program.environments.last()?;
    match environment.mocks.get(&slot(Some(slot_number))?)? {
        Mock::Value(value) => Some(Outcome::Value(value.clone())),
        Mock::Function(function) => {
            let environment = environment.without_mocks();
            nested(program, *function, args, environment).map(Box::new).map(Outcome::Nested)
        }
    }
}

fn recall(program: &mut Loaded, args: &[Value]) -> Option<Value> {
    let [function, args] = args else { return None };
    let known = &mut program.environments.last_mut()?.known;
    Some(match known.recall(RuleId(function.as_u32().ok()?), args) {
        Some(Value::Undefined) => Value::new_array(),
        Some(value) => Value::from(vec![value]),
        None => Value::Bool(true),
    })
}

fn keep(program: &mut Loaded, args: &[Value]) -> Option<Value> {
    let [function, args, value] = args else { return None };
    let known = &mut program.environments.last_mut()?.known;
    known.keep(RuleId(function.as_u32().ok()?), args, value.clone());
    Some(Value::Bool(true))
}

fn with(program: &Loaded, args: &[Value]) -> Option<Nested> {
    let [number, args, values] = args else { return None };
    let number = usize::try_from(number.as_u64().ok()?).ok()?;
    let site = program.tables.withs.get(number)?;
    let outer = program.environments.last()?;
    let environment = outer.with(site, array(Some(values))?, &program.tables.slots)?;
    nested(program, site.function, args, environment)
}

fn nested(
    program: &Loaded,
    function: RuleId,
    args: &Value,
    environment: Environment,
) -> Option<Nested> {
    let entry = *program.tables.entries.get(&function)?;
    Some(Nested { entry, args: args.clone(), environment })
}

impl Nested {
    /// Evaluates on a separate VM, which has its own values of rules.
    fn evaluate(self) -> anyhow::Result<Value> {
        let Self { entry, args, environment } = self;
        let input = environment.input.clone();
        let data = environment.all_data();
        let mut vm = running::with(|running| {
            let Some(limit) = remaining(&running.context) else {
                let late = super::deadline();
                return Err(running.end(late.kind, late.message));
            };
            let Some(program) = running.program.as_deref_mut() else {
                return Err(broken(running, "an environment without a program"));
            };
            if program.environments.len() >= ENVIRONMENTS {
                let message = "too many nested environments".to_owned();
                return Err(running.end(ErrorKind::Limit, message));
            }
            let vm = match program.pool.pop() {
                Some(vm) => Ok(vm),
                None => new_vm(&program.bytecode, &Value::Null),
            };
            match vm {
                Ok(mut vm) => {
                    program.environments.push(environment);
                    vm.set_execution_timer_config(Some(timer(limit)));
                    Ok(vm)
                }
                Err(error) => Err(running.end(error.kind, error.message)),
            }
        })?;
        vm.set_input(input);
        vm.set_context(args);
        let result = match vm.set_data(data) {
            Ok(()) => vm.execute_entry_point_by_index(entry),
            Err(error) => Err(error),
        };
        running::with(|running| {
            if let Some(program) = running.program.as_deref_mut() {
                program.environments.pop();
            }
            match result {
                Ok(value) => {
                    vm.set_input(Value::Undefined);
                    vm.set_context(Value::Undefined);
                    if let Some(program) = running.program.as_deref_mut() {
                        program.pool.push(vm);
                    }
                    Ok(value)
                }
                Err(error) => {
                    let EvaluationError { kind, message, .. } = running.note(&error, vm.get_pc());
                    Err(running.end(kind, message))
                }
            }
        })
    }
}
