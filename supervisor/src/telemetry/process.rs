//! This process's resource usage, under the names that every Prometheus client library has for it
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::SysconfVar;

use crate::worker::usage::{constant, cpu_ticks, stat_field};

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
    let ticks = constant(SysconfVar::CLK_TCK)?;
    let page = constant(SysconfVar::PAGE_SIZE)?;
    // `starttime`, `vsize` and `rss` (`proc_pid_stat(5)`).
    let field = |number| stat_field(&stat, number)?.parse::<u64>().ok();
    Some(ProcessUsage {
        cpu_seconds: seconds(cpu_ticks(&stat)?, ticks),
        resident_bytes: field(24)?.saturating_mul(page),
        virtual_bytes: field(23)?,
        open_descriptors: u64::try_from(open).ok()?,
        max_descriptors,
        start_seconds: seconds(boot, 1) + seconds(field(22)?, ticks),
    })
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
