//! Reads settings from flags, variables and the file, and collects the errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use enforcer_protocol::{MAX_REQUEST_BODY, MAX_RESULT, Namespace, TenantId};
use toml::Table;

use super::bundle_keys::{
    BundleKeys, BundleVerification, SignatureRequirement, allowed_keys, bundle_scope,
    bundle_signature,
};
use super::errors::ConfigError;
use super::file::ConfigFile;
use super::limits::{Entrypoint, TENANTS, TenantLimits};
use super::listen::{
    Credential, Encryption, Listen, ListenAddress, addresses, allowed_hosts, diagnostics_address,
    insecure_listen,
};
use super::quotas::quotas;
use super::sandbox::SandboxConfig;
use super::settings::*;
use super::values::*;

/// A decision's frame has room in a result's, so that no setting makes decisions shorter.
const SMALLEST_MAX_RESULT: usize = 1024 * 1024;

/// Reads settings and collects the errors.
pub(super) struct Reader<'a, F> {
    pub(super) flag: F,
    pub(super) variables: &'a [(String, String)],
    pub(super) file: ConfigFile,
    pub(super) errors: Vec<ConfigError>,
}

impl<F: Fn(&str) -> Option<String>> Reader<'_, F> {
    /// A tenant's limits; `None` is every tenant without limits of its own.
    pub(super) fn limits(&mut self, tenant_id: Option<&str>) -> Option<TenantLimits> {
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
        let namespace = self.read_for(tenant_id, NAMESPACE, namespace);
        let is_strict = namespace == Some(Namespace::Strict);
        let entrypoint = self.read_for(tenant_id, ENTRYPOINT, |text| {
            let entrypoint = entrypoint(text)?;
            let is_outside = |entrypoint: &Entrypoint| {
                let below = |id| entrypoint.0.starts_with(&[TENANTS.to_owned(), id]);
                !tenant_id.is_some_and(|id| below(id.to_owned()))
            };
            if is_strict && entrypoint.as_ref().is_some_and(is_outside) {
                return Err(
                    "expected a rule below tenants/<id>, or namespace = \"open\" beside it"
                        .to_owned(),
                );
            }
            Ok(entrypoint)
        });
        let max_result = self.read_for(tenant_id, MAX_RESULT_BYTES, |text| {
            number(text, SMALLEST_MAX_RESULT..=MAX_RESULT)
        });
        let query_api = self.read_for(tenant_id, QUERY_API, boolean);
        let run_tests = self.read_for(tenant_id, RUN_TESTS, run_tests);
        let stream_inputs = self.read_for(tenant_id, STREAM_INPUTS, stream_inputs);
        let inspections = self.read_for(tenant_id, INSPECTIONS, |text| number(text, 0..=1000_u32));
        let (quotas, faults) = quotas(&self.file, tenant_id);
        self.errors.extend(faults);
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
            namespace: namespace?,
            entrypoint: entrypoint?,
            max_result: max_result?,
            query_api: query_api?,
            inspections: inspections?,
            run_tests: run_tests?,
            stream_inputs: stream_inputs?,
            quotas,
        })
    }

    /// The signature that a tenant's bundle needs; `None` is every tenant without settings of its own.
    pub(super) fn verification(
        &mut self,
        tenant_id: Option<&str>,
        keys: &Arc<BundleKeys>,
    ) -> Option<BundleVerification> {
        let requirement = self.read_for(tenant_id, BUNDLE_SIGNATURE, |text| {
            let requirement = bundle_signature(text)?;
            if requirement == SignatureRequirement::Required && keys.is_empty() {
                return Err(
                    "expected optional, because the configuration file has no [bundle_keys]"
                        .to_owned(),
                );
            }
            Ok(requirement)
        });
        let allowed = self.read_for(tenant_id, BUNDLE_KEY, |text| allowed_keys(text, keys));
        let scope = self.read_for(tenant_id, BUNDLE_SCOPE, bundle_scope);
        Some(BundleVerification {
            requirement: requirement?,
            keys: Arc::clone(keys),
            allowed: allowed?,
            scope: scope?,
        })
    }

    /// Where to listen, with this protection.
    pub(super) fn listen(&mut self, is_asked_for: Credential, tls: Encryption) -> Option<Listen> {
        let host = self.read(HOST, host);
        let port = self.read(PORT, |text| number(text, 0..=u16::MAX));
        let listed = self.read(LISTEN, addresses);
        let diagnostics = self.read(DIAGNOSTICS_ADDRESS, diagnostics_address);
        let allowed = self.read(ALLOWED_HOSTS, allowed_hosts);
        let insecure = self.read(INSECURE_LISTEN, insecure_listen)?;
        let (diagnostics, listed) = (diagnostics?, listed?);
        let (addresses, setting) = match listed {
            Some(listed) => (listed, LISTEN),
            None => (vec![ListenAddress::Tcp(SocketAddr::new(host?, port?))], HOST),
        };
        let unprotected = insecure.check(&addresses, is_asked_for, tls);
        let unprotected = unprotected.map_err(|expected| self.fault(setting, expected));
        let exposed: Vec<ListenAddress> = diagnostics.map(ListenAddress::Tcp).into_iter().collect();
        let open = insecure.check(&exposed, Credential::NotNeeded, Encryption::Plain);
        let open = open.map_err(|expected| self.fault(DIAGNOSTICS_ADDRESS, expected));
        let hosts = insecure.hosts(allowed?, is_asked_for);
        let unprotected = unprotected.ok()?.or(open.ok()?);
        Some(Listen { addresses, diagnostics, hosts, unprotected })
    }

    /// Records that the value of a setting is at fault.
    fn fault(&mut self, setting: Setting, expected: String) {
        let _: Option<()> = self.read(setting, |_| Err(expected));
    }

    pub(super) fn sandbox(&mut self) -> Option<SandboxConfig> {
        let mode = self.read(SANDBOX, sandbox_mode);
        let users = self.read(WORKER_USERS, worker_users);
        let control_groups = self.read(CONTROL_GROUPS, |text| match text {
            "auto" => Ok(true),
            "none" => Ok(false),
            _ => Err("expected auto or none".to_owned()),
        });
        Some(SandboxConfig { mode: mode?, users: users?, control_groups: control_groups? })
    }

    /// Reads, with `read`, the settings of each tenant that the file has settings for.
    pub(super) fn of_tenants<T>(
        &mut self,
        mut read: impl FnMut(&mut Self, &str) -> Option<T>,
    ) -> Option<BTreeMap<TenantId, T>> {
        let ids: Vec<String> =
            self.file.tenants().into_iter().flat_map(Table::keys).cloned().collect();
        // All of them first, so that every error is found. An invalid id was reported with the
        // file's other errors.
        let values: Vec<(TenantId, Option<T>)> =
            ids.iter().filter_map(|id| Some((id.parse().ok()?, read(self, id)))).collect();
        values.into_iter().map(|(id, value)| Some((id, value?))).collect()
    }

    /// The setting's value; `None` after an error, which is recorded.
    pub(super) fn read<T>(
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
        // An error in a value for all tenants is reported once, not for every tenant.
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
                    self.errors.push(ConfigError { name, value: Some(value), expected });
                }
                None
            }
        }
    }
}
