//! The common parts of this crate's programs: arguments, the two engines, and their output.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use crate::process::Process;

/// A program that asks OPA and our engine.
#[must_use]
pub fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .arg(
            Arg::new("opa")
                .long("opa")
                .value_name("PROGRAM")
                .default_value("opa-oracle")
                .help("The program of tests/opa"),
        )
        .arg(
            Arg::new("engine")
                .long("engine")
                .value_name("PROGRAM")
                .help("Our engine's program [default: the program `engine` beside this one]"),
        )
}

/// OPA.
#[must_use]
pub fn opa(matches: &ArgMatches) -> Process {
    Process::new(matches.get_one::<String>("opa").cloned().unwrap_or_default())
}

/// Our engine.
#[must_use]
pub fn engine(matches: &ArgMatches) -> Process {
    let beside = || {
        let program = std::env::current_exe().unwrap_or_default();
        program.with_file_name("engine").display().to_string()
    };
    Process::new(matches.get_one::<String>("engine").cloned().unwrap_or_else(beside))
}

/// The content of the file that `--documented` names; empty where it is not given.
///
/// # Errors
/// When the file cannot be read, or `parse` refuses it.
pub fn documented<T: Default>(
    matches: &ArgMatches,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    let Some(path) = matches.get_one::<PathBuf>("documented") else { return Ok(T::default()) };
    let text = std::fs::read_to_string(path).map_err(Failure::file(path))?;
    parse(&text).map_err(|reason| Failure::content(path, reason))
}

/// Prints a line.
pub fn say(line: impl Display) {
    // A closed output means that the reader does not want the rest.
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(1);
    }
}

/// Why a program of this crate cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file has an invalid content.
    #[error("{path}: {reason}")]
    Content {
        /// Which.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// OPA's process failed.
    #[error("the oracle does not answer: {0}")]
    Oracle(String),
}

impl Failure {
    /// A file cannot be read or written.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// A file has an invalid content.
    pub fn content(path: impl Into<PathBuf>, reason: impl Display) -> Self {
        Self::Content { path: path.into(), reason: reason.to_string() }
    }
}

/// A share in percent.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    // Shown with two digits; counts are exact in a float.
    let tenths_of_thousandths = part.saturating_mul(10_000) / whole;
    format!("{}.{:02} %", tenths_of_thousandths / 100, tenths_of_thousandths % 100)
}
