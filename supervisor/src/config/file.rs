//! The operator's configuration file, as it was read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use enforcer_protocol::TenantId;
use toml::{Table, Value as Toml};

use super::errors::ConfigError;
use super::settings::{CONFIG_FILE, OF_A_TENANT, SETTINGS, Setting};

/// Largest configuration file, in bytes.
const MAX_CONFIG_FILE: u64 = 16 * 1024 * 1024;

/// Key of the configuration file's table of tenants.
const TENANTS_KEY: &str = "tenants";

/// Key of the configuration file's table of credentials.
pub(super) const CREDENTIALS_KEY: &str = "credentials";

/// Key of the configuration file's table of keys.
const BUNDLE_KEYS_KEY: &str = "bundle_keys";

/// The beginning of a path that names a secret of the service manager.
const SECRET_PREFIX: &str = "credential:";

/// Key of the configuration file's table of TLS.
pub(super) const TLS_KEY: &str = "tls";

/// Keys of the configuration file's tables of remote bundles.
const REMOTE_KEYS: [&str; 2] = ["services", "bundle_cache"];

/// Key of the table of quotas, of the file and of a tenant's table.
pub(super) const QUOTAS_KEY: &str = "quotas";

/// Key of a tenant's table of its remote bundle.
const REMOTE_BUNDLE_KEY: &str = "bundle";

/// The configuration file, as it was read.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    path: String,
    table: Table,
    /// Where the service manager has put secrets (`CREDENTIALS_DIRECTORY`, `systemd.exec(5)`).
    secrets: Option<PathBuf>,
}

impl ConfigFile {
    /// Unknown keys, which are probably misspelt.
    pub(super) fn faults(&self) -> Vec<ConfigError> {
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
                // Their own reader has their faults.
                (BUNDLE_KEYS_KEY | CREDENTIALS_KEY | QUOTAS_KEY | TLS_KEY, _) => {}
                (key, _) if REMOTE_KEYS.contains(&key) => {}
                (key, _) => {
                    let mut known =
                        SETTINGS.iter().filter(|setting| setting.flag != CONFIG_FILE.flag);
                    if !known.any(|setting| setting.key() == key) {
                        let expected = "expected the name of a setting; see --help";
                        faults.push(self.fault_without_value(key, expected));
                    }
                }
            }
        }
        faults
    }

    fn tenant_faults(&self, tenant_id: &str, value: &Toml, faults: &mut Vec<ConfigError>) {
        let name = format!("{TENANTS_KEY}.{tenant_id}");
        if let Err(error) = tenant_id.parse::<TenantId>() {
            faults.push(self.fault_without_value(&name, &error.to_string()));
        }
        let Toml::Table(table) = value else {
            faults.push(self.fault(&name, value, "expected a table"));
            return;
        };
        for key in table.keys() {
            let is_setting = OF_A_TENANT.iter().any(|setting| setting.key() == *key);
            if !is_setting && ![REMOTE_BUNDLE_KEY, QUOTAS_KEY].contains(&key.as_str()) {
                let known: Vec<String> = OF_A_TENANT.iter().map(Setting::key).collect();
                let expected = format!("expected one of {}", known.join(", "));
                faults.push(self.fault_without_value(&format!("{name}.{key}"), &expected));
            }
        }
    }

    pub(super) fn fault(&self, name: &str, value: &Toml, expected: &str) -> ConfigError {
        let value = Some(text_of(value));
        ConfigError { value, ..self.fault_without_value(name, expected) }
    }

    /// The same where there is no value, or where it may be a secret that was put into a wrong place.
    pub(super) fn fault_without_value(&self, name: &str, expected: &str) -> ConfigError {
        let name = format!("{name} in {}", self.path);
        ConfigError { name, value: None, expected: expected.to_owned() }
    }

    /// A setting's value, of this tenant or for all, with its name for messages.
    pub(super) fn value(
        &self,
        tenant_id: Option<&str>,
        setting: Setting,
    ) -> Option<(String, String)> {
        let key = setting.key();
        let (table, prefix) = match tenant_id {
            Some(id) => (self.tenants()?.get(id)?.as_table()?, format!("{TENANTS_KEY}.{id}.")),
            None => (&self.table, String::new()),
        };
        let value = table.get(&key)?;
        Some((format!("{prefix}{key} in {}", self.path), text_of(value)))
    }

    /// A table of the file that is no setting, where there is one.
    pub(super) fn section(&self, name: &'static str) -> Option<(&'static str, &Toml)> {
        self.table.get(name).map(|value| (name, value))
    }

    /// Where it is, if there is one.
    pub(super) fn path(&self) -> Option<PathBuf> {
        (!self.path.is_empty()).then(|| PathBuf::from(&self.path))
    }

    /// `[bundle_keys]`, where there is one.
    pub(super) fn bundle_keys(&self) -> Option<(&'static str, &Toml)> {
        self.table.get(BUNDLE_KEYS_KEY).map(|keys| (BUNDLE_KEYS_KEY, keys))
    }

    /// The same file, with the directory in which the service manager has put secrets.
    pub(super) fn with_secrets(self, secrets: Option<PathBuf>) -> Self {
        Self { secrets, ..self }
    }

    /// A path as the file gives it: relative to the file's own directory, or the name of a secret
    /// that the service manager has.
    pub(super) fn resolved(&self, path: &str) -> PathBuf {
        if let (Some(name), Some(secrets)) = (path.strip_prefix(SECRET_PREFIX), &self.secrets) {
            return secrets.join(name);
        }
        Path::new(&self.path).parent().unwrap_or(Path::new("")).join(path)
    }

    pub(super) fn tenants(&self) -> Option<&Table> {
        self.table.get(TENANTS_KEY)?.as_table()
    }
}

/// A value as an environment variable would hold it. No setting accepts any other value.
fn text_of(value: &Toml) -> String {
    match value {
        Toml::String(text) => text.clone(),
        Toml::Array(array) if array.iter().all(Toml::is_str) => {
            array.iter().filter_map(Toml::as_str).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// The configuration file, where there is one.
pub(super) fn config_file(text: &str) -> Result<Option<ConfigFile>, String> {
    if text == CONFIG_FILE.default {
        return Ok(None);
    }
    let unreadable = |error| format!("expected a TOML file that can be read: {error}");
    // Only regular files are opened: opening a FIFO would block.
    if !Path::new(text).metadata().map_err(unreadable)?.is_file() {
        return Err("expected a TOML file, but this is not a regular file".to_owned());
    }
    let mut content = String::new();
    File::open(text)
        .and_then(|file| file.take(MAX_CONFIG_FILE).read_to_string(&mut content))
        .map_err(unreadable)?;
    let table = content.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| content.get(..span.start)).unwrap_or_default();
        let row = before.matches('\n').count() + 1;
        format!("expected TOML, and line {row} is not: {}", error.message())
    })?;
    Ok(Some(ConfigFile { path: text.to_owned(), table, secrets: None }))
}
