//! Why a worker ended although its supervisor did not end it.

use std::io;

use enforcer_protocol::{DecodeError, EncodeError, FrameTooLong};

use crate::sandbox::error::SandboxError;

/// Why a worker ended although its supervisor did not end it.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Standard input is not the supervisor's socket: somebody started a worker by hand.
    #[error("standard input is not a socket: a worker is started by the supervisor, never by hand")]
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
    /// The supervisor sent a frame that cannot be decoded.
    #[error("the supervisor broke the protocol: {0}")]
    Decode(#[from] DecodeError),
    /// The supervisor sent a frame that has no place where it came.
    #[error("the supervisor broke the protocol: {0}")]
    OutOfOrder(&'static str),
    /// An answer could not be encoded, not even as an error.
    #[error("an answer cannot be sent: {0}")]
    Encode(#[from] EncodeError),
}
