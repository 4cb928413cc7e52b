//! How the engine loads a bundle.

use enforcer_protocol::Namespace;
use enforcer_rego::{Settings, Tests};

use crate::bundle::Bundle;

/// The rules beside the entrypoint, in its package, that a decision consists of.
const DETAILS: [&str; 2] = ["redact", "reason"];

/// The engine's settings for a bundle.
pub(crate) fn settings_of(bundle: &Bundle, tests: Tests) -> Settings {
    Settings {
        namespace: match bundle.namespace {
            Namespace::Strict => {
                enforcer_rego::Namespace::Tenant(bundle.tenant_id.as_str().to_owned())
            }
            Namespace::Open => enforcer_rego::Namespace::Open,
        },
        tests,
        interpreter_only: !bundle.bytecode,
        strict_builtin_errors: bundle.strict_builtin_errors,
        decision: decision_paths(&bundle.entrypoint),
        mask: mask_path(bundle),
    }
}

/// The keys below `data` of the policy's mask: beside a strict tenant's decision, or where OPA has it.
pub(crate) fn mask_path(bundle: &Bundle) -> Vec<String> {
    let keys = match bundle.namespace {
        Namespace::Strict => ["tenants", bundle.tenant_id.as_str(), "mask"],
        Namespace::Open => ["system", "log", "mask"],
    };
    keys.map(str::to_owned).to_vec()
}

/// The paths of a decision's rules below `data`: the entrypoint, and the others beside it. A bundle
/// without an entrypoint makes no decisions.
fn decision_paths(entrypoint: &[String]) -> Vec<Vec<String>> {
    let Some((_, package)) = entrypoint.split_last() else { return Vec::new() };
    let details = DETAILS.map(|rule| [package, &[rule.to_owned()]].concat());
    [entrypoint.to_vec()].into_iter().chain(details).collect()
}
