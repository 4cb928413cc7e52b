//! `completion`: a shell's completions, from the definition of the command line.

use std::io::{Write, stdout};

use clap::ArgMatches;
use clap_complete::{Shell, generate};

use super::Verdict;
use crate::arguments::shown;
use crate::failure::Failure;

/// Prints the completions of a shell.
///
/// # Errors
/// When the output cannot be written.
pub(crate) fn completion(arguments: &ArgMatches) -> Result<Verdict, Failure> {
    let shell = match arguments.get_one::<String>("shell").map(String::as_str) {
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        // The only other value that the definition allows.
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    generate(shell, &mut shown(), "edge-policy-enforcer", &mut script);
    stdout().lock().write_all(&script)?;
    Ok(Verdict::Positive)
}
