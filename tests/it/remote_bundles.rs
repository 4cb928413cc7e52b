//! A bundle comes from a server, and what the server does costs no request: the last good revision
//! serves, also after a restart, and everything is said.

use std::fs;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::bundle_server::{Answer, Authority, BundleServer, Request};
use crate::enforcer::{Bundles, Enforcer, binary, wait_for};

/// A gzipped tar file of these files.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len().try_into().unwrap());
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// A bundle of a tenant whose decisions give this reason.
fn bundle(tenant_id: &str, reason: &str) -> Vec<u8> {
    let policy =
        format!("package tenants[{tenant_id:?}]\n\nallow := true\n\nreason := {reason:?}\n");
    archive(&[("policy.rego", &policy)])
}

/// An operator's files, and where bundles are kept.
struct Site {
    bundles: Bundles,
    directory: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { bundles: Bundles::new(), directory: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.directory.path().join(name), content).unwrap();
    }

    fn cache(&self) -> std::path::PathBuf {
        self.directory.path().join("cache")
    }

    /// The configuration of acme's bundle from this server, with more lines for the service and for
    /// the bundle.
    fn configure(&self, url: &str, service: &str, bundle: &str) {
        self.write(
            "enforcer.toml",
            &format!(
                "[bundle_cache]\ndirectory = \"cache\"\n\
                 [services.cdn]\nurl = \"{url}\"\nresponse_timeout = \"500ms\"\n{service}\n\
                 [tenants.acme.bundle]\nservice = \"cdn\"\nresource = \"acme.tar.gz\"\n{bundle}\n"
            ),
        );
    }

    /// As `configure`, with a server without TLS that is asked all the time.
    fn plain(&self, server: &BundleServer, bundle: &str) {
        let delays = "min_delay = \"100ms\"\nmax_delay = \"100ms\"";
        self.configure(&format!("http://{}", server.address), "", &format!("{delays}\n{bundle}"));
    }

    fn start(&self) -> Enforcer {
        let config = self.directory.path().join("enforcer.toml");
        self.bundles.start_with(&[("ENFORCER_CONFIG", config.to_str().unwrap())])
    }

    /// What the program says about its configuration.
    fn faults(&self) -> String {
        let config = self.directory.path().join("enforcer.toml");
        let output = binary()
            .env("ENFORCER_CONFIG", config)
            .env("BUNDLES_DIR", self.bundles.path())
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }
}

fn source(enforcer: &Enforcer) -> Value {
    enforcer.tenant("acme")["bundle_source"].take()
}

fn wait_for_source(enforcer: &Enforcer, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || Some(source(enforcer)).filter(|source| is_it(source)))
}

fn has_log(enforcer: &Enforcer, text: &str) -> bool {
    enforcer.log().iter().any(|line| line.to_string().contains(text))
}

#[test]
fn a_bundle_is_downloaded_once_and_again_only_when_the_server_has_another() {
    let (site, authority) = (Site::new(), Authority::new());
    site.write("ca.pem", &authority.pem);
    let server = BundleServer::start(Some(authority.server(None)), |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    let url = format!("https://{}/v1/", server.address);
    site.configure(
        &url,
        "ca = \"ca.pem\"\nheaders = { \"X-Site\" = \"edge-1\" }",
        "min_delay = \"100ms\"\nmax_delay = \"200ms\"",
    );
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    server.wait_for_request("the bundle is compared", |request| {
        request.header("if-none-match") == Some("\"1\"")
    });
    let first = server.requests()[0].clone();
    assert_eq!(first.path, "/v1/acme.tar.gz");
    assert_eq!(first.header("if-none-match"), None);
    assert_eq!(first.header("prefer"), Some("modes=snapshot"));
    assert_eq!(first.header("x-site"), Some("edge-1"));
    assert_eq!(first.header("accept-encoding"), None);
    let source = wait_for_source(&enforcer, "the ETag", |source| source["etag"] == "\"1\"");
    assert_eq!((&source["service"], &source["resource"]), (&"cdn".into(), &"acme.tar.gz".into()));
    assert_eq!(source["last_error"], Value::Null, "{source}");
    wait_for("an answer that nothing changed", || {
        let name = "enforcer_bundle_download_attempts_total{tenant=\"acme\",result=";
        (enforcer.metric(&format!("{name}\"not_modified\"}}")) > 0.0
            && enforcer.metric(&format!("{name}\"downloaded\"}}")) == 1.0)
            .then_some(())
    });
    assert_eq!(enforcer.tenant("acme")["stale"], Value::Null);

    server.serve("\"2\"", bundle("acme", "second"));
    enforcer.wait_for_reason("acme", "second");
    wait_for_source(&enforcer, "the new ETag", |source| source["etag"] == "\"2\"");
    assert!(
        enforcer.metric("enforcer_bundle_download_last_success_timestamp_seconds{tenant=\"acme\"}")
            > 0.0
    );
}

/// An answer that is no bundle, and what is said about it.
fn lies() -> Vec<(&'static str, Answer, &'static str)> {
    let good = bundle("acme", "lie");
    let head = |length: usize| {
        format!("HTTP/1.1 200 OK\r\nETag: \"lie\"\r\nContent-Length: {length}\r\n\r\n").into_bytes()
    };
    let to = |location: &str| Answer::whole("302 Found", &[("Location", location)], b"");
    let delta = archive(&[("patch.json", r#"{"data":[]}"#)]);
    let mut corrupt = good.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xff;
    vec![
        (
            "closes early",
            Answer::Raw([head(good.len()), good[..50].to_vec()].concat()),
            "ended early",
        ),
        (
            "truncates",
            Answer::whole("200 OK", &[("ETag", "\"lie\"")], &good[..good.len() - 9]),
            "the archive is truncated",
        ),
        ("damages", Answer::whole("200 OK", &[], &corrupt), "the archive is damaged"),
        ("says nothing", Answer::whole("200 OK", &[], b""), "refused"),
        (
            "sends a page",
            Answer::whole("200 OK", &[("Content-Type", "text/html")], b"<html>Log in</html>"),
            "not a gzipped tar file",
        ),
        (
            "sends another tenant's",
            Answer::whole("200 OK", &[], &bundle("other", "lie")),
            "tenants",
        ),
        (
            "sends what does not compile",
            Answer::whole(
                "200 OK",
                &[],
                &archive(&[("p.rego", "package tenants.acme\nallow := ")]),
            ),
            "refused",
        ),
        (
            "sends changes only",
            Answer::whole("200 OK", &[], &delta),
            "delta bundles are not supported",
        ),
        (
            "sends no policy",
            Answer::whole("200 OK", &[], &archive(&[("README", "x")])),
            "neither a policy nor data",
        ),
        ("says it is huge", Answer::Raw(head(10_000_000_000)), "larger than"),
        ("sends without end", Answer::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), "larger than"),
        (
            "sends no head's end",
            Answer::Flood(b"HTTP/1.1 200 OK\r\nX: ".to_vec()),
            "connection failed",
        ),
        ("drips and stops", Answer::Raw(head(1000)), "ended early"),
        (
            "fails",
            Answer::whole("500 Internal Server Error", &[], b"oops"),
            "500 Internal Server Error",
        ),
        ("forgets", Answer::whole("404 Not Found", &[], b""), "404 Not Found"),
        ("redirects in a loop", to("/acme.tar.gz"), "redirects more than 5 times"),
        ("redirects nowhere", to("ftp://example/"), "not an address that may be followed"),
        (
            "redirects to the open net",
            to("http://192.0.2.1/"),
            "not an address that may be followed",
        ),
        (
            "speaks another protocol",
            Answer::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
            "connection failed",
        ),
        ("does not answer", Answer::Wait, "took longer than"),
    ]
}

#[test]
fn a_server_that_lies_costs_no_request_and_what_it_does_is_said() {
    let site = Site::new();
    let server = BundleServer::start(None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    site.plain(&server, "");
    // A memory limit bounds what a flood may send.
    let config = fs::read_to_string(site.directory.path().join("enforcer.toml")).unwrap();
    site.write("enforcer.toml", &format!("memory_limit_mib = 16\n{config}"));
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    wait_for_source(&enforcer, "the copy", |source| source["etag"] == "\"1\"");
    for (what, answer, expected) in lies() {
        server.answer(move |_| answer.clone());
        let source =
            wait_for_source(&enforcer, &format!("a server that {what}: {expected}"), |source| {
                let message = source["last_error"]["message"].as_str().unwrap_or_default();
                message.contains(expected)
            });
        assert_eq!(source["last_error"]["code"], "bundle_error", "{what}");
        assert_eq!(source["etag"], "\"1\"", "{what}");
        assert_eq!(enforcer.reason("acme"), "first", "{what}");
        let tenant = enforcer.tenant("acme");
        assert_eq!(tenant["state"], "ready", "{what}: {tenant}");
        let stale = tenant["stale"]["reason"].as_str().unwrap_or_default();
        assert!(stale.contains("downloaded"), "{what}: {tenant}");
        assert!(
            enforcer.metric("enforcer_bundle_stale_since_timestamp_seconds{tenant=\"acme\"}") > 0.0
        );
        server.serve("\"1\"", bundle("acme", "first"));
        wait_for_source(&enforcer, "the server to be honest", |source| {
            source["last_error"].is_null()
        });
        wait_for("nothing to be stale", || {
            enforcer.tenant("acme")["stale"].is_null().then_some(())
        });
    }
    assert!(has_log(&enforcer, "the bundle was not updated"));
    server.serve("\"2\"", bundle("acme", "second"));
    enforcer.wait_for_reason("acme", "second");
    assert_eq!(enforcer.tenant("acme")["restarts"], 0);
}

#[test]
fn a_server_that_drips_is_given_up() {
    let site = Site::new();
    let server = BundleServer::start(None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    site.plain(&server, "");
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec();
    server.answer(move |_| Answer::Drip(head.clone()));
    wait_for_source(&enforcer, "the slow server", |source| {
        source["last_error"]["message"].as_str().is_some_and(|text| text.contains("too slowly"))
    });
    assert_eq!(enforcer.reason("acme"), "first");
}

#[test]
fn the_last_good_copy_serves_after_a_restart_without_the_server() {
    let site = Site::new();
    let server = BundleServer::start(None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    let address = server.address;
    site.plain(&server, "");
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    wait_for_source(&enforcer, "the copy", |source| source["etag"] == "\"1\"");
    // A bundle that no worker loads is not a good copy.
    server.serve("\"2\"", archive(&[("p.rego", "package tenants.acme\nallow := ")]));
    wait_for_source(&enforcer, "the refusal", |source| source["last_error"]["kind"] == "refused");
    drop((enforcer, server));

    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    let source = wait_for_source(&enforcer, "the failure", |source| {
        source["last_error"]["kind"] == "unreachable"
    });
    assert_eq!(source["etag"], "\"1\"", "{source}");
    assert!(enforcer.tenant("acme")["stale"]["reason"].is_string());

    let server = BundleServer::start_at(address, None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    let request = server.wait_for_request("the server is asked again", |_| true);
    assert_eq!(request.header("if-none-match"), Some("\"1\""));
    wait_for_source(&enforcer, "the server to be there", |source| source["last_error"].is_null());
    assert_eq!(fs::read(site.cache().join("acme/good.tar.gz")).unwrap(), bundle("acme", "first"));
}

#[test]
fn two_supervisors_never_share_a_cache() {
    let site = Site::new();
    let server = BundleServer::start(None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    site.plain(&server, "");
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");

    // If it started all the same, it would be ended, with another exit code.
    let output = Command::new("timeout")
        .args(["30", env!("CARGO_BIN_EXE_edge-policy-enforcer"), "--port", "0"])
        .env("ENFORCER_CONFIG", site.directory.path().join("enforcer.toml"))
        .env("BUNDLES_DIR", site.bundles.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{text}");
    let expected = format!("another supervisor uses the bundle cache {}", site.cache().display());
    assert!(text.contains(&expected), "{text}");
    assert_eq!(enforcer.reason("acme"), "first");

    drop(enforcer);
    site.start().wait_for_reason("acme", "first");
}

#[test]
fn a_tenant_waits_for_its_first_bundle() {
    let site = Site::new();
    let server = BundleServer::start(None, |_| Answer::whole("404 Not Found", &[], b""));
    site.plain(&server, "");
    let enforcer = site.start();
    enforcer.wait_for_state("acme", "waiting");
    let source = source(&enforcer);
    assert_eq!(source["last_error"]["http_code"], 404, "{source}");
    assert_eq!(enforcer.get("/health?bundles").status, 500);
    // Looking at it again, which happens all the time, changes nothing.
    let asked = server.requests().len();
    wait_for("more requests", || (server.requests().len() > asked + 20).then_some(()));
    let tenant = enforcer.tenant("acme");
    let shown = (&tenant["state"], &tenant["last_error"]);
    assert_eq!(shown, (&"waiting".into(), &Value::Null), "{tenant}");
    server.serve("\"1\"", bundle("acme", "first"));
    enforcer.wait_for_reason("acme", "first");
    assert_eq!(enforcer.get("/health?bundles").status, 200);
}

#[test]
fn a_token_is_read_again_when_its_file_changes_and_is_in_no_log() {
    let site = Site::new();
    site.write("token", "token-one\n");
    let server = BundleServer::start(None, |request| match request.header("authorization") {
        Some("Bearer token-one" | "Bearer token-two") => {
            Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
        }
        _ => Answer::whole("401 Unauthorized", &[], b""),
    });
    let url = format!("http://{}", server.address);
    site.configure(
        &url,
        "bearer_token_file = \"token\"",
        "min_delay = \"100ms\"\nmax_delay = \"100ms\"",
    );
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    site.write("token", "token-two");
    server.wait_for_request("the new token", |request| {
        request.header("authorization") == Some("Bearer token-two")
    });
    site.write("token", "token-wrong");
    wait_for_source(&enforcer, "401", |source| source["last_error"]["http_code"] == 401);
    fs::remove_file(site.directory.path().join("token")).unwrap();
    wait_for_source(&enforcer, "the missing token", |source| {
        source["last_error"]["kind"] == "host"
    });
    assert_eq!(enforcer.reason("acme"), "first");
    assert!(!has_log(&enforcer, "token-"), "{:?}", enforcer.log());
    assert!(!enforcer.tenant("acme").to_string().contains("token-"));
}

#[test]
fn a_client_shows_its_certificate_and_believes_only_its_authority() {
    let (site, authority) = (Site::new(), Authority::new());
    let clients = Authority::new();
    let client = clients.issue("edge-1");
    site.write("ca.pem", &authority.pem);
    site.write("client.pem", &client.certificate);
    site.write("client.key", &client.key);
    let serve = |request: &Request| Answer::bundle(request, "\"1\"", &bundle("acme", "first"));
    let server = BundleServer::start(Some(authority.server(Some(&clients))), serve);
    let url = format!("https://{}", server.address);
    let delays = "min_delay = \"100ms\"\nmax_delay = \"100ms\"";
    let identity = "client_certificate = \"client.pem\"\nclient_key = \"client.key\"";
    site.configure(&url, &format!("ca = \"ca.pem\"\n{identity}"), delays);
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    wait_for_source(&enforcer, "the copy", |source| source["etag"] == "\"1\"");
    drop(enforcer);
    for service in ["ca = \"ca.pem\"", &format!("ca = \"client.pem\"\n{identity}"), ""] {
        let asked = server.requests().len();
        site.configure(&url, service, delays);
        let enforcer = site.start();
        let source =
            wait_for_source(&enforcer, "a failure", |source| !source["last_error"].is_null());
        let message = source["last_error"]["message"].as_str().unwrap();
        assert!(!message.contains("answered"), "{message}");
        assert_eq!(enforcer.reason("acme"), "first");
        assert_eq!(server.requests().len(), asked, "{service}");
    }
}

#[test]
fn a_server_that_can_wait_is_asked_to() {
    let site = Site::new();
    let waits = |etag: &'static str, reason: &'static str| {
        move |request: &Request| {
            if request.header("if-none-match") == Some(etag) {
                return Answer::Wait;
            }
            let media = ("Content-Type", "application/vnd.openpolicyagent.bundles");
            Answer::whole("200 OK", &[("ETag", etag), media], &bundle("acme", reason))
        }
    };
    let server = BundleServer::start(None, waits("\"1\"", "first"));
    site.configure(
        &format!("http://{}", server.address),
        "",
        "long_polling = \"60s\"\nmin_delay = \"1h\"\nmax_delay = \"1h\"",
    );
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    let request =
        server.wait_for_request("a long poll", |request| request.header("if-none-match").is_some());
    assert_eq!(request.header("prefer"), Some("modes=snapshot;wait=60"));
    assert_eq!(source(&enforcer)["long_polling"], true);
    server.answer(waits("\"2\"", "second"));
    enforcer.wait_for_reason("acme", "second");
    // An operator need not wait either.
    server.wait_for_request("the next long poll", |request| {
        request.header("if-none-match") == Some("\"2\"")
    });
    enforcer.signal(Signal::SIGHUP);
    server.wait_for_request("a request without a wait", |request| {
        request.header("if-none-match") == Some("\"2\"")
            && request.header("prefer") == Some("modes=snapshot")
    });
}

#[test]
fn another_server_gets_neither_the_token_nor_the_headers() {
    let site = Site::new();
    site.write("token", "secret");
    let other = BundleServer::start(None, |_| {
        Answer::whole("200 OK", &[("ETag", "\"1\"")], &bundle("acme", "first"))
    });
    let location = format!("http://{}/elsewhere", other.address);
    let server = BundleServer::start(None, move |request| match request.path.as_str() {
        "/acme.tar.gz" => Answer::whole("307 Temporary Redirect", &[("Location", "/here")], b""),
        _ => Answer::whole("302 Found", &[("Location", &location)], b""),
    });
    let url = format!("http://{}", server.address);
    site.configure(&url, "bearer_token_file = \"token\"\nheaders = { \"X-Key\" = \"k\" }", "");
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    for request in server.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer secret"), "{request:?}");
        assert_eq!(request.header("x-key"), Some("k"));
    }
    let request = other.requests()[0].clone();
    assert_eq!((request.header("authorization"), request.header("x-key")), (None, None));
    assert_eq!(request.path, "/elsewhere");
}

#[test]
fn tls_does_not_give_way_to_a_redirect() {
    let (site, authority) = (Site::new(), Authority::new());
    site.write("ca.pem", &authority.pem);
    let plain = BundleServer::start(None, |_| Answer::whole("200 OK", &[], &bundle("acme", "x")));
    let location = format!("http://{}/", plain.address);
    let server = BundleServer::start(Some(authority.server(None)), move |_| {
        Answer::whole("302 Found", &[("Location", &location)], b"")
    });
    site.configure(&format!("https://{}", server.address), "ca = \"ca.pem\"", "");
    let enforcer = site.start();
    wait_for_source(&enforcer, "the refused redirect", |source| {
        let message = source["last_error"]["message"].as_str().unwrap_or_default();
        message.contains("redirects from https to http")
    });
    assert!(plain.requests().is_empty());
}

#[test]
fn a_server_that_goes_back_is_followed_and_reported() {
    let site = Site::new();
    let server = BundleServer::start(None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    site.plain(&server, "");
    let enforcer = site.start();
    for (etag, reason) in [("\"2\"", "second"), ("\"3\"", "first")] {
        wait_for_source(&enforcer, "the copy before", |source| source["etag"].is_string());
        server.serve(etag, bundle("acme", reason));
        enforcer.wait_for_reason("acme", reason);
        wait_for_source(&enforcer, "the copy", |source| source["etag"] == etag);
    }
    assert!(source(&enforcer)["last_rollback"].is_string());
    assert_eq!(enforcer.metric("enforcer_bundle_download_rollbacks_total{tenant=\"acme\"}"), 1.0);
    assert!(has_log(&enforcer, "went back to a revision"));
}

#[test]
fn a_sleeping_tenant_s_bundle_is_polled_and_it_wakes_with_a_good_one() {
    let site = Site::new();
    let server = BundleServer::start(None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    site.plain(&server, "[tenants.acme]\nactivation = \"lazy\"\nidle_timeout = \"100ms\"");
    let enforcer = site.start();
    server.wait_for_request("the bundle is compared", |request| {
        request.header("if-none-match").is_some()
    });
    assert!(enforcer.workers().is_empty());
    assert_eq!(enforcer.reason("acme"), "first");
    wait_for_source(&enforcer, "the copy", |source| source["etag"] == "\"1\"");
    enforcer.wait_for_state("acme", "asleep");
    server.serve("\"2\"", archive(&[("p.rego", "package tenants.acme\nallow := ")]));
    server.wait_for_request("the bad bundle is compared", |request| {
        request.header("if-none-match") == Some("\"2\"")
    });
    assert!(enforcer.workers().is_empty());
    // The bad one is tried beside the good one.
    assert_eq!(enforcer.reason("acme"), "first");
    assert_eq!(enforcer.metric("enforcer_errors_total{tenant=\"acme\""), 0.0);
}

#[test]
fn an_operator_polls_at_once() {
    let site = Site::new();
    let server = BundleServer::start(None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    let url = format!("http://{}", server.address);
    site.configure(&url, "", "min_delay = \"1h\"\nmax_delay = \"1h\"");
    let enforcer = site.start();
    enforcer.wait_for_reason("acme", "first");
    server.serve("\"2\"", bundle("acme", "second"));
    wait_for("the second bundle", || {
        enforcer.signal(Signal::SIGHUP);
        (enforcer.reason("acme") == "second").then_some(())
    });
}

#[test]
fn a_bundle_at_both_places_is_no_bundle() {
    let site = Site::new();
    let server = BundleServer::start(None, |request| {
        Answer::bundle(request, "\"1\"", &bundle("acme", "first"))
    });
    site.plain(&server, "");
    site.bundles.write("acme", "policy.rego", "package tenants.acme\nallow := true\n");
    let enforcer = site.start();
    let tenant = enforcer.wait_for_state("acme", "rejected");
    let message = tenant["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("BUNDLES_DIR has one too"), "{message}");
    fs::remove_dir_all(site.bundles.path().join("acme")).unwrap();
    enforcer.wait_for_reason("acme", "first");
}

#[test]
fn an_unsigned_or_foreign_bundle_never_becomes_a_copy() {
    let site = Site::new();
    let server = BundleServer::start(None, |_| {
        Answer::whole("200 OK", &[("ETag", "\"1\"")], &bundle("acme", "first"))
    });
    site.plain(
        &server,
        "[tenants.acme]\nbundle_signature = \"required\"\n\
         [bundle_keys.release]\nalgorithm = \"HS256\"\nkey = \"secret\"",
    );
    site.write("secret", "0123456789abcdef0123456789abcdef");
    let enforcer = site.start();
    let source = wait_for_source(&enforcer, "the refusal", |source| {
        source["last_error"]["kind"] == "refused"
    });
    let message = source["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("the bundle is not signed"), "{message}");
    let copies: Vec<_> = fs::read_dir(site.cache().join("acme")).unwrap().collect();
    assert!(copies.iter().all(|copy| {
        let path = copy.as_ref().unwrap().path();
        path.extension() != Some("gz".as_ref())
    }));
}

#[test]
fn every_fault_of_a_service_and_of_a_remote_bundle_is_reported() {
    let site = Site::new();
    site.write("empty", "");
    site.write(
        "enforcer.toml",
        r#"
            [services.plain]
            url = "http://bundles.example.com"
            [services.user]
            url = "https://user:password@bundles.example.com"
            ca = "empty"
            bearer_token_file = "missing"
            client_key = "missing"
            response_timeout = "never"
            tokn = "x"
            headers = { "Host" = "x" }
            [services.good]
            url = "https://bundles.example.com"
            [tenants.a.bundle]
            service = "unknown"
            resource = "x"
            [tenants.b.bundle]
            service = "good"
            min_delay = "60s"
            long_polling = "1500ms"
            [tenants.c.bundle]
            service = "good"
            resource = "x y"
            min_delay = "60s"
            max_delay = "30s"
        "#,
    );
    let faults = site.faults();
    for expected in [
        "services.plain.url in ",
        "allow_unencrypted = true",
        "services.user.url in ",
        "expected an address without a user",
        "services.user.ca, client_certificate and client_key in ",
        "services.user.bearer_token_file in ",
        "services.user.client_key in ",
        "services.user.response_timeout in ",
        "services.user.tokn in ",
        "services.user.headers.Host in ",
        "tenants.a.bundle.service in ",
        "expected the name of a service",
        "tenants.b.bundle.resource in ",
        "tenants.b.bundle.max_delay in ",
        "tenants.b.bundle.long_polling in ",
        "tenants.c.bundle.max_delay in ",
        "bundle_cache.directory in ",
    ] {
        assert!(faults.contains(expected), "{expected} in {faults}");
    }
    assert!(!faults.contains("password"), "{faults}");
}
