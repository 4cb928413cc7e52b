//! Core to programs of regorus' VM.
//!
//! A rule becomes one rule of the VM (two, where `with` may replace it), a statement a few
//! instructions, and an operation without an instruction becomes a call of a function that the
//! machine links ([`Call`]). regorus' own compiler is not used.
//!
//! # Behaviour of the VM, and its consequences
//! - A failed guard continues with the next element of the innermost loop, and outside of loops
//!   ends the body. So a block that may fail without failing the enclosing one (`not`, a
//!   comprehension, one of several definitions that are compared) is a loop with one iteration.
//! - Two values of a rule make its value undefined in the VM, which would turn a conflict into an
//!   allow behind `not`. So values are compared here, and a conflict jumps to a call that ends the
//!   evaluation.
//! - Undefined values may be bound and put into collections in the VM. So every binding has a
//!   guard, unless the next statement fails by itself on an undefined value.
//! - Comparisons are VM instructions only where regorus' order of values equals OPA's for all
//!   possible operands; other comparisons are calls.
//! - A register, literal, jump or parameter table that is too small is a [`Refusal`], never a
//!   truncated number.

mod assembler;
mod block;
mod expression;
mod frame;
mod kept;
mod literals;
mod places;
mod registers;
mod rule;
mod shape;
mod survey;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use regorus::rvm::Program as Bytecode;

pub use places::{Place, Places};

use crate::builtins;
use crate::core::depth::{self, Costs};
use crate::core::own::UNIQUE_KEYS;
use crate::core::walk;
use crate::core::{Program, RuleId, Slot, Target};
use crate::source::Span;
use assembler::Assembler;

/// A program for the machine: bytecode, and tables that bytecode cannot hold.
#[derive(Debug)]
pub struct Emitted {
    /// The bytecode; its functions are linked by the machine.
    pub(crate) bytecode: Bytecode,
    /// Its built-in calls, by their index.
    pub(crate) calls: Vec<Call>,
    /// The bytecode's entry points, for functions that replace others or are evaluated in an
    /// environment. The machine adds entry points for requested rules.
    pub(crate) entries: BTreeMap<RuleId, usize>,
    /// The sites of `with`, by the number that is the first argument of [`Call::With`].
    pub(crate) withs: Vec<WithSite>,
    /// The targets of `with`.
    pub(crate) slots: Vec<Slot>,
    /// The places of instructions in the tenant's text.
    pub(crate) places: Places,
    /// The names of rules for messages of conflicts.
    pub(crate) names: BTreeMap<RuleId, Box<str>>,
}

/// A built-in call of the bytecode.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    /// One of the policy language's.
    Builtin {
        /// OPA's name, for messages.
        name: &'static str,
        /// Its function.
        function: builtins::Function,
    },
    /// Ends the evaluation: there are two values where only one is allowed.
    Conflict(Conflict),
    /// `(keys)`: the base data at a path.
    Stored,
    /// `(keys)`: the base data at a path, as a document that contains replacements.
    Extent,
    /// `(collection)`: its elements in OPA's order.
    Ordered,
    /// `(collection)`: an array of its keys and elements, in OPA's order.
    Pairs,
    /// `(site, arguments, values)`: a function in another environment.
    With,
    /// `(slots)`: whether the environment replaces data of one of these.
    Replaced,
    /// `(slot)`: whether the environment replaces this function.
    Mocked,
    /// `(slot, arguments)`: calls its replacement in the environment.
    Mock,
    /// `(function, arguments)`: an array of its cached value, empty where it is undefined; true
    /// where it is not cached, which the jump tests. From then on undefined is cached, until a
    /// value is.
    Recall,
    /// `(function, arguments, value)`: caches the value.
    Keep,
}

impl Call {
    /// The identity of a call.
    const fn name(&self) -> &'static str {
        match self {
            Self::Builtin { name, .. } => name,
            Self::Conflict(Conflict::Complete) => "$complete",
            Self::Conflict(Conflict::Function) => "$function",
            Self::Conflict(Conflict::Object) => "$object",
            Self::Stored => "$stored",
            Self::Extent => "$extent",
            Self::Ordered => "$ordered",
            Self::Pairs => "$pairs",
            Self::With => "$with",
            Self::Replaced => "$replaced",
            Self::Mocked => "$mocked",
            Self::Mock => "$mock",
            Self::Recall => "$recall",
            Self::Keep => "$keep",
        }
    }
}

/// The document with two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    /// A complete rule.
    Complete,
    /// A function, for the same arguments.
    Function,
    /// A key of an object, made by a rule or a comprehension.
    Object,
}

impl Conflict {
    /// OPA's message for it, in a rule of this name.
    pub(crate) fn message(self, rule: &str) -> String {
        match self {
            Self::Complete => format!("rule {rule} produced conflicting values"),
            Self::Function => {
                format!("function {rule} produced conflicting values for the same inputs")
            }
            Self::Object => UNIQUE_KEYS.to_owned(),
        }
    }
}

/// One `with` of the policy.
#[derive(Debug)]
pub(crate) struct WithSite {
    /// The function to evaluate.
    pub(crate) function: RuleId,
    /// The replacements, in order.
    pub(crate) replacements: Vec<(Target, Source)>,
}

/// The source of a replacement's value.
#[derive(Debug)]
pub(crate) enum Source {
    /// The site's next value.
    Value,
    /// A function.
    Function(RuleId),
}

/// A limit of the VM, or of this crate, that a policy can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Simultaneously live variables and temporaries of a rule.
    Registers,
    /// Instructions before the last jump.
    Instructions,
    /// Different constants.
    Literals,
    /// Rules and functions.
    Rules,
    /// Calls, loops or constructors of one kind.
    Parameters,
    /// Arguments of a built-in.
    Arguments,
    /// Different built-ins.
    Builtins,
    /// Nested blocks.
    Nesting,
    /// Chains of rules.
    Depth,
    /// Levels of a value.
    Height,
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Registers => "variables in use at one time",
            Self::Instructions => "instructions",
            Self::Literals => "different constants",
            Self::Rules => "rules",
            Self::Parameters => "calls, loops or constructors of one kind",
            Self::Arguments => "arguments of a built-in",
            Self::Builtins => "different built-ins",
            Self::Nesting => "nested blocks",
            Self::Depth => "rules in a chain of uses",
            Self::Height => "levels of nested collections",
        })
    }
}

/// Why core has no bytecode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A limit is reached. The interpreter has others.
    #[error("bytecode has room for {limit} {what}")]
    Ceiling {
        /// The limit.
        what: What,
        /// Its value.
        limit: usize,
        /// The place.
        place: Option<Span>,
    },
    /// A built-in has no function. Earlier stages refuse such names.
    #[error("no function for the built-in {name}")]
    Builtin {
        /// Its name.
        name: &'static str,
        /// The place.
        place: Option<Span>,
    },
    /// Core that violates [`crate::core`]. Lowering never makes it.
    #[error("malformed core: {reason}")]
    Malformed {
        /// The fault.
        reason: &'static str,
        /// The place.
        place: Option<Span>,
    },
}

/// The VM's use of the stack, in levels of a rule's call: 2.7 KiB in a debug build (where the VM is
/// optimised as well), of which half of a worker's stack holds these. An environment is a built-in
/// that runs another VM.
const COSTS: Costs = Costs { rule: 1, block: 0, each: 0, front: 1, environment: 4, limit: 1_500 };

impl From<depth::Fault> for Refusal {
    fn from(fault: depth::Fault) -> Self {
        let ceiling = |what, limit, place| Self::Ceiling { what, limit, place };
        match fault {
            depth::Fault::Recursion(place) => {
                Self::Malformed { reason: "a rule uses itself", place }
            }
            depth::Fault::Nesting(place) => ceiling(What::Nesting, walk::NESTING, place),
            depth::Fault::Levels(place) => ceiling(What::Depth, COSTS.limit, place),
            depth::Fault::Height(place) => ceiling(What::Height, depth::HEIGHT, place),
        }
    }
}

/// Emits a program.
///
/// # Errors
/// The part that exceeds a limit or is not valid core, with its place.
pub fn emit(program: &Program) -> Result<Emitted, Refusal> {
    let order = depth::order(program)?;
    let kept = kept::kept(program, &order);
    depth::check(program, &order, &COSTS, &kept)?;
    let survey = survey::survey(program, &order, &kept)?;
    let mut out = Assembler::new();
    rule::emit_all(program, &survey, &mut out)?;
    for &function in &survey.evaluated_alone {
        rule::emit_entry(program, &survey, &mut out, function)?;
    }
    Ok(out.finish(&program.slots))
}
