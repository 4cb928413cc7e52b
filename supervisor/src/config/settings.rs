//! The one table of settings: names, flags, defaults and help. Documents are generated from it.

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
    pub(super) fn key(&self) -> String {
        self.flag.replace('-', "_")
    }
}

macro_rules! settings {
    ($($constant:ident = $variable:literal, $flag:literal, $default:literal, $help:literal;)*) => {
        $(pub(super) const $constant: Setting =
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

/// The settings that a single tenant may have of its own.
pub(super) const OF_A_TENANT: [Setting; 11] = [
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
