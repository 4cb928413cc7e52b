//! Who may ask: a request shows a credential, and gets only what the credential is for.

#![allow(clippy::print_stdout, reason = "the figures are what one of these tests is run for")]

use std::fs;
use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::enforcer::{Bundles, ECHO, Enforcer, binary, wait_for};
use crate::http_client::Response;
use crate::stream_client::{Consumer, PATH};
use crate::tokens::{ISSUER, Key, claims, jwks, seconds};

/// The credentials of most tests: a token's text, its roles, its tenants, and further lines.
const TOKENS: [(&str, &str, &str, &str); 7] = [
    ("operator", r#""operate""#, r#""*""#, ""),
    ("all", r#""decide", "observe", "operate""#, r#""a""#, ""),
    ("decider", r#""decide""#, r#""a""#, ""),
    ("observer", r#""observe""#, r#""a""#, ""),
    ("other", r#""decide", "observe", "operate""#, r#""b""#, ""),
    ("expired", r#""decide", "observe", "operate""#, r#""*""#, "expires = 2020-01-01T00:00:00Z"),
    ("everything", r#""decide", "observe", "operate""#, r#""*""#, ""),
];

const DECISION: &str = "/v1/data/tenants/a/allow";

/// The lines of a token in the configuration file.
fn lines(token: &str, roles: &str, tenants: &str, further: &str) -> String {
    let digest = Sha256::digest(token);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "[[credentials.token]]\nname = \"{token}\"\nsha256 = \"{hash}\"\nroles = [{roles}]\n\
         tenants = [{tenants}]\n{further}\n"
    )
}

fn all_lines() -> String {
    TOKENS
        .iter()
        .map(|(token, roles, tenants, further)| lines(token, roles, tenants, further))
        .collect()
}

/// An enforcer with credentials, and its configuration file.
struct Guarded {
    enforcer: Enforcer,
    directory: TempDir,
}

impl Guarded {
    fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    fn start_with(config: &str, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("enforcer.toml");
        fs::write(&path, config).unwrap();
        let mut all = vec![("ENFORCER_CONFIG", path.to_str().unwrap())];
        all.extend(variables);
        let bundles = Bundles::new().tenant("a", ECHO).tenant("b", ECHO);
        let enforcer = bundles.start_with(&all);
        wait_for("tenants to be ready", || {
            (enforcer.get("/health?bundles").status == 200).then_some(())
        });
        Self { enforcer, directory }
    }

    /// Replaces the configuration file, and has it read.
    fn reload(&self, config: &str) {
        fs::write(self.directory.path().join("enforcer.toml"), config).unwrap();
        self.enforcer.signal(Signal::SIGHUP);
    }

    fn ask(&self, token: &str, method: &str, target: &str, body: &str) -> Response {
        self.ask_with(&format!("Authorization: Bearer {token}\r\n"), method, target, body)
    }

    fn ask_with(&self, headers: &str, method: &str, target: &str, body: &str) -> Response {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        let mut connection = self.enforcer.connect();
        connection.send(request.as_bytes()).unwrap();
        connection.response().unwrap()
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.ask("everything", "GET", "/metrics", "").text;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }
}

/// Somebody who may ask, as docs/openapi.yaml has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A role for the tenant of the path.
    Role(&'static str),
    /// A role for the tenant that the query may name; for all tenants where it names none.
    Stream,
    AllTenants,
}

/// An operation of docs/openapi.yaml: its method, its path, and who may ask for it.
type Operation = (String, String, Needs);

/// Every operation that the documentation has, with the tenant `id` in its path. Each must say who may
/// ask for it.
fn operations(id: &str) -> Vec<Operation> {
    let document = fs::read_to_string("docs/openapi.yaml").unwrap();
    let mut operations: Vec<Operation> = Vec::new();
    let (mut path, mut method) = (String::new(), None);
    for line in document.lines() {
        if let Some(found) = line.strip_prefix("  /") {
            assert_eq!(method, None, "{path} does not say who may ask");
            path = format!("/{}", found.trim_end_matches(':'));
        } else if let Some(found) = line.strip_prefix("    ").and_then(|it| it.strip_suffix(':'))
            && ["get", "post", "put", "delete", "patch"].contains(&found)
        {
            assert_eq!(method, None, "{path} does not say who may ask");
            method = Some(found.to_uppercase());
        } else if let Some(security) = line.strip_prefix("      security: ") {
            let needs = match security {
                "[]" => Needs::Nothing,
                "[{bearer: [operate-all]}]" => Needs::AllTenants,
                "[{bearer: [decide]}]" => Needs::Role("decide"),
                "[{bearer: [operate]}]" => Needs::Role("operate"),
                "[{bearer: [observe]}]" if path.starts_with("/v1/stream") => Needs::Stream,
                "[{bearer: [observe]}]" => Needs::Role("observe"),
                other => panic!("{other} of {path}"),
            };
            let path = path.replace("{tenant_id}", id).replace("{path}", "reason");
            let path = path.replace("{file}", "app.js");
            let method = method.take().unwrap();
            if needs == Needs::Stream {
                operations.push((
                    method.clone(),
                    format!("{path}?tenant_id={id}"),
                    Needs::Role("observe"),
                ));
                operations.push((method, path, Needs::AllTenants));
            } else {
                operations.push((method, path, needs));
            }
        }
    }
    assert!(operations.len() > 25, "{operations:?}");
    operations
}

/// What a credential with these roles and tenants gets, as the contract has it.
fn expected(needs: Needs, roles: &str, tenants: &str) -> Result<(), u16> {
    let has = |role: &str| roles.contains(role) || role == "observe" && roles.contains("operate");
    match needs {
        Needs::Nothing => Ok(()),
        _ if roles.is_empty() => Err(401),
        Needs::AllTenants if has("operate") && tenants == r#""*""# => Ok(()),
        Needs::AllTenants => Err(403),
        Needs::Role(_) if tenants == r#""b""# => Err(404),
        Needs::Role(role) if has(role) => Ok(()),
        Needs::Role(_) | Needs::Stream => Err(403),
    }
}

/// Every kind of credential, good and bad: the header that shows it, its roles, and its tenants. One
/// without roles is not accepted.
fn credentials(key: &Key) -> Vec<(String, String, String)> {
    let of_tokens = TOKENS.into_iter().map(|(token, roles, tenants, further)| {
        let roles = if further.is_empty() { roles } else { "" };
        (format!("Authorization: Bearer {token}\r\n"), roles.to_owned(), tenants.to_owned())
    });
    let malformed = [
        "",
        "Authorization: Bearer unknown\r\n",
        "Authorization: Bearer operator2\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer everything everything\r\n",
        "Authorization: everything\r\n",
        "Authorization: Basic ZXZlcnl0aGluZzo=\r\n",
        "Authorization: Bearer everything\r\nAuthorization: Bearer everything\r\n",
        "Cookie: Authorization=everything\r\n",
        "Cookie: enforcer_session=everything\r\n",
        "X-Authorization: Bearer everything\r\n",
    ];
    let malformed =
        malformed.into_iter().map(|header| (header.to_owned(), String::new(), String::new()));
    let jwt = |token: String, roles: &str, tenants: &str| {
        (format!("Authorization: Bearer {token}\r\n"), roles.to_owned(), tenants.to_owned())
    };
    let all = json!({"roles": ["decide", "observe", "operate"], "tenants": ["*"]});
    let with = |name: &str, value: Value| {
        let mut changes = all.clone();
        changes[name] = value;
        key.token(changes)
    };
    let headed = |header: Value| key.sign(&header, &claims(all.clone()));
    let (now, other) = (seconds(), Key::new("k1"));
    let mut forged = key.token(all.clone());
    forged.pop();
    let signed_by_other = other.token(all.clone());
    of_tokens
        .chain(malformed)
        .chain([
            jwt(key.token(all.clone()), r#""decide", "observe", "operate""#, r#""*""#),
            jwt(key.token(json!({})), r#""decide""#, r#""a""#),
            jwt(key.token(json!({"roles": "observe"})), r#""observe""#, r#""a""#),
            jwt(key.token(json!({"roles": ["operate"]})), r#""operate""#, r#""a""#),
            jwt(key.token(json!({"tenants": ["b"]})), r#""decide""#, r#""b""#),
            jwt(key.token(json!({"roles": ["admin"]})), r#""admin""#, r#""a""#),
            jwt(with("exp", json!(now - 1)), "", ""),
            jwt(with("nbf", json!(now + 600)), "", ""),
            jwt(with("aud", json!("other")), "", ""),
            jwt(with("iss", json!("https://other.example.com")), "", ""),
            jwt(with("exp", json!("tomorrow")), "", ""),
            jwt(headed(json!({"alg": "ES256", "kid": "k2"})), "", ""),
            jwt(headed(json!({"alg": "HS256", "kid": "k1"})), "", ""),
            jwt(headed(json!({"alg": "none", "kid": "k1"})), "", ""),
            jwt(signed_by_other, "", ""),
            jwt(forged, "", ""),
        ])
        .collect()
}

#[test]
fn every_endpoint_gives_every_credential_what_it_is_for() {
    let key = Key::new("k1");
    let keys = tempfile::tempdir().unwrap();
    let path = keys.path().join("jwks.json");
    fs::write(&path, jwks(&[&key])).unwrap();
    let issuer = format!(
        "[credentials.jwt]\nissuer = \"{ISSUER}\"\naudience = \"enforcer\"\njwks = {path:?}\n\
         algorithms = [\"ES256\"]\nleeway = \"0s\"\nallow_all_tenants = true\n"
    );
    let guarded = Guarded::start(&(all_lines() + &issuer));
    let credentials = credentials(&key);
    let mut asked = 0;
    let mut expect = |headers: &str, operation: &Operation, expected: Result<(), u16>| {
        let (method, path, needs) = operation;
        let body = if method == "POST" { r#"{"input":{}}"# } else { "" };
        let response = guarded.ask_with(headers, method, path, body);
        let shown = format!("{method} {path} with {headers:?}: {response:?}");
        asked += 1;
        match expected {
            Err(status) => {
                assert_eq!(response.status, status, "{shown}");
                let is_challenged = response.header("www-authenticate") == Some("Bearer");
                assert_eq!(is_challenged, status == 401, "{shown}");
                let code = response.json()["code"].as_str().unwrap().to_owned();
                let expected = match status {
                    401 => "unauthorized",
                    403 => "forbidden",
                    _ => "resource_not_found",
                };
                assert_eq!(code, expected, "{shown}");
            }
            // 403: ad-hoc queries are off; the tests of the stream open it.
            Ok(()) if path.ends_with("/v1/query") => {
                assert!(response.text.contains("query_api"), "{shown}")
            }
            Ok(()) => assert!(![401, 403, 404].contains(&response.status), "{needs:?} {shown}"),
        }
    };
    for operation in operations("a") {
        for (headers, roles, tenants) in &credentials {
            expect(headers, &operation, expected(operation.2, roles, tenants));
        }
    }
    assert!(asked > 900, "{asked}");
}

#[test]
fn a_credential_is_needed_also_where_nothing_is() {
    let guarded = Guarded::start(&all_lines());
    for (method, target) in [
        ("GET", "/elsewhere"),
        ("GET", "/v1/tenants/a/elsewhere"),
        ("GET", "/v1/data/tenants/../allow"),
        ("DELETE", "/v1/tenants"),
        ("PUT", "/v1/policies/x"),
        ("PATCH", DECISION),
    ] {
        guarded.ask_with("", method, target, "").assert_error(401, "unauthorized");
    }
    guarded.ask("decider", "GET", "/elsewhere", "").assert_error(404, "resource_not_found");
    guarded.ask("everything", "DELETE", "/v1/tenants", "").assert_error(405, "invalid_operation");
    // No token is looked for in a URL.
    let target = "/v1/tenants?access_token=everything";
    guarded.ask_with("", "GET", target, "").assert_error(401, "unauthorized");
}

#[test]
fn a_tenant_of_somebody_else_is_answered_as_one_that_does_not_exist() {
    let guarded = Guarded::start(&all_lines());
    let comparable = |response: Response| {
        let headers: Vec<_> =
            response.headers.into_iter().filter(|(name, _)| name != "date").collect();
        (response.status, headers, response.text)
    };
    for ((method, theirs, needs), (_, nobody_s, _)) in
        operations("b").into_iter().zip(operations("nobody"))
    {
        if !matches!(needs, Needs::Role(_)) {
            continue;
        }
        for token in ["all", "decider", "observer"] {
            let ask = |path: &str| comparable(guarded.ask(token, &method, path, ""));
            assert_eq!(ask(&theirs), ask(&nobody_s), "{method} {theirs} as {token}");
        }
    }
}

#[test]
fn a_body_of_somebody_unknown_is_not_read_by_a_worker() {
    let guarded = Guarded::start(&all_lines());
    let mut connection = guarded.enforcer.connect();
    let head = format!("POST {DECISION} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n");
    connection.send(format!("{head}{}", r#"{"input":{}}"#).as_bytes()).unwrap();
    connection.response().unwrap().assert_error(401, "unauthorized");
    // The next request on the connection is another one.
    let with_token = head.replace("Content", "Authorization: Bearer decider\r\nContent");
    connection.send(format!("{with_token}{}", r#"{"input":{}}"#).as_bytes()).unwrap();
    assert_eq!(connection.response().unwrap().status, 200);
}

#[test]
fn a_token_that_is_taken_away_ends_with_the_next_reload() {
    let guarded = Guarded::start(&all_lines());
    let address = guarded.enforcer.address;
    let consume = |token: &str, query: &str| {
        let bearer = format!("Bearer {token}");
        let mut consumer =
            Consumer::connect(address, query, &[("Authorization", &bearer)]).unwrap();
        consumer.next();
        consumer
    };
    let mut theirs = consume("observer", "?tenant_id=a");
    let mut operator_s = consume("operator", "");
    let mut events = guarded.enforcer.connect();
    let headers = "Accept: text/event-stream\r\nAuthorization: Bearer observer";
    events
        .send(
            format!("GET {PATH}?tenant_id=a HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n")
                .as_bytes(),
        )
        .unwrap();
    events.bytes_until(b"Decision stream ready\"}\n\n\r\n");

    let without = |token: &str| -> String {
        let others = TOKENS.iter().filter(|(known, ..)| *known != token);
        others
            .map(|(token, roles, tenants, further)| lines(token, roles, tenants, further))
            .collect()
    };
    guarded.reload(&without("observer"));
    assert_eq!(theirs.close(), (1008, "the credential is no longer accepted".to_owned()));
    // The end of a chunked body.
    events.bytes_until(b"0\r\n\r\n");
    guarded.ask("observer", "GET", "/v1/tenants/a", "").assert_error(401, "unauthorized");
    // Everybody else goes on.
    guarded.ask("decider", "POST", DECISION, r#"{"input":{}}"#);
    assert_eq!(operator_s.decision()["tenant_id"], "a");
}

#[test]
fn a_hash_in_a_file_of_its_own_is_replaced_without_a_signal() {
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("gateway");
    let hash = |token: &str| -> String {
        Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    fs::write(&file, hash("first")).unwrap();
    let config = format!(
        "[[credentials.token]]\nname = \"g\"\nsha256_file = \"{}\"\nroles = [\"decide\"]\ntenants = [\"a\"]\n{}",
        file.display(),
        all_lines()
    );
    let guarded = Guarded::start(&config);
    let status = |token: &str| guarded.ask(token, "POST", DECISION, r#"{"input":{}}"#).status;
    assert_eq!((status("first"), status("second")), (200, 401));
    // As Kubernetes and careful scripts do it.
    fs::write(secrets.path().join("new"), format!("{}  -\n", hash("second"))).unwrap();
    fs::rename(secrets.path().join("new"), &file).unwrap();
    wait_for("the second token to count", || {
        ((status("first"), status("second")) == (401, 200)).then_some(())
    });
}

#[test]
fn a_file_with_a_mistake_changes_no_credential() {
    let guarded = Guarded::start(&all_lines());
    for broken in [
        "nonsense",
        "[[credentials.token]]\nname = \"hunter2\"\nsha256 = \"hunter2\"\nroles = [\"decide\"]\ntenants = [\"a\"]",
        "",
    ] {
        let before = guarded.enforcer.log().len();
        guarded.reload(broken);
        wait_for("the mistake to be logged", || {
            let log = guarded.enforcer.log();
            log.iter().skip(before).find(|line| line["level"] == "ERROR").cloned()
        });
        assert_eq!(guarded.ask("decider", "POST", DECISION, r#"{"input":{}}"#).status, 200);
        guarded.ask_with("", "GET", "/metrics", "").assert_error(401, "unauthorized");
    }
    let log = format!("{:?}", guarded.enforcer.log());
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_stream_ends_when_its_token_does() {
    let soon = Command::new("date").args(["-u", "-d", "4 seconds", "+%FT%TZ"]).output().unwrap();
    let expires = format!("expires = {}", String::from_utf8(soon.stdout).unwrap());
    let config = all_lines() + &lines("brief", r#""observe""#, r#""a""#, &expires);
    let guarded = Guarded::start(&config);
    let headers = [("Authorization", "Bearer brief")];
    let mut consumer =
        Consumer::connect(guarded.enforcer.address, "?tenant_id=a", &headers).unwrap();
    consumer.next();
    assert_eq!(consumer.close().0, 1008);
    let refused = guarded.ask("brief", "GET", "/v1/tenants/a", "");
    refused.assert_error(401, "unauthorized");
    assert!(refused.text.contains("expired"), "{refused:?}");
}

/// Sends a request over a Unix socket, and returns the status and the body.
fn ask_socket(path: &str, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(path).unwrap();
    stream
        .write_all(
            format!("{request} HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn a_process_at_a_unix_socket_is_known_by_its_user() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("api.sock");
    let path = path.to_str().unwrap();
    let listen = format!("127.0.0.1:0,unix:{path}");
    let uid = nix::unistd::getuid();
    for (rule, expected) in [
        (format!("uid = {uid}"), 200),
        (format!("gid = {}", nix::unistd::getgid()), 200),
        ("uid = 4000000000".to_owned(), 401),
    ] {
        let config = format!(
            "[[credentials.peer]]\n{rule}\nroles = [\"operate\"]\ntenants = [\"*\"]\n{}",
            all_lines()
        );
        let mut guarded = Guarded::start_with(&config, &[("ENFORCER_LISTEN", &listen)]);
        assert_eq!(ask_socket(path, "GET /v1/tenants").0, expected, "{rule}");
        guarded.ask_with("", "GET", "/v1/tenants", "").assert_error(401, "unauthorized");
        guarded.enforcer.signal(Signal::SIGTERM);
        assert_eq!(guarded.enforcer.wait().code(), Some(0));
        assert!(!fs::exists(path).unwrap());
    }
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("api.sock");
    let listen = format!("127.0.0.1:0,unix:{}", path.display());
    let bundles = Bundles::new().tenant("a", ECHO);
    let first = bundles.start_with(&[("ENFORCER_LISTEN", &listen)]);
    let second = binary()
        .env("BUNDLES_DIR", bundles.path())
        .env("ENFORCER_LISTEN", &listen)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(3), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stderr).contains("another process listens"));
    crate::enforcer::send_signal(first.pid(), Signal::SIGKILL);
    drop(first);
    assert!(fs::exists(&path).unwrap());
    let third = bundles.start_with(&[("ENFORCER_LISTEN", &listen)]);
    assert_eq!(ask_socket(path.to_str().unwrap(), "GET /health").0, 200);
    drop(third);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    let fourth = binary()
        .env("BUNDLES_DIR", bundles.path())
        .env("ENFORCER_LISTEN", &listen)
        .output()
        .unwrap();
    assert_eq!(fourth.status.code(), Some(3), "{fourth:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_page_whose_name_points_at_this_host_gets_no_answer() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_ALLOWED_HOSTS", "pdp.example.com")]);
    let ask = |host: &str, method: &str, target: &str| {
        let mut connection = enforcer.connect();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 12\r\n\r\n{{\"input\":{{}}}}"
        );
        connection.send(request.as_bytes()).unwrap();
        connection.response().unwrap()
    };
    for host in
        ["evil.example", "evil.example:8181", "", "127.0.0.1.evil.example", "localhost.evil"]
    {
        for (method, target) in [
            ("POST", DECISION),
            ("GET", "/v1/tenants"),
            ("GET", "/health"),
            ("GET", "/dashboard"),
            ("GET", PATH),
            ("GET", "/elsewhere"),
        ] {
            ask(host, method, target).assert_error(421, "misdirected_request");
        }
    }
    for host in ["localhost", "127.0.0.1:8181", "[::1]", "pdp.example.com", "PDP.example.com:443"] {
        assert_eq!(ask(host, "POST", DECISION).status, 200, "{host}");
    }
    assert_eq!(enforcer.metric("enforcer_misdirected_requests_total"), 30.0);
}

#[test]
fn an_unprotected_address_that_other_hosts_reach_is_refused_at_start() {
    let bundles = Bundles::new().tenant("a", ECHO);
    for (variable, value) in [
        ("ENFORCER_HOST", "0.0.0.0"),
        ("ENFORCER_LISTEN", "127.0.0.1:0,[::]:0"),
        ("ENFORCER_DIAGNOSTICS_ADDRESS", "0.0.0.0:0"),
    ] {
        let output = binary()
            .env("BUNDLES_DIR", bundles.path())
            .env("ENFORCER_PORT", "0")
            .env(variable, value)
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{shown}");
        assert!(shown.contains(variable) && shown.contains("[credentials] and [tls]"), "{shown}");
    }
    let enforcer = bundles.start_with(&[
        ("ENFORCER_HOST", "0.0.0.0"),
        ("ENFORCER_INSECURE_LISTEN", "without-tls-and-credentials"),
    ]);
    assert!(enforcer.address.ip().is_unspecified());
    let warned = |line: &Value| {
        line["level"] == "WARN" && line.to_string().contains("ENFORCER_INSECURE_LISTEN")
    };
    enforcer.wait_for_log("the warning", warned);
}

#[test]
fn health_and_metrics_have_an_address_of_their_own() {
    let guarded =
        Guarded::start_with(&all_lines(), &[("ENFORCER_DIAGNOSTICS_ADDRESS", "127.0.0.1:0")]);
    let line = guarded.enforcer.wait_for_log("the address", |line| {
        line["message"].as_str().is_some_and(|it| it.contains("/health and /metrics"))
    });
    let address = line["address"].as_str().unwrap().parse().unwrap();
    let ask =
        |target: &str| crate::http_client::Connection::open(address).request("GET", target, b"");
    assert_eq!(ask("/health").status, 200);
    assert!(ask("/metrics").text.contains("enforcer_decisions_total"));
    for target in ["/v1/tenants", DECISION, "/dashboard", PATH, "/v1/overview"] {
        assert_ne!(ask(target).status, 200, "{target}");
    }
}

#[test]
fn a_fresh_worker_takes_over_when_an_operator_asks_for_it() {
    let guarded = Guarded::start(&all_lines());
    let before = guarded.enforcer.workers()["a"];
    let response = guarded.ask("all", "POST", "/v1/tenants/a/restart", "");
    assert_eq!(response.status, 202, "{response:?}");
    assert_eq!(response.json()["result"], json!({"tenant_id": "a", "operation": "restart"}));
    let mut decided = 0;
    wait_for("another worker to serve", || {
        let answer = guarded.ask("all", "POST", DECISION, r#"{"input":{"allow":true}}"#);
        assert_eq!(answer.json()["result"]["allow"], true, "{answer:?}");
        decided += 1;
        let status = guarded.ask("all", "GET", "/v1/tenants/a", "").json();
        (status["result"]["pid"] != before).then_some(())
    });
    assert!(decided > 0);
    let said = guarded.enforcer.wait_for_log("who asked", |line| line["operation"] == "restart");
    assert_eq!((&said["caller"], &said["tenant_id"]), (&json!("all"), &json!("a")));
    // The other tenant's worker is the one that it was.
    assert_eq!(
        guarded
            .enforcer
            .log()
            .iter()
            .filter(|line| line["message"] == "tenant is ready again")
            .count(),
        1
    );
}

#[test]
fn an_operator_ends_a_quarantine_and_has_a_bundle_read_again() {
    let guarded = Guarded::start(&all_lines());
    let state = || guarded.ask("all", "GET", "/v1/tenants/a", "").json()["result"].take();
    wait_for("a quarantine", || {
        if let Some(pid) = guarded.enforcer.workers().get("a") {
            crate::enforcer::send_signal(*pid, Signal::SIGSEGV);
        }
        (state()["state"] == "quarantined").then_some(())
    });
    assert_eq!(guarded.ask("all", "POST", "/v1/tenants/a/release", "").status, 202);
    wait_for("the end of the quarantine", || (state()["state"] == "ready").then_some(()));

    let reloads = |log: Vec<Value>| {
        log.iter().filter(|line| line["operation"] == "reload" && line["caller"] == "all").count()
    };
    assert_eq!(guarded.ask("all", "POST", "/v1/tenants/a/reload", "").status, 202);
    wait_for("the order in the log", || (reloads(guarded.enforcer.log()) == 1).then_some(()));
}

#[test]
fn refusals_are_counted_by_their_reason() {
    let guarded = Guarded::start(&all_lines());
    guarded.ask_with("", "GET", "/metrics", "");
    guarded.ask_with("Authorization: Basic x\r\n", "GET", "/metrics", "");
    guarded.ask("unknown", "GET", "/metrics", "");
    guarded.ask("expired", "GET", "/metrics", "");
    guarded.ask("decider", "GET", "/metrics", "");
    guarded.ask("other", "GET", "/v1/tenants/a", "");
    for reason in ["missing", "malformed", "unknown", "expired"] {
        let name = format!("enforcer_refused_credentials_total{{reason=\"{reason}\"}}");
        assert_eq!(guarded.metric(&name), 1.0, "{reason}");
    }
    assert_eq!(guarded.metric("enforcer_forbidden_requests_total"), 2.0);
}

#[test]
fn a_new_token_is_printed_with_the_lines_for_the_file() {
    let made = |arguments: &[&str]| {
        let output = binary()
            .args(["token", "new"])
            .args(arguments)
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), output.stderr)
    };
    let (code, output, _) = made(&[
        "--name",
        "gateway \"eu\"",
        "--role",
        "decide",
        "--tenant",
        "a",
        "--tenant",
        "b",
        "--expires",
        "2100-01-01T00:00:00Z",
    ]);
    assert_eq!(code, Some(0));
    let (token, config) = output.split_once('\n').unwrap();
    assert!(!config.contains(token), "{config}");
    let guarded = Guarded::start(&(config.to_owned() + &all_lines()));
    assert_eq!(guarded.ask(token, "POST", DECISION, r#"{"input":{}}"#).status, 200);
    guarded.ask(token, "GET", "/v1/tenants/a", "").assert_error(403, "forbidden");
    for wrong in [
        &["--name", "x", "--role", "admin", "--tenant", "a"][..],
        &["--name", "x", "--role", "decide", "--tenant", ".."],
        &["--name", "x", "--role", "decide"],
        &["--name", "x", "--role", "decide", "--tenant", "a", "--expires", "tomorrow"],
        &["--name", "", "--role", "decide", "--tenant", "a"],
    ] {
        let (code, output, _) = made(wrong);
        assert_eq!((code, output.as_str()), (Some(2), ""), "{wrong:?}");
    }
}

/// The share of pairs in which the first sample took longer than the second, where half of the ties
/// count: 0.5 if the two cannot be told apart.
fn superiority(first: &[u128], second: &[u128]) -> f64 {
    let mut sorted = second.to_vec();
    sorted.sort_unstable();
    let pairs: f64 = first
        .iter()
        .map(|time| {
            let (below, up_to) = (
                sorted.partition_point(|other| other < time),
                sorted.partition_point(|other| other <= time),
            );
            (below + up_to) as f64 / 2.0
        })
        .sum();
    pairs / (first.len() * second.len()) as f64
}

#[test]
#[ignore = "measures: tests/access/run"]
fn the_time_of_a_refusal_tells_nothing() {
    const EACH: usize = 10_000;
    let secret = "epe_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let almost = format!("{}B", secret.strip_suffix('A').unwrap());
    let guarded = Guarded::start(&(all_lines() + &lines(secret, r#""decide""#, r#""b""#, "")));
    let kinds = [
        ("a wrong token", "epe_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "a"),
        ("a token with one wrong letter", almost.as_str(), "a"),
        ("another tenant that exists", "decider", "b"),
        ("a tenant that does not exist", "decider", "nobody"),
    ];
    let requests = kinds.map(|(_, token, tenant)| {
        format!(
            "POST /v1/data/tenants/{tenant}/allow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n{{}}"
        )
    });
    let mut times: [Vec<u128>; 4] = Default::default();
    let mut connection = guarded.enforcer.connect();
    for _ in 0..EACH {
        for (times, request) in times.iter_mut().zip(&requests) {
            let began = Instant::now();
            connection.send(request.as_bytes()).unwrap();
            connection.response().unwrap();
            times.push(began.elapsed().as_nanos());
        }
    }
    for ((name, ..), times) in kinds.iter().zip(&times) {
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let at = |share: usize| sorted[sorted.len() * share / 1000] as f64 / 1000.0;
        println!(
            "{name:32} {EACH} times: p10 {:.1} µs, p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs",
            at(100),
            at(500),
            at(900),
            at(990)
        );
    }
    for (first, second) in [(0, 1), (2, 3)] {
        let share = superiority(&times[first], &times[second]);
        println!(
            "{} took longer than {} in {share:.4} of all pairs",
            kinds[first].0, kinds[second].0
        );
        // The standard error of a share of two samples of this size is 0.004.
        assert!((share - 0.5).abs() < 0.03, "{share}");
    }
}
