//! `time.*`, as regorus evaluates it.
//!
//! Not here: the clock, which is the evaluation's own, and the zone `Local`, which would be read from
//! a file of the host.

use regorus::Value;

use super::{Answer, Context, Failure, delegated};

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
    delegated::evaluate(name, args)
}

fn names_local(value: &Value) -> bool {
    match value {
        Value::String(text) => &**text == "Local",
        Value::Array(elements) => elements.iter().any(names_local),
        _ => false,
    }
}
