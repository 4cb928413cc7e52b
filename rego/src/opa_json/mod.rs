//! OPA's own JSON of syntax trees, to compare ours with.

pub mod canonical;
pub mod read;
pub mod write;
