//! Runs OPA's compliance suite on the policy engine and prints failures by cause.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use enforcer_compliance::process::Process;
use enforcer_compliance::suite::{self, Cause, Dialect, Failed};
use enforcer_compliance::tool::{self, Failure, say, share};
use serde_json::json;

fn main() -> ExitCode {
    let arguments = tool::command("enforcer-compliance", "OPA's compliance suite on our engine")
        .arg(
            Arg::new("suite")
                .required(true)
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("Files of cases, in JSON or YAML"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Prints every failure as JSON"),
        )
        .arg(
            Arg::new("v0")
                .long("v0")
                .action(ArgAction::SetTrue)
                .help("The cases are in Rego before OPA 1.0"),
        )
        .arg(
            Arg::new("check-opa")
                .long("check-opa")
                .action(ArgAction::SetTrue)
                .help("Asks OPA instead of our engine: a failure is then a fault of this program"),
        )
        .arg(
            Arg::new("documented")
                .long("documented")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Cases that are known to fail: `name # reason` or `[cause] # reason`"),
        )
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("TEXT")
                .help("Runs the cases whose names hold this text"),
        );
    match run(&arguments.get_matches()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(format!("enforcer-compliance: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(matches: &ArgMatches) -> Result<bool, Failure> {
    let root = matches.get_one::<PathBuf>("suite").cloned().unwrap_or_default();
    let mut engine: Process =
        if matches.get_flag("check-opa") { tool::opa(matches) } else { tool::engine(matches) };
    let only = matches.get_one::<String>("only").cloned().unwrap_or_default();
    let known = tool::documented(matches, |text| Ok(Known::parse(text)))?;
    let dialect = if matches.get_flag("v0") { Dialect::V0 } else { Dialect::V1 };
    let mut passed = 0_u64;
    let mut documented: BTreeMap<Cause, u64> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in suite::load(&root)?.into_iter().filter(|case| case.note.contains(&only)) {
        match case.run(&mut engine, dialect) {
            Ok(()) => passed += 1,
            Err(failed) if known.holds(&case.note, failed.cause) => {
                *documented.entry(failed.cause).or_default() += 1;
            }
            Err(failed) => failures.push((case.note, case.file, failed)),
        }
    }
    if matches.get_flag("json") {
        let list: Vec<_> = failures
            .iter()
            .map(|(note, file, failed)| {
                json!({
                    "note": note,
                    "file": file,
                    "cause": failed.cause.name(),
                    "detail": failed.detail,
                })
            })
            .collect();
        say(json!({
            "passed": passed,
            "documented": documented.values().sum::<u64>(),
            "failed": failures.len(),
            "failures": list,
        }));
    } else {
        print(passed, &failures);
        for (cause, number) in &documented {
            say(format!("documented, {}: {number}", cause.name()));
        }
    }
    Ok(failures.is_empty())
}

/// The cases that are known to fail.
#[derive(Default)]
struct Known(BTreeSet<String>);

impl Known {
    /// Reads lines of `name # reason`. A name in brackets is a cause, and stands for all its cases.
    fn parse(list: &str) -> Self {
        let lines = list.lines().filter(|line| !line.trim_start().starts_with('#'));
        let names = lines.map(|line| line.split(" # ").next().unwrap_or_default().trim());
        Self(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    fn holds(&self, note: &str, cause: Cause) -> bool {
        self.0.contains(note) || self.0.contains(&format!("[{}]", cause.name()))
    }
}

/// Failures that are listed with their details, by cause.
fn print(passed: u64, failures: &[(String, String, Failed)]) {
    let mut causes: BTreeMap<Cause, Vec<(&str, &str)>> = BTreeMap::new();
    for (note, _, failed) in failures {
        causes.entry(failed.cause).or_default().push((note, &failed.detail));
    }
    for (cause, cases) in &causes {
        say(format!("{}: {}", cause.name(), cases.len()));
        for (note, detail) in cases {
            let shown: String = detail.chars().take(200).collect();
            say(format!("  {note}: {shown}"));
        }
    }
    let failed = u64::try_from(failures.len()).unwrap_or_default();
    say(format!("{passed} passed, {failed} failed ({})", share(passed, passed + failed)));
}
