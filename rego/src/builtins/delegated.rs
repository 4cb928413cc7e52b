//! Built-ins that regorus evaluates.

use regorus::Value;
use regorus::unstable::{BUILTINS, Expr, Ref, Source, Span};

use super::{Answer, Context, Failure};

macro_rules! delegated {
    ($($function:ident = $name:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub(super) fn $function(_: &mut Context, args: &[Value]) -> Answer {
                evaluate($name, args)
            }
        )*
    };
}

delegated! {
    match_schema = "json.match_schema";
    verify_schema = "json.verify_schema";
    yaml_marshal = "yaml.marshal";
}

/// `yaml.unmarshal`
pub(super) fn yaml_unmarshal(_: &mut Context, args: &[Value]) -> Answer {
    match args {
        [Value::String(text)] => {
            crate::yaml::parse(text).map_err(|error| Failure::Builtin(error.to_string()))
        }
        _ => Err(Failure::Type("operand 1 must be string".to_owned())),
    }
}

/// `yaml.is_valid`
pub(super) fn yaml_is_valid(_: &mut Context, args: &[Value]) -> Answer {
    let is_valid = matches!(args, [Value::String(text)] if crate::yaml::parse(text).is_ok());
    Ok(Value::Bool(is_valid))
}

/// A built-in of regorus.
pub(super) fn evaluate(name: &str, args: &[Value]) -> Answer {
    let failed = |error: anyhow::Error| {
        let message = error.to_string();
        let line = message.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        Failure::Builtin(line.trim_start_matches("error: ").to_owned())
    };
    let (function, _) = BUILTINS
        .get(name)
        .ok_or_else(|| Failure::Builtin("it is not part of the engine".to_owned()))?;
    // regorus wants a place for its messages, of which only the words are kept.
    let source = Source::from_contents("built-in".to_owned(), "_".to_owned()).map_err(failed)?;
    let span = Span { source, line: 1, col: 1, start: 0, end: 1 };
    let places: Vec<_> = args
        .iter()
        .map(|_| Ref::new(Expr::Null { span: span.clone(), value: Value::Null, eidx: 0 }))
        .collect();
    function(&span, &places, args, true).map_err(failed)
}
