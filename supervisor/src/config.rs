//! Configuration: every setting in one table, parsed and validated as a whole before anything is
//! built from it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use enforcer_protocol::{MAX_REQUEST_BODY, SandboxMode, TenantId};
use serde::Serialize;
use toml::{Table, Value as Toml};
use tracing::level_filters::LevelFilter;

use crate::http::origin;

/// A setting as users know it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its environment variable.
    pub variable: &'static str,
    /// Its command-line flag, without the dashes.
    pub flag: &'static str,
    /// Its value where neither is given.
    pub default: &'static str,
    /// What it does, its unit and its bounds.
    pub help: &'static str,
}

impl Setting {
    /// Its key in the configuration file.
    fn key(&self) -> String {
        self.flag.replace('-', "_")
    }
}

macro_rules! settings {
    ($($constant:ident = $variable:literal, $flag:literal, $default:literal, $help:literal;)*) => {
        $(const $constant: Setting =
            Setting { variable: $variable, flag: $flag, default: $default, help: $help };)*
        /// Every setting there is.
        pub const SETTINGS: &[Setting] = &[$($constant),*];
    };
}

settings! {
    CONFIG_FILE = "ENFORCER_CONFIG", "config", "none",
        "TOML file with settings, for all tenants and for single ones; see config/enforcer.toml";
    HOST = "ENFORCER_HOST", "host", "127.0.0.1",
        "Address to listen on: an IP address, or localhost";
    PORT = "ENFORCER_PORT", "port", "8181",
        "TCP port to listen on; 0 takes a free one and logs it";
    BUNDLES_DIR = "BUNDLES_DIR", "bundles-dir", "config/tenants.d",
        "Directory with one bundle directory per tenant";
    HOT_RELOAD = "ENABLE_HOT_RELOAD", "enable-hot-reload", "true",
        "Whether changed bundles are taken up by themselves; SIGHUP takes them up in any case";
    LOG_LEVEL = "LOG_LEVEL", "log-level", "info",
        "Least severe level that is logged: off, error, warn, info, debug or trace";
    LOG_FORMAT = "ENFORCER_LOG_FORMAT", "log-format", "auto",
        "Form of the log: text, json, or auto, which is text on a terminal";
    DECISION_LOG = "ENFORCER_DECISION_LOG", "decision-log", "true",
        "Whether every decision is logged, at level info";
    EVALUATION_TIMEOUT = "ENFORCER_EVAL_TIMEOUT_MS", "eval-timeout-ms", "100",
        "Milliseconds from a request's arrival within which its decision must be there, 1 to 60000";
    LOAD_TIMEOUT = "ENFORCER_LOAD_TIMEOUT_MS", "load-timeout-ms", "10000",
        "Milliseconds within which a worker must have started and loaded its bundle, 100 to 600000";
    MAX_BODY = "ENFORCER_MAX_BODY_BYTES", "max-body-bytes", "1048576",
        "Largest request body in bytes, 1024 to 16777216";
    QUEUE_LENGTH = "ENFORCER_QUEUE_LENGTH", "queue-length", "1024",
        "Requests that one tenant may have waiting for their answer, 1 to 65536";
    MEMORY_LIMIT = "ENFORCER_MEMORY_LIMIT_MIB", "memory-limit-mib", "256",
        "MiB that one tenant's worker may allocate, its bundle included, 16 to 65536";
    ACTIVATION = "ENFORCER_ACTIVATION", "activation", "eager",
        "When a tenant's worker is started: eager, at once, or lazy, on its first request";
    IDLE_TIMEOUT = "ENFORCER_IDLE_TIMEOUT", "idle-timeout", "5m",
        "How long a lazy tenant's worker is kept without a request, 100ms to 24h; a bare number is seconds";
    EVALUATOR = "ENFORCER_EVALUATOR", "evaluator", "auto",
        "What evaluates policies: auto, which is bytecode where the bundle is small enough for it, or interpreter, always";
    STRICT_BUILTIN_ERRORS = "ENFORCER_STRICT_BUILTIN_ERRORS", "strict-builtin-errors", "false",
        "Whether a built-in that fails is the request's error; false makes its call undefined, as OPA does";
    CPU_WEIGHT = "ENFORCER_CPU_WEIGHT", "cpu-weight", "100",
        "Share of the processors that a tenant's worker gets where others want them too, 1 to 10000; needs control groups";
    CPU_PERCENT = "ENFORCER_CPU_PERCENT", "cpu-percent", "100",
        "Percent of one processor that a tenant's worker may take, 1 to 100; needs control groups";
    SANDBOX = "ENFORCER_SANDBOX", "sandbox", "strict",
        "strict, or debug-off: no sandbox, for debugging on one's own machine only";
    WORKER_USERS = "ENFORCER_WORKER_USERS", "worker-users", "auto",
        "Users that workers run as, one for each tenant: first-last, none, or auto, which is 1879048192-1879113727 where the supervisor may become them";
    CONTROL_GROUPS = "ENFORCER_CONTROL_GROUPS", "control-groups", "auto",
        "auto: a control group (version 2) for each worker, where they were delegated to the supervisor; or none";
    MAX_CONNECTIONS = "ENFORCER_MAX_CONNECTIONS", "max-connections", "4096",
        "Client connections open at once, 1 to 65536; further clients wait to be accepted";
    MAX_STREAM_CONSUMERS = "ENFORCER_MAX_STREAM_CONSUMERS", "max-stream-consumers", "2048",
        "Consumers of the decision stream connected at once, 0 to 65536; they are client connections too";
    STREAM_ORIGINS = "ENFORCER_STREAM_ORIGINS", "stream-origins", "none",
        "Origins of web pages, separated by commas, that may open the decision stream besides the dashboard and desktop applications, such as https://ops.example.com; or none";
    SHUTDOWN_TIMEOUT = "ENFORCER_SHUTDOWN_TIMEOUT_MS", "shutdown-timeout-ms", "10000",
        "Milliseconds that requests in flight are given on SIGTERM or SIGINT, 0 to 600000";
}

/// Prefix of the variables that are only ours: one that is unknown is probably misspelt.
const OWN_PREFIX: &str = "ENFORCER_";

/// A whole and valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) bundles_dir: PathBuf,
    pub(crate) hot_reload: bool,
    /// How to log.
    pub log: LogConfig,
    limits: TenantLimits,
    limits_of: BTreeMap<TenantId, TenantLimits>,
    pub(crate) sandbox: SandboxConfig,
    pub(crate) max_connections: usize,
    pub(crate) max_stream_consumers: usize,
    /// Origins of pages that may open the decision stream.
    pub(crate) stream_origins: Vec<String>,
    pub(crate) shutdown_timeout: Duration,
    /// Variables with our prefix that mean nothing to us.
    pub(crate) unknown_variables: Vec<String>,
}

/// How workers are sandboxed.
#[derive(Clone, Debug)]
pub(crate) struct SandboxConfig {
    pub(crate) mode: SandboxMode,
    pub(crate) users: WorkerUsers,
    /// Whether control groups are used where they were delegated.
    pub(crate) control_groups: bool,
}

/// The users that workers run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerUsers {
    /// The supervisor's own.
    None,
    /// These, where the supervisor may become them.
    Auto(RangeInclusive<u32>),
    /// These, or the supervisor does not start.
    Range(RangeInclusive<u32>),
}

/// Users that systemd's allocation of ids leaves to nobody
/// (<https://systemd.io/UIDS-GIDS>).
const UNUSED_USERS: RangeInclusive<u32> = 1_879_048_192..=1_879_113_727;

/// The first user that is a person's or a service's nowhere.
const FIRST_WORKER_USER: u32 = 1000;

/// How to log.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    pub(crate) level: LevelFilter,
    pub(crate) format: LogFormat,
    pub(crate) decisions: bool,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// What one tenant may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TenantLimits {
    /// From a request's arrival to its decision.
    pub(crate) evaluation_timeout: Duration,
    /// From spawning a worker to its bundle being loaded.
    pub(crate) load_timeout: Duration,
    /// Largest request body in bytes.
    pub(crate) max_body: usize,
    /// Requests that wait for their answer.
    pub(crate) queue_length: NonZeroUsize,
    /// Bytes that the worker may have allocated.
    pub(crate) memory: u64,
    /// `cpu.weight` of the worker's control group.
    pub(crate) cpu_weight: u16,
    /// Percent of one processor that the worker may take, in its control group.
    pub(crate) cpu_percent: u8,
    pub(crate) activation: Activation,
    /// How long a lazy tenant's worker is kept without a request.
    pub(crate) idle_timeout: Duration,
    pub(crate) evaluator: EvaluatorChoice,
    /// Whether a built-in that fails is the request's error.
    pub(crate) strict_builtin_errors: bool,
}

/// What may evaluate a tenant's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvaluatorChoice {
    /// Bytecode, where the bundle is small enough for it.
    Auto,
    /// The interpreter, always.
    Interpreter,
}

/// When a tenant's worker is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Activation {
    /// As soon as the tenant is known.
    Eager,
    /// On its first request; and it ends when there are none for a while.
    Lazy,
}

/// The settings that a single tenant may have of its own.
const OF_A_TENANT: [Setting; 11] = [
    EVALUATION_TIMEOUT,
    LOAD_TIMEOUT,
    MAX_BODY,
    QUEUE_LENGTH,
    MEMORY_LIMIT,
    CPU_WEIGHT,
    CPU_PERCENT,
    ACTIVATION,
    IDLE_TIMEOUT,
    EVALUATOR,
    STRICT_BUILTIN_ERRORS,
];

/// Origins that may be named. Each is compared with that of a page that opens the stream.
const MAX_STREAM_ORIGINS: usize = 64;

/// Largest configuration file, in bytes.
const MAX_CONFIG_FILE: u64 = 16 * 1024 * 1024;

/// Key of the configuration file's table of tenants.
const TENANTS_KEY: &str = "tenants";

/// Everything that is wrong with a configuration. There is at least one.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is not valid:")?;
        self.0.iter().try_for_each(|error| write!(formatter, "\n  {error}"))
    }
}

#[derive(Debug)]
struct ConfigError {
    /// The variable, or the flag where that was used.
    name: String,
    value: String,
    expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is {:?}: {}", self.name, self.value, self.expected)
    }
}

impl Config {
    /// Reads every setting: a flag wins over its variable, a variable over the default.
    ///
    /// `flag` gives a flag's value by its name. `variables` are those of the environment, as text;
    /// tests pass what they like.
    ///
    /// # Errors
    /// All that is wrong, not only the first.
    pub fn parse(
        flag: impl Fn(&str) -> Option<String>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let variables = variables.into_iter().collect::<Vec<_>>();
        let mut reader =
            Reader { flag, variables: &variables, file: ConfigFile::default(), errors: Vec::new() };

        if let Some(Some(file)) = reader.read(CONFIG_FILE, config_file) {
            reader.errors.extend(file.faults());
            reader.file = file;
        }
        let host = reader.read(HOST, host);
        let port = reader.read(PORT, |text| number(text, 0..=u16::MAX));
        let bundles_dir = reader.read(BUNDLES_DIR, directory);
        let hot_reload = reader.read(HOT_RELOAD, boolean);
        let level = reader.read(LOG_LEVEL, level);
        let format = reader.read(LOG_FORMAT, log_format);
        let decisions = reader.read(DECISION_LOG, boolean);
        let sandbox = reader.sandbox();
        let max_connections = reader.read(MAX_CONNECTIONS, |text| number(text, 1..=65_536));
        let max_stream_consumers =
            reader.read(MAX_STREAM_CONSUMERS, |text| number(text, 0..=65_536));
        let stream_origins = reader.read(STREAM_ORIGINS, origins);
        let shutdown_timeout = reader.read(SHUTDOWN_TIMEOUT, |text| millis(text, 0..=600_000));
        let limits = reader.limits(None);
        let limits_of = reader.limits_of();

        let errors = reader.errors;
        let whole = || {
            errors.is_empty().then_some(())?;
            Some(Self {
                listen: SocketAddr::new(host?, port?),
                bundles_dir: bundles_dir?,
                hot_reload: hot_reload?,
                log: LogConfig { level: level?, format: format?, decisions: decisions? },
                limits: limits?,
                limits_of: limits_of?,
                sandbox: sandbox?,
                max_connections: max_connections?,
                max_stream_consumers: max_stream_consumers?,
                stream_origins: stream_origins?,
                shutdown_timeout: shutdown_timeout?,
                unknown_variables: unknown(&variables),
            })
        };
        whole().ok_or(ConfigErrors(errors))
    }

    /// What this tenant may take.
    pub(crate) fn limits(&self, tenant_id: &TenantId) -> TenantLimits {
        self.limits_of.get(tenant_id).copied().unwrap_or(self.limits)
    }

    /// What a tenant may take that has nothing of its own.
    pub(crate) const fn limits_of_others(&self) -> TenantLimits {
        self.limits
    }

    /// The tenants that have limits of their own.
    pub(crate) fn configured_tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.limits_of.keys()
    }
}

/// The configuration file, as it was read.
#[derive(Debug, Default)]
struct ConfigFile {
    path: String,
    table: Table,
}

impl ConfigFile {
    /// Keys that mean nothing, which are probably misspelt.
    fn faults(&self) -> Vec<ConfigError> {
        let mut faults = Vec::new();
        for (key, value) in &self.table {
            match (key.as_str(), value) {
                (TENANTS_KEY, Toml::Table(tenants)) => {
                    for (tenant_id, value) in tenants {
                        self.tenant_faults(tenant_id, value, &mut faults);
                    }
                }
                (TENANTS_KEY, other) => {
                    faults.push(self.fault(
                        key,
                        other,
                        "expected tables, such as [tenants.tenant_a]",
                    ));
                }
                (key, value) => {
                    let mut known =
                        SETTINGS.iter().filter(|setting| setting.flag != CONFIG_FILE.flag);
                    if !known.any(|setting| setting.key() == key) {
                        faults.push(self.fault(
                            key,
                            value,
                            "expected the name of a setting; see --help",
                        ));
                    }
                }
            }
        }
        faults
    }

    fn tenant_faults(&self, tenant_id: &str, value: &Toml, faults: &mut Vec<ConfigError>) {
        let name = format!("{TENANTS_KEY}.{tenant_id}");
        if let Err(error) = tenant_id.parse::<TenantId>() {
            faults.push(self.fault(&name, value, &error.to_string()));
        }
        let Toml::Table(table) = value else {
            faults.push(self.fault(&name, value, "expected a table"));
            return;
        };
        for (key, value) in table {
            if !OF_A_TENANT.iter().any(|setting| setting.key() == *key) {
                let known: Vec<String> = OF_A_TENANT.iter().map(Setting::key).collect();
                let expected = format!("expected one of {}", known.join(", "));
                faults.push(self.fault(&format!("{name}.{key}"), value, &expected));
            }
        }
    }

    fn fault(&self, name: &str, value: &Toml, expected: &str) -> ConfigError {
        let name = format!("{name} in {}", self.path);
        ConfigError { name, value: text_of(value), expected: expected.to_owned() }
    }

    /// A setting's value, of this tenant or for all, with its name for messages.
    fn value(&self, tenant_id: Option<&str>, setting: Setting) -> Option<(String, String)> {
        let key = setting.key();
        let (table, prefix) = match tenant_id {
            Some(id) => (self.tenants()?.get(id)?.as_table()?, format!("{TENANTS_KEY}.{id}.")),
            None => (&self.table, String::new()),
        };
        let value = table.get(&key)?;
        Some((format!("{prefix}{key} in {}", self.path), text_of(value)))
    }

    fn tenants(&self) -> Option<&Table> {
        self.table.get(TENANTS_KEY)?.as_table()
    }
}

/// A value as it would be written for a variable; what is none of those no setting takes.
fn text_of(value: &Toml) -> String {
    match value {
        Toml::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn unknown(variables: &[(String, String)]) -> Vec<String> {
    let names = variables.iter().map(|(name, _)| name);
    names
        .filter(|name| name.starts_with(OWN_PREFIX))
        .filter(|name| SETTINGS.iter().all(|setting| setting.variable != name.as_str()))
        .cloned()
        .collect()
}

/// Reads settings and remembers what was wrong with them.
struct Reader<'a, F> {
    flag: F,
    variables: &'a [(String, String)],
    file: ConfigFile,
    errors: Vec<ConfigError>,
}

impl<F: Fn(&str) -> Option<String>> Reader<'_, F> {
    /// What a tenant may take; `None` is every tenant that has no limits of its own.
    fn limits(&mut self, tenant_id: Option<&str>) -> Option<TenantLimits> {
        let evaluation_timeout =
            self.read_for(tenant_id, EVALUATION_TIMEOUT, |text| millis(text, 1..=60_000));
        let load_timeout =
            self.read_for(tenant_id, LOAD_TIMEOUT, |text| millis(text, 100..=600_000));
        let max_body =
            self.read_for(tenant_id, MAX_BODY, |text| number(text, 1024..=MAX_REQUEST_BODY));
        let queue_length = self.read_for(tenant_id, QUEUE_LENGTH, |text| {
            number(text, NonZeroUsize::MIN..=const { NonZeroUsize::new(65_536).unwrap() })
        });
        let mebibytes =
            self.read_for(tenant_id, MEMORY_LIMIT, |text| number(text, 16..=65_536_u64));
        let cpu_weight = self.read_for(tenant_id, CPU_WEIGHT, |text| number(text, 1..=10_000));
        let cpu_percent = self.read_for(tenant_id, CPU_PERCENT, |text| number(text, 1..=100));
        let activation = self.read_for(tenant_id, ACTIVATION, activation);
        let idle_timeout = self.read_for(tenant_id, IDLE_TIMEOUT, idle_timeout);
        let evaluator = self.read_for(tenant_id, EVALUATOR, evaluator);
        let strict_builtin_errors = self.read_for(tenant_id, STRICT_BUILTIN_ERRORS, boolean);
        Some(TenantLimits {
            evaluation_timeout: evaluation_timeout?,
            load_timeout: load_timeout?,
            max_body: max_body?,
            queue_length: queue_length?,
            memory: mebibytes? * 1024 * 1024,
            cpu_weight: cpu_weight?,
            cpu_percent: cpu_percent?,
            activation: activation?,
            idle_timeout: idle_timeout?,
            evaluator: evaluator?,
            strict_builtin_errors: strict_builtin_errors?,
        })
    }

    fn sandbox(&mut self) -> Option<SandboxConfig> {
        let mode = self.read(SANDBOX, sandbox_mode);
        let users = self.read(WORKER_USERS, worker_users);
        let control_groups = self.read(CONTROL_GROUPS, |text| match text {
            "auto" => Ok(true),
            "none" => Ok(false),
            _ => Err("expected auto or none".to_owned()),
        });
        Some(SandboxConfig { mode: mode?, users: users?, control_groups: control_groups? })
    }

    /// The limits of the tenants that have some of their own.
    fn limits_of(&mut self) -> Option<BTreeMap<TenantId, TenantLimits>> {
        let ids: Vec<String> =
            self.file.tenants().into_iter().flat_map(Table::keys).cloned().collect();
        // All of them first, so that all that is wrong is found. An id that is none was reported with
        // the file's other faults.
        let limits: Vec<(TenantId, Option<TenantLimits>)> =
            ids.iter().filter_map(|id| Some((id.parse().ok()?, self.limits(Some(id))))).collect();
        limits.into_iter().map(|(id, limits)| Some((id, limits?))).collect()
    }

    /// The setting's value. Where there is none, there is an error.
    fn read<T>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read_for(None, setting, parse)
    }

    fn read_for<T>(
        &mut self,
        tenant_id: Option<&str>,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        // What is wrong with a value for all is reported once, and not for every tenant.
        let own = tenant_id.and_then(|id| self.file.value(Some(id), setting));
        let is_shared = tenant_id.is_some() && own.is_none();
        let variable = || {
            let found = self.variables.iter().find(|(name, _)| name == setting.variable);
            found.map(|(name, value)| (name.clone(), value.clone()))
        };
        let (name, value) = own
            .or_else(|| Some((format!("--{}", setting.flag), (self.flag)(setting.flag)?)))
            .or_else(variable)
            .or_else(|| self.file.value(None, setting))
            .unwrap_or_else(|| (setting.variable.to_owned(), setting.default.to_owned()));
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(expected) => {
                if !is_shared {
                    self.errors.push(ConfigError { name, value, expected });
                }
                None
            }
        }
    }
}

fn host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse().map_err(|_| "expected an IP address, such as 127.0.0.1 or ::1".to_owned())
}

fn number<T>(text: &str, bounds: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    text.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
        format!("expected a whole number from {} to {}", bounds.start(), bounds.end())
    })
}

fn millis(text: &str, bounds: RangeInclusive<u64>) -> Result<Duration, String> {
    number(text, bounds).map(Duration::from_millis)
}

fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "expected true or false".to_owned())
}

fn activation(text: &str) -> Result<Activation, String> {
    match text {
        "eager" => Ok(Activation::Eager),
        "lazy" => Ok(Activation::Lazy),
        _ => Err("expected eager or lazy".to_owned()),
    }
}

fn evaluator(text: &str) -> Result<EvaluatorChoice, String> {
    match text {
        "auto" => Ok(EvaluatorChoice::Auto),
        "interpreter" => Ok(EvaluatorChoice::Interpreter),
        _ => Err("expected auto or interpreter".to_owned()),
    }
}

fn sandbox_mode(text: &str) -> Result<SandboxMode, String> {
    match text.parse() {
        Ok(mode @ (SandboxMode::Strict | SandboxMode::DebugOff)) => Ok(mode),
        _ => Err("expected strict or debug-off".to_owned()),
    }
}

fn worker_users(text: &str) -> Result<WorkerUsers, String> {
    let expected = || {
        format!(
            "expected none, auto, or first-last, two user ids from {FIRST_WORKER_USER} to {}",
            u32::MAX - 1
        )
    };
    match text {
        "none" => Ok(WorkerUsers::None),
        "auto" => Ok(WorkerUsers::Auto(UNUSED_USERS)),
        range => {
            let (first, last) = range.split_once('-').ok_or_else(expected)?;
            // The last of all is no user: it means none to setresuid(2).
            let bounds = FIRST_WORKER_USER..=u32::MAX - 1;
            let first = number(first, bounds.clone()).map_err(|_| expected())?;
            let last = number(last, bounds).map_err(|_| expected())?;
            if first > last { Err(expected()) } else { Ok(WorkerUsers::Range(first..=last)) }
        }
    }
}

fn origins(text: &str) -> Result<Vec<String>, String> {
    if text == STREAM_ORIGINS.default {
        return Ok(Vec::new());
    }
    let parsed: Option<Vec<String>> =
        text.split(',').map(|part| origin::parse(part.trim())).collect();
    parsed.filter(|origins| origins.len() <= MAX_STREAM_ORIGINS).ok_or_else(|| {
        format!(
            "expected none, or up to {MAX_STREAM_ORIGINS} origins, each a scheme, a host and perhaps a port, such as https://ops.example.com"
        )
    })
}

fn idle_timeout(text: &str) -> Result<Duration, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let millis_per_unit: u64 = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let millis = number.parse().ok().and_then(|number: u64| number.checked_mul(millis_per_unit));
    millis
        .filter(|millis| (100..=86_400_000).contains(millis))
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a time from 100ms to 24h, such as 500ms, 30s, 5m or 1h".to_owned())
}

/// The configuration file, where there is one.
fn config_file(text: &str) -> Result<Option<ConfigFile>, String> {
    if text == CONFIG_FILE.default {
        return Ok(None);
    }
    let unreadable = |error| format!("expected a TOML file that can be read: {error}");
    // Others are not opened: a FIFO would be waited for.
    if !Path::new(text).metadata().map_err(unreadable)?.is_file() {
        return Err("expected a TOML file, and this is no regular file".to_owned());
    }
    let mut content = String::new();
    File::open(text)
        .and_then(|file| file.take(MAX_CONFIG_FILE).read_to_string(&mut content))
        .map_err(unreadable)?;
    let table = content.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| content.get(..span.start)).unwrap_or_default();
        let row = before.matches('\n').count() + 1;
        format!("expected TOML, and line {row} is none: {}", error.message())
    })?;
    Ok(Some(ConfigFile { path: text.to_owned(), table }))
}

fn level(text: &str) -> Result<LevelFilter, String> {
    let named = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let expected = || "expected off, error, warn, info, debug or trace".to_owned();
    text.parse().ok().filter(|_| named).ok_or_else(expected)
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected auto, text or json".to_owned()),
    }
}

fn directory(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match path.metadata() {
        // Absolute, as the file system's events name what they are about.
        Ok(metadata) if metadata.is_dir() => std::path::absolute(path)
            .map_err(|error| format!("expected a directory that can be found: {error}")),
        Ok(_) => Err("expected a directory, and this is none".to_owned()),
        Err(error) => Err(format!("expected a directory that can be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Config, String> {
        let flag = |name: &str| {
            flags.iter().find(|(flag, _)| *flag == name).map(|(_, value)| (*value).to_owned())
        };
        let mut variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        // The default is below the directory that the program is started in, and not this one.
        if variables.iter().all(|(name, _)| name != "BUNDLES_DIR") {
            variables.push(("BUNDLES_DIR".to_owned(), "/".to_owned()));
        }
        Config::parse(flag, variables).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = parse(&[], &[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8181");
        assert_eq!(BUNDLES_DIR.default, "config/tenants.d");
        assert!(config.hot_reload);
        assert_eq!(config.log.level, LevelFilter::INFO);
        assert_eq!(config.limits.evaluation_timeout, Duration::from_millis(100));
    }

    #[test]
    fn the_sandbox_is_strict_unless_it_is_said_unmistakably() {
        let sandbox = |variables: &[_]| parse(&[], variables).unwrap().sandbox;
        assert_eq!(sandbox(&[]).mode, SandboxMode::Strict);
        assert_eq!(sandbox(&[]).users, WorkerUsers::Auto(UNUSED_USERS));
        assert_eq!(sandbox(&[("ENFORCER_SANDBOX", "debug-off")]).mode, SandboxMode::DebugOff);
        let users = sandbox(&[("ENFORCER_WORKER_USERS", "2000-2999")]).users;
        assert_eq!(users, WorkerUsers::Range(2000..=2999));
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        let config =
            parse(&[("port", "1")], &[("ENFORCER_PORT", "2"), ("ENFORCER_HOST", "::1")]).unwrap();
        assert_eq!(config.listen.to_string(), "[::1]:1");
    }

    #[test]
    fn every_error_is_reported_at_once_with_its_name_and_value() {
        let bad: Vec<(&str, &str)> =
            SETTINGS.iter().map(|setting| (setting.variable, "no such value")).collect();
        let report = parse(&[], &bad).unwrap_err();
        for setting in SETTINGS {
            let line = format!("\n  {} is \"no such value\": expected ", setting.variable);
            assert!(report.contains(&line), "{} in {report}", setting.variable);
        }
    }

    #[test]
    fn the_bundles_directory_is_named_as_events_name_it() {
        let config = parse(&[], &[("BUNDLES_DIR", "src")]).unwrap();
        assert_eq!(config.bundles_dir, std::env::current_dir().unwrap().join("src"));
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        for (name, value) in [
            ("ENFORCER_PORT", "65536"),
            ("ENFORCER_PORT", "-1"),
            ("ENFORCER_PORT", "tcp://10.0.0.1:8181"),
            ("ENFORCER_HOST", ""),
            ("ENFORCER_HOST", "127.0.0.1:80"),
            ("BUNDLES_DIR", ""),
            ("BUNDLES_DIR", "/no/such/directory"),
            ("BUNDLES_DIR", "/dev/null"),
            ("ENABLE_HOT_RELOAD", "yes"),
            ("LOG_LEVEL", ""),
            ("LOG_LEVEL", "3"),
            ("LOG_LEVEL", "verbose"),
            ("ENFORCER_EVAL_TIMEOUT_MS", "0"),
            ("ENFORCER_EVAL_TIMEOUT_MS", "60001"),
            ("ENFORCER_EVAL_TIMEOUT_MS", "1.5"),
            ("ENFORCER_MAX_BODY_BYTES", "16777217"),
            ("ENFORCER_QUEUE_LENGTH", "0"),
            ("ENFORCER_CPU_WEIGHT", "0"),
            ("ENFORCER_CPU_PERCENT", "101"),
            ("ENFORCER_SANDBOX", "off"),
            ("ENFORCER_SANDBOX", "report"),
            ("ENFORCER_WORKER_USERS", "0-10"),
            ("ENFORCER_WORKER_USERS", "2000-1999"),
            ("ENFORCER_WORKER_USERS", "2000"),
            ("ENFORCER_WORKER_USERS", "2000-4294967295"),
            ("ENFORCER_CONTROL_GROUPS", "yes"),
            ("ENFORCER_STREAM_ORIGINS", "*"),
            ("ENFORCER_STREAM_ORIGINS", "https://a,"),
            ("ENFORCER_STREAM_ORIGINS", "https://a/path"),
            ("ENFORCER_MAX_CONNECTIONS", "99999999999999999999"),
        ] {
            let report = parse(&[], &[(name, value)]).unwrap_err();
            assert!(report.contains(&format!("{name} is {value:?}: expected ")), "{report}");
        }
    }

    #[test]
    fn a_misspelt_variable_is_noticed() {
        let config = parse(&[], &[("ENFORCER_PROT", "1"), ("PATH", "x")]).unwrap();
        assert_eq!(config.unknown_variables, ["ENFORCER_PROT"]);
    }

    #[test]
    fn names_are_unique_and_every_default_is_valid() {
        for setting in SETTINGS {
            let same = SETTINGS
                .iter()
                .filter(|other| other.variable == setting.variable || other.flag == setting.flag);
            assert_eq!(same.count(), 1, "{}", setting.variable);
        }
        assert!(parse(&[], &[]).is_ok());
    }
}
