//! The margins of a request's deadline, in the order in which they pass.
//!
//! ```text
//! deadline            the engine's own timer stops the evaluation; its answer is the best one
//!  + ANSWER_MARGIN    the request is answered as timed out, without the worker's answer
//!  + KILL_MARGIN      the worker is stuck: it is killed
//!  + DRAIN_MARGIN     a replaced worker has no request left: it is killed
//! ```

use std::time::Duration;

/// How long after its deadline a request is answered as timed out without the worker's answer. The
/// engine watches the same deadline, and its own answer is the better one.
pub(crate) const ANSWER_MARGIN: Duration = Duration::from_millis(10);

/// How long after its deadline an evaluation counts as stuck, and its worker is killed. A built-in
/// that the engine's timer cannot interrupt is stuck; a worker that other processes keep from the
/// processor is not, and should not be killed for it.
pub(crate) const KILL_MARGIN: Duration = Duration::from_millis(500);

/// How long beyond its tenant's evaluation timeout a worker that was replaced may take to finish
/// its requests. Longer than [`KILL_MARGIN`], so each of them was answered or abandoned by then.
pub(crate) const DRAIN_MARGIN: Duration = Duration::from_secs(1);
