//! The compiled tree in the form that the evaluator walks: constants are values, and syntax that
//! evaluation makes for itself (what `every` iterates over, what `not` negates) is made once.

use std::rc::Rc;

use regorus::Value;

use crate::ast::{self, Name};
use crate::source::Span;

/// A term.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) kind: TermKind,
    pub(crate) span: Span,
}

/// The content of a term.
#[derive(Debug)]
pub(crate) enum TermKind {
    /// A constant.
    Value(Value),
    Var(Name),
    /// The head, then the keys.
    Ref(Vec<Rc<Term>>),
    /// A collection with variables, as the two below.
    Array(Vec<Rc<Term>>),
    Object(Vec<(Rc<Term>, Rc<Term>)>),
    Set(Vec<Rc<Term>>),
    Comprehension(Comprehension),
}

/// A comprehension.
#[derive(Debug)]
pub(crate) struct Comprehension {
    pub(crate) kind: Collection,
    /// An object's.
    pub(crate) key: Option<Rc<Term>>,
    pub(crate) value: Rc<Term>,
    pub(crate) body: Rc<Body>,
}

/// The collection that a comprehension makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    Array,
    Set,
    Object,
}

/// Statements that must all hold.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) exprs: Vec<Rc<Expr>>,
}

impl Body {
    /// The place of the first statement, as OPA has it.
    pub(crate) fn span(&self) -> Option<Span> {
        self.exprs.first().map(|expr| expr.source.span)
    }
}

/// A statement.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) with: Vec<With>,
    /// The statement without its `not`, where it has one.
    pub(crate) negates: Option<Rc<Body>>,
    /// The compiler's statement, for what is shown.
    pub(crate) source: ast::Expr,
    /// Its position in its body.
    pub(crate) position: usize,
}

/// The content of a statement.
#[derive(Debug)]
pub(crate) enum ExprKind {
    Term(Rc<Term>),
    Equal(Rc<Term>, Rc<Term>),
    Call(Operator, Vec<Rc<Term>>),
    Every(Every),
    Not(Rc<Body>),
    And(Rc<Body>, Rc<Body>),
    Or(Rc<Body>, Rc<Body>),
}

/// The function of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operator {
    /// A function of the policy: its path below `data`.
    Function(Rc<[Value]>),
    /// A built-in, by OPA's name.
    Builtin(Rc<str>),
}

/// `every`
#[derive(Debug)]
pub(crate) struct Every {
    pub(crate) domain: Rc<Term>,
    /// `domain[key] = value`
    pub(crate) generator: Rc<Body>,
    pub(crate) body: Rc<Body>,
}

/// `with … as …`
#[derive(Debug)]
pub(crate) struct With {
    pub(crate) target: Target,
    pub(crate) value: Replacement,
}

/// The document or function that `with` replaces.
#[derive(Debug)]
pub(crate) enum Target {
    Input(Vec<Value>),
    Data(Vec<Value>),
    Function(Operator),
}

/// The replacement of `with`.
#[derive(Debug)]
pub(crate) enum Replacement {
    Term(Rc<Term>),
    Function(Operator),
}

/// A definition of a rule or function.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its number among all, `else` branches included.
    pub(crate) id: usize,
    /// Where it stands in the compiled modules.
    pub(crate) place: RulePlace,
    /// Its whole reference without `data`.
    pub(crate) reference: Vec<Rc<Term>>,
    pub(crate) args: Vec<Rc<Term>>,
    /// The element that it adds to a set.
    pub(crate) key: Option<Rc<Term>>,
    pub(crate) value: Option<Rc<Term>>,
    pub(crate) body: Rc<Body>,
    pub(crate) other: Option<Rc<Rule>>,
    /// The ground beginning of its reference, as text.
    pub(crate) name: Rc<str>,
    pub(crate) span: Span,
    pub(crate) head_span: Span,
    /// Whether it has no statements of its own.
    pub(crate) is_generated: bool,
}

/// A rule by its position, and the position in its chain of `else`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RulePlace {
    pub(crate) module: usize,
    pub(crate) rule: usize,
    pub(crate) branch: usize,
}

impl Rule {
    /// Whether it adds an element to a set.
    pub(crate) const fn is_member(&self) -> bool {
        self.key.is_some() && self.value.is_none()
    }

    /// Whether its reference has variables.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.reference.iter().any(|term| !matches!(term.kind, TermKind::Value(_)))
    }
}
