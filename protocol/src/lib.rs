//! The names, the frames and the codec that supervisor and worker share.
//!
//! Nothing here does I/O and nothing here knows of tokio, axum or regorus, so that both sides can
//! share it without inheriting each other's dependencies. A frame that was decoded is within every
//! limit of its kind; the receiver decides whether it fits its state.

mod codec;
mod decision;
mod diagnostic;
mod frame;
mod identifiers;
mod inspection;
mod json;
mod limits;
mod mask;
mod outcome;
mod query;
mod rate_limit;
mod sandbox;

pub use codec::{DecodeError, EncodeError, Frame, FrameBuffer, FrameTooLong, append_frame, decode};
pub use decision::Decision;
pub use diagnostic::{Diagnostic, DiagnosticCode, Location};
pub use frame::{FromWorker, LoadSettings, Namespace, TestGate, ToWorker};
pub use identifiers::{InvalidTenantId, Revision, TenantId};
pub use inspection::{
    Explain, ExplainForm, ExplainMode, Findings, Inspection, QuerySource, TestSettings,
};
pub use json::{JsonReport, JsonText};
pub use limits::*;
pub use mask::{Mask, MaskedDecision};
pub use outcome::{BatchItem, DocumentAnswer, Evaluator, Given, Outcome};
pub use query::{BatchQuery, DocumentQuery, InputSource, Query, TextFormat};
pub use rate_limit::{MAX_SHARED_RATE, RateLimiter, SharedRateLimiter};
pub use sandbox::{InvalidSandboxMode, MissingLayer, SandboxLayer, SandboxMode};
