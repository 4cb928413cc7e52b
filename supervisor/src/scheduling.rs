//! Who interrupts whom where processors are short: whoever answers requests, whatever does not.
//!
//! A worker that comes up, a bundle that is read and an event that is streamed are nobody's request,
//! but each of them has somebody who waits for it, so none gets a smaller share than it would have.
//! What differs is the slice: how long a task runs before it is another's turn. The kernel
//! (`EEVDF`, <https://docs.kernel.org/scheduler/sched-eevdf.html>) lets one that wakes with a shorter
//! slice interrupt one that has a longer one, as long as it has not had more than its share. Without
//! that, one that wakes waits for the end of the slice, which is only looked for when the timer
//! ticks: 4 ms, four times in a decision, on most kernels.
//!
//! Slices are inherited by threads and processes. So the supervisor asks for short ones before it
//! has a second thread, threads whose work is no request's ask for long ones, among them the one
//! that starts workers, and a worker has its slices shortened when it serves. A worker cannot do it
//! itself: the call is not on its list.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::warn;

/// The slice of who answers requests: the shortest that the kernel grants. A decision of the README's
/// policy takes 20 µs of it, and 90 where all caches are cold.
const SERVING: Duration = Duration::from_micros(100);

/// The slice of all else: about the longest that the kernel gives by itself (0.7 ms, times four on
/// eight processors), so that it is interrupted but not slowed.
const ASIDE: Duration = Duration::from_millis(3);

/// Sets the slice of a process, or, for 0, of the calling thread.
///
/// It takes a system call that no safe wrapper has, and unsafe code is the sandbox's alone.
pub type SetSlice = fn(process: u32, slice: Duration) -> io::Result<()>;

/// Gives out slices.
#[derive(Clone, Debug)]
pub(crate) struct Slices {
    set: SetSlice,
    /// Whether it was said that workers cannot be given any.
    is_refusal_told: Arc<AtomicBool>,
}

impl Slices {
    /// Gives out slices by this call, the first to the calling thread and so to all that it starts.
    pub(crate) fn begin(set: SetSlice) -> Self {
        let refused = set(0, SERVING).err();
        if let Some(error) = &refused {
            warn!(
                "requests may wait for workers that start, because no slices can be had here: {error}"
            );
        }
        Self { set, is_refusal_told: Arc::new(refused.is_some().into()) }
    }

    /// For tests of others: gives out none.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { set: |_, _| Ok(()), is_refusal_told: Arc::default() }
    }

    /// The calling thread does what is no request's.
    pub(crate) fn stand_aside(&self) {
        // Where that is refused, so was the first, which was said.
        let _ = (self.set)(0, ASIDE);
    }

    /// Does what may block, or takes long, on a thread that stands aside.
    pub(crate) fn spawn_aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let slices = self.clone();
        spawn_blocking(move || {
            slices.stand_aside();
            work()
        })
    }

    /// A worker, which began with the slice of who started it, answers requests from now on.
    pub(crate) fn serve(&self, worker: u32) {
        match (self.set)(worker, SERVING) {
            // It has ended meanwhile, which is noticed elsewhere.
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {}
            Err(error) if !self.is_refusal_told.swap(true, Ordering::Relaxed) => warn!(
                "workers that serve may wait for those that start, because their slices cannot be set: {error}; for workers of other users that takes CAP_SYS_NICE"
            ),
            _ => {}
        }
    }
}
