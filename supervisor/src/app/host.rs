//! The supervisor's requirements on its process and its host, fixed or checked before it starts.
//!
//! A shell, a service manager or a container hands down signal masks, limits and a seccomp profile
//! that were meant for something else.

use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

use super::error::{SupervisorError, host};
use crate::clock::{rfc3339, utc_now};

/// The soft limit of open files that most systems begin with.
const CUSTOMARY_DESCRIPTORS: u64 = 1024;

/// File descriptors below which the supervisor cannot serve even one tenant.
const FEW_DESCRIPTORS: u64 = 96;

/// The signal for a file that would grow over its limit (`RLIMIT_FSIZE`), on every architecture of
/// Linux that this runs on. It ends the process unless it is handled; then writing fails.
const SIGXFSZ: i32 = 25;

/// Resets the signal mask and the limits that this process may have inherited. To be called while
/// there is one thread, because threads inherit the signal mask.
///
/// # Errors
/// When the kernel refuses, which it does not.
pub fn prepare_process() -> io::Result<()> {
    // A parent that blocks SIGTERM would make the supervisor impossible to stop.
    SigSet::all().thread_unblock()?;
    Ok(())
}

/// Keeps a limit of file sizes from ending the supervisor: a log that cannot be written is counted.
pub(super) fn survive_full_files() -> Result<(), SupervisorError> {
    // Installing a handler is enough; the signal itself needs no reaction.
    let handler = signal(SignalKind::from_raw(SIGXFSZ));
    handler.map(drop).map_err(host("signal handlers cannot be installed"))
}

/// Checks that the host has the means to read bundles and start workers.
pub(super) fn check() -> Result<(), SupervisorError> {
    if SystemTime::now() < UNIX_EPOCH {
        return Err(SupervisorError::Clock(rfc3339(utc_now())));
    }
    fs::metadata("/proc/self/exe").map_err(|error| SupervisorError::Missing {
        what: "the file system /proc",
        purpose: "start workers",
        error,
        help: "mount it: `mount -t proc proc /proc`, or in a container do not hide it",
    })?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH);
    match openat2(AT_FDCWD, ".", how) {
        Ok(_) => Ok(()),
        Err(error @ (Errno::ENOSYS | Errno::EPERM)) => Err(SupervisorError::Missing {
            what: "the system call openat2(2)",
            purpose: "read bundles without leaving their directories",
            error: error.into(),
            help: "Linux has it since 5.6: allow it in the seccomp profile of the container or unit",
        }),
        // The call exists; the working directory may not.
        Err(_) => Ok(()),
    }
}

/// Every worker and every client takes one file descriptor or more, and the customary limit of 1024
/// is for programs that use `select(2)`. Returns the limit that holds now.
pub(super) fn raise_descriptor_limit() -> u64 {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    let limit = raised.unwrap_or_else(|error| {
        warn!("the limit of open files cannot be raised: {error}");
        getrlimit(Resource::RLIMIT_NOFILE).map_or(CUSTOMARY_DESCRIPTORS, |(soft, _)| soft)
    });
    if limit < FEW_DESCRIPTORS {
        warn!(
            "the limit of open files is {limit}, too few for workers and clients: raise it (ulimit -n, LimitNOFILE=)"
        );
    }
    limit
}

/// Lowers the priority of this thread by `niceness`.
pub(super) fn lower_priority(niceness: i32) {
    // Where the kernel refuses, the thread competes with those that decide: worse, and not an
    // error.
    let _ = rustix::process::nice(niceness);
}
