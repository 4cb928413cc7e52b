//! What of Go's standard library OPA's values and messages show.

pub(crate) mod parse_float;
pub(crate) mod quote;
