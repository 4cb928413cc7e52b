//! The system calls that no safe wrapper has.
#![allow(unsafe_code, reason = "each is one system call; what it needs stands at its block")]

use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::libc;

/// Closes every descriptor from `first` on (`close_range(2)`).
pub(super) fn close_from(first: RawFd) -> Result<(), Errno> {
    let first = libc::c_uint::try_from(first).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `close_range` reads no memory of ours. That nobody's descriptor is closed under them
    // is the caller's care: it is called first of all, when the process owns 0, 1 and 2 only.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    Errno::result(result).map(drop)
}

/// Sets the slice of a process, or, for 0, of the calling thread (`sched_setattr(2)`, from Linux 6.12
/// on). All else about how it is scheduled stays as it is.
pub(super) fn set_slice(process: libc::pid_t, nanoseconds: u64) -> Result<(), Errno> {
    let size = u32::try_from(size_of::<libc::sched_attr>()).map_err(|_| Errno::EINVAL)?;
    let mut attributes = libc::sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: `sched_getattr` writes at most `size` bytes to where there are so many, and which nobody
    // else refers to meanwhile. Whatever it writes is valid, for all are integers.
    let result = unsafe {
        libc::syscall(libc::SYS_sched_getattr, process, &raw mut attributes, size, 0_u32)
    };
    Errno::result(result)?;
    // Elsewhere, what is called the run time is another thing.
    let has_slices = [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE]
        .iter()
        .any(|policy| u32::try_from(*policy) == Ok(attributes.sched_policy));
    // Older kernels have no such thing, and take it without a word.
    if !has_slices || attributes.sched_runtime == 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    attributes.sched_runtime = nanoseconds;
    // SAFETY: `sched_setattr` reads as many bytes as `size` in them says, and so many are there. It
    // writes nothing but that field, where it is refused for its length.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setattr, process, &raw mut attributes, 0_u32) };
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
