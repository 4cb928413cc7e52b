//! The supervisor's part of the workers' sandbox: the layers that a worker cannot set up itself.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use caps::CapSet;
use enforcer_protocol::{MissingLayer, SandboxLayer, SandboxMode};
use nix::fcntl::{OFlag, open};
use nix::sys::prctl;
use nix::sys::stat::Mode;
use nix::unistd::mkdtemp;

use super::cgroups::Cgroups;
use super::users::Users;
use crate::config::{SandboxConfig, WorkerUsers};

/// How workers are sandboxed, the same for all of them.
#[derive(Debug)]
pub(crate) struct SandboxContext {
    pub(crate) mode: SandboxMode,
    /// A deleted directory, which is empty and stays so.
    pub(crate) empty_root: Option<OwnedFd>,
    /// The users of workers, if the supervisor may switch users.
    pub(crate) users: Option<Users>,
    /// The control groups, if they were delegated to the supervisor.
    pub(crate) groups: Option<Cgroups>,
    /// Why a field above is `None`.
    pub(crate) missing: Vec<MissingLayer>,
    /// Whether workers may run as the supervisor's user where they cannot run as another.
    pub(super) are_users_optional: bool,
}

impl SandboxContext {
    /// Prepares the layers that the host allows.
    ///
    /// # Errors
    /// When the configuration requires a layer that the host does not allow.
    pub(crate) fn prepare(config: &SandboxConfig) -> io::Result<Self> {
        let mut missing = Vec::new();
        let mut lacking = |layer, reason: String| missing.push(MissingLayer { layer, reason });
        if config.mode == SandboxMode::DebugOff {
            lacking(SandboxLayer::Cgroup, "the sandbox is switched off".to_owned());
            return Ok(Self { mode: config.mode, missing, ..Self::bare() });
        }
        let empty_root = empty_root()
            .map_err(|error| {
                lacking(SandboxLayer::EmptyRoot, format!("no empty directory: {error}"))
            })
            .ok();
        let users = match &config.users {
            WorkerUsers::None => {
                let reason = "it is switched off by ENFORCER_WORKER_USERS";
                lacking(SandboxLayer::TenantUser, reason.to_owned());
                None
            }
            WorkerUsers::Auto(range) => Users::new(range.clone())
                .map_err(|reason| lacking(SandboxLayer::TenantUser, reason))
                .ok(),
            WorkerUsers::Range(range) => Some(Users::new(range.clone()).map_err(io::Error::other)?),
        };
        let groups = if config.control_groups {
            Cgroups::take_over().map_err(|reason| lacking(SandboxLayer::Cgroup, reason)).ok()
        } else {
            let reason = "it is switched off by ENFORCER_CONTROL_GROUPS";
            lacking(SandboxLayer::Cgroup, reason.to_owned());
            None
        };
        let are_users_optional = matches!(config.users, WorkerUsers::Auto(_));
        Ok(Self { mode: config.mode, empty_root, users, groups, missing, are_users_optional })
    }

    /// Strict, without the layers that depend on the host.
    pub(crate) const fn bare() -> Self {
        Self {
            mode: SandboxMode::Strict,
            empty_root: None,
            users: None,
            groups: None,
            missing: Vec::new(),
            are_users_optional: true,
        }
    }
}

/// Makes a directory and deletes it; the open file descriptor can still become a process's root.
fn empty_root() -> io::Result<OwnedFd> {
    let template: PathBuf = std::env::temp_dir().join("edge-policy-enforcer-XXXXXX");
    let path = mkdtemp(&template)?;
    // The worker has to get into it as any user.
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
