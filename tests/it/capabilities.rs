//! The capabilities tell OPA's tools which features policies may use here.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::enforcer::binary;

/// The binary's output.
pub(crate) fn capabilities() -> Value {
    // It needs neither bundles nor a valid configuration.
    let mut command = binary();
    command.arg("capabilities").env("BUNDLES_DIR", "/no/such/directory");
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_capabilities_declare_built_ins_as_opa_does() {
    let all = capabilities();
    let declared = |name: &str| {
        let all = all["builtins"].as_array().unwrap();
        all.iter().find(|builtin| builtin["name"] == name).cloned()
    };
    assert_eq!(
        declared("plus"),
        Some(json!({
            "name": "plus",
            "categories": ["numbers"],
            "decl": {
                "args": [{"name": "x", "type": "number"}, {"name": "y", "type": "number"}],
                "result": {"name": "z", "type": "number"},
                "type": "function",
            },
            "infix": "+",
        }))
    );
    assert_eq!(
        declared("print"),
        Some(json!({"name": "print", "decl": {"type": "function", "variadic": {"type": "any"}}}))
    );
    assert_eq!(all["future_keywords"], json!(["and", "not", "or"]));
}

#[test]
fn the_capabilities_leave_out_the_network() {
    let all = capabilities();
    for name in ["http.send", "net.lookup_ip_addr"] {
        let builtins = all["builtins"].as_array().unwrap();
        assert!(builtins.iter().all(|builtin| builtin["name"] != name), "{name}");
    }
    assert_eq!(all["allow_net"], json!([]));
}
