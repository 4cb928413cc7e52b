//! The documents are true: their commands give the answers that they show, and their tables are
//! those of the program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use enforcer_supervisor::SETTINGS;
use serde_json::Value;

use crate::archives::signed_by_opa;
use crate::bundle_server::Authority;
use crate::enforcer::{Enforcer, binary};
use crate::http_client::Response;
use crate::pki;

const CONFIGURATION: &str = "docs/configuration.md";

/// Values that differ each time. They have to be present, and of the same type.
const VOLATILE: [&str; 13] = [
    "eval_duration_micros",
    "decision_id",
    "batch_decision_id",
    "timer_rego_input_parse_ns",
    "timer_rego_query_eval_ns",
    "timer_server_handler_ns",
    "since",
    "revision_since",
    "pid",
    "revision",
    "uptime_millis",
    "cpu_millis",
    "memory_bytes",
];

/// The layers of the sandbox, some of which not every host allows.
const HOST_DEPENDENT: &str = "sandbox";

/// In a `json shape` block: objects whose keys are data, such as tenants or codes.
const MAPS: [&str; 5] = ["tenants", "errors", "limits", "states", "host_limits"];

/// Commands that are not run here, each with the suite that runs it.
const RUN_ELSEWHERE: [(&str, &str); 15] = [
    ("cargo run --release --package edge-policy-enforcer\n", "tests/newcomer/run"),
    ("cargo run --release --package edge-policy-enforcer -- --config", "tests/newcomer/run"),
    ("cargo run --release --package edge-policy-enforcer -- capabilities", "tests/newcomer/run"),
    ("cargo run --release --package edge-policy-enforcer -- sandbox", "tests/newcomer/run"),
    ("mkdir config/tenants.d/acme", "tests/newcomer/run"),
    ("curl -s localhost:8181/v1/data/tenants/acme/allow", "tests/newcomer/run"),
    ("sed -i 's/\"engineer\"/engineer/'", "tests/newcomer/run"),
    ("curl -s localhost:8181/v1/tenants/acme", "tests/newcomer/run"),
    ("sed -i 's/== engineer/== \"engineer\"/'", "tests/newcomer/run"),
    ("rm -r config/tenants.d/acme", "tests/newcomer/run"),
    ("curl -sN -H 'Accept: text/event-stream'", "tests/newcomer/run"),
    ("curl -s localhost:8181/metrics", "tests/metrics/run"),
    ("edge-policy-enforcer ", "tests/it/shell.rs"),
    ("opa build --bundle policies/acme", "tests/bundles/run"),
    // The peers take minutes to install; without them the bench is a step of .ci/run.
    ("bench/install-peers target/peers", ".ci/run"),
];

/// A fenced block of a document.
#[derive(Debug)]
struct Block {
    file: String,
    /// What stands behind the fence.
    language: String,
    content: String,
}

/// README.md and docs/*.md.
fn documents() -> Vec<PathBuf> {
    let mut documents = vec![PathBuf::from("README.md")];
    let pages = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path());
    documents.extend(pages.filter(|path| path.extension().is_some_and(|it| it == "md")));
    documents.sort();
    assert!(documents.len() >= 10, "{documents:?}");
    documents
}

fn blocks_of(path: &Path) -> Vec<Block> {
    let text = fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("\n```") {
        let (language, after) = after.split_once('\n').unwrap();
        let (content, after) = after.split_once("\n```").unwrap();
        let (file, language) = (path.display().to_string(), language.to_owned());
        blocks.push(Block { file, language, content: format!("{content}\n") });
        rest = after;
    }
    blocks
}

/// Does what a `curl` command would do.
fn curl(enforcer: &Enforcer, command: &str) -> Response {
    let mut words = shlex::split(command).unwrap().into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"));
    let (mut method, mut target, mut body) = ("GET", String::new(), String::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-s" => {}
            "-X" => assert_eq!(words.next().as_deref(), Some("POST")),
            "-H" => assert_eq!(words.next().as_deref(), Some("Content-Type: application/json")),
            "-d" => (method, body) = ("POST", words.next().unwrap()),
            url => url.strip_prefix("localhost:8181").unwrap().clone_into(&mut target),
        }
    }
    enforcer.connect().request(method, &target, body.as_bytes())
}

fn without_volatile(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            for (name, value) in object {
                let is_volatile = VOLATILE.contains(&name.as_str());
                if name == HOST_DEPENDENT {
                    assert!(!value.as_array().unwrap().is_empty(), "{name}");
                    *value = "…".into();
                    continue;
                }
                *value = match value.take() {
                    Value::String(_) if is_volatile => "…".into(),
                    Value::Number(_) if is_volatile => 0.into(),
                    other => without_volatile(other),
                };
            }
        }
        Value::Array(array) => {
            for element in array {
                *element = without_volatile(element.take());
            }
        }
        _ => {}
    }
    value
}

/// What is different about the members of two values, or their types.
fn difference_of_shape(name: &str, actual: &Value, expected: &Value) -> Option<String> {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) if MAPS.contains(&name) => {
            let example = expected.values().next()?;
            actual.values().find_map(|value| difference_of_shape("", value, example))
        }
        (Value::Object(actual), Value::Object(expected)) => {
            let keys = |object: &serde_json::Map<String, Value>| -> BTreeSet<String> {
                object.keys().cloned().collect()
            };
            let (actual_keys, expected_keys) = (keys(actual), keys(expected));
            if actual_keys != expected_keys {
                return Some(format!("{name:?} with {actual_keys:?}\n  and not {expected_keys:?}"));
            }
            actual
                .iter()
                .find_map(|(name, value)| difference_of_shape(name, value, &expected[name]))
        }
        (Value::Array(actual), Value::Array(expected)) => {
            let example = expected.first().filter(|example| !example.is_null())?;
            actual.iter().find_map(|value| difference_of_shape(name, value, example))
        }
        _ => {
            let is_same = std::mem::discriminant(actual) == std::mem::discriminant(expected);
            (!is_same).then(|| format!("{name:?} is {actual}, and not of the type of {expected}"))
        }
    }
}

fn suite_of(command: &str) -> Option<&'static str> {
    RUN_ELSEWHERE.iter().find(|(start, _)| command.starts_with(start)).map(|(_, suite)| *suite)
}

#[test]
fn every_command_of_the_documents_gives_the_answer_behind_it_or_names_the_suite_that_runs_it() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    for tenant in ["tenant_a", "tenant_b", "tenant-c"] {
        enforcer.wait_for_state(tenant, "ready");
    }
    let mut commands = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        let blocks = blocks_of(&document);
        for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "sh") {
            let command = &block.content;
            if let Some(suite) = suite_of(command) {
                assert!(Path::new(suite).exists(), "{suite}");
                continue;
            }
            let answer = blocks.get(at + 1).filter(|next| next.language.starts_with("json"));
            let answer = answer.unwrap_or_else(|| {
                panic!("in {}, no answer follows, and no suite runs it: {command}", block.file)
            });
            commands += 1;
            let expected: Value = serde_json::from_str(&answer.content).unwrap();
            let actual = curl(&enforcer, command).json();
            let difference = if answer.language == "json shape" {
                difference_of_shape("", &actual, &expected)
            } else {
                let (actual, expected) = (without_volatile(actual), without_volatile(expected));
                (actual != expected).then(|| format!("{actual}\n  and not {expected}"))
            };
            let told = |words| format!("in {}: {command}  answers {words}\n", block.file);
            wrong.extend(difference.map(told));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(commands >= 10, "{commands}");
}

#[test]
fn every_block_of_the_documents_is_of_a_known_language_and_json_is_json() {
    for block in documents().iter().flat_map(|document| blocks_of(document)) {
        match block.language.as_str() {
            "json" | "json shape" => {
                let value: Result<Value, _> = serde_json::from_str(&block.content);
                assert!(value.is_ok(), "in {}: {value:?}", block.file);
            }
            "toml" => assert_is_configuration(&block),
            // A command in a block of another language would not be found above.
            "sh" | "ts" | "rego" | "yaml" | "ini" | "text" => {}
            other => panic!("in {}, a block of {other:?}", block.file),
        }
    }
}

/// Asserts that a configuration file has no mistake but the one that is made on the command line.
fn assert_is_configuration(block: &Block) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("enforcer.toml");
    fs::write(&file, &block.content).unwrap();
    // The files that the documents' tables name.
    for name in ["keys", "tls", "secrets"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    fs::write(directory.path().join("tls/ca.pem"), Authority::new().pem).unwrap();
    let clients = pki::Authority::new();
    for name in ["server", "pdp"] {
        clients.issue(&["localhost"], 1).write(&directory.path().join("tls"), name);
    }
    fs::write(directory.path().join("tls/clients.pem"), clients.pem()).unwrap();
    fs::write(directory.path().join("tls/clients.crl"), clients.revoke(&[])).unwrap();
    fs::write(directory.path().join("secrets/cdn.token"), "token\n").unwrap();
    let (key, _) = signed_by_opa("ES256");
    fs::write(directory.path().join("keys/release.pem"), key).unwrap();
    let mut command = binary();
    command.arg("--config").arg(file).args(["--port", "none"]);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    let mistakes: Vec<&str> = words.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(matches!(mistakes[..], [mistake] if mistake.contains("--port")), "{words}");
}

#[test]
fn the_keys_of_the_first_answer_are_in_the_readme_s_order() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    let blocks = blocks_of("README.md".as_ref());
    let first = blocks.iter().position(|block| block.content.starts_with("curl")).unwrap();
    let answer = curl(&enforcer, &blocks[first].content).text;
    let keys = |text: &str| -> Vec<String> {
        text.split('"')
            .filter(|part| part.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(keys(answer.trim()), keys(blocks[first + 1].content.trim()));
}

#[test]
fn the_readme_fits_on_a_few_screens() {
    assert!(fs::read_to_string("README.md").unwrap().lines().count() <= 150);
}

/// `UPDATE_DOCS=1` writes the table instead.
#[test]
fn the_table_of_settings_is_the_program_s() {
    let mut table = String::from("| variable | flag | default | |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let (variable, flag) = (setting.variable, setting.flag);
        let (default, help) = (setting.default, setting.help);
        writeln!(table, "| `{variable}` | `--{flag}` | `{default}` | {help} |").unwrap();
    }
    let text = fs::read_to_string(CONFIGURATION).unwrap();
    let begin = text.find("| variable | flag |").unwrap();
    let end = text.find("<!-- End of the generated table. -->").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = format!("{}{table}{}", &text[..begin], &text[end..]);
        fs::write(CONFIGURATION, text).unwrap();
        return;
    }
    assert_eq!(&text[begin..end], table, "UPDATE_DOCS=1 renews it");
}

#[test]
fn help_has_every_setting() {
    let output = binary().arg("--help").stdout(Stdio::piped()).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for setting in SETTINGS {
        let entry = format!(
            "--{} <VALUE> {} [{}] [default: {}]",
            setting.flag, setting.help, setting.variable, setting.default
        );
        assert!(help.contains(&entry), "{entry:?} is not in {help:?}");
    }
    assert_eq!(SETTINGS.len(), help.matches("<VALUE>").count());
}

#[test]
fn the_table_of_a_tenant_s_limits_is_the_program_s() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[tenants.a]\nnonsense = 1\n").unwrap();
    let mut command = binary();
    let output = command.arg("--config").arg(file.path()).stderr(Stdio::piped()).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    let line = words.lines().find(|line| line.contains("tenants.a.nonsense")).unwrap();
    let (_, keys) = line.split_once("expected one of ").unwrap();
    let keys: BTreeSet<&str> = keys.split(", ").map(str::trim).collect();
    let text = fs::read_to_string(CONFIGURATION).unwrap();
    let (_, section) = text.split_once("\n## Limits of single tenants\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<BTreeSet<_>>(), keys);
}

#[test]
fn the_table_of_sandbox_layers_is_the_program_s() {
    // It exits with 5 where a layer is missing; it lists them all the same.
    let output =
        binary().args(["sandbox", "--json"]).stdout(Stdio::piped()).output().unwrap().stdout;
    let report: Value = serde_json::from_slice(&output).unwrap();
    let layers: Vec<&str> = report["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["layer"].as_str().unwrap())
        .collect();
    let text = fs::read_to_string("docs/isolation.md").unwrap();
    let (_, section) = text.split_once("\n## Layers\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<Vec<_>>(), layers);
}

#[test]
fn every_error_code_of_the_api_is_explained() {
    let api = fs::read_to_string("docs/openapi.yaml").unwrap();
    let (_, codes) = api.split_once("\n    ErrorCode:\n").unwrap();
    let codes: Vec<&str> = codes
        .lines()
        .skip_while(|line| !line.contains("enum:"))
        .skip(1)
        .map_while(|line| line.trim().strip_prefix("- "))
        .collect();
    assert!(codes.len() >= 14, "{codes:?}");
    let text = fs::read_to_string("docs/http-api.md").unwrap();
    for code in codes {
        let is_explained =
            |line: &str| line.starts_with("| ") && line.contains(&format!("| `{code}` |"));
        assert!(text.lines().any(is_explained), "{code}");
    }
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut documents = documents();
    documents.extend(["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(PathBuf::from));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        // Without what stands between backticks, which may look like a link.
        let text: String = text.split('`').step_by(2).collect();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            assert!(path.exists(), "{target} of {}", document.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&path).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(slug);
                assert!(headings.any(|it| it == anchor), "{target} of {}", document.display());
            }
        }
    }
}

/// The anchor of a heading, as the common renderers make it.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_promise_of_the_threat_model_names_a_test_that_is_there() {
    let model = fs::read_to_string("docs/threat-model.md").unwrap();
    let mut sources = String::new();
    for directory in ["tests/it", "protocol/src", "worker/src", "rego/src", "supervisor/src"] {
        read_sources(directory.as_ref(), &mut sources);
    }
    let mut count = 0;
    for promise in model.lines().filter(|line| line.starts_with("| P")) {
        count += 1;
        let tests = promise.rsplit('|').nth(1).unwrap();
        let names: Vec<&str> =
            tests.split('`').skip(1).step_by(2).filter(|name| name.len() > 20).collect();
        assert!(!names.is_empty(), "{promise}");
        for name in names {
            let function = format!("fn {}()", name.rsplit("::").next().unwrap());
            assert!(sources.contains(&function), "{name} of {promise}");
        }
    }
    assert!(count >= 24, "{count}");
}

fn read_sources(directory: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *sources += &fs::read_to_string(path).unwrap();
        }
    }
}
