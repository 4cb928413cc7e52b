//! `yaml.*`

#[cfg(test)]
mod tests;

use regorus::Value;

use super::json::write;
use super::operands::{argument, string};
use super::{Answer, Context, Failure, limits};
use crate::yaml::{self, YamlError};

/// OPA's message for a text that is not YAML.
fn failed(error: YamlError) -> Failure {
    if error.is_limit { limits::exceeded(&error.message) } else { Failure::Builtin(error.message) }
}

pub(super) fn unmarshal(_: &mut Context, args: &[Value]) -> Answer {
    yaml::value(string(args, 1)?, limits::DEPTH).map_err(failed)
}

pub(super) fn is_valid(_: &mut Context, args: &[Value]) -> Answer {
    let Value::String(text) = argument(args, 1) else { return Ok(Value::from(false)) };
    match yaml::value(text, limits::DEPTH) {
        Err(error) if error.is_limit => Err(failed(error)),
        read => Ok(Value::from(read.is_ok())),
    }
}

pub(super) fn marshal(_: &mut Context, args: &[Value]) -> Answer {
    // As in OPA, the value is read from its JSON as YAML.
    let json = write::marshal(argument(args, 1), None)?;
    Ok(Value::from(yaml::of_json(&json, limits::DEPTH).map_err(failed)?))
}
