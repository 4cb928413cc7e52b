//! Type faults, with OPA's messages.

use crate::ast::{Term, TermValue};
use crate::compile::text as syntax;
use crate::compile::visit::{Flow, NodeMut, walk_mut};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

use super::checker::Checker;
use super::constant::Constant;
use super::model::{Function, Known, Type};
use super::text;

/// The highest number of keys in a line of help.
const MAX_KEYS: usize = 10;

/// The highest number of objects that it takes them from.
const MAX_OBJECTS: usize = 100;

/// A fault.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    message: String,
    span: Span,
    /// The actual and the expected type.
    help: Option<String>,
    /// Whether a type is unknown here, so that another fault can be the cause.
    pub(super) has_unknown: bool,
}

impl Fault {
    fn new(message: String, span: Span) -> Self {
        Self { message, span, help: None, has_unknown: false }
    }

    /// A call does not fit the function.
    pub(super) fn arguments(
        span: Span,
        operator: &[Term],
        what: &str,
        have: &[Known],
        want: &Function,
    ) -> Self {
        // A variable for the result adds no information.
        let takes_result = have.len() == want.parameters.len() + 1;
        let shown = match have {
            [arguments @ .., None] if takes_result => arguments,
            all => all,
        };
        Self {
            message: format!("{}: {what}", syntax::of_ref(operator)),
            span,
            help: Some(format!(
                "have: {}, want: {}",
                text::arguments(shown),
                text::parameters(want, shown.len() > want.parameters.len())
            )),
            has_unknown: have.iter().any(|known| !known.as_ref().is_some_and(Type::is_complete)),
        }
    }

    /// There is no such function.
    pub(super) fn undefined_function(span: Span, operator: &[Term]) -> Self {
        Self::new(format!("undefined function {}", syntax::of_ref(operator)), span)
    }

    /// Two sides of an equation or of `in` never have the same value.
    pub(super) fn mismatch(span: Span, left: Option<&Type>, right: Option<&Type>) -> Self {
        Self {
            message: "match error".into(),
            span,
            help: Some(format!("left: {}, right: {}", text::of(left), text::of(right))),
            has_unknown: [left, right].iter().any(|known| !known.is_some_and(Type::is_complete)),
        }
    }

    /// The statements of a rule take too long to check.
    pub(super) fn too_complex(span: Span) -> Self {
        Self::new("types are too complex to be checked".into(), span)
    }

    /// The diagnostic.
    pub(super) fn into_diagnostic(self) -> Diagnostic {
        let diagnostic = Diagnostic::new(Code::Type, self.message, self.span);
        match self.help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        }
    }
}

/// The expected type of a key.
#[derive(Debug)]
pub(super) enum Wanted<'t> {
    /// Of a type.
    Type(Option<&'t Type>),
    /// A key of such a value.
    KeyOf(&'t Type),
    /// No key would fit.
    Nothing,
}

/// Faults of a reference.
impl Checker<'_> {
    /// A key does not fit. `have` is its type, where it is not constant.
    pub(super) fn invalid_key(
        &self,
        reference: &[Term],
        position: usize,
        have: Option<&Type>,
        wanted: &Wanted<'_>,
    ) -> Fault {
        let (written, mut fault) = self.undefined(reference);
        let key = match have {
            Some(have) => text::of(Some(have)),
            None => written.get(position).map(syntax::of_term).unwrap_or_default(),
        };
        let want = match wanted {
            Wanted::Type(of) => text::of(*of),
            Wanted::KeyOf(of) => match one_of_keys(of) {
                Some(keys) => format!("one of {keys}"),
                None => text::of(of.keys().as_ref()),
            },
            Wanted::Nothing => "nothing, since the collection is empty".into(),
        };
        fault.help = Some(format!("have: {key}, want: {want}"));
        fault
    }

    /// A key is looked up in a value that is not a collection.
    pub(super) fn no_collection(&self, reference: &[Term], have: Option<&Type>) -> Fault {
        if matches!(have, Some(Type::Function(_))) {
            let written = self.as_written(reference);
            // A parameter that the reference ends with has no name in the policy.
            let generated = |term: &Term| is_generated(&syntax::of_term(term));
            let function = match written.split_last() {
                Some((last, function)) if generated(last) => function,
                _ => &written,
            };
            let function = syntax::of_ref(function);
            let message = format!("function {function} used as reference, not called");
            return Fault::new(message, span_of(reference));
        }
        let (_, mut fault) = self.undefined(reference);
        fault.help = Some(format!("have: {}, which has no keys", text::of(have)));
        fault
    }

    fn undefined(&self, reference: &[Term]) -> (Vec<Term>, Fault) {
        let written = self.as_written(reference);
        let message = format!("undefined ref: {}", syntax::of_ref(&written));
        (written, Fault::new(message, span_of(reference)))
    }

    /// A reference as it stands in the policy.
    fn as_written(&self, reference: &[Term]) -> Vec<Term> {
        let mut terms = reference.to_vec();
        for term in &mut terms {
            walk_mut(NodeMut::Term(term), &mut |node| {
                if let NodeMut::Term(Term { value, .. }) = node
                    && let TermValue::Var(name) = value
                {
                    if let Some(subject) = self.compiled.subjects.get(name) {
                        *value = subject.clone();
                    } else if let Some(original) = self.compiled.rewritten.get(name) {
                        *value = TermValue::Var(original.clone());
                        return Flow::Over;
                    }
                }
                Flow::Into
            });
        }
        terms
    }
}

fn span_of(reference: &[Term]) -> Span {
    reference
        .first()
        .map_or(Span { file: crate::source::FileId(0), start: 0, end: 0 }, |head| head.span)
}

/// Whether a text has a generated variable's name in it.
fn is_generated(text: &str) -> bool {
    text.split("__local").skip(1).any(|rest| {
        let after = rest.trim_start_matches(|char: char| char.is_ascii_digit());
        after.len() < rest.len() && after.starts_with("__")
    })
}

/// The constant keys that objects of a type have.
fn one_of_keys(of: &Type) -> Option<String> {
    let mut keys: Vec<&Constant> = Vec::new();
    match of {
        Type::Object(object) => keys.extend(object.fields.iter().map(|(key, _)| key)),
        Type::OneOf(one_of) => {
            for one in one_of.types.iter().take(MAX_OBJECTS) {
                if let Type::Object(object) = one {
                    keys.extend(object.fields.iter().map(|(key, _)| key).take(MAX_KEYS + 1));
                }
            }
            keys.sort();
            keys.dedup();
        }
        Type::Null
        | Type::Boolean
        | Type::Number
        | Type::String
        | Type::Array(_)
        | Type::Set(_)
        | Type::Any
        | Type::Function(_) => {}
    }
    if keys.is_empty() {
        return None;
    }
    let rest = if keys.len() > MAX_KEYS { ", …" } else { "" };
    let keys: Vec<String> = keys.iter().take(MAX_KEYS).map(ToString::to_string).collect();
    Some(format!("{}{rest}", keys.join(", ")))
}
