//! The cost of processes: CPU time and memory, from `/proc` (`proc(5)`).

use std::fs;
use std::time::Duration;

/// The cost of a process and of the processes that it started, so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// CPU time of the process itself.
    pub(crate) own: Duration,
    /// CPU time of its children that are still running.
    pub(crate) children: Duration,
}

impl Cost {
    /// The difference to an earlier cost.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            own: self.own.saturating_sub(before.own),
            children: self.children.saturating_sub(before.children),
        }
    }
}

/// The cost of this process and of those that it started, so far.
pub(crate) fn cost(pid: u32) -> Cost {
    let children = children(pid).into_iter().map(processor_time).sum();
    Cost { own: processor_time(pid), children }
}

/// The children of this process that are still running.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else { return Vec::new() };
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).ok();
    let lists = tasks.flatten().filter_map(of_task);
    lists.flat_map(|list| numbers(&list).collect::<Vec<u32>>()).collect()
}

fn numbers(text: &str) -> impl Iterator<Item = u32> {
    text.split_ascii_whitespace().filter_map(|number| number.parse().ok())
}

/// In nanoseconds and not in ticks of 10 ms: a worker with few requests never fills one.
fn processor_time(pid: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let of_task = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(of_task).sum())
}

/// Private memory of this process, in KiB; 0 when it has ended.
pub(crate) fn private_kib(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let private = rollup.lines().filter(|line| line.starts_with("Private_"));
    private.filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}
