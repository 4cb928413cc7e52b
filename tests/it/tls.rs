//! TLS, client certificates, and what is read again.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rcgen::date_time_ymd;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tungstenite::{ClientRequestBuilder, Message};

use crate::enforcer::{Bundles, DEADLINE, ECHO, Enforcer, wait_for};
use crate::pki::{Authority, TlsClient, ask, replace, shown};

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
const TENANT: &str = "GET /v1/tenants/a HTTP/1.1\r\nHost: localhost\r\n";
const BODY: &str = r#"{"input":{"allow":true}}"#;

/// A supervisor with TLS, and an address without it, for what tests look at.
pub(crate) struct Secured {
    pub(crate) enforcer: Enforcer,
    pub(crate) directory: TempDir,
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
}

impl Secured {
    /// `tls` is what the table has besides the server's own certificate, `rest` what follows it.
    pub(crate) fn start(tls: &str, rest: &str) -> Self {
        Self::start_with(tls, rest, |_, _| {}, &[])
    }

    pub(crate) fn start_with(
        tls: &str,
        rest: &str,
        prepare: impl FnOnce(&Authority, &Path),
        variables: &[(&str, &str)],
    ) -> Self {
        let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        authority.issue(&["localhost"], 1).write(directory.path(), "server");
        fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        prepare(&authority, directory.path());
        let config = directory.path().join("enforcer.toml");
        let table =
            format!("[tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n{tls}\n{rest}");
        fs::write(&config, table).unwrap();
        let config = config.to_str().unwrap();
        let mut all = vec![
            ("ENFORCER_CONFIG", config),
            ("ENFORCER_LISTEN", "http://127.0.0.1:0,127.0.0.1:0"),
        ];
        all.extend_from_slice(variables);
        let enforcer = Bundles::new().tenant("a", ECHO).start_with(&all);
        let line = enforcer.wait_for_log("the address with TLS", |line| {
            line["dashboard"].as_str().is_some_and(|url| url.starts_with("https://"))
        });
        let address = line["address"].as_str().unwrap().parse().unwrap();
        enforcer.wait_for_log("the tenant", |line| {
            line["message"].as_str().is_some_and(|it| it.contains("tenant is ready"))
        });
        Self { enforcer, directory, authority, address }
    }

    pub(crate) fn client(&self) -> TlsClient<'_> {
        self.authority.client()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

#[test]
fn both_versions_of_tls_are_spoken_and_both_versions_of_http_offered() {
    let secured = Secured::start("", "");
    for (version, protocol) in
        [(&TLS12, &b"http/1.1"[..]), (&TLS13, b"http/1.1"), (&TLS12, b"h2"), (&TLS13, b"h2")]
    {
        let client = secured.client().only(version).speaks(protocol);
        let mut stream = client.connect(secured.address, "localhost").unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(protocol));
        if protocol == b"http/1.1" {
            assert_eq!(ask(&mut stream, HEALTH).unwrap().0, 200);
        }
    }
    let strict = Secured::start("min_version = \"1.3\"", "");
    let old = strict.client().only(&TLS12);
    assert!(old.connect(strict.address, "localhost").is_err());
    assert_eq!(strict.client().ask(strict.address, HEALTH).unwrap().0, 200);
    let metric = "enforcer_tls_handshake_failures_total{reason=\"incompatible\"}";
    wait_for("the failure to be counted", || (strict.enforcer.metric(metric) == 1.0).then_some(()));
}

#[test]
fn a_host_gets_the_certificate_of_its_name() {
    let sni = "[[tls.sni]]\nnames = [\"pdp.example.com\", \"*.pdp.example.com\"]\n\
               certificate = \"pdp.pem\"\nkey = \"pdp.key\"";
    let secured = Secured::start_with(
        "",
        sni,
        |authority, directory| {
            let names = ["pdp.example.com", "eu.pdp.example.com"];
            authority.issue(&names, 2).write(directory, "pdp");
        },
        &[],
    );
    let client = secured.client();
    for (name, is_there) in [
        ("pdp.example.com", true),
        ("eu.pdp.example.com", true),
        ("localhost", true),
        ("x.eu.pdp.example.com", false),
    ] {
        assert_eq!(client.connect(secured.address, name).is_ok(), is_there, "{name}");
    }
}

#[test]
fn a_client_is_who_its_certificate_names_and_nobody_by_its_common_name() {
    let token = "the-token";
    let hash: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    let credentials = format!(
        "[[credentials.certificate]]\nsan = \"dns:gw.example.com\"\nroles = [\"observe\"]\ntenants = [\"a\"]\n\
         [[credentials.certificate]]\nsan = \"dns:*.gateways.example.com\"\nroles = [\"observe\"]\ntenants = [\"*\"]\n\
         [[credentials.certificate]]\nsan = \"spiffe://example.com/gateway\"\nroles = [\"observe\"]\ntenants = [\"*\"]\n\
         [[credentials.certificate]]\nsan = \"spiffe://example.com/gateways/*\"\nroles = [\"observe\"]\ntenants = [\"*\"]\n\
         [[credentials.certificate]]\nsan = \"dns:decider.example.com\"\nroles = [\"decide\"]\ntenants = [\"a\"]\n\
         [[credentials.certificate]]\nsan = \"dns:other.example.com\"\nroles = [\"observe\"]\ntenants = [\"b\"]\n\
         [[credentials.token]]\nname = \"t\"\nsha256 = \"{hash}\"\nroles = [\"observe\"]\ntenants = [\"a\"]\n"
    );
    let secured = Secured::start("client_ca = \"ca.pem\"", &credentials);
    let (client, address) = (secured.client(), secured.address);
    let status = |client: &TlsClient<'_>, fields: &str| {
        client.ask(address, &format!("{TENANT}{fields}\r\n")).map_or(0, |(status, _)| status)
    };
    for (names, expected) in [
        (&["gw.example.com"][..], 200),
        (&["GW.Example.com"], 200),
        (&["eu.gateways.example.com"], 200),
        (&["unknown.example", "eu.gateways.example.com"], 200),
        (&["spiffe://example.com/gateway"], 200),
        (&["spiffe://example.com/gateways/eu"], 200),
        (&["decider.example.com"], 403),
        (&["other.example.com"], 404),
        (&["a.b.gateways.example.com"], 401),
        (&["spiffe://example.com/gateways/eu/1"], 401),
        // A SPIFFE certificate has one id.
        (&["spiffe://example.com/gateway", "spiffe://example.com/other"], 401),
        (&["unknown.example"], 401),
        // Its common name is gw.example.com.
        (&[], 401),
    ] {
        for version in [&TLS12, &TLS13] {
            let shows = client.shows(&secured.authority.issue(names, 5));
            let shows = shows.only(version);
            assert_eq!(status(&shows, ""), expected, "{names:?}");
        }
    }
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(status(&client, &bearer), 200);
    assert_eq!(status(&client, ""), 401);
    let nobody = client.shows(&secured.authority.issue(&["unknown.example"], 6));
    assert_eq!(status(&nobody, &bearer), 200);
    let known = client.shows(&secured.authority.issue(&["gw.example.com"], 6));
    assert_eq!(status(&known, "Authorization: Bearer wrong\r\n"), 401);

    let stranger = Authority::new().issue(&["gw.example.com"], 7);
    let expired = secured.authority.issue_with(&["gw.example.com"], 8, |params| {
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    for refused in [stranger, expired] {
        for version in [&TLS12, &TLS13] {
            let shows = client.shows(&refused).only(version);
            assert_eq!(status(&shows, &bearer), 0, "the handshake fails");
        }
    }
}

#[test]
fn a_certificate_that_a_list_revokes_is_refused_also_on_an_open_connection() {
    let credentials = "[[credentials.certificate]]\nsan = \"dns:gw.example.com\"\nroles = [\"observe\"]\ntenants = [\"a\"]\n";
    let secured = Secured::start_with(
        "client_ca = \"ca.pem\"\ncrls = [\"crl.pem\"]",
        credentials,
        |authority, directory| replace(&directory.join("crl.pem"), &authority.revoke(&[99])),
        &[],
    );
    let client = secured.client().shows(&secured.authority.issue(&["gw.example.com"], 7));
    let other = secured.client().shows(&secured.authority.issue(&["gw.example.com"], 8));
    let request = format!("{TENANT}\r\n");
    let mut open = client.connect(secured.address, "localhost").unwrap();
    let mut others = other.connect(secured.address, "localhost").unwrap();
    assert_eq!(ask(&mut open, &request).unwrap().0, 200);
    let consumer = wss(&client, secured.address);
    replace(&secured.path().join("crl.pem"), &secured.authority.revoke(&[7]));
    secured.enforcer.wait_for_log("the list to be read", read_again);
    let (status, body) = ask(&mut open, &request).unwrap();
    assert_eq!(status, 401);
    assert!(body.contains("not accepted any more"), "{body}");
    assert!(client.ask(secured.address, &request).is_err());
    assert_eq!(ask(&mut others, &request).unwrap().0, 200);
    assert_eq!(other.ask(secured.address, &request).unwrap().0, 200);
    assert!(ends(consumer), "its stream ends too");
}

fn read_again(line: &Value) -> bool {
    line["message"].as_str().is_some_and(|message| message.contains("were read again"))
}

type Wss = tungstenite::WebSocket<crate::pki::TlsStream>;

fn wss(client: &TlsClient<'_>, address: SocketAddr) -> Wss {
    let stream = client.connect(address, "localhost").unwrap();
    let uri = format!("wss://localhost:{}/v1/stream/decisions?tenant_id=a", address.port());
    let request = ClientRequestBuilder::new(uri.parse().unwrap());
    let (socket, _) =
        tungstenite::client(request, stream).map_err(|error| error.to_string()).unwrap();
    socket
}

fn ends(mut consumer: Wss) -> bool {
    loop {
        match consumer.read() {
            Ok(Message::Close(_)) => return true,
            Ok(_) => {}
            Err(error) => return !error.to_string().contains("temporarily"),
        }
    }
}

#[test]
fn the_stream_is_a_websocket_over_tls() {
    let secured = Secured::start("", "");
    for version in [&TLS12, &TLS13] {
        let mut consumer = wss(&secured.client().only(version), secured.address);
        assert!(consumer.read().unwrap().to_text().unwrap().contains("connected"));
        // More than TLS and the kernel buffer at once.
        let long = format!("{{\"input\":{{\"allow\":true,\"pad\":\"{}\"}}}}", "x".repeat(600_000));
        for _ in 0..3 {
            assert_eq!(secured.enforcer.decide("a", &long).status, 200);
        }
        for _ in 0..3 {
            let event = consumer.read().unwrap();
            assert!(event.to_text().unwrap().len() > 600_000);
        }
    }
}

#[test]
fn certificates_are_replaced_under_load_and_no_request_fails() {
    let secured = Secured::start_with(
        "",
        "",
        |authority, directory| {
            // As Kubernetes has it: both files lead through one symbolic link.
            for (set, serial) in [("one", 10), ("two", 20)] {
                fs::create_dir(directory.join(set)).unwrap();
                authority.issue(&["localhost"], serial).write(&directory.join(set), "server");
            }
            for file in ["server.pem", "server.key"] {
                fs::remove_file(directory.join(file)).unwrap();
                symlink(format!("current/{file}"), directory.join(file)).unwrap();
            }
            symlink("one", directory.join("current")).unwrap();
        },
        &[],
    );
    let decision = format!(
        "POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let (client, address) = (secured.client(), secured.address);
    let mut kept = client.connect(address, "localhost").unwrap();
    assert_eq!(ask(&mut kept, &decision).unwrap().0, 200);
    let first = shown(&kept);
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(client.ask(address, &decision).unwrap().0, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            // A panic here must not leave the others asking for ever.
            let _over = OnDrop(&is_over);
            let replaced = |what: &str, before: &rustls::pki_types::CertificateDer<'static>| {
                wait_for(what, || {
                    let now = shown(&client.connect(address, "localhost").unwrap());
                    (now != *before).then_some(now)
                })
            };
            symlink("two", secured.path().join("next")).unwrap();
            fs::rename(secured.path().join("next"), secured.path().join("current")).unwrap();
            let second = replaced("the link's other set", &first);
            let third = secured.authority.issue(&["localhost"], 30);
            third.write(&secured.path().join("two"), "server");
            assert!(replaced("the files of one set to be replaced", &second) == third);
            // A set that cannot be used changes nothing, and is told.
            let other = secured.authority.issue(&["localhost"], 40);
            replace(&secured.path().join("two/server.pem"), &other.certificate);
            secured.enforcer.wait_for_log("the mistake to be told", |line| {
                line["message"].as_str().is_some_and(|it| it.contains("cannot be used"))
            });
            assert_eq!(secured.enforcer.metric("enforcer_tls_reload_failures_total"), 1.0);
            assert!(shown(&client.connect(address, "localhost").unwrap()) == third);
            replace(&secured.path().join("two/server.key"), &other.key);
            assert!(
                replaced(
                    "the repaired set",
                    &shown(&client.connect(address, "localhost").unwrap())
                ) == other
            );
        });
    });
    assert!(asked.into_inner() > 50);
    assert_eq!(ask(&mut kept, &decision).unwrap().0, 200, "its connection was kept");
    let expiry = "enforcer_tls_certificate_expiry_timestamp_seconds{certificate=\"default\"}";
    assert!(secured.enforcer.metric(expiry) > 4e9);
    let log = format!("{:?}", secured.enforcer.log());
    assert!(!log.contains("PRIVATE"), "{log}");
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn sighup_reads_certificates_again() {
    let secured = Secured::start("", "");
    secured.enforcer.signal(nix::sys::signal::Signal::SIGHUP);
    secured.enforcer.wait_for_log("the files to be read again", read_again);
}

#[test]
fn a_client_that_speaks_plain_http_to_a_port_of_tls_is_told() {
    let secured = Secured::start("", "");
    let mut stream = TcpStream::connect(secured.address).unwrap();
    stream.write_all(HEALTH.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    let mut stream = TcpStream::connect(secured.address).unwrap();
    stream.write_all(b"\0\0\0\0").unwrap();
    let _ = stream.read_to_string(&mut answer);
    for reason in ["plain_http", "malformed"] {
        let metric = format!("enforcer_tls_handshake_failures_total{{reason=\"{reason}\"}}");
        wait_for(reason, || (secured.enforcer.metric(&metric) == 1.0).then_some(()));
    }
}

#[test]
fn a_handshake_that_stalls_ends_and_holds_nobody_up() {
    let secured = Secured::start("", "");
    let mut stalled: Vec<TcpStream> = (0..50)
        .map(|index| {
            let mut stream = TcpStream::connect(secured.address).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            // Some have begun a handshake.
            if index % 2 == 0 {
                stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
            }
            stream
        })
        .collect();
    assert_eq!(secured.client().ask(secured.address, HEALTH).unwrap().0, 200);
    for stream in &mut stalled {
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        assert!(!end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    let metric = "enforcer_tls_handshake_failures_total{reason=\"timeout\"}";
    wait_for("them to be counted", || (secured.enforcer.metric(metric) == 50.0).then_some(()));
}

#[test]
fn a_table_that_cannot_be_used_is_refused_before_anything_starts() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (one, two) = (authority.issue(&["a"], 1), authority.issue(&["a"], 2));
    one.write(directory.path(), "server");
    fs::write(directory.path().join("other.key"), &two.key).unwrap();
    for (table, expected) in [
        ("certificate = \"server.pem\"", "tls.key"),
        ("certificate = \"server.pem\"\nkey = \"other.key\"", "cannot be used together"),
        ("certificate = \"absent.pem\"\nkey = \"server.key\"", "cannot be read"),
        ("certificate = \"server.key\"\nkey = \"server.key\"", "not a PEM file with a certificate"),
        ("certificate = \"server.pem\"\nkey = \"server.pem\"", "not a PEM file with a private key"),
        (
            "certificate = \"server.pem\"\nkey = \"server.key\"\nmin_version = \"1.1\"",
            "\"1.2\" or \"1.3\"",
        ),
        (
            "certificate = \"server.pem\"\nkey = \"server.key\"\ncrls = [\"server.pem\"]",
            "client_ca beside it",
        ),
        (
            "certificate = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"server.key\"",
            "server.key",
        ),
        ("certificate = \"server.pem\"\nkey = \"server.key\"\ncert = \"a\"", "expected one of"),
    ] {
        let config = directory.path().join("enforcer.toml");
        fs::write(&config, format!("[tls]\n{table}\n")).unwrap();
        let output = crate::enforcer::binary()
            .env("ENFORCER_CONFIG", &config)
            .env("BUNDLES_DIR", directory.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(expected), "{table}: {text}");
        assert!(!text.contains(two.key.lines().nth(1).unwrap()), "{text}");
    }
}
