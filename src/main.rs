//! The one binary: the supervisor, or, by a hidden subcommand, one of its workers.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use enforcer_supervisor::{Config, ConfigErrors, SETTINGS, SupervisorError, WORKER_SUBCOMMAND};
use enforcer_worker::WorkerError;

/// Bounds what a worker allocates, and nothing else.
#[global_allocator]
static ALLOCATOR: enforcer_worker::BoundedAllocator = enforcer_worker::BoundedAllocator;

/// Everything that ends the program unasked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl Failure {
    /// The exit codes, which are stable: scripts and units may rely on them.
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Supervisor(SupervisorError::Host { .. } | SupervisorError::ServerEnded(_)) => 1,
            // As clap's own, for an unknown flag.
            Self::Config(_) => 2,
            Self::Supervisor(SupervisorError::Listen { .. }) => 3,
            Self::Supervisor(SupervisorError::BundlesDir(_)) => 4,
            Self::Worker(WorkerError::NotStartedBySupervisor) => 64,
            Self::Worker(WorkerError::Sandbox(_)) => 65,
            Self::Worker(WorkerError::Socket(_)) => 66,
            Self::Worker(
                WorkerError::FrameTooLong(_)
                | WorkerError::Decode(_)
                | WorkerError::OutOfOrder(_)
                | WorkerError::Encode(_),
            ) => 67,
        }
    }
}

fn main() -> ExitCode {
    let arguments = command().get_matches();
    let result = match arguments.subcommand() {
        Some((WORKER_SUBCOMMAND, _)) => enforcer_worker::run().map_err(Failure::from),
        _ => supervise(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn supervise(arguments: &ArgMatches) -> Result<(), Failure> {
    let flag = |name: &str| arguments.get_one::<String>(name).cloned();
    let variables = std::env::vars_os()
        .map(|(name, value)| (lossy(&name), lossy(&value)))
        .collect::<Vec<(String, String)>>();
    let config = Config::parse(flag, variables)?;
    let log = enforcer_supervisor::init_logging(&config.log);
    Ok(enforcer_supervisor::run(&config, &log)?)
}

/// A value that is not UTF-8 is no valid value of any setting; what is put in its place is none
/// either, and shows where the fault is.
fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

fn command() -> Command {
    let settings = SETTINGS.iter().map(|setting| {
        Arg::new(setting.flag)
            .long(setting.flag)
            .value_name("VALUE")
            .allow_hyphen_values(true)
            .help(format!("{} [{}] [default: {}]", setting.help, setting.variable, setting.default))
    });
    Command::new("edge-policy-enforcer")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Answers policy questions for many tenants, each tenant's Rego in a process of its own")
        .after_help("Every setting can be given by its environment variable, in brackets; a flag wins over it.")
        .args(settings)
        .subcommand(
            Command::new(WORKER_SUBCOMMAND)
                .about("Started by the supervisor, never by hand")
                .hide(true)
                .arg(Arg::new("tenant").required(true)),
        )
}

fn report(failure: &Failure) {
    // Where standard error is closed there is nobody to tell; the exit code says it too.
    let _ = writeln!(std::io::stderr(), "edge-policy-enforcer: {failure}");
}
