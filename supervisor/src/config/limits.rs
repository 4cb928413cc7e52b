//! The limits of one tenant.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::{Namespace, TenantId};
use serde::Serialize;

/// The limits of one tenant.
#[derive(Clone, Debug)]
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
    /// The packages that its bundle may define.
    pub(crate) namespace: Namespace,
    /// The rule that decides, where it is not `allow` of the tenant's package.
    pub(crate) entrypoint: Option<Entrypoint>,
    /// Largest result of the Data API, in bytes of its JSON.
    pub(crate) max_result: usize,
    /// Whether clients may bring queries of their own.
    pub(crate) query_api: bool,
    /// Whether its own tests have to pass before it serves.
    pub(crate) run_tests: RunTests,
    /// Whether its events have inputs.
    pub(crate) stream_inputs: StreamInputs,
    /// Inspections of its bundle in a second.
    pub(crate) inspections: u32,
    /// How much its clients may ask for.
    pub(crate) quotas: TenantQuotas,
}

/// The quotas of one tenant. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TenantQuotas {
    pub(crate) decisions: Option<DecisionQuota>,
    /// Requests in progress.
    pub(crate) concurrent_requests: Option<NonZeroU32>,
    /// Bytes of request bodies in a second.
    pub(crate) body_bytes_per_second: Option<NonZeroU64>,
    /// Consumers of the tenant's own decision stream.
    pub(crate) stream_consumers: Option<NonZeroU32>,
}

/// How many decisions a tenant may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecisionQuota {
    pub(crate) per_second: NonZeroU64,
    /// At once, after a time with fewer.
    pub(crate) burst: NonZeroU64,
}

impl TenantLimits {
    /// The keys below `data` of the rule that decides.
    pub(crate) fn entrypoint<'a>(&'a self, tenant_id: &'a TenantId) -> Vec<&'a str> {
        match &self.entrypoint {
            Some(Entrypoint(keys)) => keys.iter().map(String::as_str).collect(),
            None => vec![TENANTS, tenant_id.as_str(), DEFAULT_RULE],
        }
    }

    /// The limits of a bundle that is no tenant's: it may define any package, and no rule of it
    /// decides.
    pub(crate) fn without_tenant(self) -> Self {
        let entrypoint = Some(Entrypoint(Arc::new([])));
        Self { namespace: Namespace::Open, entrypoint, ..self }
    }

    /// The keys below `data` of the document that clients see as the tenant's own: a strict
    /// tenant's package, or all of an open tenant's data.
    pub(crate) fn root<'a>(&self, tenant_id: &'a TenantId) -> Vec<&'a str> {
        match self.namespace {
            Namespace::Strict => vec![TENANTS, tenant_id.as_str()],
            Namespace::Open => Vec::new(),
        }
    }
}

/// Below `data`, where the rules of strict tenants are.
pub(super) const TENANTS: &str = "tenants";

/// The rule of a tenant's package that decides.
const DEFAULT_RULE: &str = "allow";

/// A rule, by its keys below `data`. It has at least one, except in a bundle that is no tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entrypoint(pub(super) Arc<[String]>);

/// The evaluators that a tenant's policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvaluatorChoice {
    /// Bytecode, where the bundle is small enough for it.
    Auto,
    /// The interpreter, always.
    Interpreter,
}

/// Whether a bundle's own tests decide about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunTests {
    /// They are not loaded.
    Ignore,
    /// They have to pass.
    Require,
}

/// Whether the events of a tenant have the inputs of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamInputs {
    /// They have, as far as the policy's mask leaves them.
    Show,
    /// They have none.
    Omit,
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
