//! Under load every answer is the answer to its own request.

use std::thread;

use serde_json::json;

use crate::enforcer::{Bundles, ECHO};

const TENANTS: [&str; 3] = ["tenant_a", "tenant_b", "tenant-c"];
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 50_000;

#[test]
fn every_one_of_50000_concurrent_answers_belongs_to_its_request() {
    let bundles = TENANTS.iter().fold(Bundles::new(), |bundles, tenant_id| {
        // The reason says which tenant's policy answered, and which request.
        let policy = ECHO.replace("input.id", "sprintf(\"%v %v\", [TENANT, input.id])");
        bundles.tenant(tenant_id, &policy)
    });
    // The deadline is not under test, and this machine may be busy.
    let enforcer = bundles.start_with(&[("ENFORCER_EVAL_TIMEOUT_MS", "60000")]);

    thread::scope(|scope| {
        for client in 0..CONNECTIONS {
            let enforcer = &enforcer;
            scope.spawn(move || {
                let mut connection = enforcer.connect();
                for number in (client..REQUESTS).step_by(CONNECTIONS) {
                    let tenant_id = TENANTS[number % TENANTS.len()];
                    let allow = number % 5 < 2;
                    let body = format!("{{\"input\":{{\"id\":\"{number}\",\"allow\":{allow}}}}}");
                    let response = connection.decide(tenant_id, body.as_bytes());
                    assert_eq!(response.status, 200, "{response:?}");
                    let answer = response.json();
                    let reason = format!("{tenant_id} {number}");
                    let expected = json!({"allow": allow, "redact": [], "reason": reason});
                    assert_eq!(answer["result"], expected);
                    assert_eq!(answer["metrics"]["tenant_id"], tenant_id);
                }
            });
        }
    });

    let count = |decision: &str| -> f64 {
        let metric = |tenant_id: &&str| {
            let labels = format!("{{tenant=\"{tenant_id}\",decision=\"{decision}\"}}");
            enforcer.metric(&format!("enforcer_decisions_total{labels}"))
        };
        TENANTS.iter().map(metric).sum()
    };
    assert_eq!((count("allow"), count("deny")), (20_000.0, 30_000.0));
    for tenant_id in TENANTS {
        assert_eq!(enforcer.tenant(tenant_id)["restarts"], 0);
    }
}
