//! The syntax tree, shaped as OPA's (`v1/ast`): the parser's tree can be compared with that of `opa
//! parse`, and the compiler's stages can be checked against OPA's one by one.

use std::sync::Arc;

use crate::source::{FileId, Span};

/// A variable's, rule's or key's name.
pub type Name = Arc<str>;

/// Which language a module is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegoVersion {
    /// Before OPA 1.0: `if` and `contains` only where imported.
    V0,
    /// `import rego.v1` in a v0 module.
    V0CompatV1,
    /// OPA 1.0 and later.
    V1,
}

/// A file's policy.
#[derive(Debug, Clone)]
pub struct Module {
    /// Where it was read from.
    pub file: FileId,
    /// Its package.
    pub package: Package,
    /// Its imports, in order.
    pub imports: Vec<Import>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
    /// Its `# METADATA` blocks, in order.
    pub annotations: Vec<Annotations>,
    /// Its language.
    pub version: RegoVersion,
}

/// `package a.b`: the path begins with the variable `data`, and the rest are strings.
#[derive(Debug, Clone)]
pub struct Package {
    /// `data.a.b`
    pub path: Ref,
    /// The keyword's.
    pub span: Span,
}

/// `import data.a.b as c`
#[derive(Debug, Clone)]
pub struct Import {
    /// A reference, or a variable.
    pub path: Term,
    /// The name after `as`.
    pub alias: Option<Name>,
    /// The keyword's.
    pub span: Span,
    /// Where the alias stands.
    pub alias_span: Option<Span>,
}

/// One definition of a rule or function. `else` makes a chain.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it defines.
    pub head: Head,
    /// When it holds; `true` where nothing is written.
    pub body: Body,
    /// What is tried when it does not hold.
    pub else_rule: Option<Box<Rule>>,
    /// Whether it is a `default`.
    pub is_default: bool,
    /// Whether the body was not written but made by the parser.
    pub generated_body: bool,
    /// Indices into the module's annotations.
    pub annotations: Vec<usize>,
    /// The whole rule's.
    pub span: Span,
}

/// A rule's head.
#[derive(Debug, Clone)]
pub struct Head {
    /// `p`, `p.q`, `p[x].q`: the first is a variable, the others any terms.
    pub reference: Ref,
    /// The parameters, of a function.
    pub args: Option<Vec<Term>>,
    /// `contains key`; or the last bracket of a v0 partial rule.
    pub key: Option<Term>,
    /// `:= value`; made by the parser where none is written.
    pub value: Option<Term>,
    /// Whether the value was not written.
    pub generated_value: bool,
    /// Whether `:=` stands in it.
    pub assign: bool,
    /// The head's.
    pub span: Span,
}

/// Statements that must all hold.
pub type Body = Vec<Expr>;

/// A statement.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// `not`
    pub negated: bool,
    /// `with … as …`, in order.
    pub with: Vec<With>,
    /// Whether the compiler made it.
    pub generated: bool,
    /// Whether it was rewritten from `:=`, so that safety may not bind the right side by the left.
    pub from_assignment: bool,
    /// The statement's.
    pub span: Span,
}

/// What a statement says.
#[derive(Debug, Clone)]
pub enum ExprKind {
    /// A term that must be defined and not false.
    Term(Term),
    /// The first term is the operator (a reference), the others its operands. Infix operators are
    /// calls of OPA's names: `eq` (`=`), `assign` (`:=`), `equal` (`==`), `neq`, `lt`, `plus`,
    /// `internal.member_2` (`in`) …
    Call(Vec<Term>),
    /// `some x, y` and `some x in xs`: in the latter the one symbol is a call of `internal.member_2`
    /// or `internal.member_3`.
    Some(Vec<Term>),
    /// `every k, v in xs { … }`
    Every(Box<Every>),
    /// `not { … }`, and `not e` where `future.keywords.not` is imported.
    Not(NotBlock),
    /// `a and b`
    And(Box<Logical>),
    /// `a or b`
    Or(Box<Logical>),
}

/// `every`
#[derive(Debug, Clone)]
pub struct Every {
    /// The key's variable.
    pub key: Option<Term>,
    /// The value's variable.
    pub value: Term,
    /// What is gone through.
    pub domain: Term,
    /// What must hold for each.
    pub body: Body,
    /// The keyword's.
    pub span: Span,
}

/// A negation with a scope of its own.
#[derive(Debug, Clone)]
pub struct NotBlock {
    /// What must not hold.
    pub body: Body,
    /// Whether braces were written.
    pub explicit: bool,
}

/// Both sides of an `and` or `or`.
#[derive(Debug, Clone)]
pub struct Logical {
    /// The left side.
    pub left: Body,
    /// The right side.
    pub right: Body,
    /// Whether braces were written around the left.
    pub explicit_left: bool,
    /// Whether braces were written around the right.
    pub explicit_right: bool,
}

/// `with target as value`
#[derive(Debug, Clone)]
pub struct With {
    /// What is replaced.
    pub target: Term,
    /// By what.
    pub value: Term,
    /// From the keyword to the value's end.
    pub span: Span,
}

/// A reference: head, then keys.
pub type Ref = Vec<Term>;

/// A value, variable, reference or call.
#[derive(Debug, Clone)]
pub struct Term {
    /// What it is.
    pub value: TermValue,
    /// Where it stands.
    pub span: Span,
}

/// What a term is.
#[derive(Debug, Clone)]
pub enum TermValue {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// As it is written, as OPA keeps it: `1`, `0.10`, `1e3`.
    Number(Name),
    /// Without quotes and escapes.
    String(Name),
    /// A variable. A wildcard `_` is `$0`, `$1`, … as in OPA, unique in its module.
    Var(Name),
    /// `data.a[x]`
    Ref(Ref),
    /// `[a, b]`
    Array(Vec<Term>),
    /// `{"a": b}`, in the order written.
    Object(Vec<(Term, Term)>),
    /// `{a, b}`, in the order written; `set()`.
    Set(Vec<Term>),
    /// `[term | body]`
    ArrayComprehension {
        /// The element.
        term: Box<Term>,
        /// When.
        body: Body,
    },
    /// `{term | body}`
    SetComprehension {
        /// The element.
        term: Box<Term>,
        /// When.
        body: Body,
    },
    /// `{key: value | body}`
    ObjectComprehension {
        /// The key.
        key: Box<Term>,
        /// The value.
        value: Box<Term>,
        /// When.
        body: Body,
    },
    /// `f(x)`: the first is the operator.
    Call(Vec<Term>),
    /// `$"… {x} …"`
    TemplateString {
        /// Text and expressions in turn.
        parts: Vec<TemplatePart>,
        /// Whether it was written with back quotes.
        multi_line: bool,
    },
}

/// A piece of a template string.
#[derive(Debug, Clone)]
pub enum TemplatePart {
    /// Text: a string, or another constant.
    Text(Term),
    /// `{…}`
    Expr(Box<Expr>),
}

/// A `# METADATA` block.
#[derive(Debug, Clone)]
pub struct Annotations {
    /// What it is about.
    pub scope: Scope,
    /// The block's YAML as JSON, with OPA's fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// The rule that it stands before, as an index into the module's; none for a package.
    pub target: Option<usize>,
    /// The block's.
    pub span: Span,
}

/// What annotations are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One definition.
    Rule,
    /// All definitions of a name in a package.
    Document,
    /// The package.
    Package,
    /// The package and those below it.
    Subpackages,
}
