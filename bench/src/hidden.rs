//! The targets that the bench starts from its own program.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Arg, ArgMatches, Command, value_parser};
use enforcer_protocol::SandboxMode;
use enforcer_supervisor::WORKER_SUBCOMMAND;
use enforcer_worker::Spec;

use crate::{echo, in_process};

const ECHO: &str = "echo";
const IN_PROCESS: &str = "in-process";

/// The subcommands, which only the bench and its supervisor call.
pub(crate) fn commands() -> [Command; 3] {
    [
        Command::new(WORKER_SUBCOMMAND)
            .hide(true)
            .arg(Arg::new("tenant").required(true))
            .arg(Arg::new("sandbox").long("sandbox").value_parser(SandboxMode::from_str))
            .arg(Arg::new("memory-limit").long("memory-limit").value_parser(value_parser!(u64)))
            .arg(Arg::new("user").long("user").value_parser(value_parser!(u32))),
        Command::new(ECHO).hide(true),
        Command::new(IN_PROCESS)
            .hide(true)
            .arg(Arg::new("port").long("port").required(true).value_parser(value_parser!(u16)))
            .arg(
                Arg::new("bundles")
                    .long("bundles")
                    .required(true)
                    .value_parser(value_parser!(PathBuf)),
            ),
    ]
}

/// Runs the subcommand that was given, if one was.
pub(crate) fn run(arguments: &ArgMatches) -> Option<io::Result<()>> {
    let (name, arguments) = arguments.subcommand()?;
    Some(match name {
        WORKER_SUBCOMMAND => echo::work(&Spec {
            // Access is denied by default.
            mode: arguments.get_one("sandbox").copied().unwrap_or(SandboxMode::Strict),
            memory_limit: arguments.get_one("memory-limit").copied().unwrap_or(0),
            user: arguments.get_one("user").copied(),
        })
        .map_err(io::Error::other),
        ECHO => echo::supervise().map_err(io::Error::other),
        _ => serve_in_process(arguments),
    })
}

fn serve_in_process(arguments: &ArgMatches) -> io::Result<()> {
    let (Some(port), Some(bundles)) =
        (arguments.get_one::<u16>("port"), arguments.get_one::<PathBuf>("bundles"))
    else {
        return Err(io::Error::other("in-process needs a port and bundles"));
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?;
    in_process::serve(listener, bundles).map_err(io::Error::other)
}
