//! How much a worker may allocate.
//!
//! The engine has a limit of its own, but only together with an allocator that takes several times
//! the memory for every tenant (ARCHITECTURE.md has the figures). So the limit is kept where every
//! allocation passes: whoever comes over it ends at once, with an exit code that says why, and the
//! supervisor answers the request that it was at.
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its interface, _exit and mallopt by their origin"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};

use enforcer_protocol::{EXIT_MEMORY_LIMIT, EXIT_NO_MEMORY};
use nix::libc;

/// No limit: of every process that is no worker, and of a worker that does not know its own yet.
const UNLIMITED: i64 = i64::MAX;

static LIMIT: AtomicI64 = AtomicI64::new(UNLIMITED);

/// What was allocated since there is a limit, less what was freed. Plain loads and stores: a worker
/// has one thread, and nobody else has a limit.
static ALLOCATED: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, with the limit that a worker gets. It belongs into the binary as its
/// `#[global_allocator]`; a process without a limit pays one load for it.
#[derive(Debug)]
pub struct BoundedAllocator;

/// Has large pieces of memory given back to the system as soon as they are freed, for a process that
/// lives long and has some now and then. Left alone, glibc takes the first one that is freed for a
/// sign that more will come, and keeps up to 32 MiB of each size in every arena (`mallopt(3)`).
///
/// Where the system's allocator is another, nothing is changed.
pub fn give_back_large_memory() {
    #[cfg(target_env = "gnu")]
    {
        /// glibc's own, from before it learns.
        const THRESHOLD: libc::c_int = 128 * 1024;
        // SAFETY: `mallopt` has no preconditions and takes the allocator's lock. It fails only where
        // the parameter or its value is not known, and has then changed nothing.
        let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD) };
    }
}

/// Limits what this process may have allocated from now on to `bytes`.
pub(super) fn limit_allocations(bytes: u64) {
    LIMIT.store(i64::try_from(bytes).unwrap_or(UNLIMITED), Ordering::Relaxed);
}

fn count(more: usize, less: usize) {
    let limit = LIMIT.load(Ordering::Relaxed);
    if limit == UNLIMITED {
        return;
    }
    let signed = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
    let before = ALLOCATED.load(Ordering::Relaxed);
    let after = before.saturating_sub(signed(less)).saturating_add(signed(more));
    ALLOCATED.store(after, Ordering::Relaxed);
    if after > limit {
        exit(EXIT_MEMORY_LIMIT);
    }
}

/// Sees to it that a worker that gets no memory says so by its exit code. Whether the host has none,
/// or the kernel's limit was reached, it cannot tell.
fn checked(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() && LIMIT.load(Ordering::Relaxed) != UNLIMITED {
        exit(EXIT_NO_MEMORY);
    }
    pointer
}

fn exit(code: u8) -> ! {
    // SAFETY: `_exit` ends the process and has no preconditions. It runs no destructors and takes
    // no locks (`_exit(2)`), which is what makes it safe to be called by an allocator.
    unsafe { libc::_exit(i32::from(code)) }
}

// SAFETY: every method passes its arguments on to `System` as they are and returns what `System`
// returns, so whoever keeps to `GlobalAlloc`'s contract keeps to `System`'s, and `System` keeps to
// it in return. What is done beside that touches two atomics, allocates nothing and does not
// unwind.
unsafe impl GlobalAlloc for BoundedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's contract is the same as this callee's.
        checked(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's contract is the same as this callee's.
        checked(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size, layout.size());
        // SAFETY: the caller's contract is the same as this callee's.
        checked(unsafe { System.realloc(pointer, layout, new_size) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's contract is the same as this callee's.
        unsafe { System.dealloc(pointer, layout) }
    }
}
