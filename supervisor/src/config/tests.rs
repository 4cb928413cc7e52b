//! The configuration is parsed as users write it.

use tracing::level_filters::LevelFilter;

use enforcer_protocol::SandboxMode;

use super::sandbox::UNUSED_USERS;
use super::*;
use crate::access::{PeerIds, Refusal, Right, Role};

fn parse(flags: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Config, String> {
    let flag = |name: &str| {
        flags.iter().find(|(flag, _)| *flag == name).map(|(_, value)| (*value).to_owned())
    };
    let mut variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    // The default is below the directory that the program is started in, and not this one.
    if variables.iter().all(|(name, _)| name != "BUNDLES_DIR") {
        variables.push(("BUNDLES_DIR".to_owned(), "/".to_owned()));
    }
    Config::parse(flag, variables).map_err(|errors| errors.to_string())
}

fn listened(config: &Config) -> Vec<String> {
    config.listen.addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = parse(&[], &[]).unwrap();
    assert_eq!(listened(&config), ["127.0.0.1:8181"]);
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
    assert_eq!(listened(&config), ["[::1]:1"]);
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
fn only_an_open_tenant_decides_outside_of_its_package() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        parse(&[("config", file.path().to_str().unwrap())], &[])
    };
    let tenant_a = "tenant_a".parse().unwrap();
    let limits = |text| read(text).unwrap().limits(&tenant_a);
    assert_eq!(limits("").entrypoint(&tenant_a), ["tenants", "tenant_a", "allow"]);
    assert_eq!(limits("").root(&tenant_a), ["tenants", "tenant_a"]);
    let open =
        limits("[tenants.tenant_a]\nnamespace = \"open\"\nentrypoint = \"envoy/authz/allow\"");
    assert_eq!(open.entrypoint(&tenant_a), ["envoy", "authz", "allow"]);
    assert!(open.root(&tenant_a).is_empty());
    let own = limits("[tenants.tenant_a]\nentrypoint = \"/tenants/tenant_a/http/allow\"");
    assert_eq!(own.entrypoint(&tenant_a), ["tenants", "tenant_a", "http", "allow"]);
    for outside in ["envoy/authz/allow", "tenants/other/allow"] {
        let report = read(&format!("[tenants.tenant_a]\nentrypoint = \"{outside}\"")).unwrap_err();
        assert!(report.contains("namespace = \"open\""), "{report}");
    }
    for invalid in ["", "a//b", "a%2Fb", "data.a.b", "a b"] {
        let text = format!("namespace = \"open\"\nentrypoint = \"{invalid}\"");
        assert!(read(&text).unwrap_err().contains("expected the path of a rule"), "{invalid}");
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

/// Parses a configuration file beside which there are these files.
fn with_file(text: &str, files: &[(&str, &str)]) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("enforcer.toml");
    std::fs::write(&path, text).unwrap();
    for (name, content) in files {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    parse(&[("config", path.to_str().unwrap())], &[])
}

const SECRET: (&str, &str) = ("secret", "0123456789abcdef0123456789abcdef");

#[test]
fn a_tenant_s_bundle_is_verified_as_the_operator_s_file_says() {
    let config = with_file(
        r#"
            bundle_signature = "required"
            [bundle_keys.release]
            algorithm = "HS256"
            key = "secret"
            scope = "write"
            [bundle_keys.other]
            algorithm = "HS256"
            key = "secret"
            [tenants.open]
            bundle_signature = "optional"
            [tenants.pinned]
            bundle_key = "release, other"
            bundle_scope = "read"
        "#,
        &[SECRET],
    )
    .unwrap();
    let of = |id: &str| config.verification(&id.parse().unwrap());
    assert_eq!(of("any").requirement, SignatureRequirement::Required);
    assert_eq!((&of("any").allowed, &of("any").scope), (&None, &None));
    assert_eq!(of("any").keys["release"].scope, "write");
    assert_eq!(of("open").requirement, SignatureRequirement::Optional);
    assert_eq!(of("pinned").requirement, SignatureRequirement::Required);
    assert_eq!(of("pinned").allowed, Some(vec!["release".to_owned(), "other".to_owned()]));
    assert_eq!(of("pinned").scope.as_deref(), Some("read"));
}

#[test]
fn every_fault_of_a_key_is_reported() {
    let report = with_file(
        r#"
            [bundle_keys.none]
            algorithm = "none"
            key = "missing.pem"
            scope = "a b"
            kid = "x"
            [bundle_keys.short]
            algorithm = "HS512"
            key = "secret"
            [bundle_keys.number]
            algorithm = "HS256"
            key = 7
            [bundle_keys."a b"]
            algorithm = "HS256"
            key = "secret"
            [bundle_keys]
            text = "x"
        "#,
        &[SECRET],
    )
    .unwrap_err();
    for expected in [
        "bundle_keys.none.algorithm in ",
        "is \"none\": expected one of RS256, RS384",
        "bundle_keys.none.key in ",
        "is \"missing.pem\": expected the file of a key, relative to this file: ",
        "bundle_keys.none.scope in ",
        "bundle_keys.none.kid in ",
        "expected one of algorithm, key, scope",
        "is \"secret\": expected, for HS512, a secret of at least 64 bytes",
        "bundle_keys.number.key in ",
        "is \"7\": expected a string",
        "bundle_keys.a b in ",
        "bundle_keys.text in ",
        "is \"x\": expected a table",
    ] {
        assert!(report.contains(expected), "{expected} in {report}");
    }
    let report = with_file("bundle_keys = 1", &[]).unwrap_err();
    assert!(report.contains("expected tables, such as [bundle_keys.release]"), "{report}");
}

#[test]
fn a_bundle_s_key_must_exist() {
    let key = "[bundle_keys.release]\nalgorithm = \"HS256\"\nkey = \"secret\"\n";
    for (text, expected) in [
        (
            "bundle_signature = \"required\"".to_owned(),
            "the configuration file has no [bundle_keys]",
        ),
        (format!("bundle_key = \"release,other\"\n{key}"), "expected any, or ids of tables"),
        (format!("{key}[tenants.a]\nbundle_key = \"\""), "tenants.a.bundle_key in "),
        (format!("{key}[tenants.a]\nbundle_signature = \"yes\""), "expected optional or required"),
        (format!("{key}[tenants.a]\nbundle_scope = \"a b\""), "without spaces"),
    ] {
        let report = with_file(&text, &[SECRET]).unwrap_err();
        assert!(report.contains(expected), "{report}");
    }
}

const TOKEN: &str = r#"
    [[credentials.token]]
    name = "gateway"
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    roles = ["decide"]
    tenants = ["tenant_a", "tenant_b"]
    expires = 2027-01-01T00:00:00Z
"#;

#[test]
fn a_token_s_rights_are_those_of_the_operator_s_file() {
    let config = with_file(
        &format!(
            "{TOKEN}\n[[credentials.peer]]\ngid = 7\nroles = [\"operate\"]\ntenants = [\"*\"]"
        ),
        &[],
    )
    .unwrap();
    let credentials = config.credentials.credentials.unwrap();
    let at = |text: &str| parse_expiry(text).unwrap();
    let principal = credentials.of_token("abc", at("2026-12-31T23:59:59Z")).unwrap();
    assert_eq!(principal.name, "gateway");
    assert_eq!(principal.grant.right(Role::Decide, &"tenant_b".parse().unwrap()), Right::Granted);
    assert_eq!(
        principal.grant.right(Role::Decide, &"tenant_c".parse().unwrap()),
        Right::OtherTenant
    );
    assert_eq!(credentials.of_token("abc", at("2027-01-01T00:00:00Z")), Err(Refusal::Expired));
    assert_eq!(credentials.of_token("abd", at("2026-12-31T23:59:59Z")), Err(Refusal::Unknown));
    let peer = |gid| credentials.of_peer(PeerIds { uid: 1, gid });
    assert_eq!(peer(7).unwrap().name, "gid 7");
    assert!(peer(8).is_none());
}

#[test]
fn a_hash_may_be_in_a_file_of_its_own() {
    let text = TOKEN.replace(
        "sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
        "sha256_file = \"hash\"",
    );
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n";
    let config = with_file(&text, &[("hash", hash)]).unwrap();
    let now = parse_expiry("2026-01-01T00:00:00Z").unwrap();
    assert!(config.credentials.credentials.unwrap().of_token("abc", now).is_ok());
    let report = with_file(&text, &[]).unwrap_err();
    assert!(report.contains("credentials.token[0].sha256_file"), "{report}");
}

#[test]
fn every_fault_of_a_credential_is_reported_and_no_value_is_repeated() {
    let report = with_file(
        r#"
            password = "hunter2"
            [credentials]
            tokens = "hunter2"
            [[credentials.token]]
            sha256 = "hunter2"
            secret = "hunter2"
            roles = ["admin-hunter2"]
            tenants = ["..hunter2"]
            expires = "hunter2"
            [[credentials.token]]
            name = "both"
            sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            sha256_file = "hunter2"
            roles = []
            tenants = []
            [[credentials.peer]]
            uid = 1
            gid = 1
            roles = ["decide"]
            tenants = ["*", "a"]
            [tenants.a]
            key = "hunter2"
        "#,
        &[],
    )
    .unwrap_err();
    for expected in [
        "password in ",
        "credentials.tokens in ",
        "credentials.token[0].name in ",
        "credentials.token[0].sha256 in ",
        "credentials.token[0].secret in ",
        "credentials.token[0].roles in ",
        "credentials.token[0].tenants in ",
        "credentials.token[0].expires in ",
        "credentials.token[1].sha256_file in ",
        "credentials.token[1].roles in ",
        "credentials.token[1].tenants in ",
        "credentials.peer[0].uid in ",
        "credentials.peer[0].tenants in ",
        "tenants.a.key in ",
    ] {
        assert!(report.contains(expected), "{expected} in {report}");
    }
    assert!(!report.contains("hunter2"), "{report}");
}

#[test]
fn two_credentials_are_not_one_token() {
    let report = with_file(&format!("{TOKEN}{TOKEN}"), &[]).unwrap_err();
    assert!(report.contains("credentials.token[1].sha256"), "{report}");
}

#[test]
fn an_address_that_other_hosts_reach_needs_protection() {
    let listen = |address: &str, file: &str, insecure: &str| {
        let text = format!("listen = [\"{address}\"]\ninsecure_listen = \"{insecure}\"\n{file}");
        with_file(&text, &[]).map(|_| ())
    };
    for address in ["127.0.0.1:1", "[::1]:1", "unix:/run/a.sock"] {
        assert!(listen(address, "", "refuse").is_ok(), "{address}");
    }
    for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        for (file, insecure, expected) in [
            ("", "refuse", "configure [credentials] and [tls]"),
            ("", "without-tls", "configure [credentials] and [tls]"),
            (TOKEN, "refuse", "configure [tls]"),
        ] {
            let report = listen(address, file, insecure).unwrap_err();
            assert!(report.contains(expected) && report.contains(address), "{report}");
        }
        assert!(listen(address, TOKEN, "without-tls").is_ok(), "{address}");
        assert!(listen(address, "", "without-tls-and-credentials").is_ok(), "{address}");
    }
    for name in ["ENFORCER_HOST", "ENFORCER_DIAGNOSTICS_ADDRESS"] {
        let value = if name == "ENFORCER_HOST" { "0.0.0.0" } else { "0.0.0.0:1" };
        let report = parse(&[], &[(name, value)]).unwrap_err();
        assert!(report.contains(&format!("{name} is {value:?}: expected an address")), "{report}");
    }
}

#[test]
fn requests_for_other_hosts_are_refused_where_no_credential_is_needed() {
    let hosts = |text: &str| with_file(text, &[]).unwrap().listen.hosts;
    assert_eq!(hosts(""), Hosts::Known(Vec::new()));
    assert_eq!(
        hosts("allowed_hosts = [\"A.example\"]"),
        Hosts::Known(vec!["a.example".to_owned()])
    );
    assert_eq!(hosts(TOKEN), Hosts::Any);
    let both = format!("allowed_hosts = [\"a.example\"]\n{TOKEN}");
    assert_eq!(hosts(&both), Hosts::Known(vec!["a.example".to_owned()]));
}
