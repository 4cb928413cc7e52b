//! JSON Web Tokens as credentials: what an issuer's token allows, and what becomes of it when keys
//! change, are removed, or cannot be fetched.

use std::fs;
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use nix::sys::signal::Signal;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::bundle_server::{Answer, Authority, BundleServer};
use crate::enforcer::{Bundles, ECHO, Enforcer, wait_for};
use crate::http_client::Response;
use crate::stream_client::EventSource;

pub(crate) const ISSUER: &str = "https://id.example.com";
const OPERATOR: &str = "the-operator";
const DECISION: &str = "/v1/data/tenants/a/allow";

/// An issuer's private key.
pub(crate) struct Key {
    id: &'static str,
    key: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn new(id: &'static str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self { id, key: EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap() }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|bytes| BASE64URL_NOPAD.encode(bytes));
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id, "x": x, "y": y})
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let parts =
            [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
        let signed = parts.join(".");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// A token with these claims beside the usual ones.
    pub(crate) fn token(&self, changes: Value) -> String {
        self.sign(&json!({"alg": "ES256", "kid": self.id}), &claims(changes))
    }
}

pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The claims of a token that may decide for `a`, with these changes.
pub(crate) fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "enforcer", "sub": "alice", "iat": seconds(), "exp": seconds() + 600,
        "roles": ["decide"], "tenants": ["a"],
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

pub(crate) fn jwks(keys: &[&Key]) -> String {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}

/// An enforcer that accepts tokens, with its configuration file and its file of keys.
struct Guarded {
    enforcer: Enforcer,
    directory: TempDir,
}

impl Guarded {
    /// With the keys at `jwks`, and these further lines about the issuer.
    fn start(jwks: &str, further: &str, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        let path = directory.path().join("enforcer.toml");
        fs::write(&path, config(jwks, "enforcer", further)).unwrap();
        let bundles = Bundles::new().tenant("a", ECHO).tenant("b", ECHO);
        let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", path.to_str().unwrap())]);
        wait_for("tenants to be ready", || {
            (enforcer.get("/health?bundles").status == 200).then_some(())
        });
        Self { enforcer, directory }
    }

    fn with_file(keys: &[&Key], further: &str) -> Self {
        Self::start("jwks.json", further, &[("jwks.json", &jwks(keys))])
    }

    fn write(&self, name: &str, content: &str) {
        // As one replaces a file that others read.
        let [new, path] = [".new", name].map(|name| self.directory.path().join(name));
        fs::write(&new, content).unwrap();
        fs::rename(&new, path).unwrap();
    }

    fn ask(&self, token: &str, method: &str, target: &str, body: &str) -> Response {
        let mut connection = self.enforcer.connect();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(request.as_bytes()).unwrap();
        connection.response().unwrap()
    }

    fn decide(&self, token: &str) -> Response {
        self.ask(token, "POST", DECISION, r#"{"input":{"allow":true}}"#)
    }

    fn status(&self, token: &str) -> u16 {
        self.decide(token).status
    }

    fn wait_for_status(&self, token: &str, status: u16) {
        wait_for(&format!("status {status}"), || (self.status(token) == status).then_some(()));
    }

    fn metric(&self, name_and_labels: &str) -> Option<f64> {
        let metrics = self.ask(OPERATOR, "GET", "/metrics", "");
        assert_eq!(metrics.status, 200, "{metrics:?}");
        let line = metrics.text.lines().find_map(|line| line.strip_prefix(name_and_labels));
        line.map(|value| value.trim().parse().unwrap())
    }

    /// Asserts that a token is refused for this reason, which the metrics count.
    fn assert_refused(&self, token: &str, reason: &str) {
        let metric = format!("enforcer_refused_credentials_total{{reason=\"{reason}\"}}");
        let before = self.metric(&metric).unwrap();
        let response = self.decide(token);
        response.assert_error(401, "unauthorized");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"), "{reason}");
        assert_eq!(self.metric(&metric).unwrap(), before + 1.0, "{reason}: {response:?}");
    }
}

fn config(jwks: &str, audience: &str, further: &str) -> String {
    let hash: String = Sha256::digest(OPERATOR).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "[[credentials.token]]\nname = \"operator\"\nsha256 = \"{hash}\"\nroles = [\"operate\"]\n\
         tenants = [\"*\"]\n[credentials.jwt]\nissuer = \"{ISSUER}\"\naudience = \"{audience}\"\n\
         jwks = \"{jwks}\"\nalgorithms = [\"ES256\"]\n{further}\n"
    )
}

#[test]
fn a_token_allows_what_its_claims_say_and_nothing_else() {
    let key = Key::new("k1");
    let guarded = Guarded::with_file(&[&key], "");
    let of_a = key.token(json!({}));
    let status =
        |token: &str, method, target: &str| guarded.ask(token, method, target, r#"{"input":{}}"#);
    assert_eq!(status(&of_a, "POST", DECISION).status, 200);
    status(&of_a, "GET", "/v1/tenants/a").assert_error(403, "forbidden");
    let other = status(&of_a, "POST", "/v1/data/tenants/b/allow");
    other.assert_error(404, "resource_not_found");
    let unknown = status(&of_a, "POST", "/v1/data/tenants/unknown/allow");
    assert_eq!(other.text, unknown.text);
    let observer = key.token(json!({"roles": "openid observe", "tenants": "a"}));
    assert_eq!(status(&observer, "GET", "/v1/tenants/a").status, 200);
    status(&observer, "POST", DECISION).assert_error(403, "forbidden");
    // A token without rights is a token nevertheless.
    let nobody = key.token(json!({"roles": ["admin"], "tenants": ["a", "no tenant"]}));
    status(&nobody, "POST", DECISION).assert_error(403, "forbidden");
    // All tenants are not given by the issuer alone.
    let all = key.token(json!({"roles": ["operate", "decide"], "tenants": ["*"]}));
    status(&all, "GET", "/v1/tenants").assert_error(403, "forbidden");
    status(&all, "POST", DECISION).assert_error(404, "resource_not_found");
    let trusted = Guarded::with_file(&[&key], "allow_all_tenants = true");
    assert_eq!(trusted.ask(&all, "GET", "/v1/tenants", "").status, 200);
    assert_eq!(trusted.status(&all), 200);
}

#[test]
fn a_token_that_is_not_accepted_is_refused_with_its_reason() {
    let [key, other] = ["k1", "k1"].map(Key::new);
    let guarded = Guarded::with_file(&[&key], "leeway = \"0s\"");
    assert_eq!(guarded.status(&key.token(json!({}))), 200);
    let now = seconds();
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    for (token, reason) in [
        (key.token(json!({"exp": now - 1})), "expired"),
        (key.token(json!({"exp": now.to_string()})), "invalid_claims"),
        (key.token(json!({"nbf": now + 600})), "not_yet_valid"),
        (key.token(json!({"nbf": "0"})), "invalid_claims"),
        (key.token(json!({"aud": "other"})), "wrong_audience"),
        (key.token(json!({"iss": "https://other.example"})), "wrong_issuer"),
        (key.sign(&header("RS256", "k1"), &claims(json!({}))), "wrong_algorithm"),
        (key.sign(&header("none", "k1"), &claims(json!({}))), "wrong_algorithm"),
        (key.sign(&header("HS256", "k1"), &claims(json!({}))), "wrong_algorithm"),
        (key.sign(&header("ES256", "k9"), &claims(json!({}))), "unknown_key"),
        (other.token(json!({})), "bad_signature"),
        (format!("{}=", key.token(json!({}))), "invalid_token"),
        (format!("{}.", key.token(json!({}))), "unknown"),
        ("a".repeat(17 * 1024), "malformed"),
    ] {
        guarded.assert_refused(&token, reason);
    }
    // A token that was accepted is not accepted for longer than it says.
    let short = key.token(json!({"exp": seconds() + 2}));
    assert_eq!(guarded.status(&short), 200);
    guarded.wait_for_status(&short, 401);
    guarded.assert_refused(&short, "expired");
}

#[test]
fn keys_change_with_their_file_and_a_removed_key_takes_its_tokens_with_it() {
    let [old, new] = ["k1", "k2"].map(Key::new);
    let guarded = Guarded::with_file(&[&old], "");
    let role = json!({"roles": ["decide", "observe"]});
    let [of_old, of_new] = [&old, &new].map(|key| key.token(role.clone()));
    let bearer = format!("Bearer {of_old}");
    let headers = [("Authorization", bearer.as_str())];
    let mut stream = EventSource::connect(guarded.enforcer.address, "?tenant_id=a", &headers);
    assert_eq!((guarded.status(&of_old), guarded.status(&of_new)), (200, 401));
    guarded.write("jwks.json", &jwks(&[&old, &new]));
    guarded.wait_for_status(&of_new, 200);
    assert_eq!(guarded.status(&of_old), 200);
    // What is no key set takes no key away, and is told.
    let failing =
        format!("enforcer_jwt_keys_failing_since_timestamp_seconds{{issuer=\"{ISSUER}\"}}");
    assert_eq!(guarded.metric(&failing), None);
    guarded.write("jwks.json", "{\"keys\":[");
    wait_for("the failure to be told", || guarded.metric(&failing));
    guarded.enforcer.wait_for_log("a line about the file", |line| {
        line["level"] == "WARN"
            && line["issuer"] == ISSUER
            && line["message"].as_str().unwrap().contains("those from before stay")
    });
    assert_eq!((guarded.status(&of_old), guarded.status(&of_new)), (200, 200));
    guarded.write("jwks.json", &jwks(&[&new]));
    guarded.wait_for_status(&of_old, 401);
    assert_eq!((guarded.status(&of_new), guarded.metric(&failing)), (200, None));
    assert_eq!(guarded.metric(&format!("enforcer_jwt_keys{{issuer=\"{ISSUER}\"}}")), Some(1.0));
    guarded.assert_refused(&of_old, "unknown_key");
    // It has the decisions until then, and ends.
    while stream.next_if_any().is_some() {}
}

#[test]
fn a_reload_reads_keys_and_rules_and_a_mistake_leaves_both_as_they_were() {
    let [old, new] = ["k1", "k2"].map(Key::new);
    let guarded = Guarded::with_file(&[&old], "");
    let [of_old, of_new] = [&old, &new].map(|key| key.token(json!({})));
    let other = new.token(json!({"aud": "other"}));
    assert_eq!(guarded.status(&of_old), 200);
    guarded.write("jwks.json", &jwks(&[&new]));
    guarded.write("enforcer.toml", &config("jwks.json", "other", ""));
    guarded.enforcer.signal(Signal::SIGHUP);
    guarded.wait_for_status(&other, 200);
    guarded.assert_refused(&of_old, "unknown_key");
    guarded.assert_refused(&of_new, "wrong_audience");
    guarded.write("enforcer.toml", &config("jwks.json", "", ""));
    guarded.enforcer.signal(Signal::SIGHUP);
    guarded.enforcer.wait_for_log("a line about the mistake", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("credentials stay as they were"))
    });
    assert_eq!(guarded.status(&other), 200);
}

/// A server of keys over TLS, and the lines by which it is trusted.
struct KeyServer {
    authority: Authority,
    server: Option<BundleServer>,
    address: std::net::SocketAddr,
}

impl KeyServer {
    /// An address at which there is no server yet.
    fn later() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { authority: Authority::new(), server: None, address }
    }

    fn serve(&mut self, status: &'static str, body: String) {
        let answer = move || Answer::whole(status, &[], body.as_bytes());
        match &self.server {
            Some(server) => server.answer(move |_| answer()),
            None => {
                let tls = Some(self.authority.server(None));
                let server = BundleServer::start_at(self.address, tls, move |_| answer());
                self.server = Some(server);
            }
        }
    }

    fn requests(&self) -> usize {
        self.server.as_ref().unwrap().requests().len()
    }

    fn guarded(&self, refresh: &str) -> Guarded {
        let url = format!("https://{}/jwks.json", self.address);
        let further = format!("ca = \"ca.pem\"\nrefresh = \"{refresh}\"");
        Guarded::start(&url, &further, &[("ca.pem", &self.authority.pem)])
    }
}

#[test]
fn a_server_of_keys_that_is_away_at_the_start_is_waited_for_in_the_background() {
    let key = Key::new("k1");
    let mut server = KeyServer::later();
    let guarded = server.guarded("24h");
    let token = key.token(json!({}));
    guarded.assert_refused(&token, "keys_unavailable");
    guarded.enforcer.wait_for_log("a line about the server", |line| {
        line["level"] == "WARN"
            && line["issuer"] == ISSUER
            && line["message"].as_str().unwrap().contains("its tokens are refused until")
    });
    let failing =
        format!("enforcer_jwt_keys_failing_since_timestamp_seconds{{issuer=\"{ISSUER}\"}}");
    assert!(guarded.metric(&failing).is_some());
    server.serve("200 OK", jwks(&[&key]));
    guarded.wait_for_status(&token, 200);
    assert_eq!(guarded.metric(&failing), None);
}

#[test]
fn a_token_with_a_new_key_has_the_keys_fetched_and_not_too_often() {
    let [old, new] = ["k1", "k2"].map(Key::new);
    let mut server = KeyServer::later();
    server.serve("200 OK", jwks(&[&old]));
    let guarded = server.guarded("24h");
    let [of_old, of_new] = [&old, &new].map(|key| key.token(json!({})));
    guarded.wait_for_status(&of_old, 200);
    server.serve("200 OK", jwks(&[&old, &new]));
    guarded.assert_refused(&of_new, "unknown_key");
    guarded.wait_for_status(&of_new, 200);
    assert_eq!(guarded.status(&of_old), 200);
    let asked = server.requests();
    for index in 0..200 {
        let header = json!({"alg": "ES256", "kid": format!("unknown-{index}")});
        assert_eq!(guarded.status(&new.sign(&header, &claims(json!({})))), 401);
    }
    assert!(server.requests() <= asked + 1, "{} after {asked}", server.requests());
}

#[test]
fn keys_stay_while_their_server_fails_or_answers_nonsense_and_go_when_it_says_so() {
    let [old, new] = ["k1", "k2"].map(Key::new);
    let mut server = KeyServer::later();
    server.serve("200 OK", jwks(&[&old]));
    let guarded = server.guarded("1s");
    let [of_old, of_new] = [&old, &new].map(|key| key.token(json!({})));
    guarded.wait_for_status(&of_old, 200);
    let too_many = json!({"keys": vec![new.jwk(); 101]}).to_string();
    let large = format!("{}{}", jwks(&[&new]), " ".repeat(1024 * 1024));
    for (status, body, why) in [
        ("503 Service Unavailable", String::new(), "503"),
        ("200 OK", "<html>".to_owned(), "not a JSON object"),
        ("200 OK", too_many, "more than 100 keys"),
        ("200 OK", large, "larger than 1048576 bytes"),
    ] {
        server.serve(status, body);
        guarded.enforcer.wait_for_log(why, |line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.contains("those from before stay") && text.contains(why))
        });
        assert_eq!(guarded.status(&of_old), 200, "{why}");
    }
    server.serve("200 OK", jwks(&[&new]));
    guarded.wait_for_status(&of_new, 200);
    assert_eq!(guarded.status(&of_old), 401);
}
