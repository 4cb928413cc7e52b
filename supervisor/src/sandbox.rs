//! The supervisor's part of the workers' sandbox: what a worker cannot give itself.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use caps::CapSet;
use enforcer_protocol::{FromWorker, MissingLayer, PROTOCOL_VERSION, SandboxLayer, SandboxMode};
use nix::fcntl::{OFlag, open};
use nix::sys::prctl;
use nix::sys::stat::Mode;
use nix::unistd::mkdtemp;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::config::{SandboxConfig, TenantLimits, WorkerUsers};
use crate::connection::Connection;
use crate::control_groups::ControlGroups;
use crate::logging::printable;
use crate::spawn::{Order, spawn};
use crate::users::{UserLease, Users};

/// How long a worker that is to say which layers it got may take for it.
const REPORT_TIME: Duration = Duration::from_secs(10);

/// How long such a worker may take to end, once it has said so.
const END_TIME: Duration = Duration::from_millis(500);

/// Bytes of its last words, where it did not.
const WORDS: usize = 1024;

/// The tenant of a worker that is to say which layers it got. No bundle is ever sent to it.
const NOBODY: &str = "sandbox-report";

/// How workers are sandboxed, the same for all of them.
#[derive(Debug)]
pub(crate) struct Sandboxing {
    pub(crate) mode: SandboxMode,
    /// A directory that was removed: there is nothing in it, and nothing can be put there.
    pub(crate) nothing: Option<OwnedFd>,
    /// Where the supervisor may become another user.
    pub(crate) users: Option<Users>,
    /// Where control groups were delegated to it.
    pub(crate) groups: Option<ControlGroups>,
    /// Why what is `None` above is.
    pub(crate) missing: Vec<MissingLayer>,
    /// Whether workers may run as the supervisor's user where they cannot run as another.
    are_users_optional: bool,
}

impl Sandboxing {
    /// Prepares what the host allows.
    ///
    /// # Errors
    /// When the configuration asks for what the host does not allow.
    pub(crate) fn prepare(config: &SandboxConfig) -> io::Result<Self> {
        let mut missing = Vec::new();
        let mut kept = |layer, reason: String| missing.push(MissingLayer { layer, reason });
        if config.mode == SandboxMode::DebugOff {
            kept(SandboxLayer::ControlGroup, "the sandbox is switched off".to_owned());
            return Ok(Self { mode: config.mode, missing, ..Self::bare() });
        }
        let nothing = nothing()
            .map_err(|error| kept(SandboxLayer::EmptyRoot, format!("no empty directory: {error}")))
            .ok();
        let users = match &config.users {
            WorkerUsers::None => {
                let reason = "it is switched off by ENFORCER_WORKER_USERS";
                kept(SandboxLayer::TenantUser, reason.to_owned());
                None
            }
            WorkerUsers::Auto(range) => Users::new(range.clone())
                .map_err(|reason| kept(SandboxLayer::TenantUser, reason))
                .ok(),
            WorkerUsers::Range(range) => Some(Users::new(range.clone()).map_err(io::Error::other)?),
        };
        let groups = if config.control_groups {
            ControlGroups::take_over()
                .map_err(|reason| kept(SandboxLayer::ControlGroup, reason))
                .ok()
        } else {
            let reason = "it is switched off by ENFORCER_CONTROL_GROUPS";
            kept(SandboxLayer::ControlGroup, reason.to_owned());
            None
        };
        let are_users_optional = matches!(config.users, WorkerUsers::Auto(_));
        Ok(Self { mode: config.mode, nothing, users, groups, missing, are_users_optional })
    }

    /// As [`Self::prepare`], and tries it. Where a worker cannot become another user although it
    /// looked as if it could, it does without, unless the configuration insists.
    ///
    /// # Errors
    /// Those of [`Self::prepare`], and when it cannot be tried.
    pub(crate) async fn prepare_and_try(
        config: &SandboxConfig,
        limits: TenantLimits,
    ) -> io::Result<(Self, SandboxReport)> {
        let mut sandboxing = Self::prepare(config)?;
        let mut report = report(&sandboxing, limits).await?;
        let is_user_refused = report.lacks(SandboxLayer::TenantUser);
        if let Some(reason) = is_user_refused.filter(|_| sandboxing.are_users_optional) {
            sandboxing.users = None;
            sandboxing.missing.push(MissingLayer { layer: SandboxLayer::TenantUser, reason });
            report = self::report(&sandboxing, limits).await?;
        }
        Ok((sandboxing, report))
    }

    /// Strict, with nothing of what a host may allow.
    pub(crate) const fn bare() -> Self {
        Self {
            mode: SandboxMode::Strict,
            nothing: None,
            users: None,
            groups: None,
            missing: Vec::new(),
            are_users_optional: true,
        }
    }
}

/// Makes a directory and removes it; what is left can be made a process's root.
fn nothing() -> io::Result<OwnedFd> {
    let template: PathBuf = std::env::temp_dir().join("edge-policy-enforcer-XXXXXX");
    let path = mkdtemp(&template)?;
    // Whoever the worker runs as has to get into it.
    let directory = fs::set_permissions(&path, Permissions::from_mode(0o555)).and_then(|()| {
        // Not O_PATH: Rust's start would take that for a closed output, and open another.
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(open(&path, flags, Mode::empty())?)
    });
    fs::remove_dir(&path)?;
    directory
}

/// Keeps others from looking into this process, and workers from inheriting a privilege. To be
/// called while there is one thread: capabilities are a thread's own.
///
/// # Errors
/// When the kernel refuses, which it does not.
pub fn protect_supervisor() -> io::Result<()> {
    prctl::set_dumpable(false)?;
    caps::clear(None, CapSet::Ambient).map_err(io::Error::other)
}

/// What this host offers for a worker's sandbox, layer by layer.
#[derive(Debug, Serialize)]
pub struct SandboxReport {
    /// Whether a worker may serve here: every layer that it has to have is in force.
    pub is_strict: bool,
    /// Every layer there is.
    pub layers: Vec<LayerReport>,
}

/// One layer of the sandbox on this host.
#[derive(Debug, Serialize)]
pub struct LayerReport {
    /// Which.
    pub layer: SandboxLayer,
    /// Whether no worker serves without it.
    pub is_mandatory: bool,
    /// Whether it was put in force.
    pub is_in_force: bool,
    /// Why not, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl SandboxReport {
    /// `needed` is what has to be there besides what always has to.
    fn new(
        in_force: &[SandboxLayer],
        missing: &[&MissingLayer],
        needed: Option<SandboxLayer>,
    ) -> Self {
        let mut lacking = SandboxLayer::lacking_in(in_force);
        lacking.extend(needed.filter(|layer| !in_force.contains(layer)));
        let layers = SandboxLayer::ALL.iter().map(|layer| {
            let is_in_force = in_force.contains(layer);
            // The first word on it is the supervisor's, who knows better.
            let reason = missing.iter().find(|missing| missing.layer == *layer);
            LayerReport {
                layer: *layer,
                is_mandatory: layer.is_mandatory()
                    || needed == Some(*layer)
                    || lacking.contains(layer),
                is_in_force,
                reason: reason.filter(|_| !is_in_force).map(|missing| missing.reason.clone()),
            }
        });
        Self { is_strict: lacking.is_empty(), layers: layers.collect() }
    }

    /// Why a layer that has to be there is not; `None` where it is, or need not be.
    fn lacks(&self, layer: SandboxLayer) -> Option<String> {
        let lacking = self
            .layers
            .iter()
            .find(|report| report.layer == layer && report.is_mandatory && !report.is_in_force);
        lacking.map(|report| report.reason.clone().unwrap_or_default())
    }

    /// The layers that workers do not serve without and that this host lacks, with their reasons.
    pub(crate) fn lacking(&self) -> String {
        let lacking = self.layers.iter().filter(|layer| layer.is_mandatory && !layer.is_in_force);
        let words = lacking.map(|LayerReport { layer, reason, .. }| {
            format!("{layer} ({})", reason.as_deref().unwrap_or("for no known reason"))
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Says in the log what workers do without.
    pub(crate) fn log(&self) {
        for LayerReport { layer, reason, .. } in
            self.layers.iter().filter(|layer| !layer.is_in_force)
        {
            let reason = reason.as_deref().unwrap_or_default();
            info!(layer = layer.name(), "sandbox layer not in force: {}", printable(reason));
        }
    }
}

/// Starts a worker that closes its sandbox as others will, says which layers it got, and ends.
///
/// # Errors
/// When the host starts no process, or it does not say what it got.
async fn report(sandboxing: &Sandboxing, limits: TenantLimits) -> io::Result<SandboxReport> {
    let tenant_id = NOBODY.parse().map_err(io::Error::other)?;
    let lease = sandboxing.users.as_ref().and_then(Users::lease);
    let user = lease.as_ref().map(UserLease::id);
    let order = Order { tenant_id, limits, user };
    let process = spawn(sandboxing, SandboxMode::Report, &TaskTracker::new(), &order)?;
    let is_confined = process.is_confined();
    let (process, socket, stderr) = process.into_parts();
    let hello = timeout(REPORT_TIME, Connection::new(socket).next_frame()).await;
    let end = process.end(END_TIME).await;
    match hello {
        Ok(Ok(FromWorker::Hello { version: PROTOCOL_VERSION, mut layers, missing })) => {
            if is_confined {
                layers.push(SandboxLayer::ControlGroup);
            }
            let missing: Vec<_> = sandboxing.missing.iter().chain(&missing).collect();
            // Who is given a user serves as that one or not at all.
            let needed = order.user.map(|_| SandboxLayer::TenantUser);
            Ok(SandboxReport::new(&layers, &missing, needed))
        }
        _ => {
            let words = last_words(stderr).await;
            let why =
                format!("the worker did not say which layers it got: {:?}: {words}", end.status);
            Err(io::Error::other(why))
        }
    }
}

/// What a process that has ended wrote to its standard error.
async fn last_words(stderr: Option<ChildStderr>) -> String {
    let mut words = BytesMut::with_capacity(WORDS);
    if let Some(mut stderr) = stderr {
        // A pipe whose other end is closed is read at once; nothing is what may be there too.
        let _ = timeout(END_TIME, stderr.read_buf(&mut words)).await;
    }
    printable(&String::from_utf8_lossy(&words)).to_string()
}

impl SandboxReport {
    /// The report for machines.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl fmt::Display for SandboxReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<22} {:<10} {:<9} why not", "layer", "needed", "in force")?;
        for LayerReport { layer, is_mandatory, is_in_force, reason } in &self.layers {
            let needed = if *is_mandatory { "always" } else { "if it can" };
            let in_force = if *is_in_force { "yes" } else { "no" };
            let reason = reason.as_deref().unwrap_or_default();
            let line = format!("{:<22} {needed:<10} {in_force:<9} {reason}", layer.name());
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
