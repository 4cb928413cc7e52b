//! Why a worker could not close its sandbox, and how its exit code says so.

use std::io;

use nix::errno::Errno;

/// A mandatory layer that could not be put in force. It is the host's fault, not the tenant's.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A descriptor that is not the worker's own may still be open.
    #[error("inherited file descriptors cannot be closed: {0}")]
    Descriptors(Errno),
    /// Another thread would not be sealed.
    #[error("the process has {0} threads and must have one")]
    Threads(usize),
    /// The process's own state cannot be read from `/proc`.
    #[error("/proc/self cannot be read: {0}")]
    Proc(io::Error),
    /// Something was left in the environment, where a tenant's code could read it.
    #[error("the environment is not empty")]
    Environment,
    /// Signals that are meant for the supervisor would end the worker.
    #[error("signals cannot be blocked: {0}")]
    Signals(Errno),
    /// An evaluation would wait for the reader of its standard error.
    #[error("standard error cannot be made non-blocking: {0}")]
    StandardError(Errno),
    /// The process would run as the supervisor's user.
    #[error("it cannot run as user {user}: {error}")]
    User {
        /// The tenant's user.
        user: u32,
        /// Why not.
        error: Errno,
    },
    /// The process would keep a capability.
    #[error("capabilities cannot be dropped: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    /// The kernel will not end this process with its supervisor.
    #[error("the parent-death signal cannot be set: {0}")]
    ParentDeathSignal(Errno),
    /// The supervisor was gone before the parent-death signal was set.
    #[error("the supervisor is gone")]
    Orphaned,
    /// Other processes could look into this one.
    #[error("the process cannot be made undumpable: {0}")]
    Dumpable(Errno),
    /// An exec could gain privileges.
    #[error("no_new_privs cannot be set: {0}")]
    NoNewPrivileges(Errno),
    /// Files could be reached.
    #[error("Landlock cannot restrict access to files: {0}")]
    Landlock(String),
    /// Only the seccomp filter would keep the worker from the network.
    #[error(
        "the network cannot be closed off: a network namespace must be available, or Landlock with network rules (Linux 6.7)"
    )]
    Network,
    /// The worker could use an unlimited amount of a resource.
    #[error("{resource} cannot be limited: {error}")]
    ResourceLimit {
        /// Which resource.
        resource: &'static str,
        /// Why not.
        error: Errno,
    },
    /// Any system call could be made.
    #[error("the seccomp filter cannot be installed: {0}")]
    Filter(String),
}

impl SandboxError {
    /// The exit code that tells the supervisor which step failed: one of
    /// [`EXIT_NOT_SEALED`](enforcer_protocol::EXIT_NOT_SEALED).
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Descriptors(_) => 80,
            Self::Threads(_) => 81,
            Self::Proc(_) => 82,
            Self::Environment => 83,
            Self::Signals(_) => 84,
            Self::StandardError(_) => 85,
            Self::User { .. } => 86,
            Self::Capabilities(_) => 87,
            Self::ParentDeathSignal(_) => 88,
            Self::Orphaned => 89,
            Self::Dumpable(_) => 90,
            Self::NoNewPrivileges(_) => 91,
            Self::Landlock(_) => 92,
            Self::Network => 93,
            Self::ResourceLimit { .. } => 94,
            Self::Filter(_) => 95,
        }
    }
}
