//! The servers of remote bundles, and the tenants that have theirs there.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::TenantId;
use hyper::header::{HeaderName, HeaderValue};
use toml::Value as Toml;

use super::errors::ConfigError;
use super::fields::Fields;
use super::file::ConfigFile;
use super::url::{Scheme, Url};
use super::values::duration;
use crate::tls::{ClientFiles, Identity, small_file};

/// Servers in the configuration file.
const MAX_SERVICES: usize = 256;

/// Headers of a service.
const MAX_HEADERS: usize = 32;

/// Bytes of a header of a service.
const MAX_HEADER: usize = 4096;

/// Headers that the requests themselves have.
const OWN_HEADERS: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "if-none-match",
    "prefer",
    "accept-encoding",
    "te",
    "range",
];

/// OPA's delays between two requests.
const MIN_DELAY: Duration = Duration::from_secs(60);
const MAX_DELAY: Duration = Duration::from_secs(120);

/// OPA's time for a server to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds of delays, in milliseconds: a tenth of a second to a day.
const DELAY_BOUNDS: RangeInclusive<u64> = 100..=86_400_000;

/// Bounds of a long poll, in milliseconds: no wait to an hour.
const WAIT_BOUNDS: RangeInclusive<u64> = 0..=3_600_000;

/// Bounds of the time for an answer, in milliseconds.
const TIMEOUT_BOUNDS: RangeInclusive<u64> = 100..=600_000;

/// A server of documents: of bundles, or of keys.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) url: Url,
    /// Sent to this server and to no other.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The file of the token that requests are made with.
    pub(crate) token: Option<PathBuf>,
    pub(crate) tls: ClientFiles,
    /// The time to connect, to begin an answer, and between two parts of it.
    pub(crate) response_timeout: Duration,
    /// Whether documents may come without encryption, from any host.
    pub(crate) allow_unencrypted: bool,
}

/// When a bundle is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Polling {
    pub(crate) min_delay: Duration,
    /// At least `min_delay`.
    pub(crate) max_delay: Duration,
    /// How long the server may wait for another bundle, in whole seconds.
    pub(crate) long_polling: Option<Duration>,
}

/// Where a tenant's bundle is.
#[derive(Clone, Debug)]
pub(crate) struct RemoteBundle {
    pub(crate) service: Arc<Service>,
    pub(crate) resource: String,
    pub(crate) url: Url,
    pub(crate) polling: Polling,
}

/// The remote bundles of all tenants.
#[derive(Clone, Debug, Default)]
pub(crate) struct RemoteBundles {
    /// Where the last good copies are. There wherever `of` is not empty.
    pub(crate) cache: PathBuf,
    pub(crate) of: BTreeMap<TenantId, RemoteBundle>,
}

/// The remote bundles of a configuration file, and the faults of its tables.
pub(super) fn remote_bundles(file: &ConfigFile) -> (RemoteBundles, Vec<ConfigError>) {
    let mut faults = Vec::new();
    let services = services(file, &mut faults);
    let cache = cache(file, &mut faults);
    let mut of = BTreeMap::new();
    let mut is_cache_needed = false;
    for (id, value) in file.tenants().into_iter().flatten() {
        let Some(bundle) = value.as_table().and_then(|table| table.get("bundle")) else { continue };
        is_cache_needed = true;
        let name = format!("tenants.{id}.bundle");
        let Toml::Table(table) = bundle else {
            faults.push(file.fault(&name, bundle, "expected a table with service and resource"));
            continue;
        };
        let mut fields = Fields::new(file, name, table, &mut faults);
        let bundle = bundle_of(&mut fields, &services);
        // An invalid id was reported with the file's other faults.
        if let (Ok(id), Some(bundle)) = (id.parse::<TenantId>(), bundle) {
            of.insert(id, bundle);
        }
    }
    if is_cache_needed && file.section("bundle_cache").is_none() {
        faults.push(file.fault_without_value(
            "bundle_cache.directory",
            "expected a directory for the last good copies of remote bundles, such as /var/lib/edge-policy-enforcer/bundles",
        ));
    }
    (RemoteBundles { cache: cache.unwrap_or_default(), of }, faults)
}

fn cache(file: &ConfigFile, faults: &mut Vec<ConfigError>) -> Option<PathBuf> {
    let (name, value) = file.section("bundle_cache")?;
    let Toml::Table(table) = value else {
        faults.push(file.fault(name, value, "expected a table with directory"));
        return None;
    };
    let mut fields = Fields::new(file, name.to_owned(), table, faults);
    fields.known(&["directory"]);
    fields.needed("directory", |text| match text {
        "" => Err("expected a directory, relative to this file".to_owned()),
        path => Ok(file.resolved(path)),
    })
}

fn services(
    file: &ConfigFile,
    faults: &mut Vec<ConfigError>,
) -> BTreeMap<String, Option<Arc<Service>>> {
    let mut services = BTreeMap::new();
    let Some((name, value)) = file.section("services") else { return services };
    let Toml::Table(tables) = value else {
        faults.push(file.fault(name, value, "expected tables, such as [services.cdn]"));
        return services;
    };
    if tables.len() > MAX_SERVICES {
        let count = Toml::from(i64::try_from(tables.len()).unwrap_or(i64::MAX));
        faults.push(file.fault(name, &count, &format!("expected up to {MAX_SERVICES} services")));
        return services;
    }
    for (id, value) in tables {
        let name = format!("{name}.{id}");
        let service = match value {
            Toml::Table(table) => service(id, &mut Fields::new(file, name, table, faults)),
            other => {
                faults.push(file.fault(&name, other, "expected a table with url"));
                None
            }
        };
        // One with faults is known too: a bundle that names it is not at fault.
        services.insert(id.clone(), service.map(Arc::new));
    }
    services
}

fn service(id: &str, fields: &mut Fields<'_>) -> Option<Service> {
    let before = fields.faults.len();
    let file = fields.file;
    fields.known(&[
        "url",
        "headers",
        "ca",
        "bearer_token_file",
        "client_certificate",
        "client_key",
        "response_timeout",
        "allow_unencrypted",
    ]);
    let allow_unencrypted = fields.boolean("allow_unencrypted");
    let url = fields.needed("url", |text| {
        let url: Url = text.parse().map_err(|_| {
            "expected an address without a user, such as https://bundles.example.com/v1".to_owned()
        })?;
        if url.scheme == Scheme::Http && !url.is_loopback() && !allow_unencrypted {
            return Err(
                "expected https://; anyone on the way could replace a bundle and read the \
                        token (allow_unencrypted = true allows http:// nevertheless)"
                    .to_owned(),
            );
        }
        Ok(url)
    });
    let path = |text: &str| Ok(file.resolved(text));
    let authorities = fields.text("ca", path);
    let certificate = fields.text("client_certificate", path);
    let key = fields.text("client_key", path);
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, None) => None,
        _ => {
            let expected = "expected a certificate and its key: client_certificate and client_key";
            fields.fault_without_value("client_key", expected);
            None
        }
    };
    let tls = ClientFiles { authorities, identity };
    if tls != ClientFiles::default()
        && let Err(error) = tls.client_config(true)
    {
        let expected = format!("expected files, relative to this one, that can be used: {error}");
        fields.fault_without_value("ca, client_certificate and client_key", &expected);
    }
    let token = fields.text("bearer_token_file", |text| {
        let path = file.resolved(text);
        let token = small_file(&path).map_err(|error| {
            format!("expected the file of a token, relative to this file: {error}")
        })?;
        bearer(&token).ok_or("expected a file with one line of visible letters and signs")?;
        Ok(path)
    });
    let response_timeout = fields.time("response_timeout", TIMEOUT_BOUNDS, RESPONSE_TIMEOUT);
    let headers = headers(fields);
    let url = url?;
    (fields.faults.len() == before).then(|| Service {
        name: id.to_owned(),
        url,
        headers,
        token,
        tls,
        response_timeout,
        allow_unencrypted,
    })
}

fn headers(fields: &mut Fields<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    let table = match fields.table.get("headers") {
        None => return headers,
        Some(Toml::Table(table)) if table.len() <= MAX_HEADERS => table,
        Some(other) => {
            let expected = format!("expected a table of up to {MAX_HEADERS} headers");
            fields.fault("headers", other, &expected);
            return headers;
        }
    };
    for (name, value) in table {
        let parsed = value.as_str().filter(|text| text.len() <= MAX_HEADER).and_then(|text| {
            let header: HeaderName = name.parse().ok()?;
            let is_own = OWN_HEADERS.contains(&header.as_str());
            Some((header, HeaderValue::from_str(text).ok()?)).filter(|_| !is_own)
        });
        match parsed {
            Some((header, mut value)) => {
                // It may be a key.
                value.set_sensitive(true);
                headers.push((header, value));
            }
            None => {
                // Not the value, which may be a key.
                let expected = "expected a header that requests do not have anyway, with a text";
                fields.fault_without_value(&format!("headers.{name}"), expected);
            }
        }
    }
    headers
}

fn bundle_of(
    fields: &mut Fields<'_>,
    services: &BTreeMap<String, Option<Arc<Service>>>,
) -> Option<RemoteBundle> {
    let before = fields.faults.len();
    fields.known(&["service", "resource", "min_delay", "max_delay", "long_polling"]);
    let service = fields.needed("service", |text| {
        services.get(text).cloned().ok_or_else(|| {
            "expected the name of a service, such as cdn for [services.cdn]".to_owned()
        })
    });
    let resource = fields.needed("resource", |text| match text.trim_matches('/') {
        "" => {
            Err("expected a path below the service's url, such as bundles/acme.tar.gz".to_owned())
        }
        _ => Ok(text.to_owned()),
    });
    let given = |key| fields.table.contains_key(key);
    if given("min_delay") != given("max_delay") {
        let expected = "expected min_delay and max_delay, or neither of them";
        fields.fault_without_value("max_delay", expected);
    }
    let min_delay = fields.time("min_delay", DELAY_BOUNDS, MIN_DELAY);
    let max_delay = fields.time("max_delay", DELAY_BOUNDS, MAX_DELAY);
    if max_delay < min_delay && fields.faults.len() == before {
        fields.fault_without_value("max_delay", "expected at least min_delay");
    }
    let wait = fields.text("long_polling", |text| {
        let wait = duration(text, WAIT_BOUNDS)?;
        if wait.subsec_millis() > 0 {
            return Err("expected whole seconds, which is what a server is told".to_owned());
        }
        Ok(wait)
    });
    // A service with faults has had its own message.
    let (service, resource) = (service??, resource?);
    let Some(url) = service.url.below(&resource) else {
        let expected = "expected a path as it is in an address: spaces and others as %20";
        fields.fault("resource", &Toml::from(resource.as_str()), expected);
        return None;
    };
    let long_polling = wait.filter(|wait| !wait.is_zero());
    let polling = Polling { min_delay, max_delay, long_polling };
    (fields.faults.len() == before).then_some(RemoteBundle { service, resource, url, polling })
}

/// The value of the `Authorization` header for the content of a token's file.
pub(crate) fn bearer(content: &[u8]) -> Option<HeaderValue> {
    let token = std::str::from_utf8(content).ok()?.trim();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_token)?;
    value.set_sensitive(true);
    Some(value)
}
