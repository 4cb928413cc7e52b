//! A control group (version 2) for every worker, where a subtree of them was delegated to us.
//!
//! The kernel's own bounds, from outside of the worker: memory that the process itself does not
//! count, such as the kernel's on its behalf, and processor time. See
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>, and for the delegation
//! <https://systemd.io/CGROUP_DELEGATION>.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use enforcer_protocol::TenantId;

use crate::config::TenantLimits;

/// The controllers that bound workers.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// The supervisor's own leaf: a group with processes in it may not bound groups below it.
const OWN_LEAF: &str = "supervisor";

/// The attributes by which a service manager marks a group as delegated: root's, and a user's.
const DELEGATED: [&str; 2] = ["trusted.delegate", "user.delegate"];

/// Prefix of the names of workers' groups, before the tenant's id.
const WORKER_PREFIX: &str = "worker-";

/// The kernel's allowance beyond the tenant's memory limit, in bytes: for the program,
/// fragmentation, and the kernel's own memory for the worker.
const MEMORY_MARGIN: u64 = 64 * 1024 * 1024;

/// Microseconds in which a worker gets its share of a processor: `cpu.max`'s usual period.
const CPU_PERIOD: u64 = 100_000;

/// The subtree that workers' groups are made in.
#[derive(Clone, Debug)]
pub(crate) struct Cgroups {
    root: PathBuf,
    /// Makes the groups' names unique: two workers of a tenant run for a moment when one takes the
    /// other's place, and must not share one's memory.
    count: Arc<AtomicU64>,
}

/// The group of one worker; it is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Leaf {
    path: PathBuf,
}

impl Cgroups {
    /// Takes over the subtree that this process is in.
    ///
    /// # Errors
    /// The reason, as a message for an operator.
    pub(crate) fn take_over() -> Result<Self, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let mounts =
            fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
        let root = own_group(&own, &mounts)?;
        // A service manager rearranges groups that it has not delegated, and takes an OOM kill in
        // one for the end of the service. A container's own root has no service manager above it.
        let is_own_root = own.lines().any(|line| line == "0::/");
        let is_delegated = |name| {
            xattr::get(&root, name).is_ok_and(|value| value.as_deref() == Some(b"1".as_slice()))
        };
        if !is_own_root && !DELEGATED.into_iter().any(is_delegated) {
            return Err("the group was not delegated: the unit needs Delegate=yes".to_owned());
        }
        Self::set_up(root, std::process::id())
    }

    /// Makes `root`, the group of the process `supervisor`, one that has workers' groups below it.
    fn set_up(root: PathBuf, supervisor: u32) -> Result<Self, String> {
        let read = |name: &str| {
            fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}"))
        };
        let available = read("cgroup.controllers")?;
        for controller in CONTROLLERS {
            if !available.split_ascii_whitespace().any(|known| known == controller) {
                return Err(format!("the group has no controller {controller}"));
            }
        }
        let processes = read("cgroup.procs")?;
        if processes.lines().any(|line| line != supervisor.to_string()) {
            // Another's group is not ours to rearrange.
            return Err("the group was not delegated: other processes are in it".to_owned());
        }
        let refused = |what: &str, error: io::Error| {
            format!("the group was not delegated: {what} cannot be written: {error}")
        };
        // A supervisor that crashed may have left its workers' groups; they are empty by now.
        for entry in fs::read_dir(&root).map_err(|error| error.to_string())?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(WORKER_PREFIX) {
                let _ = fs::remove_dir(entry.path());
            }
        }
        let leaf = root.join(OWN_LEAF);
        make_group(&leaf).map_err(|error| refused(OWN_LEAF, error))?;
        write(&leaf.join("cgroup.procs"), &supervisor.to_string())
            .map_err(|error| refused("cgroup.procs", error))?;
        let wanted = CONTROLLERS.map(|controller| format!("+{controller}")).join(" ");
        write(&root.join("cgroup.subtree_control"), &wanted)
            .map_err(|error| refused("cgroup.subtree_control", error))?;
        let groups = Self { root, count: Arc::default() };
        // A trial group: an error that every worker would meet is better found now.
        groups.make_leaf("trial", &Bounds::TRIAL).map_err(|error| format!("a group: {error}"))?;
        Ok(groups)
    }

    /// Puts the process `pid` into a group of its own, bounded by its tenant's limits.
    ///
    /// # Errors
    /// When the kernel refuses. The group is gone then.
    pub(crate) fn confine(
        &self,
        tenant_id: &TenantId,
        limits: &TenantLimits,
        pid: u32,
    ) -> io::Result<Leaf> {
        let leaf = self.make_leaf(tenant_id.as_str(), &Bounds::of(limits))?;
        // Last, so that it is never in the group unbounded.
        write(&leaf.path.join("cgroup.procs"), &pid.to_string())?;
        Ok(leaf)
    }

    fn make_leaf(&self, name: &str, bounds: &Bounds) -> io::Result<Leaf> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let leaf = Leaf { path: self.root.join(format!("{WORKER_PREFIX}{name}-{number}")) };
        make_group(&leaf.path)?;
        let share = CPU_PERIOD * u64::from(bounds.cpu_percent) / 100;
        for (name, value) in [
            ("memory.max", bounds.memory.to_string()),
            ("memory.swap.max", "0".to_owned()),
            ("memory.oom.group", "1".to_owned()),
            ("pids.max", "1".to_owned()),
            ("cpu.weight", bounds.cpu_weight.to_string()),
            ("cpu.max", format!("{share} {CPU_PERIOD}")),
        ] {
            match write(&leaf.path.join(name), &value) {
                // A kernel that counts no swap has no bound for it.
                Err(error) if name == "memory.swap.max" && error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
                Ok(()) => {}
            }
        }
        Ok(leaf)
    }
}

/// The bounds of one worker.
#[derive(Debug)]
struct Bounds {
    /// In bytes.
    memory: u64,
    cpu_weight: u16,
    cpu_percent: u8,
}

impl Bounds {
    /// The bounds of a group without processes.
    const TRIAL: Self = Self { memory: MEMORY_MARGIN, cpu_weight: 100, cpu_percent: 100 };

    const fn of(limits: &TenantLimits) -> Self {
        Self {
            memory: limits.memory.saturating_add(MEMORY_MARGIN),
            cpu_weight: limits.cpu_weight,
            cpu_percent: limits.cpu_percent,
        }
    }
}

/// Writes a control file, which has to exist: a kernel without it reports that only if the open
/// does not create files. The plain directories of the tests have no control files.
fn write(path: &Path, value: &str) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(cfg!(test)).truncate(cfg!(test)).open(path)?;
    file.write_all(value.as_bytes())
}

impl Leaf {
    /// Whether the OOM killer ended a process of this group at the group's memory bound.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        count_of(&events, "oom_kill") > 0
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        // The kernel kills processes that are still in the group; usually it is empty.
        let _ = write(&self.path.join("cgroup.kill"), "1");
        // If that takes a moment, the next supervisor removes the group.
        let _ = fs::remove_dir(&self.path);
    }
}

fn make_group(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// The directory of this process's group: `own` is `/proc/self/cgroup`, `mounts` is
/// `/proc/self/mountinfo` (`cgroups(7)`, `proc_pid_mountinfo(5)`).
fn own_group(own: &str, mounts: &str) -> Result<PathBuf, String> {
    let group = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .ok_or("the process is in no control group of version 2")?;
    // The fields before the dash are numbered; behind it, the first is the file system's type.
    let mut mounts = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (after.split(' ').next() == Some("cgroup2")).then_some((root, point))
    });
    // A mount may show only a part of the groups.
    mounts
        .find_map(|(root, point)| {
            Some(Path::new(point).join(Path::new(group).strip_prefix(root).ok()?))
        })
        .ok_or_else(|| "the process's control group is not mounted".to_owned())
}

/// The number after `name` in a file of keys and numbers.
fn count_of(events: &str, name: &str) -> u64 {
    let line = events.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    use tempfile::TempDir;

    use crate::config::Config;

    /// A directory that looks like a delegated group with only this process in it.
    fn tree(controllers: &str, processes: &str) -> TempDir {
        let tree = TempDir::new().unwrap();
        fs::write(tree.path().join("cgroup.controllers"), controllers).unwrap();
        fs::write(tree.path().join("cgroup.procs"), processes).unwrap();
        tree
    }

    fn limits() -> TenantLimits {
        let bundles_dir = ("BUNDLES_DIR".to_owned(), "/".to_owned());
        Config::parse(|_| None, [bundles_dir]).unwrap().limits(&"a".parse().unwrap())
    }

    #[test]
    fn the_supervisor_moves_to_a_leaf_before_it_bounds_others() {
        let tree = tree("cpuset cpu io memory pids\n", "7\n");
        fs::create_dir(tree.path().join("worker-left-over")).unwrap();
        Cgroups::set_up(tree.path().to_owned(), 7).unwrap();
        let read = |name: &str| fs::read_to_string(tree.path().join(name)).unwrap();
        assert_eq!(read("supervisor/cgroup.procs"), "7");
        assert_eq!(read("cgroup.subtree_control"), "+cpu +memory +pids");
        assert!(!tree.path().join("worker-left-over").exists());
    }

    #[test]
    fn a_group_that_is_not_ours_is_left_alone() {
        for (controllers, processes, why) in [
            ("cpu memory", "7", "no controller pids"),
            ("", "7", "no controller cpu"),
            ("cpu memory pids", "7\n8\n", "other processes"),
        ] {
            let tree = tree(controllers, processes);
            let refused = Cgroups::set_up(tree.path().to_owned(), 7).unwrap_err();
            assert!(refused.contains(why), "{refused}");
            assert!(!tree.path().join("supervisor").exists());
        }
        let gone = Cgroups::set_up(PathBuf::from("/no/such/group"), 7).unwrap_err();
        assert!(gone.contains("cgroup.controllers"), "{gone}");
    }

    #[test]
    fn a_worker_is_bounded_before_it_is_in_its_group() {
        let tree = tree("cpu memory pids", "7");
        let groups = Cgroups::set_up(tree.path().to_owned(), 7).unwrap();
        let id = "tenant-1".parse().unwrap();
        let limits = TenantLimits { memory: 1 << 20, cpu_percent: 25, cpu_weight: 50, ..limits() };
        let leaf = groups.confine(&id, &limits, 42).unwrap();
        let read = |name: &str| fs::read_to_string(leaf.path.join(name)).unwrap();
        assert_eq!(read("memory.max"), ((1 << 20) + MEMORY_MARGIN).to_string());
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("memory.oom.group"), "1");
        assert_eq!(read("pids.max"), "1");
        assert_eq!(read("cpu.weight"), "50");
        assert_eq!(read("cpu.max"), "25000 100000");
        assert_eq!(read("cgroup.procs"), "42");
        // Two workers of a tenant have a group each.
        let other = groups.confine(&id, &limits, 43).unwrap();
        assert_ne!(leaf.path, other.path);
        fs::write(leaf.path.join("memory.events"), "max 3\noom 1\noom_kill 1\n").unwrap();
        assert!(leaf.ran_out_of_memory());
        assert!(!other.ran_out_of_memory());
        let path = leaf.path.clone();
        drop(leaf);
        assert_eq!(fs::read_to_string(path.join("cgroup.kill")).unwrap(), "1");
    }

    #[test]
    fn the_own_group_is_found_wherever_it_is_mounted() {
        let own = "12:cpu:/x\n0::/system.slice/enforcer.service\n";
        let mount = |root: &str, point: &str, kind: &str| {
            format!(
                "30 24 0:27 / /proc rw - proc proc rw\n35 24 0:28 {root} {point} rw,nosuid shared:4 - {kind} {kind} rw\n"
            )
        };
        let found = |root, point| own_group(own, &mount(root, point, "cgroup2"));
        let expected = Path::new("/sys/fs/cgroup/system.slice/enforcer.service");
        assert_eq!(found("/", "/sys/fs/cgroup").unwrap(), expected);
        assert_eq!(found("/system.slice", "/cg").unwrap(), Path::new("/cg/enforcer.service"));
        assert_eq!(found("/system.slice/enforcer.service", "/cg").unwrap(), Path::new("/cg/"));
        assert!(found("/user.slice", "/cg").is_err());
        assert!(found("/system", "/cg").is_err());
        let two = mount("/other", "/a", "cgroup2") + &mount("/", "/b", "cgroup2");
        let expected = Path::new("/b/system.slice/enforcer.service");
        assert_eq!(own_group(own, &two).unwrap(), expected);
        assert!(own_group(own, &mount("/", "/sys/fs/cgroup", "cgroup")).is_err());
        assert!(own_group("1:name=systemd:/\n", &mount("/", "/x", "cgroup2")).is_err());
    }
}
