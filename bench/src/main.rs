//! Measures the Edge Policy Enforcer beside its alternatives, in one run.
#![allow(clippy::print_stdout, reason = "its tables are its output")]

mod echo;
mod hidden;
mod in_process;
mod load;
mod peers;
mod plots;
mod policies;
mod processes;
mod report;
mod scenarios;
mod servers;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};
use std::thread;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use report::Report;
use scenarios::{SCENARIOS, Scenario, Settings};
use servers::Programs;

/// Rounds, and seconds for each figure in a round: by default, and in a quick run, whose figures
/// only show that the bench works.
const CUSTOMARY: (usize, f64) = (5, 2.0);
const QUICK: (usize, f64) = (1, 0.5);

fn main() -> ExitCode {
    let arguments = command().get_matches();
    let result = hidden::run(&arguments).unwrap_or_else(|| measure(&arguments));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error cannot be written to, the exit code remains.
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("error: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let names = SCENARIOS.iter().map(|scenario| scenario.name).chain(["all"]);
    let about: String = SCENARIOS
        .iter()
        .map(|scenario| format!("  {:<12}{}\n", scenario.name, scenario.about))
        .collect();
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("PATH").value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("enforcer-bench")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Measures the Edge Policy Enforcer beside its alternatives, in one run")
        .after_help(format!("Scenarios:\n{about}  all         all of them, one after the other"))
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
        .arg(
            Arg::new("scenario")
                .required(true)
                .action(ArgAction::Append)
                .value_parser(names.collect::<Vec<_>>())
                .hide_possible_values(true)
                .help("The scenarios to run, see below"),
        )
        .arg(
            Arg::new("rounds")
                .long("rounds")
                .value_parser(value_parser!(u16).range(1..=1000))
                .help("How often each figure is measured [default: 5]"),
        )
        .arg(
            Arg::new("seconds")
                .long("seconds")
                .value_parser(value_parser!(u16).range(1..=600))
                .help("How long each measurement takes [default: 2]"),
        )
        .arg(
            Arg::new("quick")
                .long("quick")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["rounds", "seconds"])
                .help("One round of half a second: only shows that the bench works"),
        )
        .arg(path("enforcer", "The product's binary; built when not given"))
        .arg(path("opa", "OPA's binary; see bench/install-peers"))
        .arg(path("cerbos", "Cerbos' binary; see bench/install-peers"))
        .arg(path("out", "The directory for the JSON report and the plots [default: target/bench]"))
        .subcommands(hidden::commands())
}

fn measure(arguments: &ArgMatches) -> io::Result<()> {
    let settings = settings(arguments)?;
    let asked: Vec<&String> = arguments.get_many("scenario").unwrap_or_default().collect();
    let is_asked =
        |scenario: &&Scenario| asked.iter().any(|name| *name == scenario.name || *name == "all");
    let mut report = Report {
        machine: machine(),
        rounds: settings.rounds,
        seconds: settings.length.as_secs_f64(),
        sections: Vec::new(),
    };
    for scenario in SCENARIOS.iter().filter(is_asked) {
        println!("== {}: {}\n", scenario.name, scenario.about);
        let section = (scenario.run)(&settings)
            .map_err(|error| io::Error::other(format!("{}: {error}", scenario.name)))?;
        for table in &section.tables {
            println!("{table}");
        }
        report.sections.push(section);
    }
    println!("{}", report.summary());
    let out = arguments.get_one("out").cloned().unwrap_or_else(|| PathBuf::from("target/bench"));
    fs::create_dir_all(&out)?;
    fs::write(out.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
    for curves in report.sections.iter().flat_map(|section| &section.curves) {
        plots::draw(curves, &out)?;
    }
    println!("report.json and plots: {}", out.display());
    Ok(())
}

fn settings(arguments: &ArgMatches) -> io::Result<Settings> {
    let (rounds, seconds) = if arguments.get_flag("quick") { QUICK } else { CUSTOMARY };
    let rounds = arguments.get_one::<u16>("rounds").map_or(rounds, |rounds| (*rounds).into());
    let seconds = arguments.get_one::<u16>("seconds").map_or(seconds, |seconds| (*seconds).into());
    let bench = std::env::current_exe()?;
    let enforcer = match arguments.get_one::<PathBuf>("enforcer") {
        Some(enforcer) => enforcer.clone(),
        None => build(&bench)?,
    };
    let programs = Programs {
        enforcer,
        bench,
        opa: arguments.get_one("opa").cloned(),
        cerbos: arguments.get_one("cerbos").cloned(),
    };
    for program in [Some(&programs.enforcer), programs.opa.as_ref(), programs.cerbos.as_ref()] {
        if let Some(program) = program.filter(|program| !program.is_file()) {
            return Err(io::Error::other(format!(
                "the program {} does not exist",
                program.display()
            )));
        }
    }
    Ok(Settings { programs, rounds, length: Duration::from_secs_f64(seconds) })
}

/// Builds the product beside the bench, so that the code in the tree is measured.
fn build(bench: &Path) -> io::Result<PathBuf> {
    let mut cargo = Process::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["build", "--package", "edge-policy-enforcer", "--bin", "edge-policy-enforcer"]);
    cargo.args(if cfg!(debug_assertions) { &[][..] } else { &["--release"][..] });
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if !cargo.status()?.success() {
        return Err(io::Error::other("the product could not be built"));
    }
    Ok(bench.with_file_name("edge-policy-enforcer"))
}

/// The machine of the measurements.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let information = read("/proc/cpuinfo");
    let model = information.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or_default().trim_start_matches([' ', '\t', ':']);
    format!("{cores} × {model}, Linux {}", kernel.trim())
}
