//! This process's resource usage, under the names that every Prometheus client library has for it
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

/// This process's current resource usage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProcessUsage {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) open_descriptors: u64,
    pub(super) max_descriptors: u64,
    /// Seconds since 1970.
    pub(super) start_seconds: f64,
}

/// `None` where `/proc` cannot be read.
pub(super) fn usage() -> Option<ProcessUsage> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    // The descriptor that lists the others is not counted.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    let (max_descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let ticks = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    let (cpu_seconds, start, virtual_bytes, pages) = fields(&stat, ticks)?;
    Some(ProcessUsage {
        cpu_seconds,
        resident_bytes: pages.saturating_mul(page),
        virtual_bytes,
        open_descriptors: u64::try_from(open).ok()?,
        max_descriptors,
        start_seconds: seconds(boot, 1) + start,
    })
}

/// Processor time and start in seconds, bytes of address space, and pages in memory: fields 14, 15,
/// 22, 23 and 24 of `/proc/self/stat` (`proc_pid_stat(5)`). The second field, the program's name,
/// may hold spaces, so counting begins after its last bracket.
fn fields(stat: &str, ticks: u64) -> Option<(f64, f64, u64, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<u64> =
        after_name.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let cpu = seconds(field(14)?.saturating_add(field(15)?), ticks);
    Some((cpu, seconds(field(22)?, ticks), field(23)?, field(24)?))
}

#[expect(clippy::cast_precision_loss, reason = "seconds to the hundredth, for ages")]
fn seconds(ticks: u64, per_second: u64) -> f64 {
    ticks as f64 / per_second.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_its_own_usage() {
        let usage = usage().unwrap();
        assert!(usage.resident_bytes > 0 && usage.virtual_bytes >= usage.resident_bytes);
        assert!((3..=usage.max_descriptors).contains(&usage.open_descriptors));
        assert!(usage.start_seconds > 1.6e9);
    }
}
