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
    /// Its meaning, unit and bounds.
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
        /// Every setting.
        pub const SETTINGS: &[Setting] = &[$($constant),*];
    };
}

settings! {
    CONFIG_FILE = "ENFORCER_CONFIG", "config", "none",
        "TOML file with settings for all tenants and for single tenants; see config/enforcer.toml";
    HOST = "ENFORCER_HOST", "host", "127.0.0.1",
        "Address to listen on: an IP address, or localhost";
    PORT = "ENFORCER_PORT", "port", "8181",
        "TCP port to listen on, 0 to 65535; 0 picks a free port and logs it";
    LISTEN = "ENFORCER_LISTEN", "listen", "none",
        "Comma-separated addresses to listen on instead of host and port, such as 127.0.0.1:8181,unix:/run/edge-policy-enforcer/api.sock; or none; with [tls], http://127.0.0.1:8080 is without TLS";
    INSECURE_LISTEN = "ENFORCER_INSECURE_LISTEN", "insecure-listen", "refuse",
        "Whether addresses that other hosts reach may be listened on unprotected: refuse, without-tls (anyone on the way reads credentials and inputs), or without-tls-and-credentials (anyone who reaches the port may do everything)";
    ALLOWED_HOSTS = "ENFORCER_ALLOWED_HOSTS", "allowed-hosts", "none",
        "Comma-separated names that requests may have in Host, besides those of this machine's loopback, such as pdp.example.com; with none and credentials, any";
    DIAGNOSTICS_ADDRESS = "ENFORCER_DIAGNOSTICS_ADDRESS", "diagnostics-address", "none",
        "Address that serves /health and /metrics to everyone without a credential, such as 127.0.0.1:8282; or none";
    BUNDLES_DIR = "BUNDLES_DIR", "bundles-dir", "config/tenants.d",
        "Directory that contains one bundle per tenant: a directory, or an archive named <tenant>.tar.gz";
    HOT_RELOAD = "ENABLE_HOT_RELOAD", "enable-hot-reload", "true",
        "Whether changed bundles are loaded automatically; SIGHUP always loads them";
    LOG_LEVEL = "LOG_LEVEL", "log-level", "info",
        "Least severe level to log: off, error, warn, info, debug or trace";
    LOG_FORMAT = "ENFORCER_LOG_FORMAT", "log-format", "auto",
        "Format of the log: text, json, or auto (text on a terminal, otherwise json)";
    DECISION_LOG = "ENFORCER_DECISION_LOG", "decision-log", "true",
        "Whether every decision is logged at level info";
    EVALUATION_TIMEOUT = "ENFORCER_EVAL_TIMEOUT_MS", "eval-timeout-ms", "100",
        "Maximum time in milliseconds from a request's arrival to its decision, 1 to 60000";
    LOAD_TIMEOUT = "ENFORCER_LOAD_TIMEOUT_MS", "load-timeout-ms", "10000",
        "Maximum time in milliseconds for a worker to start and load its bundle, 100 to 600000";
    MAX_BODY = "ENFORCER_MAX_BODY_BYTES", "max-body-bytes", "1048576",
        "Maximum size of a request body in bytes, 1024 to 16777216";
    QUEUE_LENGTH = "ENFORCER_QUEUE_LENGTH", "queue-length", "1024",
        "Maximum number of a tenant's requests that wait for their answer, 1 to 65536";
    MEMORY_LIMIT = "ENFORCER_MEMORY_LIMIT_MIB", "memory-limit-mib", "256",
        "Maximum memory in MiB that a tenant's worker may allocate, including its bundle, 16 to 65536";
    ACTIVATION = "ENFORCER_ACTIVATION", "activation", "eager",
        "When a tenant's worker is started: eager (at once) or lazy (on the tenant's first request)";
    IDLE_TIMEOUT = "ENFORCER_IDLE_TIMEOUT", "idle-timeout", "5m",
        "Time without a request after which a lazy tenant's worker is stopped, 100ms to 24h; a number without a unit is in seconds";
    EVALUATOR = "ENFORCER_EVALUATOR", "evaluator", "auto",
        "Evaluator of policies: auto (bytecode if the bundle is small enough for it, otherwise the interpreter) or interpreter";
    STRICT_BUILTIN_ERRORS = "ENFORCER_STRICT_BUILTIN_ERRORS", "strict-builtin-errors", "false",
        "Whether an error in a built-in fails the request; with false, the call is undefined, as in OPA";
    NAMESPACE = "ENFORCER_NAMESPACE", "namespace", "strict",
        "Packages that a tenant's bundle may define: strict (tenants.<id> and packages below it) or open (any package)";
    ENTRYPOINT = "ENFORCER_ENTRYPOINT", "entrypoint", "none",
        "Rule that decides, as a path of the Data API, such as envoy/authz/allow; or none, which is tenants/<id>/allow";
    MAX_RESULT_BYTES = "ENFORCER_MAX_RESULT_BYTES", "max-result-bytes", "1048576",
        "Maximum size of a result of the Data API in bytes of its JSON, 1048576 to 16777216";
    QUERY_API = "ENFORCER_QUERY_API", "query-api", "false",
        "Whether a tenant's root answers ad-hoc queries (/v1/query), each in a worker of its own";
    INSPECTIONS = "ENFORCER_INSPECTIONS_PER_SECOND", "inspections-per-second", "5",
        "Maximum number of explanations, ad-hoc queries and policy listings of a tenant per second, 0 to 1000, and four times as many at once; each starts a worker; 0 refuses all";
    BUNDLE_SIGNATURE = "ENFORCER_BUNDLE_SIGNATURE", "bundle-signature", "optional",
        "Whether bundles must be signed: optional (a signature that is there is verified) or required";
    BUNDLE_KEY = "ENFORCER_BUNDLE_KEY", "bundle-key", "any",
        "Comma-separated ids of the keys in [bundle_keys] of the configuration file that may sign a bundle, or any";
    BUNDLE_SCOPE = "ENFORCER_BUNDLE_SCOPE", "bundle-scope", "none",
        "Scope that a bundle's signature must have, of up to 128 characters without spaces, or none: the scope of its key";
    RUN_TESTS = "ENFORCER_RUN_TESTS", "run-tests", "ignore",
        "Whether a bundle's own tests decide about it: ignore, or require (a bundle with a test that does not pass is rejected)";
    STREAM_INPUTS = "ENFORCER_STREAM_INPUTS", "stream-inputs", "show",
        "Whether events of the decision stream have the inputs of requests: show (as the policy's mask leaves them), or omit";
    CPU_WEIGHT = "ENFORCER_CPU_WEIGHT", "cpu-weight", "100",
        "Relative weight of a tenant's worker when workers compete for processor time, 1 to 10000; needs control groups";
    CPU_PERCENT = "ENFORCER_CPU_PERCENT", "cpu-percent", "100",
        "Maximum processor time of a tenant's worker in percent of one processor, 1 to 100; needs control groups";
    SANDBOX = "ENFORCER_SANDBOX", "sandbox", "strict",
        "Sandbox of the workers: strict, or debug-off (no sandbox; only for debugging on your own machine)";
    WORKER_USERS = "ENFORCER_WORKER_USERS", "worker-users", "auto",
        "User ids that workers run as, one for each tenant: first-last, none, or auto (1879048192-1879113727 if the supervisor may switch to them)";
    CONTROL_GROUPS = "ENFORCER_CONTROL_GROUPS", "control-groups", "auto",
        "Control groups (version 2) of the workers: auto (one for each worker, if delegated to the supervisor) or none";
    MAX_CONNECTIONS = "ENFORCER_MAX_CONNECTIONS", "max-connections", "4096",
        "Maximum number of open client connections, 1 to 65536; further clients wait to be accepted";
    MAX_CONNECTIONS_PER_ADDRESS = "ENFORCER_MAX_CONNECTIONS_PER_ADDRESS", "max-connections-per-address", "auto",
        "Maximum number of open connections of one client address (of one /64 network with IPv6), 1 to 65536, or auto: a quarter of max-connections; loopback and Unix sockets are exempt, and further connections are closed at once";
    HTTP2_PLAINTEXT = "ENFORCER_HTTP2_PLAINTEXT", "http2-plaintext", "false",
        "Whether clients may speak HTTP/2 without TLS, by prior knowledge, as gateways do; over TLS it is always offered";
    PROXY_PROTOCOL_FROM = "ENFORCER_PROXY_PROTOCOL_FROM", "proxy-protocol-from", "none",
        "Comma-separated addresses and networks of load balancers whose connections must begin with a PROXY protocol v2 header, which has the client's address, such as 10.0.0.0/8; or none";
    MAX_STREAM_CONSUMERS = "ENFORCER_MAX_STREAM_CONSUMERS", "max-stream-consumers", "2048",
        "Maximum number of connected consumers of the decision stream, 0 to 65536; each is a client connection too";
    STREAM_ORIGINS = "ENFORCER_STREAM_ORIGINS", "stream-origins", "none",
        "Comma-separated origins of web pages that may open the decision stream, besides the dashboard and desktop applications, such as https://ops.example.com; or none";
    SHUTDOWN_TIMEOUT = "ENFORCER_SHUTDOWN_TIMEOUT_MS", "shutdown-timeout-ms", "10000",
        "Maximum time in milliseconds for requests in flight to finish after SIGTERM or SIGINT, 0 to 600000";
}

/// The settings that a single tenant may have of its own.
pub(super) const OF_A_TENANT: [Setting; 21] = [
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
    NAMESPACE,
    ENTRYPOINT,
    MAX_RESULT_BYTES,
    QUERY_API,
    INSPECTIONS,
    RUN_TESTS,
    STREAM_INPUTS,
    BUNDLE_SIGNATURE,
    BUNDLE_KEY,
    BUNDLE_SCOPE,
];
