//! The parts of Go's standard library that OPA's values and messages depend on.

pub(crate) mod base64;
pub(crate) mod calendar;
pub(crate) mod float;
pub(crate) mod fmt;
pub(crate) mod parse_float;
pub(crate) mod parse_int;
pub(crate) mod quote;
pub(crate) mod unicode;
pub(crate) mod url;
mod url_reference;
