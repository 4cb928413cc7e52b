//! The one binary: the supervisor, a command for people who write policies, or, by a hidden
//! subcommand, one of the supervisor's workers.

mod arguments;
mod commands;
mod failure;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::ArgMatches;
use enforcer_protocol::SandboxMode;
use enforcer_supervisor::WORKER_SUBCOMMAND;
use enforcer_worker::Spec;

use arguments::{CAPABILITIES, CHECK, COMPLETION, EVAL, SANDBOX, TEST, TOKEN, command, config};
use commands::Verdict;
use failure::Failure;

/// Bounds a worker's allocations, and nothing else.
#[global_allocator]
static ALLOCATOR: enforcer_worker::BoundedAllocator = enforcer_worker::BoundedAllocator;

fn main() -> ExitCode {
    let arguments = command().get_matches();
    let result = match arguments.subcommand() {
        Some((WORKER_SUBCOMMAND, arguments)) => work(arguments),
        Some((SANDBOX, arguments)) => report_sandbox(arguments),
        Some((CAPABILITIES, _)) => print_capabilities(),
        Some((CHECK, arguments)) => commands::check(arguments),
        Some((EVAL, arguments)) => commands::eval(arguments),
        Some((TEST, arguments)) => commands::test(arguments),
        Some((COMPLETION, arguments)) => commands::completion(arguments),
        Some((TOKEN, arguments)) => match arguments.subcommand() {
            Some((_, arguments)) => commands::token(arguments),
            // clap requires one.
            None => Ok(Verdict::Negative),
        },
        _ => supervise(&arguments),
    };
    match result {
        Ok(Verdict::Positive) => ExitCode::SUCCESS,
        Ok(Verdict::Negative) => ExitCode::FAILURE,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn work(arguments: &ArgMatches) -> Result<Verdict, Failure> {
    let spec = Spec {
        // Without an explicit mode the sandbox is strict.
        mode: arguments.get_one("sandbox").copied().unwrap_or(SandboxMode::Strict),
        memory_limit: arguments.get_one("memory-limit").copied().unwrap_or(0),
        user: arguments.get_one("user").copied(),
    };
    enforcer_worker::run(&spec)?;
    Ok(Verdict::Positive)
}

fn report_sandbox(arguments: &ArgMatches) -> Result<Verdict, Failure> {
    let report = enforcer_supervisor::report_sandbox(&config(arguments)?)?;
    let mut output = std::io::stdout().lock();
    if arguments.get_flag("json") {
        writeln!(output, "{}", report.to_json())?;
    } else {
        write!(output, "{report}")?;
    }
    if report.is_strict { Ok(Verdict::Positive) } else { Err(Failure::NotStrict) }
}

fn print_capabilities() -> Result<Verdict, Failure> {
    writeln!(std::io::stdout().lock(), "{:#}", enforcer_rego::capabilities())?;
    Ok(Verdict::Positive)
}

fn supervise(arguments: &ArgMatches) -> Result<Verdict, Failure> {
    enforcer_supervisor::prepare_process()?;
    enforcer_supervisor::protect_supervisor()?;
    // Bodies and events are sometimes large, and a supervisor runs for months.
    enforcer_worker::give_back_large_memory();
    let config = config(arguments)?;
    let log = enforcer_supervisor::init_logging(&config.log);
    enforcer_supervisor::run(&config, &log)?;
    Ok(Verdict::Positive)
}

fn report(failure: &Failure) {
    // `check … | head` closes the pipe when it has seen enough.
    if matches!(failure, Failure::System(error) if error.kind() == ErrorKind::BrokenPipe) {
        return;
    }
    // If standard error is closed, the exit code still reports the error.
    let _ = writeln!(std::io::stderr(), "edge-policy-enforcer: {failure}");
}
