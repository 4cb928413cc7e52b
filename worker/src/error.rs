//! Why a worker ended although its supervisor did not tell it to.

use std::io;

use enforcer_protocol::{DecodeError, EncodeError, FrameTooLong};

use crate::sandbox::error::SandboxError;

/// Why a worker ended although its supervisor did not tell it to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Standard input is not the supervisor's socket: somebody started a worker by hand.
    #[error("standard input is not a socket: workers are started by the supervisor only")]
    NotStartedBySupervisor,
    /// The sandbox could not be set up. This is the host's fault, not the tenant's.
    #[error("the sandbox cannot be set up: {0}")]
    Sandbox(#[from] SandboxError),
    /// The socket failed.
    #[error("the supervisor's socket failed: {0}")]
    Socket(#[from] io::Error),
    /// The supervisor sent a frame longer than the protocol allows.
    #[error("the supervisor broke the protocol: {0}")]
    FrameTooLong(#[from] FrameTooLong),
    /// The supervisor sent bytes that are not a valid frame.
    #[error("the supervisor broke the protocol: {0}")]
    Decode(#[from] DecodeError),
    /// The supervisor sent a frame that is not allowed in this state.
    #[error("the supervisor broke the protocol: {0}")]
    OutOfOrder(&'static str),
    /// An answer could not be encoded, not even as an error.
    #[error("an answer cannot be sent: {0}")]
    Encode(#[from] EncodeError),
}
