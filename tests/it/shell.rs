//! The commands for people who write policies: what they say, and their exit codes.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::enforcer::{binary, cpu_millis, is_running, send_signal, wait_for};

const POLICY: &str = "package app

default allow := false

allow if {
	print(\"asked by\", input.user)
	input.user == \"ann\"
}
";

const TESTS: &str = "package app_test

import data.app

test_ann if app.allow with input.user as \"ann\"

test_joe if not app.allow with input.user as \"joe\"
";

/// A rule that never ends by itself.
const SPIN: &str = "package app

allow if {
	input.spin
	some x in numbers.range(1, 10000)
	some y in numbers.range(1, 10000)
	x + y < 0
}

reason := json.marshal([x | input.bomb; some x in numbers.range(1, 1000000)])
";

/// A directory with a file for each pair.
fn bundle(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), files);
    directory
}

fn write(directory: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// A finished command.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Done {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let Output { status, stdout, stderr } = output;
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Asserts the exit code, and that both streams contain these texts.
    #[track_caller]
    fn expect(self, code: i32, stdout: &str, stderr: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stdout.contains(stdout), "{stdout:?} is not in {self:?}");
        assert!(self.stderr.contains(stderr), "{stderr:?} is not in {self:?}");
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A command in a directory.
fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = binary();
    command.args(arguments).current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(directory: &Path, arguments: &[&str]) -> Done {
    Done::of(command(directory, arguments).output().unwrap())
}

fn run_with(directory: &Path, arguments: &[&str], variable: (&str, &str)) -> Done {
    Done::of(command(directory, arguments).env(variable.0, variable.1).output().unwrap())
}

fn run_with_input(directory: &Path, arguments: &[&str], input: &str) -> Done {
    let mut child = command(directory, arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Done::of(child.wait_with_output().unwrap())
}

#[test]
fn check_says_what_is_wrong_where_and_what_to_do() {
    let directory = bundle(&[
        ("good/policy.rego", POLICY),
        ("bad/sub/policy.rego", "package app\n\nallow if {\n\tinput.x == 1\n\tusr == input.y\n}\n"),
    ]);
    run(directory.path(), &["check", "good"]).expect(
        0,
        "1 bundle checked, no mistakes found\n",
        "",
    );
    let done = run(directory.path(), &["check", "good", "bad", "missing"]).expect(
        1,
        "error[rego_unsafe_var_error]: var usr is unsafe
 --> bad/sub/policy.rego:5:2
  |
5 |     usr == input.y
  |     ^^^
  = help: ",
        "",
    );
    assert!(done.stdout.contains("\nerror: missing: the bundle is not there\n"), "{done:?}");
    assert!(done.stdout.ends_with("\n2 of 3 bundles cannot be used: 2 errors\n"), "{done:?}");
}

#[test]
fn check_tells_machines_the_same_as_one_json_value() {
    let directory = bundle(&[
        ("good/policy.rego", POLICY),
        ("good/metadata.json", "{\"version\": \"1.2\"}"),
        ("bad/policy.rego", "package app\nallow if {"),
    ]);
    let done = run(directory.path(), &["check", "--format", "json", "good", "bad", "missing"])
        .expect(1, "", "")
        .json();
    let bundle = |index: usize, key: &str| done["bundles"][index][key].clone();
    assert_eq!(bundle(0, "usable"), true);
    assert_eq!(bundle(0, "version"), "1.2");
    assert_eq!(bundle(0, "namespace"), "open");
    assert_eq!(bundle(1, "usable"), false);
    assert_eq!(bundle(1, "errors")[0]["code"], "rego_parse_error");
    assert_eq!(bundle(1, "errors")[0]["location"]["file"], "policy.rego");
    assert_eq!(bundle(2, "ended"), "the bundle is not there");
    assert_eq!((&done["errors"], &done["warnings"]), (&json!(2), &json!(0)));
}

#[test]
fn check_finds_mistakes_in_tests_although_a_server_ignores_them() {
    let directory = bundle(&[
        ("policy.rego", POLICY),
        ("policy_test.rego", "package app_test\n\ntest_x if data.app.allow with input as usr\n"),
    ]);
    run(directory.path(), &["check", "."]).expect(1, " --> policy_test.rego:3:", "");
}

#[test]
fn a_bundle_in_bundles_dir_is_loaded_as_its_tenant_s_and_others_as_nobody_s() {
    let directory = bundle(&[
        ("tenants/acme/policy.rego", "package other\nallow := true\n"),
        ("elsewhere/acme/policy.rego", "package other\nallow := true\n"),
        ("tenants/empty/policy.rego", "package tenants.empty\nunrelated := true\n"),
    ]);
    let check = |arguments: &[&str]| {
        let arguments = [&["check", "--bundles-dir", "tenants"], arguments].concat();
        run(directory.path(), &arguments)
    };
    let refusal = "every package of this bundle must be tenants.acme or below it";
    check(&["tenants/acme"]).expect(1, refusal, "").expect(1, "--open allows any package", "");
    check(&["tenants/acme", "--open"]).expect(0, "", "");
    check(&["elsewhere/acme"]).expect(0, "", "");
    check(&["elsewhere/acme", "--tenant", "acme"]).expect(1, refusal, "");
    // A tenant without a rule that decides denies everything, which its author may not know.
    let warning = "warning: no rule defines data.tenants.empty.allow";
    check(&["tenants/empty"]).expect(0, warning, "");
    check(&["tenants/empty", "--deny-warnings"]).expect(1, warning, "");
    check(&["tenants/acme", "--open", "--tenant", "acme"]).expect(2, "", "cannot be used with");
    check(&["tenants/acme", "--tenant", "a/b"]).expect(2, "", "--tenant");
}

#[test]
fn an_archive_is_checked_evaluated_and_tested_as_a_directory_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = fs::File::create(directory.path().join("app.tar.gz")).unwrap();
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    for (name, content) in [("/policy.rego", POLICY), ("/policy_test.rego", TESTS)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len().try_into().unwrap());
        header.set_mode(0o644);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
    run(directory.path(), &["check", "app.tar.gz"]).expect(0, "no mistakes found", "");
    run(directory.path(), &["eval", "app.tar.gz", "data.app.allow"]).expect(0, "false\n", "");
    run(directory.path(), &["test", "app.tar.gz"]).expect(0, "PASS: 2/2\n", "");
    fs::write(directory.path().join("no.tar.gz"), "no archive").unwrap();
    run(directory.path(), &["check", "no.tar.gz"]).expect(1, "error: no.tar.gz: ", "");
}

#[test]
fn eval_prints_the_value_of_a_document() {
    let directory = bundle(&[
        ("policy.rego", POLICY),
        ("data.json", "{\"names\": [\"é\\u009b\", 12345678901234567890123]}"),
    ]);
    let eval = |arguments: &[&str]| run(directory.path(), &[&["eval", "."], arguments].concat());
    eval(&["--data-path", "app/allow"]).expect(0, "false\n", "");
    eval(&["data.app.allow"]).expect(0, "false\n", "");
    let names = "[\n  \"é\\u009b\",\n  12345678901234567890123\n]\n";
    eval(&["-p", "names"]).expect(0, names, "");
    eval(&["-p", "names/0", "--format", "raw"]).expect(0, "é\u{9b}\n", "");
    eval(&["-p", "names", "--format", "raw"]).expect(0, "[\"é\\u009b\",1234567", "");
    assert_eq!(eval(&["-p", "app/allow", "--format", "json"]).json(), json!({"result": false}));
    // Nobody's bundle has no rule that decides.
    let all = eval(&["--format", "json"]).json();
    assert_eq!(all["result"]["app"], json!({"allow": false}));
}

#[test]
fn an_undefined_result_is_no_failure_unless_it_is_asked_for() {
    let directory = bundle(&[("policy.rego", POLICY)]);
    let eval = |arguments: &[&str]| {
        run(directory.path(), &[&["eval", ".", "data.app.none"], arguments].concat())
    };
    eval(&[]).expect(0, "undefined\n", "");
    eval(&["--fail"]).expect(1, "undefined\n", "");
    eval(&["--fail", "--format", "json"]).expect(1, "{}\n", "");
    run(directory.path(), &["eval", ".", "--fail", "data.app.allow"]).expect(0, "false\n", "");
}

#[test]
fn eval_takes_an_input_of_json_or_yaml_from_a_file_or_standard_input() {
    let directory = bundle(&[
        ("policy.rego", POLICY),
        ("inputs/ann.json", "{\"user\": \"ann\"}"),
        ("inputs/ann.yaml", "user: ann\n"),
        ("inputs/broken.json", "{\"user\": "),
    ]);
    let eval = |input| ["eval", ".", "data.app.allow", "--input", input];
    // What the policy prints is no part of the result.
    run(directory.path(), &eval("inputs/ann.json")).expect(0, "true\n", "asked by ann\n");
    run(directory.path(), &eval("inputs/ann.yaml")).expect(0, "true\n", "asked by ann\n");
    run_with_input(directory.path(), &eval("-"), "{\"user\": \"ann\"}").expect(0, "true\n", "");
    run_with_input(directory.path(), &eval("-"), "user: ann").expect(0, "true\n", "");
    run(directory.path(), &eval("inputs/broken.json")).expect(2, "", "the input cannot be read");
    run(directory.path(), &eval("inputs/none.json")).expect(2, "", "inputs/none.json cannot be");
}

#[test]
fn eval_answers_a_query_with_its_solutions_or_with_the_place_of_its_mistake() {
    let directory =
        bundle(&[("policy.rego", POLICY), ("data.json", "{\"names\": [\"a\", \"b\"]}")]);
    let eval = |query: &str| run(directory.path(), &["eval", ".", query, "--format", "json"]);
    let solutions = json!({"result": [{"i": 0, "name": "a"}, {"i": 1, "name": "b"}]});
    assert_eq!(eval("name := data.names[i]").json(), solutions);
    eval("data.names[i] == \"c\"").expect(0, "{}\n", "");
    eval("x := ").expect(1, "", "error[rego_parse_error]: ");
    eval("x := y").expect(1, "", " --> query:1:1\n  |\n1 | x := y\n  |      ^\n");
    let input = ["eval", ".", "x := input.user; data.app.allow", "-i", "-"];
    run_with_input(directory.path(), &input, "{\"user\": \"ann\"}").expect(0, "\"x\": \"ann\"", "");
    run_with_input(directory.path(), &input, "user: ann").expect(2, "", "has to be JSON");
    run_with_input(directory.path(), &input, "1, \"query\": 2").expect(2, "", "has to be JSON");
}

#[test]
fn eval_explains_which_statement_failed_with_the_values_there() {
    let directory = bundle(&[("policy.rego", POLICY)]);
    let eval = |how| {
        let arguments = ["eval", ".", "data.app.allow", "-i", "-", how];
        run_with_input(directory.path(), &arguments, "{\"user\": \"joe\"}")
    };
    let done = eval("--explain").expect(0, "data.app.allow is false\n", "");
    assert!(done.stdout.contains("failed  input.user == \"ann\"\n"), "{done:?}");
    assert!(done.stdout.contains("input.user is \"joe\"\n"), "{done:?}");
    eval("--explain=full").expect(0, "Enter data.app.allow", "").expect(0, "\nfalse\n", "");
    eval("--explain=nonsense").expect(2, "", "[possible values: why, notes, fails, full, debug]");
}

#[test]
fn test_prints_as_opa_does_and_fails_where_a_test_does() {
    let directory = bundle(&[("policy.rego", POLICY), ("policy_test.rego", TESTS)]);
    let test = |arguments: &[&str]| run(directory.path(), &[&["test", "."], arguments].concat());
    assert_eq!(test(&[]).expect(0, "", "").stdout, "PASS: 2/2\n");
    test(&["--verbose", "--run", "ann"]).expect(
        0,
        "policy_test.rego:5:\ndata.app_test.test_ann: PASS (",
        "",
    );
    test(&["--run", "nothing"]).expect(0, "", "no tests were found");
    test(&["--run", "("]).expect(2, "", "--run: error parsing regexp");
    test(&["--timeout", "1h"]).expect(2, "", "expected a time from 1ms to 60s");
    let more = "package app_test\n\ntest_no if {\n\tprint(\"hi\")\n\tdata.app.allow with input.user as \"joe\"\n}\n\ntodo_test_x if true\n";
    write(directory.path(), &[("more_test.rego", more)]);
    let done = test(&[]).expect(1, "data.app_test.test_no: FAIL (", "");
    assert!(done.stdout.contains("\n\n  hi\n  asked by joe\n\n"), "{done:?}");
    assert!(done.stdout.contains("input.user is \"joe\""), "{done:?}");
    assert!(done.stdout.ends_with("\nPASS: 2/4\nFAIL: 1/4\nSKIPPED: 1/4\n"), "{done:?}");
    test(&["--run", "test_x"]).expect(1, "data.app_test.todo_test_x: SKIPPED\n", "");
    test(&["--run", "test_x", "-z"]).expect(0, "SKIPPED: 1/1\n", "");
    let results = test(&["--format", "json"]).expect(1, "", "").json();
    let failed = results.as_array().unwrap().iter().find(|result| result["name"] == "test_no");
    assert_eq!(failed.unwrap()["fail"], true);
    assert_eq!(failed.unwrap()["output"], "aGkKYXNrZWQgYnkgam9lCg==");
    let xml = test(&["--format", "junit"]).expect(1, "<testsuites tests=\"4\" failures=\"1\"", "");
    assert!(xml.stdout.contains("<system-out>hi\nasked by joe</system-out>"), "{xml:?}");
    let broken = [("more_test.rego", "package app_test\ntest_no if {\n")];
    write(directory.path(), &broken);
    test(&[]).expect(1, "", "error[rego_parse_error]");
}

#[test]
fn test_reports_the_coverage_and_fails_below_the_threshold() {
    let tests = TESTS.replace("test_joe", "todo_test_joe");
    let policy = format!("{POLICY}\nother if input.other\n");
    let directory = bundle(&[("policy.rego", &policy), ("policy_test.rego", &tests)]);
    let test =
        |arguments: &[&str]| run(directory.path(), &[&["test", ".", "-z"], arguments].concat());
    let coverage = test(&["--coverage"]).expect(0, "", "").json();
    assert_eq!(coverage["files"]["policy.rego"]["not_covered_lines"], 2);
    test(&["--coverage", "--format", "pretty"]).expect(0, "PASS: 1/2\n", "").expect(
        0,
        "\nall files",
        "",
    );
    test(&["--threshold", "10"]).expect(0, "\"coverage\"", "");
    let told = "Code coverage threshold not met: got ";
    test(&["--threshold", "99.5"]).expect(1, "", told).expect(1, "", "\tpolicy.rego:10\n");
    test(&["--threshold", "101"]).expect(2, "", "expected a number from 0 to 100");
}

#[test]
fn no_text_of_a_bundle_or_an_input_gives_orders_to_the_terminal() {
    let policy = "package app\n\nx := \"\u{1b}[31m\u{9b}2J\" # \u{1b}]0;title\u{7}\n\ny := usr + \"\u{1b}[0m\"\n";
    let test =
        "package app_test\n\ntest_x if {\n\tprint(\"\u{1b}[2J\")\n\tx := input[\"\u{1b}\"]\n}\n";
    let directory = bundle(&[
        ("bad/policy.rego", policy),
        ("good/policy.rego", "package app\nx := input\n"),
        ("good/x_test.rego", test),
    ]);
    let input = "{\"a\": \"\u{7f}\\u001b[31m\u{9b}\", \"\u{202e}\": 1}";
    let of_eval = |how: &[&str]| {
        let arguments = [&["eval", "good", "data.app.x", "-i", "-"], how].concat();
        run_with_input(directory.path(), &arguments, input)
    };
    let all = [
        run(directory.path(), &["check", "bad"]).expect(1, "error[", ""),
        run(directory.path(), &["test", "good"]).expect(1, "FAIL", ""),
        of_eval(&[]).expect(0, "\\u009b", ""),
        of_eval(&["--explain"]).expect(0, "data.app.x", ""),
        of_eval(&["--explain=full"]).expect(0, "Enter", ""),
    ];
    for done in all {
        let text = done.stdout.clone() + &done.stderr;
        let obeyed = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
        assert_eq!(text.chars().find(obeyed), None, "{done:?}");
    }
}

#[test]
fn colours_are_for_terminals_or_where_they_are_forced() {
    let directory = bundle(&[("policy.rego", "package app\nallow if {")]);
    let check = |variable| run_with(directory.path(), &["check", "."], variable);
    let has_colours = |done: Done| done.stdout.contains("\u{1b}[1;31merror");
    assert!(!has_colours(check(("TERM", "xterm"))));
    assert!(has_colours(check(("CLICOLOR_FORCE", "1"))));
    assert!(!has_colours(check(("CLICOLOR_FORCE", "0"))));
    let mut both = command(directory.path(), &["check", "."]);
    both.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!has_colours(Done::of(both.output().unwrap())));
}

#[test]
fn a_bundle_that_hangs_or_takes_all_memory_is_ended_with_the_reason() {
    let hangs = "package app_test\n\ntest_hangs if data.app.allow with input.spin as true\n";
    let directory = bundle(&[("policy.rego", SPIN), ("policy_test.rego", hangs)]);
    let eval = ["eval", ".", "-i", "-", "--load-timeout-ms", "100", "--memory-limit-mib", "32"];
    let allow = [&eval[..], &["data.app.allow"]].concat();
    let done = run_with_input(directory.path(), &allow, "{\"spin\": true}");
    done.expect(1, "", "5.1s");
    let reason = [&eval[..], &["data.app.reason"]].concat();
    let done = run_with_input(directory.path(), &reason, "{\"bomb\": true}");
    done.expect(1, "", "more than 32 MiB of memory (ENFORCER_MEMORY_LIMIT_MIB)");
    run(directory.path(), &["test", ".", "--timeout", "100ms"]).expect(
        1,
        "eval_cancel_error: the test did not end within 100ms",
        "",
    );
}

#[test]
fn ctrl_c_ends_a_command_and_its_worker() {
    let directory = bundle(&[("policy.rego", SPIN)]);
    let arguments = ["eval", ".", "-i", "-", "data.app.allow"];
    let mut child = command(directory.path(), &arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"spin\": true}").unwrap();
    let worker = wait_for("the worker to spin", || {
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let children = fs::read_to_string(children).unwrap();
        let pid = children.split_whitespace().next()?.parse::<u32>().unwrap();
        (is_running(pid) && cpu_millis(pid) > 200).then_some(pid)
    });
    send_signal(child.id(), Signal::SIGINT);
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    wait_for("the worker to end", || (!is_running(worker)).then_some(()));
}

#[test]
fn a_wrong_command_or_configuration_is_code_2() {
    let directory = bundle(&[("policy.rego", POLICY)]);
    for arguments in [
        &["check"][..],
        &["check", ".", "--nonsense"],
        &["check", ".", "--format", "xml"],
        &["eval"],
        &["eval", ".", "data.app", "--data-path", "app"],
        &["test", ".", "--threshold", "x"],
        &["completion", "tcsh"],
    ] {
        run(directory.path(), arguments).expect(2, "", "error: ");
    }
    let variable = ("ENFORCER_MEMORY_LIMIT_MIB", "none");
    run_with(directory.path(), &["check", "."], variable).expect(
        2,
        "",
        "ENFORCER_MEMORY_LIMIT_MIB is \"none\"",
    );
}

#[test]
fn completions_know_the_commands_and_their_flags_and_no_worker() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let done = run(directory.path(), &["completion", shell]).expect(0, "data-path", "");
        assert!(done.stdout.contains("deny-warnings"), "{shell}");
        assert!(!done.stdout.contains("by the supervisor, never by hand"), "{shell}");
    }
}

#[test]
fn the_commands_of_the_authors_guide_work_as_they_stand() {
    let guide = fs::read_to_string("docs/policy-authors.md").unwrap();
    let commands: Vec<&str> = guide
        .split("\n```sh\n")
        .skip(1)
        .map(|block| block.split_once("\n```").unwrap().0)
        .collect();
    assert!(commands.len() >= 5, "{commands:?}");
    let directory = bundle(&[("request.json", "{\"action\": \"write\"}")]);
    let request = directory.path().join("request.json").display().to_string();
    let program = env!("CARGO_BIN_EXE_edge-policy-enforcer");
    for command in commands {
        let words = command.strip_prefix("edge-policy-enforcer ").unwrap();
        let script = format!("{program} {}", words.replace("request.json", &request));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
}
