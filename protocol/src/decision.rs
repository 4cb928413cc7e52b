//! A policy's decision.

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::limits::{MAX_DECISION_STRING, MAX_REDACTIONS};

/// A policy's answer. It travels as typed fields, never as JSON text that could be spliced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Decision {
    /// Whether the request is allowed.
    pub allow: bool,
    /// Paths that the gateway must remove from the data that it passes on.
    pub redact: Vec<String>,
    /// The policy's own explanation.
    pub reason: Option<String>,
}

impl Decision {
    pub(crate) fn is_within_limits(&self) -> bool {
        self.redact.len() <= MAX_REDACTIONS
            && self.redact.iter().chain(&self.reason).all(|text| text.len() <= MAX_DECISION_STRING)
    }
}
