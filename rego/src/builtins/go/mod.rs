//! What of Go's standard library OPA's values and messages show.

pub(crate) mod float;
pub(crate) mod fmt;
pub(crate) mod parse_float;
pub(crate) mod quote;
pub(crate) mod unicode;
