//! The names, the frames and the codec that supervisor and worker share.
//!
//! Nothing here does I/O and nothing here knows of tokio, axum or regorus, so that both sides can
//! share it without inheriting each other's dependencies. A frame that was decoded is within every
//! limit of its kind; the receiver decides whether it fits its state.

mod codec;
mod frame;
mod identifiers;
mod inspection;
mod json;
mod limits;
mod query;
mod rate_limit;
mod sandbox;

pub use codec::{DecodeError, EncodeError, Frame, FrameBuffer, FrameTooLong, append_frame, decode};
pub use frame::{
    BatchItem, Decision, Diagnostic, DiagnosticCode, DocumentAnswer, Evaluator, FromWorker, Given,
    LoadSettings, Location, Namespace, Outcome, TestGate, ToWorker,
};
pub use identifiers::{InvalidTenantId, Revision, TenantId};
pub use inspection::{
    Explain, ExplainForm, ExplainMode, Findings, Inspection, QuerySource, TestSettings,
};
pub use json::{JsonReport, JsonText};
pub use limits::*;
pub use query::{BatchQuery, DocumentQuery, InputSource, Query, TextFormat};
pub use rate_limit::RateLimiter;
pub use sandbox::{InvalidSandboxMode, MissingLayer, SandboxLayer, SandboxMode};
