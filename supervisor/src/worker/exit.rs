//! How a worker ended, and the cause.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use enforcer_protocol::{EXIT_MEMORY_LIMIT, EXIT_NOT_SEALED};
use nix::sys::signal::Signal;

use super::connection::End;
use super::handshake::Stage;
use super::spawn::{ProcessEnd, ProcessHandle};
use super::usage::is_stopped;
use crate::tenant::state::Cause;

/// How long a worker whose socket is closed may take to end by itself.
pub(crate) const EXIT_GRACE: Duration = Duration::from_millis(500);

/// How a worker has ended.
pub(crate) struct Ended {
    pub(crate) pid: u32,
    /// In words.
    pub(crate) end: String,
    /// Has a meaning only if the worker was not told to end.
    pub(crate) cause: Cause,
}

/// Whether a worker ended as it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Drained,
    Idle,
    Unasked,
}

impl Purpose {
    pub(crate) const fn of(end: &End) -> Self {
        match end {
            End::Drained => Self::Drained,
            End::Idle => Self::Idle,
            End::Stuck | End::Closed | End::Breach(_) | End::Socket(_) => Self::Unasked,
        }
    }
}

/// How a worker's connection ended, until the end of its process is known.
pub(crate) struct Exit {
    end: String,
    grace: Duration,
    /// `None` while only the process can tell.
    cause: Option<Cause>,
    stage: Stage,
}

impl Exit {
    pub(crate) fn of(end: &End, stage: Stage) -> Self {
        let (grace, cause) = match end {
            End::Drained | End::Idle | End::Closed => (EXIT_GRACE, None),
            End::Stuck => (Duration::ZERO, Some(Cause::Stuck)),
            End::Breach(_) => (Duration::ZERO, Some(Cause::Breach)),
            End::Socket(_) => (EXIT_GRACE, None),
        };
        Self { end: end.to_string(), grace, cause, stage }
    }

    /// The end of a worker that we kill for this cause before it has loaded its bundle.
    pub(crate) const fn forced(end: String, cause: Cause) -> Self {
        Self { end, grace: Duration::ZERO, cause: Some(cause), stage: Stage::Sealing }
    }

    /// Waits for the end of the process.
    pub(crate) async fn learn(self, process: ProcessHandle) -> Ended {
        let pid = process.pid;
        let is_stopped = self.cause == Some(Cause::Stuck) && is_stopped(pid);
        let ended = process.end(self.grace).await;
        let cause = match self.cause {
            Some(Cause::Stuck) if is_stopped => Cause::Stopped,
            Some(cause) => cause,
            None => match cause_of(ended) {
                // From then on, its statements about the host are as untrusted as its tenant.
                Cause::Host if self.stage == Stage::Introduced => Cause::Crash,
                cause => cause,
            },
        };
        let end = match cause {
            Cause::Host => format!(
                "its sandbox cannot be set up on this host (run `edge-policy-enforcer sandbox` for details); {}",
                describe(ended.status)
            ),
            _ => format!("{}; {}", self.end, describe(ended.status)),
        };
        Ended { pid, end, cause }
    }
}

/// Why a process ended that was not told to.
fn cause_of(ProcessEnd { status, was_killed, ran_out_of_memory }: ProcessEnd) -> Cause {
    let is_host = |code| u8::try_from(code).is_ok_and(|code| EXIT_NOT_SEALED.contains(&code));
    let signal = status.and_then(|status| status.signal()).map(Signal::try_from);
    match (status.and_then(|status| status.code()), signal) {
        (Some(code), _) if is_host(code) => Cause::Host,
        (Some(code), _) if code == i32::from(EXIT_MEMORY_LIMIT) => Cause::Memory,
        (_, Some(Ok(Signal::SIGSYS))) => Cause::ForbiddenCall,
        (_, Some(Ok(Signal::SIGKILL))) if ran_out_of_memory => Cause::Memory,
        (_, Some(Ok(Signal::SIGKILL))) if !was_killed => Cause::Killed,
        _ => Cause::Crash,
    }
}

/// How a process ended, in words.
fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "the exit status of its process is unknown".to_owned();
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its process exited with code {code}"),
        (_, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("its process was ended by {signal}"),
            Err(_) => format!("its process was ended by signal {signal}"),
        },
        _ => format!("its process ended: {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_the_cause() {
        let end = |status, was_killed, ran_out_of_memory| {
            let status = Some(ExitStatus::from_raw(status));
            cause_of(ProcessEnd { status, was_killed, ran_out_of_memory })
        };
        let exit = |code: u8| i32::from(code) << 8;
        for code in EXIT_NOT_SEALED {
            assert_eq!(end(exit(code), false, false), Cause::Host);
        }
        for code in [0, 1, 65, 79, 100] {
            assert_eq!(end(exit(code), false, false), Cause::Crash);
        }
        assert_eq!(end(exit(EXIT_MEMORY_LIMIT), false, false), Cause::Memory);
        assert_eq!(end(Signal::SIGKILL as i32, false, true), Cause::Memory);
        assert_eq!(end(Signal::SIGKILL as i32, false, false), Cause::Killed);
        assert_eq!(end(Signal::SIGKILL as i32, true, false), Cause::Crash);
        assert_eq!(end(Signal::SIGSYS as i32, false, false), Cause::ForbiddenCall);
        assert_eq!(end(Signal::SIGSEGV as i32, false, false), Cause::Crash);
        assert_eq!(end(Signal::SIGABRT as i32, false, false), Cause::Crash);
    }
}
