//! `opa.runtime`, and `rego.metadata.*` where the compiler has not replaced them.

use regorus::Value;

use super::{Answer, Context, Failure};

/// Without information about the host.
pub(super) fn runtime(_: &mut Context, _: &[Value]) -> Answer {
    Ok(Value::new_object())
}

/// Test cases only matter to OPA's tracer, which does not exist here.
pub(super) fn test_case(_: &mut Context, _: &[Value]) -> Answer {
    Ok(Value::from(true))
}

pub(super) fn metadata_chain(_: &mut Context, _: &[Value]) -> Answer {
    Err(only_in_rules("rego.metadata.chain"))
}

pub(super) fn metadata_rule(_: &mut Context, _: &[Value]) -> Answer {
    Err(only_in_rules("rego.metadata.rule"))
}

fn only_in_rules(name: &str) -> Failure {
    Failure::Builtin(format!("the {name} function must only be called within the scope of a rule"))
}
