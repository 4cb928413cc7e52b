//! Inspections for the commands: bundles that nobody serves, one after the other, each in a worker
//! of its own, in the same sandbox as one that serves.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use enforcer_protocol::{Findings, Inspection, MAX_REQUEST_BODY, Namespace, TenantId};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

use super::error::{SupervisorError, host as host_error};
use super::host::check;
use super::prepare_sandbox;
use crate::bundles::limits::MAX_BUNDLE_BYTES;
use crate::bundles::read::read;
use crate::bundles::source::{ARCHIVE_SUFFIX, Source};
use crate::config::{Config, SandboxConfig, TenantLimits, WorkerUsers};
use crate::inspection::{ANSWER_TIME, InspectionError, Subject};
use crate::isolation::context::SandboxContext;
use crate::isolation::users::{UserLease, Users};
use crate::worker::spawn::{Order, spawn};

/// How long all tests of a bundle may take together. Each has a time of its own; this ends a suite
/// with very many that hang.
const TESTS_TIME: Duration = Duration::from_secs(600);

/// The id of a bundle that is no tenant's, where its name is not a valid one. It is shown in the
/// list of processes.
const NO_TENANT: &str = "bundle";

/// As whose bundle a path is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loading {
    /// A bundle in `BUNDLES_DIR` as its tenant's, any other as nobody's.
    ByPlace,
    /// As this tenant's, with its settings.
    Tenant(TenantId),
    /// As nobody's: it may define any package, and no rule of it decides.
    Open,
}

/// A bundle, and how it is loaded.
#[derive(Debug)]
pub struct BundleSubject {
    path: PathBuf,
    /// `None` if it is no tenant's.
    tenant_id: Option<TenantId>,
    limits: TenantLimits,
}

/// Why there are no findings about a bundle.
#[derive(Debug, thiserror::Error)]
pub enum NoFindings {
    /// The bundle cannot be read, so nobody could serve it.
    #[error("{0}")]
    Unreadable(String),
    /// The bundle needs more memory than its tenant may have.
    #[error(
        "the bundle was ended: it needs more than {0} MiB of memory (ENFORCER_MEMORY_LIMIT_MIB)"
    )]
    Memory(u64),
    /// The bundle needs too much time.
    #[error("the bundle was ended: it took longer than {0:?}; does a rule never end?")]
    TimedOut(Duration),
    /// The question does not fit into a frame.
    #[error("the input has {0} bytes; a worker takes at most {MAX_REQUEST_BODY}")]
    TooLong(usize),
    /// The worker ended, or broke the protocol: a fault of this program.
    #[error("the worker ended before it answered: {0}; please report it with the bundle")]
    Ended(String),
    /// The host cannot start a worker.
    #[error("no worker can be started: {0}")]
    Host(String),
}

/// Inspects bundles. Dropping it ends everything that it started.
#[derive(Debug)]
pub struct BundleInspector {
    runtime: Runtime,
    context: SandboxContext,
    config: Config,
}

impl BundleInspector {
    /// Prepares the sandbox of the configuration. It has to be dropped by the thread that made it:
    /// workers end with the thread that started them.
    ///
    /// # Errors
    /// Where workers cannot be sandboxed here as configured.
    pub fn new(config: &Config) -> Result<Self, SupervisorError> {
        check()?;
        let refused = host_error("the runtime cannot be started");
        let runtime = Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let mut config = config.clone();
        config.sandbox = beside_a_supervisor(&config.sandbox);
        let context = runtime.block_on(prepare_sandbox(&config))?;
        Ok(Self { runtime, context, config })
    }

    /// The bundle at a path, and as whose it is loaded.
    #[must_use]
    pub fn subject(&self, path: &Path, loading: &Loading) -> BundleSubject {
        let tenant_id = match loading {
            Loading::ByPlace => tenant_of(path, &self.config.bundles_dir),
            Loading::Tenant(tenant_id) => Some(tenant_id.clone()),
            Loading::Open => None,
        };
        let limits = match &tenant_id {
            Some(tenant_id) => self.config.limits(tenant_id),
            None => self.config.limits_of_others().clone().without_tenant(),
        };
        BundleSubject { path: path.to_owned(), tenant_id, limits }
    }

    /// Asks about a bundle. `body` is the request that the question is about.
    ///
    /// # Errors
    /// When there are no findings.
    pub fn inspect(
        &self,
        subject: &BundleSubject,
        inspection: Inspection,
        body: &[u8],
    ) -> Result<Findings, NoFindings> {
        if body.len() > MAX_REQUEST_BODY {
            return Err(NoFindings::TooLong(body.len()));
        }
        let BundleSubject { path, tenant_id, limits } = subject;
        let verification = match tenant_id {
            Some(tenant_id) => self.config.verification(tenant_id),
            None => self.config.verification_of_others(),
        };
        let bundle =
            read(&Source::At(path.to_owned()), MAX_BUNDLE_BYTES.min(limits.memory), verification)
                .map_err(|error| NoFindings::Unreadable(error.to_string()))?;
        let answer_time = match inspection {
            Inspection::Tests(_) => TESTS_TIME,
            _ => ANSWER_TIME,
        };
        let host = |error: io::Error| NoFindings::Host(error.to_string());
        let tenant_id = match tenant_id.clone().or_else(|| name_of(path)) {
            Some(tenant_id) => tenant_id,
            None => NO_TENANT.parse().map_err(io::Error::other).map_err(host)?,
        };
        let answer = self.runtime.block_on(async {
            let lease = self.context.users.as_ref().and_then(Users::lease);
            let user = lease.as_ref().map(UserLease::id);
            let order = Order { tenant_id: tenant_id.clone(), limits: limits.clone(), user };
            let mode = self.context.mode;
            let process = spawn(&self.context, mode, &TaskTracker::new(), &order)
                .map_err(|error| InspectionError::Host(error.to_string()))?;
            let subject = Subject { tenant_id: &tenant_id, limits, bundle: &bundle, answer_time };
            subject.ask(process, mode, inspection, body).await
        });
        answer.map_err(|error| match error {
            InspectionError::Memory => NoFindings::Memory(limits.memory >> 20),
            InspectionError::TimedOut => NoFindings::TimedOut(limits.load_timeout + answer_time),
            InspectionError::Host(why) => NoFindings::Host(why),
            error @ (InspectionError::NoBundle | InspectionError::TooMany) => {
                NoFindings::Ended(error.to_string())
            }
            InspectionError::Ended(why) => NoFindings::Ended(why),
        })
    }
}

impl BundleSubject {
    /// The tenant as whose bundle it is loaded.
    #[must_use]
    pub const fn tenant_id(&self) -> Option<&TenantId> {
        self.tenant_id.as_ref()
    }

    /// Whether its packages have to be below `tenants.<id>`.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.limits.namespace == Namespace::Strict
    }

    /// The keys below `data` of the rule that decides; empty where none does.
    #[must_use]
    pub fn entrypoint(&self) -> Vec<String> {
        match &self.tenant_id {
            Some(tenant_id) => {
                self.limits.entrypoint(tenant_id).into_iter().map(str::to_owned).collect()
            }
            None => Vec::new(),
        }
    }

    /// How long an answer may take.
    #[must_use]
    pub fn answer_time(&self) -> Duration {
        self.limits.load_timeout + ANSWER_TIME
    }
}

/// The sandbox of a command, beside which a supervisor may run on the same host.
fn beside_a_supervisor(config: &SandboxConfig) -> SandboxConfig {
    // A supervisor gives out the first users of the range, and the last one at last.
    let users = match &config.users {
        WorkerUsers::None => WorkerUsers::None,
        WorkerUsers::Auto(range) => WorkerUsers::Auto(*range.end()..=*range.end()),
        WorkerUsers::Range(range) => WorkerUsers::Range(*range.end()..=*range.end()),
    };
    // A command runs in the control group of its shell, which is not its own to divide.
    SandboxConfig { users, control_groups: false, ..config.clone() }
}

/// The tenant whose bundle is at a path: the path is in `bundles_dir`, and its name is an id.
fn tenant_of(path: &Path, bundles_dir: &Path) -> Option<TenantId> {
    let path = path.canonicalize().ok()?;
    (path.parent()? == bundles_dir.canonicalize().ok()?).then_some(())?;
    name_of(&path)
}

/// A bundle's name, if it is the id of a tenant.
fn name_of(path: &Path) -> Option<TenantId> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    name.strip_suffix(ARCHIVE_SUFFIX).unwrap_or(name).parse().ok()
}
