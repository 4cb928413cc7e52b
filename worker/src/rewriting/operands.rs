//! What OPA's compiler takes out of an expression, and how that is written.

use regorus::unstable::{ArithOp, AssignOp, BinOp, BoolOp, Expr, NodeRef};

use super::places::Piece;
use super::statements::Rewriter;
use crate::contradictions::Fault;

/// The statements that bind what was taken out of one.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    /// The modifiers of the statement: what is taken out of it is evaluated with them too.
    pub(super) modifiers: String,
    pub(super) pieces: Vec<Piece>,
}

impl Bindings {
    pub(super) fn add(&mut self, name: &str, value: &str, place: &Expr) {
        let text = format!("{name} := {value}{}; ", self.modifiers);
        self.pieces.push(Piece { text, offset: offset(place.span().start), is_kept: false });
    }
}

/// Where an operand stands. Within one that is taken out, OPA takes a variable that nothing binds
/// for any value; within the `not` itself it is unsafe, and in a head no statement can bind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Negation,
    Operand,
    Head,
}

pub(super) fn offset(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

impl<'a> Rewriter<'a, '_> {
    /// Whether nothing is taken out of the expression behind a `not`.
    pub(super) fn stays_negated(&self, expression: &Expr) -> bool {
        match expression {
            Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. }
            | Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } => {
                self.stays_compared(lhs) && self.stays_compared(rhs)
            }
            Expr::AssignExpr { .. } => false,
            other if is_operation(other) => {
                operands_of(other).iter().all(|operand| self.stays(operand))
            }
            other => self.stays_compared(other),
        }
    }

    /// As [`Self::stays_negated`], for a side of an equality.
    fn stays_compared(&self, expression: &Expr) -> bool {
        let (base, links) = chain(expression);
        let base_stays = match base {
            Expr::Var { span, .. } => self.is_known(span.text()),
            other => self.stays(other),
        };
        base_stays
            && links.iter().all(|link| match link {
                Link::Field(_) => true,
                Link::Index(index) => self.stays(index),
            })
    }

    /// Whether nothing is taken out of an operand, and it is not taken out itself.
    pub(super) fn stays(&self, expression: &Expr) -> bool {
        match expression {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. }
            | Expr::ArrayCompr { .. }
            | Expr::SetCompr { .. }
            | Expr::ObjectCompr { .. } => true,
            Expr::Var { span, .. } => self.is_bound(span.text()),
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().all(|item| self.stays(item))
            }
            Expr::Object { fields, .. } => {
                fields.iter().all(|(_, key, value)| self.stays(key) && self.stays(value))
            }
            _ => false,
        }
    }

    /// What is left of the expression behind a `not`.
    pub(super) fn negated(&mut self, expression: &'a Expr, bindings: &mut Bindings) -> String {
        match expression {
            // The engine would take = for a way to find a variable of ours.
            Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. }
            | Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } => {
                let left = self.compared(lhs, bindings);
                format!("{left} == {}", self.compared(rhs, bindings))
            }
            Expr::AssignExpr { span, .. } => {
                let message =
                    "a `not` cannot assign a variable: assign it before, or compare with ==";
                self.faults.push(Fault { place: span, message: message.to_owned() });
                String::new()
            }
            other if is_operation(other) => self.operation(other, bindings, Within::Negation),
            other => self.compared(other, bindings),
        }
    }

    /// OPA leaves a reference where it is compared, so that an undefined one makes `not` true. Its
    /// indices it takes out.
    fn compared(&mut self, expression: &'a Expr, bindings: &mut Bindings) -> String {
        match expression {
            Expr::Var { span, .. } if self.is_known(span.text()) => span.text().to_owned(),
            Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.reference(expression, bindings, Within::Negation)
            }
            other => self.operand(other, bindings, Within::Negation),
        }
    }

    /// An operand after all that OPA takes out was taken out: a variable, a constant, a
    /// comprehension, or a composite of such.
    pub(super) fn operand(
        &mut self,
        expression: &'a Expr,
        bindings: &mut Bindings,
        within: Within,
    ) -> String {
        match expression {
            Expr::String { span, .. } => format!("\"{}\"", span.text()),
            Expr::RawString { span, .. } => format!("`{}`", span.text()),
            Expr::Number { span, .. } | Expr::Bool { span, .. } | Expr::Null { span, .. } => {
                span.text().to_owned()
            }
            Expr::Var { span, .. } if span.text() == "_" => {
                if within != Within::Operand {
                    let message = "_ cannot stand for any value here: bind the value to a variable in a statement before this one";
                    self.faults.push(Fault { place: span, message: message.to_owned() });
                }
                "_".to_owned()
            }
            Expr::Var { span, .. } if self.is_bound(span.text()) => span.text().to_owned(),
            Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => {
                self.rendered(expression)
            }
            Expr::Array { items, .. } => {
                format!("[{}]", self.list(items, bindings, within))
            }
            Expr::Set { items, .. } if items.is_empty() => "set()".to_owned(),
            Expr::Set { items, .. } => {
                format!("{{{}}}", self.list(items, bindings, within))
            }
            Expr::Object { fields, .. } => {
                let mut written = Vec::new();
                for (_, key, value) in fields {
                    let key = self.operand(key, bindings, within);
                    written.push(format!("{key}: {}", self.operand(value, bindings, within)));
                }
                format!("{{{}}}", written.join(", "))
            }
            other => {
                let value = match other {
                    Expr::Var { span, .. } => span.text().to_owned(),
                    Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                        self.reference(other, bindings, within)
                    }
                    _ if within == Within::Head => self.operation(other, bindings, within),
                    _ => self.operation(other, bindings, Within::Operand),
                };
                let name = self.names.next();
                bindings.add(&name, &value, other);
                name
            }
        }
    }

    fn list(
        &mut self,
        items: &'a [NodeRef<Expr>],
        bindings: &mut Bindings,
        within: Within,
    ) -> String {
        let items: Vec<String> =
            items.iter().map(|item| self.operand(item, bindings, within)).collect();
        items.join(", ")
    }

    /// A reference whose indices were taken out.
    fn reference(
        &mut self,
        expression: &'a Expr,
        bindings: &mut Bindings,
        within: Within,
    ) -> String {
        let (base, links) = chain(expression);
        let mut text = match base {
            Expr::Var { span, .. } if self.is_known(span.text()) => span.text().to_owned(),
            other => self.operand(other, bindings, within),
        };
        for link in links {
            match link {
                Link::Field(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                Link::Index(index) => {
                    text.push_str(&self.index(index, bindings, within));
                }
            }
        }
        text
    }

    /// A variable of ours as an index is put so that the engine does not look for its values there,
    /// and so before it is bound.
    fn index(&mut self, index: &'a Expr, bindings: &mut Bindings, within: Within) -> String {
        let is_taken_out =
            !self.stays(index) && !matches!(index, Expr::Var { span, .. } if span.text() == "_");
        let operand = self.operand(index, bindings, within);
        if is_taken_out && !is_composite(index) {
            format!("[[{operand}][0]]")
        } else {
            format!("[{operand}]")
        }
    }

    /// A call or an operator whose operands were taken out.
    pub(super) fn operation(
        &mut self,
        expression: &'a Expr,
        bindings: &mut Bindings,
        within: Within,
    ) -> String {
        let mut operand = |operand: &'a Expr| self.operand(operand, bindings, within);
        match expression {
            Expr::Call { fcn, params, .. } => {
                let parameters: Vec<String> = params.iter().map(|next| operand(next)).collect();
                format!("{}({})", path(fcn), parameters.join(", "))
            }
            Expr::UnaryExpr { expr, .. } => format!("-{}", operand(expr)),
            Expr::BinExpr { op, lhs, rhs, .. } => {
                let op = match op {
                    BinOp::Intersection => "&",
                    BinOp::Union => "|",
                };
                format!("{} {op} {}", operand(lhs), operand(rhs))
            }
            Expr::BoolExpr { op, lhs, rhs, .. } => {
                let op = match op {
                    BoolOp::Lt => "<",
                    BoolOp::Le => "<=",
                    BoolOp::Eq => "==",
                    BoolOp::Ge => ">=",
                    BoolOp::Gt => ">",
                    BoolOp::Ne => "!=",
                };
                format!("{} {op} {}", operand(lhs), operand(rhs))
            }
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                let op = match op {
                    ArithOp::Add => "+",
                    ArithOp::Sub => "-",
                    ArithOp::Mul => "*",
                    ArithOp::Div => "/",
                    ArithOp::Mod => "%",
                };
                format!("{} {op} {}", operand(lhs), operand(rhs))
            }
            Expr::Membership { key, value, collection, .. } => {
                let key = key.as_ref().map(|key| format!("{}, ", operand(key)));
                let value = operand(value);
                format!("{}{value} in {}", key.unwrap_or_default(), operand(collection))
            }
            other => self.rendered(other),
        }
    }
}

/// Whether OPA takes the expression for a call.
const fn is_operation(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::Call { .. }
            | Expr::UnaryExpr { .. }
            | Expr::BinExpr { .. }
            | Expr::BoolExpr { .. }
            | Expr::ArithExpr { .. }
            | Expr::Membership { .. }
    )
}

pub(super) const fn is_composite(expression: &Expr) -> bool {
    matches!(expression, Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. })
}

/// What an operation is made of.
pub(super) fn operands_of(operation: &Expr) -> Vec<&Expr> {
    match operation {
        Expr::Call { params, .. } => params.iter().map(AsRef::as_ref).collect(),
        Expr::UnaryExpr { expr, .. } => vec![expr],
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => vec![lhs, rhs],
        Expr::Membership { key, value, collection, .. } => {
            key.iter().map(AsRef::as_ref).chain([value.as_ref(), collection]).collect()
        }
        _ => Vec::new(),
    }
}

/// A step of a reference.
pub(super) enum Link<'a> {
    Field(&'a str),
    Index(&'a Expr),
}

/// A reference taken apart, without recursion: it may be as long as a file.
pub(super) fn chain(reference: &Expr) -> (&Expr, Vec<Link<'_>>) {
    let mut links = Vec::new();
    let mut base = reference;
    loop {
        base = match base {
            Expr::RefDot { refr, field: (name, _), .. } => {
                links.push(Link::Field(name.text()));
                refr
            }
            Expr::RefBrack { refr, index, .. } => {
                links.push(Link::Index(index));
                refr
            }
            _ => break,
        };
    }
    links.reverse();
    (base, links)
}

/// How a reference without variables is written: a function's name, or what `with` replaces.
pub(super) fn path(reference: &Expr) -> String {
    let (base, links) = chain(reference);
    let mut text = base.span().text().to_owned();
    for link in links {
        match link {
            Link::Field(name) => {
                text.push('.');
                text.push_str(name);
            }
            Link::Index(index) => {
                text.push_str("[\"");
                text.push_str(index.span().text());
                text.push_str("\"]");
            }
        }
    }
    text
}
