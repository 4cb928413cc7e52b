//! `[credentials]`: who may ask.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use enforcer_protocol::TenantId;
use toml::{Table, Value as Toml};

use super::errors::ConfigError;
use super::fields::Fields;
use super::file::{CREDENTIALS_KEY, ConfigFile};
use super::jwt::issuers;
use crate::access::certificate::NameRule;
use crate::access::credentials::{Credentials, PeerRule};
use crate::access::grant::{ALL_TENANTS, Grant, Role, Roles, Tenants};
use crate::access::principal::Principal;
use crate::access::token::TokenHash;
use crate::tls::{Stamp, small_file, stamp};

/// Credentials of one kind.
const MAX_CREDENTIALS: usize = 4096;

/// Tenants of one credential.
const MAX_TENANTS: usize = 4096;

/// Characters of a credential's name, which every line about it in the log has.
const MAX_NAME: usize = 128;

/// The credentials of a configuration file, where it has some, and the files that they are in.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfiguredCredentials {
    pub(crate) credentials: Option<Credentials>,
    /// Files with a hash or a key. Where one changes, all credentials are read again.
    pub(crate) files: Vec<SecretFile>,
}

/// A file with a hash or a key, as it was before it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretFile {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Option<Stamp>,
}

/// The credentials of a configuration file, and the faults of its tables.
pub(super) fn credentials(file: &ConfigFile) -> (ConfiguredCredentials, Vec<ConfigError>) {
    let mut faults = Vec::new();
    let mut configured = ConfiguredCredentials::default();
    let Some((name, value)) = file.section(CREDENTIALS_KEY) else {
        return (configured, faults);
    };
    let Toml::Table(table) = value else {
        let expected = "expected tables, such as [[credentials.token]]";
        faults.push(file.fault_without_value(name, expected));
        return (configured, faults);
    };
    let kinds = ["token", "jwt", "peer", "certificate"];
    Fields::secret(file, name.to_owned(), table, &mut faults).known(&kinds);
    let mut credentials = Credentials::default();
    for (name, table) in tables(file, table, "token", &mut faults) {
        let mut fields = Fields::secret(file, name, table, &mut faults);
        let Some((hash, principal)) = token(&mut fields, &mut configured.files) else { continue };
        if credentials.tokens.insert(hash, Arc::new(principal)).is_some() {
            let expected = "expected another token than that of a credential before it";
            fields.fault_without_value("sha256", expected);
        }
    }
    for (name, table) in tables(file, table, "peer", &mut faults) {
        let mut fields = Fields::secret(file, name, table, &mut faults);
        credentials.peers.extend(peer(&mut fields).map(|(rule, it)| (rule, Arc::new(it))));
    }
    credentials.issuers = issuers(file, table, &mut faults);
    for (name, table) in tables(file, table, "certificate", &mut faults) {
        let mut fields = Fields::secret(file, name, table, &mut faults);
        let found = certificate(&mut fields);
        credentials.certificates.extend(found.map(|(rule, it)| (rule, Arc::new(it))));
    }
    configured.credentials = Some(credentials);
    (configured, faults)
}

/// The tables of one kind of credential, with their names for messages.
fn tables<'a>(
    file: &ConfigFile,
    all: &'a Table,
    kind: &str,
    faults: &mut Vec<ConfigError>,
) -> Vec<(String, &'a Table)> {
    let name = format!("{CREDENTIALS_KEY}.{kind}");
    let Some(value) = all.get(kind) else { return Vec::new() };
    let expected = format!("expected up to {MAX_CREDENTIALS} tables, each begun by [[{name}]]");
    let array = value.as_array().filter(|array| array.len() <= MAX_CREDENTIALS);
    let tables: Option<Vec<&Table>> =
        array.and_then(|array| array.iter().map(Toml::as_table).collect());
    let Some(tables) = tables else {
        faults.push(file.fault_without_value(&name, &expected));
        return Vec::new();
    };
    let numbered = tables.into_iter().enumerate();
    numbered.map(|(index, table)| (format!("{name}[{index}]"), table)).collect()
}

/// One token. Every fault is reported, not only the first.
fn token(fields: &mut Fields<'_>, files: &mut Vec<SecretFile>) -> Option<(TokenHash, Principal)> {
    fields.known(&["name", "sha256", "sha256_file", "roles", "tenants", "expires"]);
    let expected = "expected the SHA-256 of the token in 64 hexadecimal digits, as \
                    edge-policy-enforcer token new prints it";
    let parse = |text: &str| text.trim().parse::<TokenHash>().map_err(|()| expected.to_owned());
    let file = fields.file;
    let hash = match (fields.table.contains_key("sha256"), fields.table.contains_key("sha256_file"))
    {
        (true, true) => {
            let expected = "expected either sha256 or sha256_file";
            fields.fault_without_value("sha256_file", expected);
            None
        }
        (_, true) => fields.text("sha256_file", |text| {
            let path = file.resolved(text);
            let stamp = stamp(&path);
            let read = small_file(&path)
                .map_err(|error| format!("expected a file that can be read: {error}"));
            files.push(SecretFile { path, stamp });
            // The output of sha256sum has a name behind the digits.
            let text = String::from_utf8(read?).unwrap_or_default();
            parse(text.split_whitespace().next().unwrap_or_default())
        }),
        (_, false) => fields.needed("sha256", parse),
    };
    let principal = principal(fields, None);
    Some((hash?, principal?))
}

/// One user or group of processes at a Unix socket.
fn peer(fields: &mut Fields<'_>) -> Option<(PeerRule, Principal)> {
    fields.known(&["name", "uid", "gid", "roles", "tenants"]);
    let id = |text: &str| text.parse::<u32>().map_err(|_| "expected a number".to_owned());
    let rule = match (fields.table.contains_key("uid"), fields.table.contains_key("gid")) {
        (true, false) => fields.text("uid", id).map(PeerRule::User),
        (false, true) => fields.text("gid", id).map(PeerRule::Group),
        _ => {
            fields.fault_without_value("uid", "expected either uid or gid");
            None
        }
    };
    let default = rule.map(|rule| match rule {
        PeerRule::User(uid) => format!("uid {uid}"),
        PeerRule::Group(gid) => format!("gid {gid}"),
    });
    let principal = principal(fields, default);
    Some((rule?, principal?))
}

/// Whose certificates have one alternative name.
fn certificate(fields: &mut Fields<'_>) -> Option<(NameRule, Principal)> {
    fields.known(&["name", "san", "roles", "tenants", "expires"]);
    let expected = "expected an alternative name of client certificates, such as \
                    dns:gw.example.com, dns:*.example.com, spiffe://example.com/gateway or \
                    spiffe://example.com/gateways/*";
    let rule =
        fields.needed("san", |text| text.parse::<NameRule>().map_err(|()| expected.to_owned()));
    let principal = principal(fields, rule.as_ref().map(ToString::to_string));
    Some((rule?, principal?))
}

/// A credential's owner, and the rights of the credential.
fn principal(fields: &mut Fields<'_>, default: Option<String>) -> Option<Principal> {
    let name = match default {
        Some(default) if !fields.table.contains_key("name") => Some(default),
        _ => fields.needed("name", parse_credential_name),
    };
    let grant = grant(fields);
    let expires = if fields.table.contains_key("expires") {
        Some(fields.text("expires", parse_expiry)?)
    } else {
        None
    };
    Some(Principal { name: name?, grant: grant?, expires })
}

/// Reads the name of a credential, which the log shows: 1 to 128 characters.
///
/// # Errors
/// The expected form, when it is another.
pub fn parse_credential_name(text: &str) -> Result<String, String> {
    if (1..=MAX_NAME).contains(&text.chars().count()) && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("expected a name for the log, of 1 to {MAX_NAME} characters"))
}

/// Reads when a credential ends: a time with its zone (RFC 3339).
///
/// # Errors
/// The expected form, when it is another.
pub fn parse_expiry(text: &str) -> Result<DateTime<Utc>, String> {
    let expected = "expected a time with its zone, such as 2027-01-01T00:00:00Z";
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| expected.to_owned())
}

fn grant(fields: &mut Fields<'_>) -> Option<Grant> {
    let expected = "expected a list of decide, observe and operate";
    let names = fields.list("roles", Role::ALL.len(), expected);
    let roles = names.and_then(|names| {
        let roles: Option<Roles> = names.into_iter().map(|name| name.parse().ok()).collect();
        if roles.is_none() {
            fields.fault_without_value("roles", expected);
        }
        roles
    });
    let expected = format!("expected a list of up to {MAX_TENANTS} tenants, or [\"*\"] for all");
    let ids = fields.list("tenants", MAX_TENANTS, &expected);
    let tenants = ids.and_then(|ids| {
        if ids == [ALL_TENANTS] {
            return Some(Tenants::All);
        }
        let named: Option<BTreeSet<TenantId>> = ids.into_iter().map(|id| id.parse().ok()).collect();
        if named.is_none() {
            fields.fault_without_value("tenants", &expected);
        }
        named.map(Tenants::Named)
    });
    Some(Grant { roles: roles?, tenants: tenants? })
}
