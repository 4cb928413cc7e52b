//! Configuration: every setting in one table, parsed and validated as a whole before anything is
//! built from it.

mod bundle_keys;
mod credentials;
mod errors;
mod fields;
mod file;
mod jwt;
mod limits;
mod listen;
mod log;
mod origin;
mod proxies;
mod quotas;
mod reader;
mod remote;
mod sandbox;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod url;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::TenantId;

use crate::tls::server::ServerTls;

use bundle_keys::bundle_keys;
use credentials::credentials;
use file::{ConfigFile, config_file};
use proxies::{per_address, proxies};
use reader::Reader;
use remote::remote_bundles;
use settings::*;
use tls::server_tls;
use values::*;

#[cfg(test)]
pub(crate) use bundle_keys::BundleKey;
pub(crate) use bundle_keys::{BundleVerification, SignatureRequirement};
pub(crate) use credentials::{ConfiguredCredentials, SecretFile};
pub use credentials::{parse_credential_name, parse_expiry};
pub use errors::ConfigErrors;
pub(crate) use limits::{
    Activation, DecisionQuota, EvaluatorChoice, RunTests, StreamInputs, TenantLimits, TenantQuotas,
};
pub use listen::ListenAddress;
use listen::{Credential, Encryption};
pub(crate) use listen::{Hosts, InsecureListen, Listen};
pub use log::LogConfig;
pub(crate) use log::LogFormat;
pub(crate) use proxies::Proxies;
pub(crate) use remote::{Polling, RemoteBundle, RemoteBundles, Service, bearer};
pub(crate) use sandbox::{SandboxConfig, WorkerUsers};
pub use settings::{SETTINGS, Setting};
pub(crate) use url::{Scheme, Url};

/// The variable by which systemd says where `LoadCredential=` puts secrets (`systemd.exec(5)`).
const SECRETS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Prefix of the variables that are only ours: one that is unknown is probably misspelt.
const OWN_PREFIX: &str = "ENFORCER_";

/// A whole and valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) listen: Listen,
    pub(crate) credentials: ConfiguredCredentials,
    pub(crate) tls: Option<Arc<ServerTls>>,
    /// Whether HTTP/2 is spoken without TLS, to clients that begin with it.
    pub(crate) http2_plaintext: bool,
    /// Connections that one address may have.
    pub(crate) max_connections_per_address: usize,
    pub(crate) proxies: Proxies,
    /// The configuration file, from which credentials are read again.
    file: Option<PathBuf>,
    /// Where the service manager has put secrets.
    secrets: Option<PathBuf>,
    pub(crate) bundles_dir: PathBuf,
    pub(crate) hot_reload: bool,
    /// How to log.
    pub log: LogConfig,
    limits: TenantLimits,
    limits_of: BTreeMap<TenantId, TenantLimits>,
    verification: BundleVerification,
    verification_of: BTreeMap<TenantId, BundleVerification>,
    pub(crate) remote: RemoteBundles,
    pub(crate) sandbox: SandboxConfig,
    pub(crate) max_connections: usize,
    pub(crate) max_stream_consumers: usize,
    /// Origins of pages that may open the decision stream.
    pub(crate) stream_origins: Vec<String>,
    pub(crate) shutdown_timeout: Duration,
    /// Unknown variables with our prefix.
    pub(crate) unknown_variables: Vec<String>,
}

impl Config {
    /// Reads every setting: a flag wins over its variable, a variable over the default.
    ///
    /// `flag` gives a flag's value by its name. `variables` are those of the environment, as text;
    /// tests pass their own.
    ///
    /// # Errors
    /// All errors, not only the first.
    pub fn parse(
        flag: impl Fn(&str) -> Option<String>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::read(flag, variables, directory)
    }

    /// [`Config::parse`] for a command about bundles, which may be anywhere: `BUNDLES_DIR` need not
    /// be there.
    ///
    /// # Errors
    /// All errors, not only the first.
    pub fn parse_for_bundles(
        flag: impl Fn(&str) -> Option<String>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::read(flag, variables, |text| Ok(PathBuf::from(text)))
    }

    fn read(
        flag: impl Fn(&str) -> Option<String>,
        variables: impl IntoIterator<Item = (String, String)>,
        directory: fn(&str) -> Result<PathBuf, String>,
    ) -> Result<Self, ConfigErrors> {
        let variables = variables.into_iter().collect::<Vec<_>>();
        let secrets = variables.iter().find(|(name, _)| name == SECRETS_DIRECTORY);
        let secrets = secrets.map(|(_, path)| PathBuf::from(path));
        let mut reader =
            Reader { flag, variables: &variables, file: ConfigFile::default(), errors: Vec::new() };

        if let Some(Some(file)) = reader.read(CONFIG_FILE, config_file) {
            reader.errors.extend(file.faults());
            reader.file = file.with_secrets(secrets.clone());
        }
        let (credentials, faults) = credentials(&reader.file);
        reader.errors.extend(faults);
        let credential = match credentials.credentials {
            Some(_) => Credential::Needed,
            None => Credential::NotNeeded,
        };
        let (tls, faults) = server_tls(&reader.file);
        // A table with faults is one: without them, its listeners are encrypted.
        let encryption = match (&tls, faults.is_empty()) {
            (None, true) => Encryption::Plain,
            _ => Encryption::Tls,
        };
        reader.errors.extend(faults);
        let listen = reader.listen(credential, encryption);
        let http2_plaintext = reader.read(HTTP2_PLAINTEXT, boolean);
        let proxies = reader.read(PROXY_PROTOCOL_FROM, proxies);
        let bundles_dir = reader.read(BUNDLES_DIR, directory);
        let hot_reload = reader.read(HOT_RELOAD, boolean);
        let level = reader.read(LOG_LEVEL, level);
        let format = reader.read(LOG_FORMAT, log_format);
        let decisions = reader.read(DECISION_LOG, boolean);
        let sandbox = reader.sandbox();
        let max_connections = reader.read(MAX_CONNECTIONS, |text| number(text, 1..=65_536));
        let max_connections_per_address = reader.read(MAX_CONNECTIONS_PER_ADDRESS, per_address);
        let max_stream_consumers =
            reader.read(MAX_STREAM_CONSUMERS, |text| number(text, 0..=65_536));
        let stream_origins = reader.read(STREAM_ORIGINS, origins);
        let shutdown_timeout = reader.read(SHUTDOWN_TIMEOUT, |text| millis(text, 0..=600_000));
        let limits = reader.limits(None);
        let limits_of = reader.of_tenants(|reader, id| reader.limits(Some(id)));
        let (keys, faults) = bundle_keys(&reader.file);
        let (keys, are_keys_good) = (Arc::new(keys), faults.is_empty());
        reader.errors.extend(faults);
        let (remote, faults) = remote_bundles(&reader.file);
        reader.errors.extend(faults);
        // Settings that name a key which could not be read are not at fault.
        let mut verification = None;
        let mut verification_of = None;
        if are_keys_good {
            verification = reader.verification(None, &keys);
            verification_of = reader.of_tenants(|reader, id| reader.verification(Some(id), &keys));
        }

        let file = reader.file.path();
        let errors = reader.errors;
        let whole = || {
            errors.is_empty().then_some(())?;
            Some(Self {
                listen: listen?,
                credentials,
                tls,
                http2_plaintext: http2_plaintext?,
                max_connections_per_address: max_connections_per_address?
                    .unwrap_or_else(|| max_connections.map_or(1, |all: usize| all.div_ceil(4))),
                proxies: proxies?,
                file,
                secrets,
                bundles_dir: bundles_dir?,
                hot_reload: hot_reload?,
                log: LogConfig { level: level?, format: format?, decisions: decisions? },
                limits: limits?,
                limits_of: limits_of?,
                verification: verification?,
                verification_of: verification_of?,
                remote,
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

    /// The credentials as the configuration file has them now. It blocks.
    ///
    /// # Errors
    /// All errors of the file and of its credentials, not only the first.
    pub(crate) fn read_credentials(&self) -> Result<ConfiguredCredentials, ConfigErrors> {
        let Some(path) = &self.file else { return Ok(ConfiguredCredentials::default()) };
        let path = path.display().to_string();
        let refused = |expected| {
            let name = CONFIG_FILE.variable.to_owned();
            let value = Some(path.clone());
            ConfigErrors(vec![errors::ConfigError { name, value, expected }])
        };
        let file = config_file(&path).map_err(refused)?.unwrap_or_default();
        let file = file.with_secrets(self.secrets.clone());
        let (credentials, faults) = credentials(&file);
        if faults.is_empty() { Ok(credentials) } else { Err(ConfigErrors(faults)) }
    }

    /// This tenant's limits.
    pub(crate) fn limits(&self, tenant_id: &TenantId) -> TenantLimits {
        self.limits_of.get(tenant_id).unwrap_or(&self.limits).clone()
    }

    /// The signature that this tenant's bundle needs to be accepted.
    pub(crate) fn verification(&self, tenant_id: &TenantId) -> &BundleVerification {
        self.verification_of.get(tenant_id).unwrap_or(&self.verification)
    }

    /// The signature that bundles of tenants without settings of their own need, and bundles without a
    /// tenant.
    pub(crate) const fn verification_of_others(&self) -> &BundleVerification {
        &self.verification
    }

    /// The limits of tenants without limits of their own.
    pub(crate) const fn limits_of_others(&self) -> &TenantLimits {
        &self.limits
    }

    /// The tenants that have limits of their own.
    pub(crate) fn configured_tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.limits_of.keys()
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
