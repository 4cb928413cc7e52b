//! A process's resource usage, from `/proc/<pid>` (`proc_pid_stat(5)`, `proc_pid_statm(5)`).

use std::fs;

use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

/// A worker process's resource usage.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Usage {
    /// Processor time since it started, user and system, in milliseconds.
    pub(crate) cpu_millis: u64,
    /// Resident memory that it shares with no file, in bytes.
    pub(crate) memory_bytes: u64,
}

impl Usage {
    /// Processor time in seconds.
    #[expect(clippy::cast_precision_loss, reason = "to the millisecond, for ages")]
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.cpu_millis as f64 / 1000.0
    }
}

/// The current usage of the process with this id. `None` when it has just ended.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let ticks_per_second = constant(SysconfVar::CLK_TCK)?;
    let page_size = constant(SysconfVar::PAGE_SIZE)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(Usage {
        cpu_millis: cpu_ticks(&stat)?.saturating_mul(1000) / ticks_per_second,
        memory_bytes: anonymous_pages(&statm)?.saturating_mul(page_size),
    })
}

/// Whether a process was stopped, by SIGSTOP or the like.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    matches!(state(&stat), Some("T" | "t"))
}

/// The third field.
fn state(stat: &str) -> Option<&str> {
    stat_field(stat, 3)
}

/// A field of `/proc/<pid>/stat` by its number in the manual, from the third on. The second, the
/// program's name, may hold spaces and brackets, so counting begins after its last bracket.
pub(crate) fn stat_field(stat: &str, number: usize) -> Option<&str> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

/// A constant of the system that is above zero.
pub(crate) fn constant(name: SysconfVar) -> Option<u64> {
    u64::try_from(sysconf(name).ok()??).ok().filter(|value| *value > 0)
}

/// `utime` and `stime`, the 14th and 15th field.
pub(crate) fn cpu_ticks(stat: &str) -> Option<u64> {
    let user: u64 = stat_field(stat, 14)?.parse().ok()?;
    let system: u64 = stat_field(stat, 15)?.parse().ok()?;
    user.checked_add(system)
}

/// `resident` less `shared`, the second and third field.
fn anonymous_pages(statm: &str) -> Option<u64> {
    let mut fields = statm.split_ascii_whitespace().skip(1);
    let resident: u64 = fields.next()?.parse().ok()?;
    let shared: u64 = fields.next()?.parse().ok()?;
    Some(resident.saturating_sub(shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_its_own_usage() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.memory_bytes > 0);
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "1 (a) b (c)) S 0 1 1 0 -1 4194560 1 2 3 4 50 7 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_ticks(stat), Some(57));
        assert_eq!(state(stat), Some("S"));
        assert_eq!(anonymous_pages("100 50 20 1 0 30 0"), Some(30));
    }
}
