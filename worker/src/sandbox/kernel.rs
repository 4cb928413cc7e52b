//! The system calls that have no safe wrapper.
#![allow(unsafe_code, reason = "each is one system call; its preconditions stand at its block")]

use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::libc;

/// Closes every file descriptor from `first` on (`close_range(2)`).
pub(super) fn close_from(first: RawFd) -> Result<(), Errno> {
    let first = libc::c_uint::try_from(first).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `close_range` reads no memory of ours. The caller makes sure that no descriptor in
    // use is closed: it is the first step, when the process owns only 0, 1 and 2.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    Errno::result(result).map(drop)
}

/// Refuses executable memory that is or was writable, from now on (`PR_SET_MDWE(2const)`).
pub(super) fn refuse_executable_memory() -> Result<(), Errno> {
    let unused: libc::c_ulong = 0;
    let flags = libc::c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN);
    // SAFETY: this `prctl` takes integers only, and the unused ones are zero, as it wants them.
    let result = unsafe { libc::prctl(libc::PR_SET_MDWE, flags, unused, unused, unused) };
    Errno::result(result).map(drop)
}
