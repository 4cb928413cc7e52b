//! Runs OPA's compliance suite on the policy engine and prints what fails, by cause.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use enforcer_compliance::process::Process;
use enforcer_compliance::suite::{self, Cause, Failed};
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
            Arg::new("check-opa")
                .long("check-opa")
                .action(ArgAction::SetTrue)
                .help("Asks OPA instead of our engine: what fails then is a fault of this program"),
        )
        .arg(
            Arg::new("documented")
                .long("documented")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Names of cases that are known not to pass, with reasons: `name # reason`"),
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
    let known = match matches.get_one::<PathBuf>("documented") {
        Some(path) => documented(&std::fs::read_to_string(path).map_err(Failure::file(path))?),
        None => BTreeSet::new(),
    };
    let (mut passed, mut documented) = (0_u64, 0_u64);
    let mut failures = Vec::new();
    for case in suite::load(&root)?.into_iter().filter(|case| case.note.contains(&only)) {
        match case.run(&mut engine) {
            Ok(()) => passed += 1,
            Err(_) if known.contains(&case.note) => documented += 1,
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
        say(
            json!({ "passed": passed, "documented": documented, "failed": failures.len(), "failures": list }),
        );
    } else {
        print(passed, &failures);
        if documented > 0 {
            say(format!("{documented} documented ones do not pass"));
        }
    }
    Ok(failures.is_empty())
}

/// The names in a list of cases.
fn documented(list: &str) -> BTreeSet<String> {
    let lines = list.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .map(|line| line.split(" # ").next().unwrap_or_default().trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
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
