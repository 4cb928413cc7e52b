//! One tenant's policy engine, in a process of its own.
//!
//! A worker is synchronous and single-threaded. It holds one socket, gets exactly one bundle in its
//! life, and ends when its supervisor does. Nothing in it knows of another tenant.

mod bundle;
mod clock;
mod contradictions;
mod decision;
mod diagnostics;
mod engine;
mod input;
mod sandbox;
mod serve;
mod value;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use enforcer_protocol::{DecodeError, EncodeError, FrameTooLong};

pub use sandbox::{BoundedAllocator, SandboxError};

#[doc(hidden)]
pub mod fuzzing {
    //! What the fuzz targets call; no part of the crate's interface.
    pub use crate::bundle::Assembly;
    pub use crate::input::Document;
}

/// Why a worker ended other than by its supervisor's word.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Standard input is not the supervisor's socket: somebody started a worker by hand.
    #[error("standard input is no socket: a worker is started by the supervisor, never by hand")]
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
    /// The supervisor sent a frame that is none.
    #[error("the supervisor broke the protocol: {0}")]
    Decode(#[from] DecodeError),
    /// The supervisor sent a frame that has no place where it came.
    #[error("the supervisor broke the protocol: {0}")]
    OutOfOrder(&'static str),
    /// An answer could not be encoded, not even as an error.
    #[error("an answer cannot be sent: {0}")]
    Encode(#[from] EncodeError),
}

/// Runs a worker on the socket that is its standard input, until the supervisor ends it.
///
/// # Errors
/// When it cannot start or cannot go on; a policy that is broken or fails is no error here, it is
/// an answer.
pub fn run() -> Result<(), WorkerError> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let socket = UnixStream::from(socket);
    let sealed = sandbox::lockdown(&socket)?;
    serve::serve(&sealed, socket)
}
