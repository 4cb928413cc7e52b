//! `time.*`, as regorus evaluates it.
//!
//! Not here: the clock, which is the evaluation's own, and the zone `Local`, which would be read from
//! a file of the host.

use regorus::Value;
use regorus::unstable::{BUILTINS, Expr, Ref, Source, Span};

use super::{Answer, Context, Failure};

/// The time at which the evaluation began.
pub(super) fn now_ns(context: &mut Context, _: &[Value]) -> Answer {
    Ok(Value::from(context.now_ns))
}

/// Functions by name.
macro_rules! regorus {
    ($($function:ident = $name:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub(super) fn $function(_: &mut Context, args: &[Value]) -> Answer {
                evaluate($name, args)
            }
        )*
    };
}

regorus! {
    add_date = "time.add_date";
    clock = "time.clock";
    date = "time.date";
    diff = "time.diff";
    format = "time.format";
    parse_duration_ns = "time.parse_duration_ns";
    parse_ns = "time.parse_ns";
    parse_rfc3339_ns = "time.parse_rfc3339_ns";
    weekday = "time.weekday";
}

fn evaluate(name: &str, args: &[Value]) -> Answer {
    if args.iter().any(names_local) {
        return Err(Failure::Builtin("the zone Local is not known here".to_owned()));
    }
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

fn names_local(value: &Value) -> bool {
    match value {
        Value::String(text) => &**text == "Local",
        Value::Array(elements) => elements.iter().any(names_local),
        _ => false,
    }
}
