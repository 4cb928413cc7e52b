//! `[tls]`: the server's certificates, and those of clients.

use std::path::PathBuf;
use std::sync::Arc;

use toml::{Table, Value as Toml};

use super::errors::ConfigError;
use super::fields::Fields;
use super::file::{ConfigFile, TLS_KEY};
use crate::tls::Identity;
use crate::tls::server::{MinVersion, ServerFiles, ServerTls};

/// Further certificates.
const MAX_CERTIFICATES: usize = 1024;

/// Names of one certificate.
const MAX_NAMES: usize = 256;

/// Files of revoked certificates.
const MAX_CRL_FILES: usize = 64;

/// The server's TLS, where the file has one, and the faults of its table. It reads the files that the
/// table names.
pub(super) fn server_tls(file: &ConfigFile) -> (Option<Arc<ServerTls>>, Vec<ConfigError>) {
    let mut faults = Vec::new();
    let Some((name, value)) = file.section(TLS_KEY) else { return (None, faults) };
    let Toml::Table(table) = value else {
        faults.push(file.fault(name, value, "expected a table with certificate and key"));
        return (None, faults);
    };
    let mut fields = Fields::secret(file, name.to_owned(), table, &mut faults);
    fields.known(&["certificate", "key", "client_ca", "crls", "sni", "min_version"]);
    let default = identity(&mut fields);
    let client_authorities = fields.text("client_ca", |text| path(file, text));
    let crls = crl_files(&mut fields);
    let min_version = if table.contains_key("min_version") {
        fields.text("min_version", min_version)
    } else {
        Some(MinVersion::default())
    };
    let by_name = named(file, table, &mut faults);
    if !faults.is_empty() {
        return (None, faults);
    }
    let (Some(default), Some(crls), Some(min_version)) = (default, crls, min_version) else {
        return (None, faults);
    };
    let files = ServerFiles { default, by_name, client_authorities, crls, min_version };
    match files.load() {
        Ok(loaded) => (Some(Arc::new(ServerTls::new(files, loaded))), faults),
        Err(error) => {
            let expected = format!("expected certificates and keys that can be used: {error}");
            faults.push(file.fault(name, &Toml::from("…"), &expected));
            (None, faults)
        }
    }
}

fn path(file: &ConfigFile, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected the path of a file in PEM, relative to this file".to_owned());
    }
    Ok(file.resolved(text))
}

/// The certificate of a table, with its key. Every fault is reported, not only the first.
fn identity(fields: &mut Fields<'_>) -> Option<Identity> {
    let file = fields.file;
    let certificate = fields.needed("certificate", |text| path(file, text));
    let key = fields.needed("key", |text| path(file, text));
    Some(Identity { certificate: certificate?, key: key? })
}

/// The files of revoked certificates, which need authorities.
fn crl_files(fields: &mut Fields<'_>) -> Option<Vec<PathBuf>> {
    if !fields.table.contains_key("crls") {
        return Some(Vec::new());
    }
    let expected =
        format!("expected a list of up to {MAX_CRL_FILES} files, and client_ca beside it");
    let paths = fields.list("crls", MAX_CRL_FILES, &expected)?;
    if !fields.table.contains_key("client_ca") {
        fields.fault("crls", &Toml::from("…"), &expected);
        return None;
    }
    Some(paths.into_iter().map(|text| fields.file.resolved(text)).collect())
}

fn min_version(text: &str) -> Result<MinVersion, String> {
    match text {
        "1.2" => Ok(MinVersion::Tls12),
        "1.3" => Ok(MinVersion::Tls13),
        _ => Err("expected \"1.2\" or \"1.3\"".to_owned()),
    }
}

/// The certificates of `[[tls.sni]]`, with their names.
fn named(
    file: &ConfigFile,
    table: &Table,
    faults: &mut Vec<ConfigError>,
) -> Vec<(Vec<String>, Identity)> {
    let Some(value) = table.get("sni") else { return Vec::new() };
    let name = format!("{TLS_KEY}.sni");
    let array = value.as_array().filter(|array| array.len() <= MAX_CERTIFICATES);
    let tables: Option<Vec<&Table>> =
        array.and_then(|array| array.iter().map(Toml::as_table).collect());
    let Some(tables) = tables else {
        let expected =
            format!("expected up to {MAX_CERTIFICATES} tables, each begun by [[{name}]]");
        faults.push(file.fault(&name, &Toml::from("…"), &expected));
        return Vec::new();
    };
    let mut found: Vec<(Vec<String>, Identity)> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let mut fields = Fields::secret(file, format!("{name}[{index}]"), table, faults);
        fields.known(&["names", "certificate", "key"]);
        let expected = format!(
            "expected a list of up to {MAX_NAMES} names such as pdp.example.com or *.example.com, each of one certificate only"
        );
        let names = fields.list("names", MAX_NAMES, &expected);
        let names: Option<Vec<String>> =
            names.map(|names| names.into_iter().map(str::to_ascii_lowercase).collect());
        let is_good = names.as_ref().is_some_and(|names| {
            let is_new = |name| found.iter().all(|(others, _)| !others.contains(name));
            names.iter().all(|name| is_server_name(name) && is_new(name))
        });
        if names.is_some() && !is_good {
            fields.fault("names", &Toml::from("…"), &expected);
        }
        if let (Some(identity), Some(names)) = (identity(&mut fields), names) {
            found.push((names, identity));
        }
    }
    found
}

fn is_server_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(is_part)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
