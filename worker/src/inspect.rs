//! Answers the one question of an `Inspect` about a bundle that is not served.

use enforcer_protocol::{Findings, Inspection, Outcome};

use crate::bundle::Bundle;
use crate::engine::Policy;

/// Answers a question about a bundle, until `deadline_micros`.
pub(crate) fn inspect(
    bundle: Bundle,
    inspection: &Inspection,
    _body: &[u8],
    _deadline_micros: u64,
) -> Findings {
    match inspection {
        Inspection::Check => check(bundle),
        _ => Findings::Failed(Outcome::TimedOut),
    }
}

fn check(bundle: Bundle) -> Findings {
    match Policy::load(bundle) {
        Ok(policy) => Findings::Usable {
            version: policy.version(),
            evaluator: policy.evaluator(),
            warnings: policy.warnings(),
        },
        Err(diagnostics) => Findings::Unusable(diagnostics),
    }
}
