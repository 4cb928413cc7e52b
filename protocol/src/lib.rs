//! What supervisor and worker say to each other: names, frames, and the one codec.
//!
//! Nothing here does I/O and nothing here knows of tokio, axum or regorus, so that both sides can
//! share it without inheriting each other's dependencies. Frames are plain data: whoever decodes
//! one decides what it may mean in its own state, and may refuse it.

mod codec;
mod frame;
mod identifiers;
mod limits;
mod sandbox;

pub use codec::{DecodeError, EncodeError, FrameBuffer, FrameTooLong, append_frame, decode};
pub use frame::{
    Decision, Diagnostic, DiagnosticCode, Evaluator, FromWorker, Location, Outcome, QueryKind,
    ToWorker,
};
pub use identifiers::{InvalidTenantId, Revision, TenantId};
pub use limits::*;
pub use sandbox::{InvalidSandboxMode, MissingLayer, SandboxLayer, SandboxMode};
