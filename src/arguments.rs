//! The command line: its definition, and the configuration that it gives.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use enforcer_protocol::{SandboxMode, TenantId};
use enforcer_supervisor::{Config, ConfigErrors, SETTINGS, Setting, WORKER_SUBCOMMAND};

/// The subcommand that reports this host's layers for a worker's sandbox.
pub(crate) const SANDBOX: &str = "sandbox";

/// The subcommand that prints the built-ins that policies may use.
pub(crate) const CAPABILITIES: &str = "capabilities";

/// The subcommand that finds mistakes in bundles.
pub(crate) const CHECK: &str = "check";

/// The subcommand that evaluates a policy.
pub(crate) const EVAL: &str = "eval";

/// The subcommand that runs a bundle's tests.
pub(crate) const TEST: &str = "test";

/// The subcommand that prints a shell's completions.
pub(crate) const COMPLETION: &str = "completion";

/// The subcommand about bearer tokens.
pub(crate) const TOKEN: &str = "token";

/// The settings that the commands for bundles take as flags too: those that decide how a bundle is
/// loaded.
const SETTINGS_OF_A_BUNDLE: [&str; 5] =
    ["config", "bundles-dir", "sandbox", "memory-limit-mib", "load-timeout-ms"];

/// The end of the help of each command for bundles.
const HOW_IT_IS_LOADED: &str = "\
The bundle is loaded in a sandboxed process of its own, as a server loads it. A bundle in BUNDLES_DIR
is loaded as its tenant's, with the tenant's settings: its packages have to be tenants.<id> or below.
Any other bundle may have any packages. --tenant ID and --open say it instead of the place.";

/// The program's command line.
pub(crate) fn command() -> Command {
    // Scripts of completions and the help have no use for it.
    shown().subcommand(
        Command::new(WORKER_SUBCOMMAND)
            .about("Started by the supervisor, never by hand")
            .hide(true)
            .arg(Arg::new("tenant").required(true))
            .arg(Arg::new("sandbox").long("sandbox").value_parser(SandboxMode::from_str))
            .arg(Arg::new("memory-limit").long("memory-limit").value_parser(value_parser!(u64)))
            .arg(Arg::new("user").long("user").value_parser(value_parser!(u32))),
    )
}

/// The part of the command line that people use.
pub(crate) fn shown() -> Command {
    Command::new("edge-policy-enforcer")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Evaluates Rego policies for many tenants, each tenant in a process of its own")
        .after_help("Every setting can also be given by its environment variable (in brackets); a flag takes precedence over it.")
        .args(SETTINGS.iter().map(setting))
        .subcommand(check())
        .subcommand(eval())
        .subcommand(test())
        .subcommand(
            Command::new(CAPABILITIES)
                .about("Prints the built-ins that policies may use, as OPA's capabilities")
                .after_help("For `opa check --capabilities FILE` and editors. Built-ins that need the network are left out."),
        )
        .subcommand(
            Command::new(SANDBOX)
                .about("Reports which layers of the workers' sandbox this host offers")
                .after_help("Exits with 0 where a worker may serve here, and with 5 where a mandatory layer is missing.")
                .arg(
                    Arg::new("json")
                        .long("json")
                        .action(ArgAction::SetTrue)
                        .help("Print JSON instead of a table"),
                ),
        )
        .subcommand(token())
        .subcommand(
            Command::new(COMPLETION)
                .about("Prints the completions of a shell")
                .after_help("\
For bash:  edge-policy-enforcer completion bash > ~/.local/share/bash-completion/completions/edge-policy-enforcer
For zsh:   edge-policy-enforcer completion zsh > a directory of $fpath, as the file _edge-policy-enforcer
For fish:  edge-policy-enforcer completion fish > ~/.config/fish/completions/edge-policy-enforcer.fish")
                .arg(
                    Arg::new("shell")
                        .value_name("SHELL")
                        .required(true)
                        .value_parser(["bash", "zsh", "fish"])
                        .help("The shell"),
                ),
        )
}

fn token() -> Command {
    let new = Command::new("new")
        .about("Makes a token, and prints it with the lines for the configuration file")
        .after_help("\
The first line of the output is the token, for whoever is to ask with it. The rest goes into the file
that --config names, which holds the token's SHA-256 and not the token. SIGHUP has the file read again.")
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .required(true)
                .value_parser(enforcer_supervisor::parse_credential_name)
                .help("Who it is for, as the log will say"),
        )
        .arg(
            Arg::new("role")
                .long("role")
                .value_name("ROLE")
                .required(true)
                .action(ArgAction::Append)
                .value_parser(["decide", "observe", "operate"])
                .help("A role that it gives; may be given more than once"),
        )
        .arg(
            Arg::new("tenant")
                .long("tenant")
                .short('t')
                .value_name("ID")
                .required(true)
                .action(ArgAction::Append)
                .value_parser(tenant_or_all)
                .help("A tenant that it is for, or * for all; may be given more than once"),
        )
        .arg(
            Arg::new("expires")
                .long("expires")
                .value_name("TIME")
                .value_parser(expiry)
                .help("When it ends, such as 2027-01-01T00:00:00Z; without it, never"),
        );
    Command::new(TOKEN)
        .about("Makes bearer tokens for clients")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(new)
}

fn check() -> Command {
    let command = Command::new(CHECK)
        .about("Finds mistakes in bundles")
        .after_help(format!(
            "{HOW_IT_IS_LOADED}\n\n\
Mistakes in test files count, although a server ignores these files. Warnings are about rules that
cannot be what their author meant, such as a tenant without a rule that decides.\n\n\
Exits with 0 if every bundle can be used, with 1 if one cannot, and with 2 if the command is wrong."
        ))
        .arg(
            Arg::new("bundles")
                .value_name("BUNDLE")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help("Directory or archive (.tar.gz) of a bundle"),
        )
        .arg(formats(&["pretty", "json"], "Report for people, or as one JSON value"))
        .arg(
            Arg::new("deny-warnings")
                .long("deny-warnings")
                .action(ArgAction::SetTrue)
                .help("Exit with 1 on warnings too"),
        );
    of_a_bundle(command)
}

fn eval() -> Command {
    let command = Command::new(EVAL)
        .about("Evaluates a policy, and explains the result")
        .after_help(format!(
            "{HOW_IT_IS_LOADED}\n\n\
Without QUERY and --data-path the value of the tenant's entrypoint is printed (by default
tenants/<id>/allow), or of all of data where the bundle is no tenant's. A QUERY may be any Rego; its
solutions are printed, each with the values of its variables. A QUERY that is just a reference, such
as data.app.allow, prints its value. Output of print goes to standard error.\n\n\
Exits with 0 if there is a result or it is undefined, with 1 if the policy cannot be loaded or fails
(or, with --fail, if the result is undefined), and with 2 if the command or the input is wrong."
        ))
        .arg(bundle())
        .arg(Arg::new("query").value_name("QUERY").conflicts_with("data-path").help("Rego to evaluate"))
        .arg(
            Arg::new("input")
                .long("input")
                .short('i')
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("File with the input, JSON or YAML; - is standard input"),
        )
        .arg(
            Arg::new("data-path")
                .long("data-path")
                .short('p')
                .value_name("PATH")
                .help("Document to evaluate, as a path of the Data API: app/authz/allow"),
        )
        .arg(formats(
            &["pretty", "json", "raw"],
            "The value with indents; {\"result\": value} as the Data API has it; or the value on one line, a string without quotes",
        ))
        .arg(
            Arg::new("explain")
                .long("explain")
                .value_name("HOW")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("why")
                .value_parser(["why", "notes", "fails", "full", "debug"])
                .help("Explain the result: why shows each rule, what held, what failed and the values there; the others are OPA's traces"),
        )
        .arg(
            Arg::new("fail")
                .long("fail")
                .action(ArgAction::SetTrue)
                .help("Exit with 1 if the result is undefined"),
        )
        .arg(
            Arg::new("strict-builtin-errors")
                .long("strict-builtin-errors")
                .action(ArgAction::SetTrue)
                .help("Let a built-in that fails be an error; otherwise its call is undefined"),
        );
    of_a_bundle(command)
}

fn test() -> Command {
    let command = Command::new(TEST)
        .about("Runs the tests of a bundle")
        .after_help(format!(
            "{HOW_IT_IS_LOADED}\n\n\
A test is a rule whose name begins with test_; one that begins with todo_test_ is skipped. The output
is that of `opa test`, and each failed test is explained below it.\n\n\
Exits with 0 if all tests pass, with 1 if one fails, has an error or is skipped, or if the coverage is
below the threshold, and with 2 if the command is wrong."
        ))
        .arg(bundle())
        .arg(
            Arg::new("run")
                .long("run")
                .short('r')
                .value_name("REGEX")
                .help("Run only tests whose name (data.app_test.test_a) matches"),
        )
        .arg(
            Arg::new("verbose")
                .long("verbose")
                .short('v')
                .action(ArgAction::SetTrue)
                .help("Show passed tests too"),
        )
        .arg(
            Arg::new("coverage")
                .long("coverage")
                .short('c')
                .action(ArgAction::SetTrue)
                .help("Report what the tests cover, as OPA's JSON; with --format pretty, as a table"),
        )
        .arg(
            Arg::new("threshold")
                .long("threshold")
                .value_name("PERCENT")
                .value_parser(percent)
                .help("Exit with 1 if less than this is covered; includes --coverage"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("DURATION")
                .default_value("5s")
                .value_parser(duration)
                .help("How long one test may take, 1ms to 60s; all together at most ten minutes"),
        )
        .arg(
            Arg::new("exit-zero-on-skipped")
                .long("exit-zero-on-skipped")
                .short('z')
                .action(ArgAction::SetTrue)
                .help("Do not let skipped tests count as failed"),
        )
        // Without a default: the coverage has another one.
        .arg(
            Arg::new("format")
                .long("format")
                .short('f')
                .value_name("FORMAT")
                .value_parser(["pretty", "json", "junit"])
                .help("For people, as OPA's JSON, or as JUnit's XML [default: pretty]"),
        );
    of_a_bundle(command)
}

/// Adds the arguments that say how a bundle is loaded.
fn of_a_bundle(command: Command) -> Command {
    let settings = SETTINGS.iter().filter(|it| SETTINGS_OF_A_BUNDLE.contains(&it.flag));
    command
        .arg(
            Arg::new("tenant")
                .long("tenant")
                .short('t')
                .value_name("ID")
                .value_parser(TenantId::from_str)
                .conflicts_with("open")
                .help("Load it as this tenant's, with the tenant's settings"),
        )
        .arg(
            Arg::new("open")
                .long("open")
                .action(ArgAction::SetTrue)
                .help("Load it as no tenant's: it may have any packages"),
        )
        .args(settings.map(setting))
}

fn bundle() -> Arg {
    Arg::new("bundle")
        .value_name("BUNDLE")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("Directory or archive (.tar.gz) of the bundle")
}

fn formats(formats: &'static [&'static str], help: &'static str) -> Arg {
    let default = formats.first().copied().unwrap_or_default();
    Arg::new("format")
        .long("format")
        .short('f')
        .value_name("FORMAT")
        .default_value(default)
        .value_parser(formats.to_vec())
        .help(help)
}

fn setting(setting: &Setting) -> Arg {
    Arg::new(setting.flag)
        .long(setting.flag)
        .value_name("VALUE")
        .allow_hyphen_values(true)
        .help(format!("{} [{}] [default: {}]", setting.help, setting.variable, setting.default))
}

/// A time as the configuration file takes it.
fn expiry(text: &str) -> Result<String, String> {
    enforcer_supervisor::parse_expiry(text).map(|_| text.to_owned())
}

fn tenant_or_all(text: &str) -> Result<String, String> {
    if text != "*" {
        TenantId::from_str(text).map_err(|error| error.to_string())?;
    }
    Ok(text.to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

/// A time as Go writes it, of one unit: `500ms`, `5s`, `1m`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let read = units.iter().find_map(|(unit, millis)| {
        text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*millis)
    });
    let valid = read.filter(|millis| (1..=60_000).contains(millis));
    let valid = valid.map(std::time::Duration::from_millis);
    valid.ok_or_else(|| "expected a time from 1ms to 60s, such as 500ms or 5s".to_owned())
}

/// The configuration that the command line and the environment give.
pub(crate) fn config(arguments: &ArgMatches) -> Result<Config, ConfigErrors> {
    Config::parse(|name| flag(arguments, name), variables())
}

/// The same for a command about bundles, which may be anywhere.
pub(crate) fn config_for_bundles(arguments: &ArgMatches) -> Result<Config, ConfigErrors> {
    Config::parse_for_bundles(|name| flag(arguments, name), variables())
}

/// A flag's value. Not every subcommand takes every flag.
fn flag(arguments: &ArgMatches, name: &str) -> Option<String> {
    arguments.try_get_one::<String>(name).ok().flatten().cloned()
}

fn variables() -> Vec<(String, String)> {
    std::env::vars_os().map(|(name, value)| (lossy(&name), lossy(&value))).collect()
}

/// A value that is not UTF-8 is invalid for every setting; so is its replacement, which shows the
/// place of the fault.
fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}
