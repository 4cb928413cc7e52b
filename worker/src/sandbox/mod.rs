//! What a worker gives up before it reads the first byte of a tenant.
//!
//! The order is a type: [`lockdown`] returns the [`Sealed`] that serving needs.

mod memory;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use enforcer_protocol::SandboxLayer;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{close, getppid};

use crate::WorkerError;

pub use memory::BoundedAllocator;
pub(crate) use memory::limit_memory;

/// Proof that the sandbox is closed. Only [`lockdown`] makes one.
#[derive(Debug)]
pub(crate) struct Sealed {
    layers: Vec<SandboxLayer>,
}

impl Sealed {
    /// For tests of what comes after: nothing is sealed.
    #[cfg(test)]
    pub(crate) const fn not_at_all() -> Self {
        Self { layers: Vec::new() }
    }

    /// The layers in force, for the first frame.
    pub(crate) fn layers(&self) -> &[SandboxLayer] {
        &self.layers
    }
}

/// A layer that could not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A descriptor that is not the worker's own may still be open.
    #[error("inherited descriptors cannot be closed: {0}")]
    Descriptors(io::Error),
    /// Something was left in the environment, where a tenant's code could read it.
    #[error("the environment is not empty")]
    Environment,
    /// Signals that are meant for the supervisor would end the worker.
    #[error("signals cannot be blocked: {0}")]
    Signals(Errno),
    /// The kernel will not end this process with its supervisor.
    #[error("the parent-death signal cannot be set: {0}")]
    ParentDeathSignal(Errno),
    /// The supervisor was gone before the parent-death signal was set.
    #[error("the supervisor is gone")]
    Orphaned,
    /// An exec could gain privileges.
    #[error("no_new_privs cannot be set: {0}")]
    NoNewPrivileges(Errno),
    /// A crash would write the tenant's data to a file.
    #[error("core files cannot be switched off: {0}")]
    CoreDump(Errno),
    /// The worker could take any amount of memory.
    #[error("memory cannot be limited: {0}")]
    Memory(Errno),
}

/// Closes the sandbox around this process, whose only way out is `socket`.
pub(crate) fn lockdown(socket: &UnixStream) -> Result<Sealed, WorkerError> {
    let supervisor = getsockopt(socket, PeerCredentials).map_err(|error| match error {
        Errno::ENOTSOCK => WorkerError::NotStartedBySupervisor,
        other => WorkerError::Socket(io::Error::from(other)),
    })?;

    close_inherited(socket)?;
    if std::env::vars_os().next().is_some() {
        return Err(SandboxError::Environment.into());
    }

    block_signals()?;
    never_wait_for_stderr()?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::ParentDeathSignal)?;
    // The supervisor may have died before the signal was set. Its end of the socket names the
    // process that made it, which has to be the one that the signal waits for.
    if getppid().as_raw() != supervisor.pid() {
        return Err(SandboxError::Orphaned.into());
    }

    prctl::set_no_new_privs().map_err(SandboxError::NoNewPrivileges)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(SandboxError::CoreDump)?;

    Ok(Sealed {
        layers: vec![
            SandboxLayer::OwnDescriptorsOnly,
            SandboxLayer::EmptyEnvironment,
            SandboxLayer::ParentDeathSignal,
            SandboxLayer::NoNewPrivileges,
            SandboxLayer::NoCoreDump,
        ],
    })
}

/// Leaves the signals that end a service to the supervisor. A terminal's Ctrl-C and systemd's stop
/// reach every process of the group, and a worker that ended by them would leave requests without
/// the answer that shutting down gives them. The supervisor ends its workers itself.
fn block_signals() -> Result<(), SandboxError> {
    let blocked =
        SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]);
    blocked.thread_block().map_err(SandboxError::Signals)
}

/// Lets writing to standard error fail where nobody reads it: an evaluation must not wait for its
/// policy's output. The pipe's writing end is this process's alone.
fn never_wait_for_stderr() -> Result<(), SandboxError> {
    let stderr = io::stderr();
    let set = || {
        let flags = OFlag::from_bits_retain(fcntl(&stderr, FcntlArg::F_GETFL)?);
        fcntl(&stderr, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))
    };
    set().map(drop).map_err(|error| SandboxError::Descriptors(error.into()))
}

/// Closes what the supervisor was itself started with and, not knowing of it, passed on.
fn close_inherited(socket: &UnixStream) -> Result<(), SandboxError> {
    // Standard input is the socket too, and output leads nowhere.
    let own = [0, 1, 2, socket.as_raw_fd()];
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(SandboxError::Descriptors)? {
        let name = entry.map_err(SandboxError::Descriptors)?.file_name();
        open.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    for descriptor in open.into_iter().filter(|descriptor| !own.contains(descriptor)) {
        match close(descriptor) {
            // The descriptor of the listing itself is closed by now.
            Ok(()) | Err(Errno::EBADF) => {}
            Err(error) => return Err(SandboxError::Descriptors(error.into())),
        }
    }
    Ok(())
}
