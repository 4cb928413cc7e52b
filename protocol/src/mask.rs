//! What a policy's mask leaves of a decision, for those who watch decisions and for logs.
//!
//! The worker masks: it has the policy and has parsed the input, and the supervisor parses no
//! tenant's JSON. The supervisor shows what the worker gives, and nothing else.

use bincode::{Decode, Encode};

use crate::decision::Decision;
use crate::json::JsonText;
use crate::limits::{MAX_DIAGNOSTIC_STRING, MAX_MASK_PATHS, MAX_MASKED};

/// The mask of one decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Mask {
    /// No mask was applied: the supervisor did not ask for it, the policy has no mask, or the
    /// policy made no decision.
    #[default]
    Absent,
    /// It was applied.
    Applied(Box<MaskedDecision>),
    /// It could not be applied. Says why.
    Failed(String),
    /// It was applied, and its result is larger than [`MAX_MASKED`].
    TooLarge,
}

/// Bytes that a frame adds to a text of less than 64 KiB, and more than JSON's quotes and comma.
const TEXT_OVERHEAD: usize = 4;

/// A decision and its input after the mask.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct MaskedDecision {
    /// `None` if the request has no input, or the mask erased all of it.
    pub input: Option<JsonText>,
    /// The decision. `allow` is always the policy's.
    pub decision: Decision,
    /// Paths that the mask removed, as OPA writes them.
    pub erased: Vec<String>,
    /// Paths whose value the mask replaced or added, as OPA writes them.
    pub masked: Vec<String>,
}

impl MaskedDecision {
    /// Its bytes in a frame, at most.
    #[must_use]
    pub fn length(&self) -> usize {
        let Self { input, decision, erased, masked } = self;
        let texts = decision.redact.iter().chain(&decision.reason).chain(erased).chain(masked);
        let input = input.as_ref().map_or(0, |text| text.as_str().len());
        texts.map(|text| text.len() + TEXT_OVERHEAD).fold(input, usize::saturating_add)
    }
}

impl Mask {
    pub(crate) fn is_within_limits(&self) -> bool {
        match self {
            Self::Absent | Self::TooLarge => true,
            Self::Failed(reason) => reason.len() <= MAX_DIAGNOSTIC_STRING,
            Self::Applied(applied) => {
                let MaskedDecision { input, decision, erased, masked } = &**applied;
                applied.length() <= MAX_MASKED
                    && input.as_ref().is_none_or(JsonText::is_valid)
                    && decision.is_within_limits()
                    && erased.len().saturating_add(masked.len()) <= MAX_MASK_PATHS
            }
        }
    }
}
