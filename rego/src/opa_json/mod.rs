//! OPA's own JSON of syntax trees, to compare ours with. It is read into Rust's types with the text of
//! numbers kept; values of documents are read by [`crate::json`].

pub mod canonical;
pub mod read;
mod shape;
pub mod write;
