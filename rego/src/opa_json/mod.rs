//! OPA's own JSON of syntax trees: what `rego.parse_module` has, and what ours are compared with.

#[cfg(any(test, feature = "opa-json"))]
pub mod canonical;
#[cfg(any(test, feature = "opa-json"))]
pub mod read;
pub mod write;
