//! The dashboard is part of the binary, loads nothing from other hosts, and may only read. Its
//! looks and behaviour are tested in a browser, by `tests/dashboard/run`.

use std::fs;

use crate::enforcer::Bundles;

#[test]
fn the_page_and_its_files_are_served_with_a_strict_policy() {
    let enforcer = Bundles::new().start();
    let mut connection = enforcer.connect();
    let page = connection.request("GET", "/dashboard", b"");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    for word in ["unsafe", "http:", "https:", "*"] {
        assert!(!policy.contains(word), "{policy}");
    }
    // Every resource that the page names exists, with the type that it is used as.
    let names = page.text.split('"').filter(|text| text.starts_with("dashboard/"));
    let mut count = 0;
    for name in names {
        let file = connection.request("GET", &format!("/{name}"), b"");
        assert_eq!(file.status, 200, "{name}");
        assert_eq!(file.header("content-security-policy"), Some(policy), "{name}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"), "{name}");
        count += 1;
    }
    assert!(count >= 4, "{}", page.text);
    for name in ["nothing.js", "index.html/", "..%2FCargo.toml", "%2e%2e"] {
        let response = connection.request("GET", &format!("/dashboard/{name}"), b"");
        response.assert_error(404, "resource_not_found");
    }
    connection.request("POST", "/dashboard", b"x").assert_error(405, "invalid_operation");
}

#[test]
fn a_browser_keeps_the_files_for_as_long_as_they_are_the_same() {
    let enforcer = Bundles::new().start();
    let mut connection = enforcer.connect();
    let tag = connection.request("GET", "/dashboard", b"").header("etag").unwrap().to_owned();
    let known = connection.get_with("/dashboard/app.js", &[("If-None-Match", &tag)]);
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    let other = connection.get_with("/dashboard/app.js", &[("If-None-Match", "\"other\"")]);
    assert_eq!(other.status, 200);
}

#[test]
fn who_writes_a_slash_behind_it_gets_there_too() {
    let enforcer = Bundles::new().start();
    let moved = enforcer.get("/dashboard/");
    assert_eq!((moved.status, moved.header("location")), (308, Some("../dashboard")));
}

#[test]
fn the_dashboard_names_no_other_host() {
    for entry in fs::read_dir("dashboard").unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read_to_string(&path).unwrap();
        // An XML namespace is not fetched.
        let content = content.replace("http://www.w3.org/2000/svg", "");
        for scheme in ["http://", "https://", "ws://", "wss://", "//cdn"] {
            assert!(!content.contains(scheme), "{scheme} in {}", path.display());
        }
    }
}
