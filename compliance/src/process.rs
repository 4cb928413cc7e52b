//! An engine as a separate process: one line for each request, one for each answer.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value as Json;

use crate::protocol::{Answer, Engine, Question};

/// How long an answer may take: OPA's evaluations are bounded by 5 s each, and a request has
/// several.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that answers questions. It is started by the first request, and again after it died or
/// was late.
pub struct Process {
    command: String,
    patience: Duration,
    running: Option<Running>,
}

struct Running {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, so a failure is ignored.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Process {
    /// The process that this program starts.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), patience: PATIENCE, running: None }
    }

    /// The same with another bound on an answer's time.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn start(&self) -> std::io::Result<Running> {
        let mut child =
            Command::new(&self.command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(requests), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("the process has no pipes"));
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Running { child, requests, answers })
    }

    /// Sends one request and reads the line that answers it.
    ///
    /// # Errors
    /// [`Answer::Crashed`] and [`Answer::Late`], where no line comes.
    pub fn exchange(&mut self, request: &Json) -> Result<Json, Answer> {
        let crashed = |error: std::io::Error| Answer::Crashed(error.to_string());
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start().map_err(|error| {
                Answer::Crashed(format!("{} does not start: {error}", self.command))
            })?,
        };
        running.requests.write_all(format!("{request}\n").as_bytes()).map_err(crashed)?;
        running.requests.flush().map_err(crashed)?;
        match running.answers.recv_timeout(self.patience) {
            Ok(line) => {
                self.running = Some(running);
                serde_json::from_str(&line)
                    .map_err(|error| Answer::Crashed(format!("no answer: {error}: {line}")))
            }
            Err(RecvTimeoutError::Timeout) => Err(Answer::Late),
            Err(RecvTimeoutError::Disconnected) => {
                let status = running.child.wait().map_err(crashed)?;
                Err(Answer::Crashed(format!("the process ended: {status}")))
            }
        }
    }
}

impl Engine for Process {
    fn ask(&mut self, question: &Question) -> Answer {
        match self.exchange(&question.to_json()) {
            Ok(answer) => Answer::from_json(&answer),
            Err(failure) => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_dies_is_a_crash_and_is_started_again() {
        let mut engine = Process::new("true");
        for _ in 0..2 {
            assert!(matches!(engine.ask(&Question::default()), Answer::Crashed(_)));
        }
    }

    #[test]
    fn a_process_that_says_nothing_is_late() {
        let mut engine = Process::new("yes").with_patience(Duration::from_millis(50));
        assert!(matches!(engine.ask(&Question::default()), Answer::Crashed(_)));
        let mut engine = Process::new("/bin/sh").with_patience(Duration::from_millis(200));
        // A shell's complaint about the request goes to its standard error.
        assert_eq!(engine.ask(&Question::default()), Answer::Late);
    }
}
