//! The errors of a compilation, with OPA's bound.

use crate::diagnostic::{Code, Diagnostic};
use crate::source::Sources;

/// How many errors are reported before compilation gives up: OPA's `CompileErrorLimitDefault`.
pub(crate) const LIMIT: usize = 10;

/// Errors found so far.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    found: Vec<Diagnostic>,
    /// Whether compilation must stop.
    stop: bool,
}

impl Errors {
    /// Adds errors that end the compilation after the stage that found them. Returns whether more
    /// may be added.
    pub(crate) fn report(&mut self, errors: impl IntoIterator<Item = Diagnostic>) -> bool {
        self.take(errors, true)
    }

    /// Adds errors that let later stages look for more. Returns whether more may be added.
    pub(crate) fn report_recoverable(
        &mut self,
        errors: impl IntoIterator<Item = Diagnostic>,
    ) -> bool {
        self.take(errors, false)
    }

    fn take(&mut self, errors: impl IntoIterator<Item = Diagnostic>, stop: bool) -> bool {
        let mut errors = errors.into_iter().peekable();
        if errors.peek().is_none() {
            return true;
        }
        if self.found.len() >= LIMIT {
            return false;
        }
        self.found.extend(errors.take(LIMIT - self.found.len()));
        let full = self.found.len() >= LIMIT;
        self.stop |= stop || full;
        !full
    }

    /// Whether compilation must stop.
    pub(crate) const fn must_stop(&self) -> bool {
        self.stop
    }

    /// The errors in order of their places and then of their text; a last one says that the limit
    /// was reached.
    pub(crate) fn into_sorted(self, sources: &Sources) -> Vec<Diagnostic> {
        let full = self.found.len() >= LIMIT;
        let mut keyed: Vec<_> = self
            .found
            .into_iter()
            .map(|error| {
                let place = error.span.map(|span| sources.location(span));
                // An error without a place comes last.
                ((place.is_none(), place, error.code.as_str(), error.message.clone()), error)
            })
            .collect();
        keyed.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut errors: Vec<_> = keyed.into_iter().map(|(_, error)| error).collect();
        if full {
            errors.push(Diagnostic {
                code: Code::Compile,
                message: "error limit reached".into(),
                span: None,
                help: None,
            });
        }
        errors
    }
}
