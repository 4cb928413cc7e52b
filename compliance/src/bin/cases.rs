//! Runs cases that are folders: a policy, an input, and the expected result.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, value_parser};
use enforcer_compliance::cases::{self, Verdict};
use enforcer_compliance::tool::{self, Failure, say};

fn main() -> ExitCode {
    let arguments = tool::command("cases", "Folders of a policy, an input and the expected result")
        .arg(
            Arg::new("folder")
                .required(true)
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf)),
        );
    match run(&arguments.get_matches()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            say(format!("cases: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(matches: &ArgMatches) -> Result<bool, Failure> {
    let root = matches.get_one::<PathBuf>("folder").cloned().unwrap_or_default();
    let mut engine = tool::engine(matches);
    let (mut right, mut wrong, mut skipped) = (0, 0, 0);
    for case in cases::find(&root)? {
        let name = case.folder.strip_prefix(&root).unwrap_or(&case.folder).display().to_string();
        match case.judge(&mut engine) {
            Verdict::Right => right += 1,
            Verdict::Wrong(what) => {
                wrong += 1;
                say(format!("WRONG   {name}: {what}"));
            }
            Verdict::Skipped => {
                skipped += 1;
                say(format!("SKIPPED {name}: it is a script that needs the product's binary"));
            }
        }
    }
    say(format!("{right} right, {wrong} wrong, {skipped} SKIPPED"));
    Ok(wrong == 0)
}
