//! The limits of one tenant.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Serialize;

/// The limits of one tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TenantLimits {
    /// From a request's arrival to its decision.
    pub(crate) evaluation_timeout: Duration,
    /// From spawning a worker to its bundle being loaded.
    pub(crate) load_timeout: Duration,
    /// Largest request body in bytes.
    pub(crate) max_body: usize,
    /// Requests that wait for their answer.
    pub(crate) queue_length: NonZeroUsize,
    /// Bytes that the worker may have allocated.
    pub(crate) memory: u64,
    /// `cpu.weight` of the worker's control group.
    pub(crate) cpu_weight: u16,
    /// Percent of one processor that the worker may use, in its control group.
    pub(crate) cpu_percent: u8,
    pub(crate) activation: Activation,
    /// How long a lazy tenant's worker is kept without a request.
    pub(crate) idle_timeout: Duration,
    pub(crate) evaluator: EvaluatorChoice,
    /// Whether an error in a built-in fails the request.
    pub(crate) strict_builtin_errors: bool,
}

/// The evaluators that a tenant's policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvaluatorChoice {
    /// Bytecode, where the bundle is small enough for it.
    Auto,
    /// The interpreter, always.
    Interpreter,
}

/// When a tenant's worker is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Activation {
    /// As soon as the tenant is known.
    Eager,
    /// On its first request; it ends after a time without requests.
    Lazy,
}
