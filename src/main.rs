//! The one binary: the supervisor, or, by a hidden subcommand, one of its workers.

use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use enforcer_protocol::SandboxMode;
use enforcer_supervisor::{Config, ConfigErrors, SETTINGS, SupervisorError, WORKER_SUBCOMMAND};
use enforcer_worker::{Spec, WorkerError};

/// The subcommand that reports this host's layers for a worker's sandbox.
const SANDBOX_SUBCOMMAND: &str = "sandbox";

/// The subcommand that prints the built-ins that policies may use.
const CAPABILITIES_SUBCOMMAND: &str = "capabilities";

/// Bounds a worker's allocations, and nothing else.
#[global_allocator]
static ALLOCATOR: enforcer_worker::BoundedAllocator = enforcer_worker::BoundedAllocator;

/// Every error that ends the program.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("this host lacks layers of the sandbox that workers need")]
    NotStrict,
    #[error("the operating system refused: {0}")]
    System(#[from] std::io::Error),
}

impl Failure {
    /// The exit codes, which are stable: scripts and units may rely on them.
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Supervisor(SupervisorError::Host { .. } | SupervisorError::ServerEnded(_))
            | Self::System(_) => 1,
            // As clap's own, for an unknown flag.
            Self::Config(_) => 2,
            Self::Supervisor(SupervisorError::Listen { .. }) => 3,
            Self::Supervisor(SupervisorError::BundlesDir(_)) => 4,
            Self::Worker(WorkerError::NotStartedBySupervisor) => 64,
            Self::NotStrict
            | Self::Supervisor(
                SupervisorError::NotStrict { .. }
                | SupervisorError::Missing { .. }
                | SupervisorError::Clock(_),
            ) => 5,
            Self::Worker(WorkerError::Sandbox(error)) => error.exit_code(),
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
        Some((WORKER_SUBCOMMAND, arguments)) => work(arguments),
        Some((SANDBOX_SUBCOMMAND, arguments)) => report_sandbox(arguments),
        Some((CAPABILITIES_SUBCOMMAND, _)) => print_capabilities(),
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

fn work(arguments: &ArgMatches) -> Result<(), Failure> {
    let spec = Spec {
        // Without an explicit mode the sandbox is strict.
        mode: arguments.get_one("sandbox").copied().unwrap_or(SandboxMode::Strict),
        memory_limit: arguments.get_one("memory-limit").copied().unwrap_or(0),
        user: arguments.get_one("user").copied(),
    };
    Ok(enforcer_worker::run(&spec)?)
}

fn report_sandbox(arguments: &ArgMatches) -> Result<(), Failure> {
    let report = enforcer_supervisor::report_sandbox(&config(arguments)?)?;
    let mut output = std::io::stdout().lock();
    if arguments.get_flag("json") {
        writeln!(output, "{}", report.to_json())?;
    } else {
        write!(output, "{report}")?;
    }
    if report.is_strict { Ok(()) } else { Err(Failure::NotStrict) }
}

fn print_capabilities() -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{:#}", enforcer_rego::capabilities())?)
}

fn config(arguments: &ArgMatches) -> Result<Config, Failure> {
    // Not every subcommand takes every flag.
    let flag = |name: &str| arguments.try_get_one::<String>(name).ok().flatten().cloned();
    let variables = std::env::vars_os()
        .map(|(name, value)| (lossy(&name), lossy(&value)))
        .collect::<Vec<(String, String)>>();
    Ok(Config::parse(flag, variables)?)
}

fn supervise(arguments: &ArgMatches) -> Result<(), Failure> {
    enforcer_supervisor::prepare_process()?;
    enforcer_supervisor::protect_supervisor()?;
    // Bodies and events are sometimes large, and a supervisor runs for months.
    enforcer_worker::give_back_large_memory();
    let config = config(arguments)?;
    let log = enforcer_supervisor::init_logging(&config.log);
    Ok(enforcer_supervisor::run(&config, &log)?)
}

/// A value that is not UTF-8 is invalid for every setting; so is its replacement, which shows the
/// place of the fault.
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
        .about("Evaluates Rego policies for many tenants, each tenant in a process of its own")
        .after_help("Every setting can also be given by its environment variable (in brackets); a flag takes precedence over it.")
        .args(settings)
        .subcommand(
            Command::new(WORKER_SUBCOMMAND)
                .about("Started by the supervisor, never by hand")
                .hide(true)
                .arg(Arg::new("tenant").required(true))
                .arg(Arg::new("sandbox").long("sandbox").value_parser(SandboxMode::from_str))
                .arg(Arg::new("memory-limit").long("memory-limit").value_parser(value_parser!(u64)))
                .arg(Arg::new("user").long("user").value_parser(value_parser!(u32))),
        )
        .subcommand(
            Command::new(SANDBOX_SUBCOMMAND)
                .about("Reports which layers of the workers' sandbox this host offers")
                .after_help("Exits with 0 where a worker may serve here, and with 5 where a mandatory layer is missing.")
                .arg(
                    Arg::new("json")
                        .long("json")
                        .action(ArgAction::SetTrue)
                        .help("Print JSON instead of a table"),
                ),
        )
        .subcommand(
            Command::new(CAPABILITIES_SUBCOMMAND)
                .about("Prints the built-ins that policies may use, as OPA's capabilities")
                .after_help("For `opa check --capabilities FILE` and editors. Built-ins that need the network are left out."),
        )
}

fn report(failure: &Failure) {
    // If standard error is closed, the exit code still reports the error.
    let _ = writeln!(std::io::stderr(), "edge-policy-enforcer: {failure}");
}
