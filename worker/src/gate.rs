//! A bundle's own tests, which may have to pass before it serves.

use std::time::Duration;

use enforcer_protocol::{Diagnostic, DiagnosticCode, Location, MAX_DIAGNOSTICS, TestGate};
use enforcer_rego::Tests;
use enforcer_rego::tester::{Options, Outcome, Suite, TestResult};

use crate::bundle::Bundle;
use crate::clock::now_ns;
use crate::diagnostics::{of_reports, shortened};
use crate::settings::settings_of;

/// The remedy, for the bundle's author.
const ADVICE: &str = "`edge-policy-enforcer test` with the bundle shows why";

/// Runs the tests, if they have to pass. Returns a warning, if there are none to run.
///
/// # Errors
/// The tests that did not pass, at most [`MAX_DIAGNOSTICS`].
pub(crate) fn pass(bundle: &Bundle) -> Result<Option<Diagnostic>, Vec<Diagnostic>> {
    let TestGate::Required { timeout_micros } = bundle.tests else { return Ok(None) };
    let settings = settings_of(bundle, Tests::Included);
    let mut suite = Suite::load(bundle.files.clone(), &settings).map_err(of_reports)?;
    let options = Options {
        timeout: Duration::from_micros(timeout_micros),
        now_ns: now_ns(),
        explain: false,
        ..Options::default()
    };
    let tests = suite.run(&options).map_err(|message| vec![failed(message)])?;
    let faults: Vec<Diagnostic> =
        tests.results.iter().filter_map(fault).take(MAX_DIAGNOSTICS).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let warning = "the bundle has no tests, although run_tests requires that they pass";
    Ok(tests.results.is_empty().then(|| failed(warning.to_owned())))
}

fn failed(message: String) -> Diagnostic {
    Diagnostic::new(DiagnosticCode::Bundle, message)
}

/// The fault that a test's result is.
fn fault(test: &TestResult) -> Option<Diagnostic> {
    let what = match &test.outcome {
        Outcome::Passed | Outcome::Skipped => return None,
        Outcome::Failed(_) => "failed".to_owned(),
        Outcome::TimedOut => "took too long".to_owned(),
        Outcome::Error { code, message, .. } => format!("has an error: {code}: {message}"),
    };
    let message = format!("the bundle's own test {}.{} {what}", test.package, test.name);
    let location =
        Location { file: shortened(&test.place.file), row: test.place.row, col: test.place.col };
    Some(Diagnostic {
        location: Some(location),
        help: Some(ADVICE.to_owned()),
        ..failed(shortened(&message))
    })
}

#[cfg(test)]
mod tests {
    use enforcer_protocol::Namespace;
    use enforcer_rego::File;

    use super::*;

    fn bundle(tests: &str, gate: TestGate) -> Bundle {
        let policy = "package tenants.a\nallow if input.user == \"ann\"";
        let file = |path: &str, content: &str| File {
            path: path.to_owned(),
            content: content.as_bytes().to_vec(),
        };
        Bundle {
            tenant_id: "a".parse().unwrap(),
            namespace: Namespace::Strict,
            entrypoint: ["tenants", "a", "allow"].map(str::to_owned).to_vec(),
            evaluation_timeout: Duration::from_secs(5),
            bytecode: true,
            strict_builtin_errors: false,
            max_result: 1 << 20,
            tests: gate,
            files: vec![file("policy.rego", policy), file("policy_test.rego", tests)],
        }
    }

    const REQUIRED: TestGate = TestGate::Required { timeout_micros: 1_000_000 };

    #[test]
    fn only_a_bundle_whose_tests_pass_is_let_through() {
        let tests = "package tenants.a_test
import data.tenants.a
test_ann if a.allow with input.user as \"ann\"
test_bob if not a.allow with input.user as \"bob\"
todo_test_eve if false";
        assert_eq!(pass(&bundle(tests, REQUIRED)), Ok(None));
        let broken = tests.replace("not a.allow", "a.allow");
        let faults = pass(&bundle(&broken, REQUIRED)).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(
            faults[0].to_string(),
            format!(
                "policy_test.rego:4:1: bundle_error: the bundle's own test data.tenants.a_test.test_bob failed ({ADVICE})"
            )
        );
        assert_eq!(pass(&bundle(&broken, TestGate::Ignored)), Ok(None));
    }

    #[test]
    fn tests_that_do_not_compile_or_do_not_end_are_faults_too() {
        let faults = pass(&bundle("package tenants.a_test\ntest_x if y", REQUIRED)).unwrap_err();
        assert_eq!(faults[0].code.as_str(), "rego_unsafe_var_error");
        let endless = "package tenants.a_test
test_x if {
    some a in numbers.range(1, 100000)
    some b in numbers.range(1, 100000)
    a + b < 0
}";
        let gate = TestGate::Required { timeout_micros: 50_000 };
        let faults = pass(&bundle(endless, gate)).unwrap_err();
        assert!(faults[0].message.ends_with("took too long"), "{faults:?}");
    }

    #[test]
    fn a_bundle_without_tests_is_let_through_with_a_warning() {
        let warning = pass(&bundle("package tenants.a_test", REQUIRED)).unwrap().unwrap();
        assert!(warning.message.contains("no tests"), "{warning}");
    }
}
