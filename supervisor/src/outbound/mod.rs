//! Requests to servers that the operator has named: for bundles, and for the keys of tokens.

pub(crate) mod client;
pub(crate) mod error;
