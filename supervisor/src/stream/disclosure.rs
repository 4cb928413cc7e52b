//! How much of a decision and its input may be shown to those who watch decisions, and in logs.
//!
//! Where the policy has a mask, only what the worker gives is shown. Everything that the mask has not
//! seen stays hidden: an answer without a mask, a failed one, and the inputs of errors.

use enforcer_protocol::{Decision, JsonText, Mask, MaskedDecision};

/// Why an input is left out of an event, as consumers read it.
pub(crate) mod omitted {
    /// The mask erased it, or has not seen it.
    pub(crate) const MASK: &str = "mask";
    /// The mask failed.
    pub(crate) const MASK_FAILED: &str = "mask_failed";
    /// The operator's setting leaves inputs out.
    pub(crate) const OPERATOR: &str = "operator";
    /// It is too large.
    pub(crate) const TOO_LARGE: &str = "too_large";
}

/// How much of a decision may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disclosure {
    /// All of it: the policy has no mask.
    Whole,
    /// What the mask has left.
    Masked(Box<MaskedDecision>),
    /// Only whether it allows: the policy has a mask, which was not applied.
    Withheld,
    /// The same, because the mask failed. Says why.
    Failed(String),
    /// The same, because what the mask has left is too large.
    TooLarge,
}

impl Disclosure {
    /// The disclosure of an answer with this mask, of a worker whose policy has one or not.
    pub(crate) fn of(has_mask: bool, mask: Mask) -> Self {
        match mask {
            Mask::Absent if !has_mask => Self::Whole,
            Mask::Absent => Self::Withheld,
            Mask::Applied(masked) => Self::Masked(masked),
            Mask::Failed(reason) => Self::Failed(reason),
            Mask::TooLarge => Self::TooLarge,
        }
    }

    /// The parts of a decision that may be shown. Whether it allows is always shown, and is the
    /// policy's word, whatever a worker says in its mask.
    pub(super) fn apply(self, decision: Decision) -> (Decision, ShownInput) {
        let allow = decision.allow;
        let bare = Decision { allow, ..Decision::default() };
        match self {
            Self::Whole => (decision, ShownInput::AsSent),
            Self::Masked(masked) => {
                let MaskedDecision { input, decision, erased, masked } = *masked;
                let paths = MaskedPaths { erased, masked };
                (Decision { allow, ..decision }, ShownInput::Masked { input, paths })
            }
            Self::Withheld => (bare, ShownInput::Omitted(omitted::MASK)),
            Self::Failed(_) => (bare, ShownInput::Omitted(omitted::MASK_FAILED)),
            Self::TooLarge => (bare, ShownInput::Omitted(omitted::TOO_LARGE)),
        }
    }
}

/// How the input of a decision is shown.
#[derive(Clone, Debug)]
pub(crate) enum ShownInput {
    /// As the client sent it.
    AsSent,
    /// As the mask has left it, if it has left anything.
    Masked { input: Option<JsonText>, paths: MaskedPaths },
    /// Not at all, for this reason.
    Omitted(&'static str),
}

/// The paths that a mask has changed, as OPA's records have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MaskedPaths {
    pub(crate) erased: Vec<String>,
    pub(crate) masked: Vec<String>,
}

impl MaskedPaths {
    /// Bytes of them in an event, at least.
    pub(super) fn length(&self) -> usize {
        self.erased.iter().chain(&self.masked).map(|path| path.len() + 3).sum()
    }
}
