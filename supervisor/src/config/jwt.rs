//! `[credentials.jwt]`: issuers of tokens.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use toml::{Table, Value as Toml};

use super::errors::ConfigError;
use super::fields::Fields;
use super::file::{CREDENTIALS_KEY, ConfigFile};
use super::remote::Service;
use super::url::{Scheme, Url};
use crate::access::jwt::algorithm::JwtAlgorithm;
use crate::access::jwt::claims::{AllTenants, ClaimPath, ClaimRules};
use crate::access::jwt::issuer::{Issuer, Issuers};
use crate::access::jwt::keys::{KeySet, names};
use crate::access::jwt::source::{KeyLocation, KeySource};
use crate::tls::{ClientFiles, small_file};

/// Issuers. Each has a label in the metrics.
const MAX_ISSUERS: usize = 16;

/// Names of this service at an issuer.
const MAX_AUDIENCES: usize = 16;

/// Bytes of an issuer's name, of an audience, and of a claim's name.
const MAX_NAME: usize = 512;

/// How far clocks may differ without the operator's word. Five minutes is the most that RFC 7519 calls
/// usual (section 4.1.4).
const LEEWAY: Duration = Duration::from_secs(30);
const LEEWAY_BOUNDS: RangeInclusive<u64> = 0..=300_000;

/// After which time keys are fetched again.
const REFRESH: Duration = Duration::from_secs(600);
const REFRESH_BOUNDS: RangeInclusive<u64> = 1000..=86_400_000;

/// How long a server may take to accept a connection, and to begin its answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The issuers of a configuration file.
pub(super) fn issuers(file: &ConfigFile, all: &Table, faults: &mut Vec<ConfigError>) -> Issuers {
    let mut issuers: Vec<Arc<Issuer>> = Vec::new();
    for (name, table) in tables(file, all, faults) {
        let mut fields = Fields::secret(file, name, table, faults);
        let Some(issuer) = issuer(&mut fields) else { continue };
        if issuers.iter().any(|known| known.name == issuer.name) {
            let expected = "expected another issuer than that of a table before it";
            fields.fault_without_value("issuer", expected);
        }
        issuers.push(Arc::new(issuer));
    }
    Issuers(issuers)
}

/// The one table, or each of several, with its name for messages.
fn tables<'a>(
    file: &ConfigFile,
    all: &'a Table,
    faults: &mut Vec<ConfigError>,
) -> Vec<(String, &'a Table)> {
    let name = format!("{CREDENTIALS_KEY}.jwt");
    let tables: Option<Vec<&Table>> = match all.get("jwt") {
        None => return Vec::new(),
        Some(Toml::Table(table)) => return vec![(name, table)],
        Some(Toml::Array(tables)) if tables.len() <= MAX_ISSUERS => {
            tables.iter().map(Toml::as_table).collect()
        }
        Some(_) => None,
    };
    let Some(tables) = tables else {
        let expected = format!(
            "expected one table, [{name}], or up to {MAX_ISSUERS}, each begun by [[{name}]]"
        );
        faults.push(file.fault_without_value(&name, &expected));
        return Vec::new();
    };
    let numbered = tables.into_iter().enumerate();
    numbered.map(|(index, table)| (format!("{name}[{index}]"), table)).collect()
}

/// One issuer. Every fault is reported, not only the first.
fn issuer(fields: &mut Fields<'_>) -> Option<Issuer> {
    let before = fields.faults.len();
    fields.known(&[
        "issuer",
        "audience",
        "jwks",
        "algorithms",
        "roles_claim",
        "tenants_claim",
        "subject_claim",
        "allow_all_tenants",
        "leeway",
        "refresh",
        "ca",
    ]);
    let expected = "expected the claim iss of its tokens, such as https://id.example.com";
    let name = fields.needed("issuer", |text| bounded(text, expected));
    let audiences = audiences(fields);
    let algorithms = algorithms(fields);
    let roles = claim(fields, "roles_claim", "roles");
    let tenants = claim(fields, "tenants_claim", "tenants");
    let subject = claim(fields, "subject_claim", "sub");
    let all_tenants = match fields.boolean("allow_all_tenants") {
        true => AllTenants::Allowed,
        false => AllTenants::Ignored,
    };
    let leeway = fields.time("leeway", LEEWAY_BOUNDS, LEEWAY);
    let keys = keys(fields, name.as_deref().unwrap_or_default());
    let rules = ClaimRules {
        audiences: audiences?,
        roles: roles?,
        tenants: tenants?,
        subject: subject?,
        all_tenants,
        leeway,
    };
    let issuer = Issuer::new(name?, algorithms?, rules, Arc::new(keys?));
    (fields.faults.len() == before).then_some(issuer)
}

fn bounded(text: &str, expected: &str) -> Result<String, String> {
    let is_name = (1..=MAX_NAME).contains(&text.len()) && !text.contains(char::is_control);
    if is_name { Ok(text.to_owned()) } else { Err(expected.to_owned()) }
}

fn audiences(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let expected = format!(
        "expected the name of this service in the claim aud, or a list of up to {MAX_AUDIENCES}"
    );
    if let Some(Toml::Array(_)) = fields.table.get("audience") {
        let names = fields.list("audience", MAX_AUDIENCES, &expected)?;
        let names: Result<Vec<String>, String> =
            names.into_iter().map(|name| bounded(name, &expected)).collect();
        return names.map_err(|expected| fields.fault_without_value("audience", &expected)).ok();
    }
    fields.needed("audience", |text| bounded(text, &expected)).map(|name| vec![name])
}

fn algorithms(fields: &mut Fields<'_>) -> Option<Vec<JwtAlgorithm>> {
    let expected = format!("expected a list of {}", names());
    let texts = fields.list("algorithms", JwtAlgorithm::ALL.len(), &expected)?;
    let algorithms: Option<Vec<JwtAlgorithm>> =
        texts.into_iter().map(|text| text.parse().ok()).collect();
    if algorithms.is_none() {
        fields.fault_without_value("algorithms", &expected);
    }
    algorithms
}

fn claim(fields: &mut Fields<'_>, key: &str, default: &str) -> Option<ClaimPath> {
    if !fields.table.contains_key(key) {
        return Some(ClaimPath::Name(default.to_owned()));
    }
    let expected = "expected the name of a claim, or a pointer to one within another, such as /realm_access/roles";
    let text = fields.text(key, |text| bounded(text, expected))?;
    Some(if text.starts_with('/') { ClaimPath::Pointer(text) } else { ClaimPath::Name(text) })
}

fn keys(fields: &mut Fields<'_>, issuer: &str) -> Option<KeySource> {
    let is_server = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    let jwks = fields.table.get("jwks").and_then(Toml::as_str);
    if jwks.is_some_and(is_server) {
        return server(fields, issuer);
    }
    for key in ["refresh", "ca"] {
        if fields.table.contains_key(key) {
            let expected = "expected nothing beside a file of keys; it is for an https:// address";
            fields.fault_without_value(key, expected);
        }
    }
    let expected = "expected a file with a JWK Set, relative to this file, or an https:// address";
    let file = fields.file;
    let (path, set) = fields.needed("jwks", |text| {
        if text.is_empty() {
            return Err(expected.to_owned());
        }
        let path = file.resolved(text);
        let content = small_file(&path).map_err(|error| format!("{expected}: {error}"))?;
        let set = KeySet::parse(&content).map_err(|error| format!("{expected}: {error}"))?;
        if set.len() == 0 {
            let unused = set.unused().join("; ");
            return Err(format!("{expected}, and this set has no key that is used; key {unused}"));
        }
        Ok((path, set))
    })?;
    Some(KeySource::new(issuer.to_owned(), KeyLocation::File(path), set))
}

fn server(fields: &mut Fields<'_>, issuer: &str) -> Option<KeySource> {
    let url = fields.text("jwks", |text| {
        let url: Url = text.parse().map_err(|_| {
            "expected an address without a user, such as https://id.example.com/jwks.json"
                .to_owned()
        })?;
        if url.scheme == Scheme::Http && !url.is_loopback() {
            let expected =
                "expected https://; anyone on the way could replace the keys, and make tokens";
            return Err(expected.to_owned());
        }
        Ok(url)
    });
    let refresh = fields.time("refresh", REFRESH_BOUNDS, REFRESH);
    let file = fields.file;
    let authorities = fields.text("ca", |text| Ok(file.resolved(text)));
    let tls = ClientFiles { authorities, identity: None };
    if tls != ClientFiles::default()
        && let Err(error) = tls.client_config(true)
    {
        let expected = format!("expected a file, relative to this one, that can be used: {error}");
        fields.fault_without_value("ca", &expected);
    }
    let service = Service {
        name: issuer.to_owned(),
        url: url?,
        headers: Vec::new(),
        token: None,
        tls,
        response_timeout: RESPONSE_TIMEOUT,
        allow_unencrypted: false,
    };
    let location = KeyLocation::Server { service: Arc::new(service), refresh };
    Some(KeySource::new(issuer.to_owned(), location, KeySet::default()))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn parse(jwt: &str) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("enforcer.toml");
        std::fs::write(directory.path().join("jwks.json"), JWKS).unwrap();
        std::fs::write(directory.path().join("none.json"), r#"{"keys":[{"kty":"oct"}]}"#).unwrap();
        std::fs::write(&path, jwt).unwrap();
        let file = ("ENFORCER_CONFIG".to_owned(), path.to_str().unwrap().to_owned());
        let bundles = ("BUNDLES_DIR".to_owned(), "/".to_owned());
        let config = Config::parse(|_| None, [file, bundles]);
        config.map(drop).map_err(|errors| errors.to_string())
    }

    fn table(further: &str) -> String {
        let mut table = String::from("[credentials.jwt]\n");
        for default in [
            "issuer = \"https://id.example.com\"",
            "audience = \"enforcer\"",
            "jwks = \"jwks.json\"",
            "algorithms = [\"EdDSA\"]",
        ] {
            let (key, _) = default.split_once(' ').unwrap();
            if !further.lines().any(|line| line.starts_with(&format!("{key} "))) {
                table.push_str(&format!("{default}\n"));
            }
        }
        format!("{table}{further}\n")
    }

    #[test]
    fn an_issuer_is_one_table_or_one_of_several() {
        parse(&table("")).unwrap();
        let second = table("issuer = \"https://other.example\"")
            .replace("[credentials.jwt]", "[[credentials.jwt]]");
        let first = table("").replace("[credentials.jwt]", "[[credentials.jwt]]");
        parse(&format!("{first}{second}")).unwrap();
        let report = parse(&format!("{first}{first}")).unwrap_err();
        assert!(report.contains("credentials.jwt[1].issuer in "), "{report}");
        let report = parse(&first.repeat(17)).unwrap_err();
        assert!(report.contains("credentials.jwt in ") && report.contains("16"), "{report}");
    }

    #[test]
    fn everything_that_an_issuer_may_have_is_read() {
        for further in [
            "audience = [\"one\", \"two\"]",
            "roles_claim = \"/realm_access/roles\"\ntenants_claim = \"https://example.com/tenants\"",
            "subject_claim = \"client_id\"\nallow_all_tenants = true\nleeway = \"0s\"",
            "leeway = \"5m\"",
            "jwks = \"https://id.example.com/jwks\"\nrefresh = \"1h\"",
            "jwks = \"http://127.0.0.1:8080/jwks\"\nrefresh = \"1s\"",
            "algorithms = [\"RS256\", \"PS512\", \"ES512\", \"EdDSA\"]",
        ] {
            parse(&table(further)).unwrap();
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_name_and_what_is_expected() {
        for (further, key, expected) in [
            ("algorithms = [\"none\"]", "algorithms", "RS256"),
            ("algorithms = [\"HS256\"]", "algorithms", "RS256"),
            ("algorithms = [\"RS256\", \"HS512\"]", "algorithms", "RS256"),
            ("algorithms = []", "algorithms", "RS256"),
            ("algorithms = \"RS256\"", "algorithms", "expected a list"),
            ("issuer = \"\"", "issuer", "the claim iss"),
            ("audience = []", "audience", "the claim aud"),
            ("audience = \"\"", "audience", "the claim aud"),
            ("audience = [\"\"]", "audience", "the claim aud"),
            ("audience = true", "audience", "expected a string"),
            ("jwks = \"missing.json\"", "jwks", "a file with a JWK Set"),
            ("jwks = \"enforcer.toml\"", "jwks", "not a JSON object"),
            ("jwks = \"none.json\"", "jwks", "shared secret"),
            ("jwks = \"http://id.example.com/jwks\"", "jwks", "expected https://"),
            ("jwks = \"https://user:secret@id.example.com/\"", "jwks", "without a user"),
            ("refresh = \"10m\"", "refresh", "beside a file"),
            ("ca = \"ca.pem\"", "ca", "beside a file"),
            ("jwks = \"https://id.example.com/\"\nca = \"missing.pem\"", "ca", "cannot be read"),
            ("jwks = \"https://id.example.com/\"\nrefresh = \"10ms\"", "refresh", "from 1000ms"),
            ("leeway = \"301s\"", "leeway", "300s"),
            ("roles_claim = \"\"", "roles_claim", "the name of a claim"),
            ("allow_all_tenants = \"yes\"", "allow_all_tenants", "true or false"),
            ("secret = \"hunter2\"", "secret", "expected one of"),
        ] {
            let report = parse(&table(further)).expect_err(further);
            let name = format!("credentials.jwt.{key} in ");
            assert!(report.contains(&name) && report.contains(expected), "{further}: {report}");
            assert!(!report.contains("hunter2") && !report.contains("user:secret"), "{report}");
        }
        let report = parse("[credentials.jwt]\n").unwrap_err();
        for key in ["issuer", "audience", "jwks", "algorithms"] {
            assert!(report.contains(&format!("credentials.jwt.{key} in ")), "{key}: {report}");
        }
    }
}
