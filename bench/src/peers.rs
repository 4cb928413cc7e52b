//! The products that ours is compared with, each asked the README's question in its own protocol.
//!
//! Each request is a path, a body, and texts that the body of a right answer contains: a server
//! that does not answer as the policy says is not measured.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::policies::{Case, Policy};

/// The path of the tenants' data in OPA. Their rules are below `data.tenants`, and data cannot be
/// within a package.
const OPA_DATA: &str = "tenants_data";

/// The answer of the product, and of every server with its protocol.
pub(crate) fn enforcer_request(tenant_id: &str, case: &Case) -> (String, String, Vec<String>) {
    let Case { allow, redact, reason, .. } = case;
    let result = format!(
        "\"result\":{{\"allow\":{allow},\"redact\":{},\"reason\":{}}}",
        json!(redact),
        json!(reason)
    );
    (format!("/v1/data/tenants/{tenant_id}/allow"), body(tenant_id, case), vec![result])
}

/// The same question for workers that answer without evaluating.
pub(crate) fn echo_request(tenant_id: &str, case: &Case) -> (String, String, Vec<String>) {
    let answered = Case {
        allow: true,
        redact: vec!["pii.email".to_owned()],
        reason: Some("Allowed by data residency policy".to_owned()),
        ..case.clone()
    };
    enforcer_request(tenant_id, &answered)
}

/// The body for all servers except Cerbos. A subject names its tenant, as in the README's question;
/// the product checks it.
fn body(tenant_id: &str, case: &Case) -> String {
    json!({ "input": single_body(tenant_id, case) }).to_string()
}

/// The input of a question.
pub(crate) fn single_body(tenant_id: &str, case: &Case) -> Value {
    let mut input = case.input.clone();
    if let Some(Value::Object(subject)) = input.get_mut("subject") {
        subject.insert("tenant_id".to_owned(), tenant_id.into());
    }
    input
}

/// Open Policy Agent's server over the README's policy, once for every tenant. Its files are
/// written to the directory, which must be empty.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn opa(
    binary: &Path,
    directory: &Path,
    port: u16,
    tenant_ids: &[String],
) -> io::Result<Command> {
    for id in tenant_ids {
        // A file's path below the directory is the path of its data.
        let tenant = directory.join(OPA_DATA).join(id);
        fs::create_dir_all(&tenant)?;
        for (name, content) in Policy::readme().bundle(id) {
            match name.as_str() {
                "policy.rego" => fs::write(tenant.join(name), opa_module(id, &content))?,
                "data.json" => fs::write(tenant.join(name), content)?,
                _ => {}
            }
        }
    }
    let mut command = Command::new(binary);
    command
        .args(["run", "--server", "--log-level", "error", "--skip-version-check"])
        .args(["--addr", &format!("127.0.0.1:{port}")])
        .arg(directory);
    Ok(command)
}

/// The module, with the path of its data in OPA and a rule that returns the other three together.
fn opa_module(tenant_id: &str, module: &str) -> String {
    let data = format!("data.{OPA_DATA}[\"{tenant_id}\"].");
    let mut text = String::new();
    for line in module.lines() {
        if line.starts_with('#') {
            text.push_str(line);
        } else {
            text.push_str(&line.replace("data.", &data));
        }
        text.push('\n');
    }
    text.push_str("\ndecision := {\"allow\": allow, \"redact\": redact, \"reason\": reason}\n");
    text
}

/// The question to OPA.
pub(crate) fn opa_request(tenant_id: &str, case: &Case) -> (String, String, Vec<String>) {
    let Case { allow, redact, reason, .. } = case;
    // OPA writes objects with their keys sorted.
    let answer = format!(
        "{{\"result\":{{\"allow\":{allow},\"reason\":{},\"redact\":{}}}}}",
        json!(reason),
        json!(redact)
    );
    (format!("/v1/data/tenants/{tenant_id}/decision"), body(tenant_id, case), vec![answer])
}

/// The question about the rule `allow` alone, to OPA and below a tenant's root.
pub(crate) fn opa_document_request(tenant_id: &str, case: &Case) -> (String, String, Vec<String>) {
    let answer = format!("\"result\":{}}}", case.allow);
    (format!("/v1/data/tenants/{tenant_id}/allow"), body(tenant_id, case), vec![answer])
}

/// Cerbos' server over a policy that answers as the README's does. It has one tenant. Its files are
/// written to the directory.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn cerbos(binary: &Path, directory: &Path, port: u16) -> io::Result<Command> {
    let policies = directory.join("policies");
    fs::create_dir_all(&policies)?;
    let files =
        Policy::readme().bundle("tenant_a").into_iter().collect::<BTreeMap<String, String>>();
    let data = files.get("data.json").map(String::as_str).unwrap_or_default();
    let policy = cerbos_policy(&serde_json::from_str(data)?);
    fs::write(policies.join("record.json"), policy.to_string())?;
    let config = json!({
        "server": {
            "httpListenAddr": format!("127.0.0.1:{port}"),
            // Cerbos needs this address; nothing connects to it.
            "grpcListenAddr": format!("unix:{}", directory.join("grpc.socket").display()),
        },
        "storage": {"driver": "disk", "disk": {"directory": policies, "watchForChanges": false}},
        "telemetry": {"disabled": true},
        "audit": {"enabled": false},
    });
    let config_file = directory.join("cerbos.yaml");
    // JSON is valid YAML.
    fs::write(&config_file, config.to_string())?;
    let mut command = Command::new(binary);
    command.args(["server", "--log-level=error", "--config"]).arg(config_file);
    Ok(command)
}

/// The README's policy in Cerbos' words, over the same data.
fn cerbos_policy(data: &Value) -> Value {
    let resident = "has(R.attr.type) && has(R.attr.region) && R.attr.type in C.residency \
                    && R.attr.region in C.residency[R.attr.type]";
    let cleared = "has(P.attr.user_id) && P.attr.user_id in C.clearances \
                   ? C.clearances[P.attr.user_id] : []";
    let redact = "R.attr.type in C.redactions \
                  ? C.redactions[R.attr.type].filter(field, !(field in V.cleared)) : []";
    let allowed = r#"{"redact": V.redact, "reason": "Allowed by data residency policy"}"#;
    let elsewhere = r#"{"redact": [], "reason": has(R.attr.type) && has(R.attr.region)
        ? R.attr.type + " must not be read in region " + R.attr.region
        : "The resource has no type or no region"}"#;
    let otherwise = r#"{"redact": [], "reason": "Only reading is allowed"}"#;
    json!({
        "apiVersion": "api.cerbos.dev/v1",
        "resourcePolicy": {
            "resource": "record",
            "version": "default",
            "constants": {"local": data},
            "variables": {"local": {"resident": resident, "cleared": cleared, "redact": redact}},
            "rules": [
                {
                    "name": "residency",
                    "actions": ["read"],
                    "roles": ["user"],
                    "effect": "EFFECT_ALLOW",
                    "condition": {"match": {"expr": "V.resident"}},
                    "output": {"when": {"ruleActivated": allowed, "conditionNotMet": elsewhere}},
                },
                {
                    "name": "otherwise",
                    "actions": ["create", "update", "delete", NO_ACTION],
                    "roles": ["user"],
                    "effect": "EFFECT_DENY",
                    "output": {"when": {"ruleActivated": otherwise}},
                },
            ],
        },
    })
}

/// Replaces a missing action, because Cerbos needs one.
const NO_ACTION: &str = "none";

/// The question to Cerbos.
pub(crate) fn cerbos_request(case: &Case) -> (String, String, Vec<String>) {
    let Case { input, allow, redact, reason } = case;
    let subject = input.get("subject").cloned().unwrap_or_else(|| json!({}));
    let mut resource = input.get("resource").cloned().unwrap_or_else(|| json!({}));
    if let (Value::Object(resource), Some(environment)) = (&mut resource, input.get("environment"))
    {
        resource.insert("environment".to_owned(), environment.clone());
    }
    let action = input.get("action").and_then(Value::as_str).unwrap_or(NO_ACTION);
    // A principal always has an id; the policy reads the attribute.
    let principal = subject.get("user_id").and_then(Value::as_str).unwrap_or("nobody");
    let body = json!({
        "requestId": "1",
        "principal": {"id": principal, "roles": ["user"], "attr": subject},
        "resources": [{
            "resource": {"kind": "record", "id": "1", "attr": resource},
            "actions": [action],
        }],
    });
    let effect = if *allow { "EFFECT_ALLOW" } else { "EFFECT_DENY" };
    // Its lists have a space after each comma. Another build of Cerbos may write them differently;
    // it would then be refused, not measured.
    let redact: Vec<String> = redact.iter().map(|field| json!(field).to_string()).collect();
    let expected = vec![
        format!("\"{action}\":\"{effect}\""),
        format!("\"redact\":[{}]", redact.join(", ")),
        format!("\"reason\":{}", json!(reason)),
    ];
    ("/api/check/resources".to_owned(), body.to_string(), expected)
}
