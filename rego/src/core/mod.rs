//! Core: the small language that every policy is lowered to; only core is evaluated.
//!
//! # Meaning
//! A **block** is a list of statements. It has a *solution* each time control reaches its end. A
//! statement that *fails* ends its block there, or continues with the next element of the innermost
//! [`StatementKind::Each`] around it. `Each` is always the last statement of its block: the
//! statements after it in the policy stand in its inner block. So every loop is explicit, and only
//! loops backtrack.
//!
//! Variables are numbered within their rule and assigned once on every path to a use. Operands are
//! variables or constants; an expression that can be undefined is bound by a `Let` first, so
//! evaluation follows the order of statements. A variable is never undefined.
//!
//! | form | meaning | fails when |
//! |---|---|---|
//! | `Let x = e` | binds | `e` is undefined |
//! | `Test e` | | `e` is undefined or false |
//! | `Not { b }` | | `b` has a solution |
//! | `Each k, v in c { b }` | the block's solutions for every element, in order | never: a value that is not a collection has no elements |
//! | `Every k, v in c { b }` | | `c` is not a collection, or `b` has no solution for an element |
//! | `Collect x = kind { b } key, value` | one element for every solution | never; two values for one key are a conflict |
//!
//! A rule's **definition** is a chain of bodies (`else`): the first that has a solution counts. A
//! complete rule or function with two different values is a conflict; so is an object with two
//! values for one key. A conflict ends the evaluation with an error. Where no definition has a
//! solution, the value is the default, else undefined; a set or object is then empty.
//!
//! The set of evaluated solutions is visible, because any of them may raise a conflict. `Not`,
//! `Every`, and complete rules and functions whose bodies all yield the same constant stop at the
//! first solution. All other statements evaluate all solutions.
//!
//! Rules are evaluated once in an evaluation and an environment; functions once for the same
//! arguments, or at each call: the difference is not visible. Core does not define the effect of a
//! failing built-in: its value is undefined (strict mode makes it the evaluation's error), unless
//! it fails with a conflict or a limit, which ends the evaluation.
//!
//! # Environments
//! An environment has the input, the base data, and what `with` replaces. [`Expr::With`] makes one
//! for the evaluation of a function. Data that is replaced at a path hides all rules at the path
//! and below: the rules themselves check this (with [`Expr::Replaced`]) and have the value that
//! base data has at their path. Functions are replaced by name, so the evaluation of a
//! [`Expr::Call`] checks this.
//!
//! # Base data
//! A path into base data is the path of a store, as in OPA: a number is a key of the same text, and
//! a string of digits is an index. A replacement by `with` is a value, whose keys have types.
//! [`data`] has both. Other paths (`input`, operands) are always those of values.
//!
//! # Built-ins of this crate
//! [`own`] lists them, with their functions.

pub mod data;
pub(crate) mod depth;
#[cfg(any(test, feature = "opa-json", feature = "differential"))]
pub mod evaluate;
pub mod own;
pub(crate) mod print;

#[cfg(any(test, feature = "differential"))]
pub mod random;
#[cfg(any(test, feature = "differential"))]
pub mod shrink;
pub(crate) mod walk;

use regorus::Value;

use crate::source::Span;

/// A lowered policy.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// All rules, functions and documents. Rules are not recursive: `rules[i]` may use any other,
    /// but no chain of uses returns to `i`.
    pub rules: Vec<Rule>,
    /// The targets of `with`, by number: each has a slot in the environment.
    pub slots: Vec<Slot>,
    /// The tree of virtual documents, for the evaluation of a path that is known at run time only.
    pub documents: Document,
}

/// A rule's number in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

impl RuleId {
    /// Its place in [`Program::rules`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A variable's number in its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Var(pub u32);

/// The number of a target of some `with`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// A target of some `with`, other than the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// The document at a path below `data`.
    Data(Vec<Value>),
    /// A function (of the policy, or one that wraps a built-in) that is replaced by a value, or by
    /// one of `candidates`, which are functions of as many parameters.
    Function {
        /// The target.
        rule: RuleId,
        /// The functions that replace it in some `with`.
        candidates: Vec<RuleId>,
    },
}

/// A node of the tree of virtual documents: a package or the ground part of a rule's reference.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// Without parameters: the rule whose value is this document, base data included. A function
    /// has none.
    pub rule: Option<RuleId>,
    /// The functions for the entry of a document at its first key, by the number of known keys: OPA
    /// evaluates only that entry then.
    pub keyed: Vec<RuleId>,
    /// Whether rules define it; a package consists of the documents below it and of base data.
    pub of_rules: bool,
    /// Below it, by name.
    pub children: std::collections::BTreeMap<String, Document>,
}

/// The location of the value at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'p> {
    /// In a rule's value, at the remaining keys.
    Rule(RuleId, &'p [Value]),
    /// The same, with a function for the entry at the first keys.
    Keyed {
        /// The rule of the whole document.
        rule: RuleId,
        /// The function, which has as many parameters as keys.
        function: RuleId,
        /// Its arguments.
        keys: &'p [Value],
        /// The remaining keys.
        rest: &'p [Value],
    },
    /// In base data, at the whole path: no rule is evaluated.
    Base,
    /// No value: the path leads to a function, or below one.
    Nothing,
}

impl Document {
    /// The location of the value at a path below this document (usually the root).
    #[must_use]
    pub fn find<'p>(&self, path: &'p [Value]) -> Found<'p> {
        let (mut node, mut rest) = (self, path);
        while let Some((key, below)) = rest.split_first() {
            if node.of_rules {
                break;
            }
            let child = key.as_string().ok().and_then(|key| node.children.get(&**key));
            let Some(child) = child else { return Found::Base };
            (node, rest) = (child, below);
        }
        let Some(rule) = node.rule else { return Found::Nothing };
        let known = rest.len().min(node.keyed.len());
        let function = known.checked_sub(1).and_then(|index| node.keyed.get(index));
        match (function, rest.get(..known)) {
            (Some(function), Some(keys)) => Found::Keyed { rule, function: *function, keys, rest },
            _ => Found::Rule(rule, rest),
        }
    }
}

impl Document {
    /// Whether rules define the document at a path below this one, or one that it is in.
    #[must_use]
    pub fn is_of_rules(&self, path: &[Value]) -> bool {
        let mut node = self;
        for key in path {
            if node.of_rules {
                break;
            }
            let child = key.as_string().ok().and_then(|key| node.children.get(&**key));
            let Some(child) = child else { return false };
            node = child;
        }
        node.of_rules
    }
}

/// A rule, function or document.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its path in messages: `data.tenants.a.allow`.
    pub name: String,
    /// The kind of document that its definitions make.
    pub kind: RuleKind,
    /// Its value where no definition has a solution (complete rules and functions only).
    pub default: Option<Value>,
    /// Its definitions.
    pub definitions: Vec<Definition>,
    /// How many variables its bodies use: all are below it. Parameters are the first.
    pub variables: u32,
    /// The slot of a function that some `with` replaces.
    pub slot: Option<SlotId>,
    /// The place of its definition.
    pub span: Option<Span>,
}

/// The kind of document that the definitions of a rule make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// One value.
    Complete,
    /// One value for these many arguments.
    Function(u32),
    /// An object's value at the key in the one argument: a function whose conflict is the object's.
    Entry,
    /// A set of all values.
    Set,
    /// An object of all keys and values.
    Object,
}

/// One definition: its bodies are tried in turn (`else`).
#[derive(Debug, Clone)]
pub struct Definition {
    /// At least one.
    pub bodies: Vec<Body>,
}

/// A block that yields.
#[derive(Debug, Clone)]
pub struct Body {
    /// The condition.
    pub block: Block,
    /// Of objects.
    pub key: Option<Operand>,
    /// The value, element or member.
    pub value: Operand,
    /// Its place, at which a conflict is reported.
    pub span: Option<Span>,
}

/// Statements, in order.
pub type Block = Vec<Statement>;

/// A statement and its place.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Its kind.
    pub kind: StatementKind,
    /// The policy's text that it comes from.
    pub span: Option<Span>,
}

/// The kind of a statement; see the table above.
#[derive(Debug, Clone)]
pub enum StatementKind {
    /// Binds a variable.
    Let(Var, Expr),
    /// Continues where the expression is defined and not false.
    Test(Expr),
    /// Continues where the block has no solution. Variables bound in it are not visible outside.
    Not(Block),
    /// Iterates over a collection: the key of an array is the index, that of a set the element.
    Each {
        /// The key.
        key: Option<Var>,
        /// The element.
        value: Var,
        /// The collection.
        collection: Operand,
        /// The rest of the block.
        block: Block,
    },
    /// Continues where the block has a solution for every element.
    Every {
        /// The key.
        key: Option<Var>,
        /// The element.
        value: Var,
        /// The collection.
        collection: Operand,
        /// The condition.
        block: Block,
    },
    /// A comprehension.
    Collect {
        /// The bound variable.
        var: Var,
        /// The kind of its value.
        kind: Collection,
        /// The solutions.
        block: Block,
        /// Of objects.
        key: Option<Operand>,
        /// The element.
        value: Operand,
    },
}

/// The kind of collection that a comprehension makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// An array, in the order of solutions.
    Array,
    /// A set.
    Set,
    /// An object.
    Object,
}

/// A variable or a constant.
#[derive(Debug, Clone)]
pub enum Operand {
    /// A variable of the rule.
    Var(Var),
    /// A constant; never undefined.
    Const(Value),
}

/// The root of a path.
#[derive(Debug, Clone)]
pub enum Root {
    /// The request's input. It may be undefined.
    Input,
    /// The base data, without rules.
    Data,
    /// The base data, read at a path above one that `with` may replace. OPA merges an object that
    /// replaces another with it where a document above is read as a whole ([`data::Data`]).
    Extent,
    /// A value.
    Operand(Operand),
}

/// The expression of a `Let` or a `Test`.
#[derive(Debug, Clone)]
pub enum Expr {
    /// The operand itself.
    Operand(Operand),
    /// A root, and keys into it. Undefined where a key is missing, or a value is not a collection.
    Path(Root, Vec<Operand>),
    /// A built-in by OPA's name (`plus`, `lt`, `equal`, `internal.member_2`, `count`), or one of
    /// this crate, whose names begin with `$`.
    Builtin(&'static str, Vec<Operand>),
    /// A function's value.
    Call(RuleId, Vec<Operand>),
    /// A rule's value.
    Rule(RuleId),
    /// A constructor.
    Array(Vec<Operand>),
    /// A constructor.
    Set(Vec<Operand>),
    /// A constructor. Of two values for one key the last counts, as in OPA.
    Object(Vec<(Operand, Operand)>),
    /// Whether the environment replaces any of these ([`Slot::Data`]).
    Replaced(Vec<SlotId>),
    /// A function's value in another environment, which is this one with replacements. Rules are
    /// evaluated again there.
    With {
        /// The function. It has the bound variables that it needs as parameters.
        function: RuleId,
        /// Their values.
        args: Vec<Operand>,
        /// The replacements, in order.
        replacements: Vec<Replacement>,
    },
}

/// A replacement by `with`.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The target.
    pub target: Target,
    /// The replacement.
    pub value: Substitute,
}

/// The target of a `with`.
#[derive(Debug, Clone)]
pub enum Target {
    /// The input, or the value at a path in it. A missing path is created; any other value than an
    /// object on the path is replaced by one.
    Input(Vec<Value>),
    /// The same for data, at the path of a [`Slot::Data`].
    Data(SlotId),
    /// The function of a [`Slot::Function`].
    Function(SlotId),
}

/// The replacement of a `with`.
#[derive(Debug, Clone)]
pub enum Substitute {
    /// A value; for a function, its value for all arguments.
    Value(Operand),
    /// A candidate of the function's slot. While it is evaluated, no function is replaced (OPA's
    /// rule that keeps a replacement from calling itself).
    Function(RuleId),
}
