//! The privileges that a worker gives up before it reads the first byte of a tenant.
//!
//! The order is a type: [`lockdown`] returns the [`Sealed`] that serving needs. The order of its
//! steps has reasons too, given at each step. docs/threat-model.md says what the layers are for.

pub(crate) mod error;
mod filter;
mod kernel;
mod memory;

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use caps::{CapSet, Capability};
use enforcer_protocol::{MissingLayer, SandboxLayer, SandboxMode};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{
    Gid, SysconfVar, Uid, chroot, close, fchdir, getpid, getppid, getresgid, getresuid, gettid,
    setgroups, setresgid, setresuid, sysconf,
};
use seccompiler::{SeccompAction, apply_filter};

use crate::diagnostics::shortened;
use crate::error::WorkerError;
use error::SandboxError;

pub use memory::{BoundedAllocator, give_back_large_memory};

/// Bytes that the kernel allows beyond twice the memory limit: for the program's own data and for
/// memory that the allocator takes in advance.
const MEMORY_MARGIN: u64 = 64 * 1024 * 1024;

/// Bytes of stack. Evaluation is recursive, and an overflow ends only its own worker.
const STACK: u64 = 8 * 1024 * 1024;

/// `oom_score_adj` of a worker: the OOM killer ends workers first, and they are restarted at once.
const OOM_SCORE_ADJ: &str = "1000";

/// The sandbox that a worker must have.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Which layers are required.
    pub mode: SandboxMode,
    /// Bytes that the worker may allocate.
    pub memory_limit: u64,
    /// The user, and group, to run as, which only a privileged supervisor can choose.
    pub user: Option<u32>,
}

/// Proof that the sandbox is closed. Only [`lockdown`] makes one.
#[derive(Debug)]
pub(crate) struct Sealed {
    report: Report,
}

impl Sealed {
    /// For tests of the code that needs a seal: nothing is sealed.
    #[cfg(test)]
    pub(crate) const fn not_at_all() -> Self {
        Self { report: Report { layers: Vec::new(), missing: Vec::new() } }
    }

    /// The layers in force, for the first frame.
    pub(crate) const fn report(&self) -> &Report {
        &self.report
    }
}

/// Which layers are in force, and why the others are not.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Those in force.
    pub layers: Vec<SandboxLayer>,
    /// The others.
    pub missing: Vec<MissingLayer>,
}

/// The result of closing the sandbox.
#[derive(Debug)]
pub(crate) enum Lockdown {
    /// The worker may serve.
    Sealed(Sealed, File),
    /// The worker must report which layers are in force, and end.
    Reported(Report, File),
}

/// Records the layers while they are put in force.
struct Layers {
    mode: SandboxMode,
    report: Report,
}

impl Layers {
    /// A layer that must be in force.
    fn mandatory(
        &mut self,
        layer: SandboxLayer,
        result: Result<(), SandboxError>,
    ) -> Result<(), SandboxError> {
        match result {
            Err(error) if self.mode != SandboxMode::Report => return Err(error),
            result => self.optional(layer, result),
        }
        Ok(())
    }

    /// A layer that is used where the host allows it.
    fn optional<E: Display>(&mut self, layer: SandboxLayer, result: Result<(), E>) {
        match result {
            Ok(()) => self.report.layers.push(layer),
            Err(error) => self.is_missing(layer, &error),
        }
    }

    fn is_missing(&mut self, layer: SandboxLayer, reason: &impl Display) {
        let reason = shortened(&reason.to_string());
        self.report.missing.push(MissingLayer { layer, reason });
    }
}

/// The layers that a test leaves out, to test the remaining ones. A worker leaves out nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// No layer.
    Nothing,
    /// The seccomp filter.
    Filter,
    /// The seccomp filter and the resource limits.
    FilterAndLimits,
}

/// Closes the sandbox around this process, which keeps only the socket on its standard input.
pub(crate) fn lockdown(spec: &Spec) -> Result<Lockdown, WorkerError> {
    lockdown_without(spec, LeftOut::Nothing)
}

/// As [`lockdown`], without some layers, which are reported as in force nevertheless.
pub(crate) fn lockdown_without(spec: &Spec, left_out: LeftOut) -> Result<Lockdown, WorkerError> {
    let stdin = io::stdin();
    let supervisor = getsockopt(&stdin, PeerCredentials).map_err(|error| match error {
        Errno::ENOTSOCK => WorkerError::NotStartedBySupervisor,
        other => WorkerError::Socket(io::Error::from(other)),
    })?;
    let mut layers = Layers { mode: spec.mode, report: Report::default() };

    // Inherited file descriptors are closed first, before this process opens any.
    layers.mandatory(
        SandboxLayer::OwnDescriptorsOnly,
        kernel::close_from(3).map_err(SandboxError::Descriptors),
    )?;
    layers.mandatory(SandboxLayer::EmptyEnvironment, check_environment())?;
    check_threads()?;
    block_signals()?;
    never_wait_for_stderr()?;
    // Standard input is closed below; only this copy is kept.
    let socket = stdin.as_fd().try_clone_to_owned().map_err(|error| {
        SandboxError::Descriptors(Errno::from_raw(error.raw_os_error().unwrap_or(0)))
    })?;
    let address_space = address_space().map_err(SandboxError::Proc)?;

    if spec.mode == SandboxMode::DebugOff {
        die_with_supervisor(supervisor.pid(), &mut layers)?;
        limit_memory(spec.memory_limit, address_space)?;
        limit("core files", Resource::RLIMIT_CORE, 0)?;
        for layer in SandboxLayer::ALL {
            if !layers.report.layers.contains(layer) {
                layers.is_missing(*layer, &"the sandbox is switched off");
            }
        }
        return Ok(Lockdown::Sealed(Sealed { report: layers.report }, File::from(socket)));
    }

    // Now, while /proc is visible and this process may write to its own files in it.
    layers.optional(SandboxLayer::OomScore, fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ));
    match spec.user {
        Some(user) => {
            let error = |error| SandboxError::User { user, error };
            layers.mandatory(SandboxLayer::TenantUser, become_user(user).map_err(error))?;
        }
        None => layers.is_missing(
            SandboxLayer::TenantUser,
            &"the supervisor is unprivileged or has no range of users to assign one from",
        ),
    }
    // The user namespace gives the capability that an unprivileged process needs for `chroot(2)`.
    separate(&mut layers);
    layers.optional(SandboxLayer::EmptyRoot, leave_root(io::stdout().as_fd()));
    layers.mandatory(SandboxLayer::NoCapabilities, drop_capabilities())?;
    // A change of the user resets the parent-death signal, so it is set after that.
    die_with_supervisor(supervisor.pid(), &mut layers)?;
    let dumpable = prctl::set_dumpable(false).map_err(SandboxError::Dumpable);
    layers.mandatory(SandboxLayer::NotDumpable, dumpable)?;
    layers.optional(SandboxLayer::NoExecutableMemory, kernel::refuse_executable_memory());
    let privileges = prctl::set_no_new_privs().map_err(SandboxError::NoNewPrivileges);
    layers.mandatory(SandboxLayer::NoNewPrivileges, privileges)?;
    restrict_access(&mut layers)?;
    close_standard_streams()?;
    // Landlock needs a file descriptor for a moment, and no more can be opened after this.
    let limits = match left_out {
        LeftOut::FilterAndLimits => Ok(()),
        _ => limit_resources(spec.memory_limit, address_space),
    };
    layers.mandatory(SandboxLayer::ResourceLimits, limits)?;

    if spec.mode == SandboxMode::Strict
        && SandboxLayer::lacking_in(&layers.report.layers).contains(&SandboxLayer::NetworkNamespace)
    {
        return Err(SandboxError::Network.into());
    }
    // Last: it forbids what everything before it needs.
    let identity = filter::Identity {
        socket: socket.as_raw_fd(),
        process: getpid().as_raw(),
        thread: gettid().as_raw(),
    };
    let filtered = match left_out {
        LeftOut::Nothing => filter_calls(identity),
        _ => Ok(()),
    };
    layers.mandatory(SandboxLayer::Seccomp, filtered)?;

    let socket = File::from(socket);
    Ok(match spec.mode {
        SandboxMode::Report => Lockdown::Reported(layers.report, socket),
        _ => Lockdown::Sealed(Sealed { report: layers.report }, socket),
    })
}

fn check_environment() -> Result<(), SandboxError> {
    match std::env::vars_os().next() {
        None => Ok(()),
        Some(_) => Err(SandboxError::Environment),
    }
}

/// Seccomp filters, Landlock rules and capabilities apply to one thread.
fn check_threads() -> Result<(), SandboxError> {
    match fs::read_dir("/proc/self/task").map_err(SandboxError::Proc)?.count() {
        1 => Ok(()),
        count => Err(SandboxError::Threads(count)),
    }
}

/// Bytes of address space that this process uses now (`proc_pid_statm(5)`).
fn address_space() -> io::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: Option<u64> =
        statm.split_ascii_whitespace().next().and_then(|text| text.parse().ok());
    let page = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| u64::try_from(size).ok());
    pages
        .zip(page)
        .map(|(pages, page)| pages.saturating_mul(page))
        .ok_or(io::ErrorKind::InvalidData.into())
}

/// Leaves the signals that end a service to the supervisor. A terminal's Ctrl-C and systemd's stop
/// reach every process of the group, and a worker that they ended would leave requests unanswered
/// that a graceful shutdown answers. The supervisor ends its workers itself.
fn block_signals() -> Result<(), SandboxError> {
    let blocked =
        SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]);
    blocked.thread_block().map_err(SandboxError::Signals)
}

/// Makes standard error non-blocking: an evaluation must not wait for a reader of its policy's
/// output. Only this process holds the pipe's writing end.
fn never_wait_for_stderr() -> Result<(), SandboxError> {
    let stderr = io::stderr();
    let set = || {
        let flags = OFlag::from_bits_retain(fcntl(&stderr, FcntlArg::F_GETFL)?);
        fcntl(&stderr, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))
    };
    set().map(drop).map_err(SandboxError::StandardError)
}

/// Switches to a user that no other process runs as. Capabilities are kept for the steps that need
/// them, and dropped by a later one.
fn become_user(user: u32) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    prctl::set_keepcaps(true)?;
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    // `u32::MAX` means no change to both calls, and root is never a tenant's user.
    let (users, groups) = (getresuid()?, getresgid()?);
    let is_whole = [users.real, users.effective, users.saved].iter().all(|is| *is == uid)
        && [groups.real, groups.effective, groups.saved].iter().all(|is| *is == gid);
    if uid.is_root() || !is_whole {
        return Err(Errno::EINVAL);
    }
    prctl::set_keepcaps(false)?;
    let raise = || {
        let permitted = caps::read(None, CapSet::Permitted)?;
        caps::set(None, CapSet::Effective, &permitted)
    };
    raise().map_err(|_| Errno::last())
}

/// Leaves the namespaces of the host. An unprivileged process may leave the others only together
/// with its user namespace; where a user namespace is not available, a privileged process still
/// gets the rest.
fn separate(layers: &mut Layers) {
    let namespaces = [
        (SandboxLayer::UserNamespace, CloneFlags::CLONE_NEWUSER),
        (SandboxLayer::NetworkNamespace, CloneFlags::CLONE_NEWNET),
        (SandboxLayer::IpcNamespace, CloneFlags::CLONE_NEWIPC),
        (SandboxLayer::UtsNamespace, CloneFlags::CLONE_NEWUTS),
    ];
    let all = namespaces.iter().map(|(_, flag)| *flag).collect();
    let is_separate = unshare(all).is_ok();
    for (layer, flag) in namespaces {
        layers.optional(layer, if is_separate { Ok(()) } else { unshare(flag) });
    }
}

/// Makes `directory` the root: a removed directory, which is empty and stays empty.
fn leave_root(directory: BorrowedFd<'_>) -> Result<(), String> {
    let status = fstat(directory).map_err(|error| error.to_string())?;
    let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFDIR || status.st_nlink != 0 {
        return Err("the supervisor could not create an empty directory".to_owned());
    }
    fchdir(directory).and_then(|()| chroot(".")).map_err(|error| error.to_string())
}

fn drop_capabilities() -> Result<(), SandboxError> {
    // Only CAP_SETPCAP allows the bounding set to be emptied, and some hosts refuse it even then.
    // Under no_new_privs that set has no effect, so a failure is ignored.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::runtime::thread_all_supported() {
            let _ = caps::drop(None, CapSet::Bounding, capability);
        }
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set)?;
    }
    Ok(())
}

fn die_with_supervisor(supervisor: i32, layers: &mut Layers) -> Result<(), SandboxError> {
    let set = prctl::set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::ParentDeathSignal);
    layers.mandatory(SandboxLayer::ParentDeathSignal, set)?;
    // The supervisor may have died before the signal was set. Its end of the socket names the
    // process that made it, which must be this process's parent.
    if getppid().as_raw() == supervisor { Ok(()) } else { Err(SandboxError::Orphaned) }
}

/// Restricts every right that the kernel's Landlock knows, and grants no exception. The minimum is
/// version 2 (Linux 5.19); version 4 (6.7) adds the network, version 6 (6.12) signals and abstract
/// sockets.
fn restrict_access(layers: &mut Layers) -> Result<(), SandboxError> {
    let mut wanted = String::new();
    let mut needed = String::new();
    for abi in [ABI::V6, ABI::V5, ABI::V4, ABI::V3, ABI::V2] {
        match restrict(abi) {
            Ok(()) => {
                layers.report.layers.push(SandboxLayer::LandlockFiles);
                for (layer, since) in [
                    (SandboxLayer::LandlockNetwork, ABI::V4),
                    (SandboxLayer::LandlockScopes, ABI::V6),
                ] {
                    layers.optional(layer, if abi >= since { Ok(()) } else { Err(&wanted) });
                }
                return Ok(());
            }
            // The first refusal says what the newest version needs, the last what the minimum
            // needs.
            Err(error) => {
                if wanted.is_empty() {
                    wanted.clone_from(&error);
                }
                needed = error;
            }
        }
    }
    layers.is_missing(SandboxLayer::LandlockNetwork, &wanted);
    layers.is_missing(SandboxLayer::LandlockScopes, &wanted);
    layers.mandatory(SandboxLayer::LandlockFiles, Err(SandboxError::Landlock(needed)))
}

/// Restricts every right that this version of Landlock knows, or nothing.
fn restrict(abi: ABI) -> Result<(), String> {
    // Before the ruleset is created, a refusal means that the kernel lacks a right; the crate's
    // message for that is only a list of bits.
    let unknown = |_| format!("the kernel has no Landlock of version {} or newer", abi as i32);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))
        .map_err(unknown)?;
    if abi >= ABI::V4 {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi)).map_err(unknown)?;
    }
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(abi)).map_err(unknown)?;
    }
    let created = ruleset.create().map_err(|error| error.to_string())?;
    let status = created.restrict_self().map_err(|error| error.to_string())?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        partly => Err(format!("it is {partly:?}")),
    }
}

/// Standard input is the socket, which was copied; standard output is the directory that is now
/// root.
fn close_standard_streams() -> Result<(), SandboxError> {
    for stream in [io::stdin().as_raw_fd(), io::stdout().as_raw_fd()] {
        close(stream).map_err(SandboxError::Descriptors)?;
    }
    Ok(())
}

fn limit_resources(memory_limit: u64, address_space: u64) -> Result<(), SandboxError> {
    limit_memory(memory_limit, address_space)?;
    for (name, resource, value) in [
        ("the stack", Resource::RLIMIT_STACK, STACK),
        ("core files", Resource::RLIMIT_CORE, 0),
        ("the length of files", Resource::RLIMIT_FSIZE, 0),
        ("the number of processes", Resource::RLIMIT_NPROC, 0),
        ("locked memory", Resource::RLIMIT_MEMLOCK, 0),
        ("message queues", Resource::RLIMIT_MSGQUEUE, 0),
        ("pending signals", Resource::RLIMIT_SIGPENDING, 0),
        // Open ones stay open, and no more can be opened.
        ("the number of file descriptors", Resource::RLIMIT_NOFILE, 0),
    ] {
        limit(name, resource, value)?;
    }
    Ok(())
}

/// Limits the memory that this process may allocate from now on.
fn limit_memory(memory_limit: u64, address_space: u64) -> Result<(), SandboxError> {
    // The kernel's limits stand behind the allocator's count, which misses the memory between
    // allocations. Private writable mappings count as data; the address space counts every mapping,
    // so that page tables cannot fill the host's memory through mappings that are never written.
    let data = memory_limit.saturating_mul(2).saturating_add(MEMORY_MARGIN);
    limit("memory", Resource::RLIMIT_DATA, data)?;
    let space = data.saturating_add(address_space).saturating_add(STACK);
    limit("the address space", Resource::RLIMIT_AS, space)?;
    memory::limit_allocations(memory_limit);
    Ok(())
}

/// Sets the soft and the hard limit, or keeps a lower hard limit, which cannot be raised.
fn limit(name: &'static str, resource: Resource, value: rlim_t) -> Result<(), SandboxError> {
    let error = |error| SandboxError::ResourceLimit { resource: name, error };
    let (_, inherited) = getrlimit(resource).map_err(error)?;
    let value = value.min(inherited);
    setrlimit(resource, value, value).map_err(error)
}

fn filter_calls(identity: filter::Identity) -> Result<(), SandboxError> {
    let architecture = std::env::consts::ARCH;
    let program = architecture
        .try_into()
        .and_then(|architecture| {
            filter::program(identity, architecture, SeccompAction::KillProcess)
        })
        .map_err(|error| SandboxError::Filter(error.to_string()))?;
    apply_filter(&program).map_err(|error| SandboxError::Filter(error.to_string()))
}
