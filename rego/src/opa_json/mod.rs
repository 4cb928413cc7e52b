//! OPA's own JSON of syntax trees: the result of `rego.parse_module`, and the reference for
//! comparisons of ours. It is read into Rust's types with the text of numbers kept; values of
//! documents are read by [`crate::json`].

#[cfg(any(test, feature = "opa-json"))]
pub mod canonical;
#[cfg(any(test, feature = "opa-json"))]
pub mod read;
#[cfg(any(test, feature = "opa-json"))]
mod shape;
pub mod write;
