//! The README is true: its commands give what it says, and its tables are those of the program.

use std::process::Stdio;

use serde_json::Value;

use crate::enforcer::{Enforcer, binary};
use crate::http_client::Response;

const README: &str = include_str!("../../README.md");

/// Values that are others every time. They have to be there, and of the same type.
const VOLATILE: [&str; 8] = [
    "eval_duration_micros",
    "decision_id",
    "since",
    "pid",
    "revision",
    "uptime_millis",
    "cpu_millis",
    "memory_bytes",
];

/// The layers of the sandbox, some of which not every host allows.
const HOST_DEPENDENT: &str = "sandbox";

/// The fenced blocks of the README, each with its language.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut blocks = Vec::new();
    let mut rest = README;
    while let Some((_, after)) = rest.split_once("```") {
        let (language, after) = after.split_once('\n').unwrap();
        let (content, after) = after.split_once("\n```").unwrap();
        blocks.push((language, content));
        rest = after;
    }
    blocks
}

/// Does what a `curl` command of the README would do.
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

#[test]
fn every_command_of_the_readme_gives_the_answer_of_the_readme() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    enforcer.wait_for_state("tenant_a", "ready");
    let blocks = blocks();
    let mut commands = 0;
    for pair in blocks.windows(2) {
        let [(_, command), (language, expected)] = pair else { unreachable!() };
        if !command.starts_with("curl") {
            continue;
        }
        commands += 1;
        assert_eq!(*language, "json", "an answer follows {command}");
        let answer = curl(&enforcer, command).json();
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(without_volatile(answer), without_volatile(expected), "{command}");
    }
    assert_eq!(commands, blocks.iter().filter(|(_, block)| block.starts_with("curl")).count());
    assert!(commands >= 7);
}

#[test]
fn the_keys_of_the_first_answer_are_in_the_readme_s_order() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    let blocks = blocks();
    let first = blocks.iter().position(|(_, block)| block.starts_with("curl")).unwrap();
    let answer = curl(&enforcer, blocks[first].1).text;
    let keys = |text: &str| -> Vec<String> {
        text.split('"')
            .filter(|part| part.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(keys(&answer), keys(blocks[first + 1].1));
}

#[test]
fn the_readme_s_table_is_every_setting_as_help_has_it() {
    let output = binary().arg("--help").stdout(Stdio::piped()).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows: Vec<Vec<&str>> = README
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains("| `--"))
        .map(|line| {
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
        })
        .collect();
    for row in &rows {
        let [variable, flag, default, meaning] = row[..] else { panic!("{row:?}") };
        let entry = format!("{flag} <VALUE> {meaning} [{variable}] [default: {default}]");
        assert!(help.contains(&entry), "{entry:?} is not in {help:?}");
    }
    assert_eq!(rows.len(), help.matches("<VALUE>").count());
}

#[test]
fn the_readme_s_files_are_there() {
    let targets = README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    for target in targets.filter(|target| !target.starts_with("https://")) {
        assert!(std::path::Path::new(target).exists(), "{target}");
    }
}

#[test]
fn every_promise_of_the_threat_model_names_a_test_that_is_there() {
    let model = include_str!("../../docs/threat-model.md");
    let promises = model.lines().filter(|line| line.starts_with("| P"));
    let mut sources = String::new();
    for directory in [
        "tests/it",
        "worker/src",
        "worker/src/sandbox",
        "worker/src/engine",
        "rego/src",
        "rego/src/policy",
        "supervisor/src",
        "supervisor/src/stream",
    ] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let mut count = 0;
    for promise in promises {
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
