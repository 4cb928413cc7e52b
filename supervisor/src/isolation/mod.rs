//! The supervisor's part of isolating workers from the host and from each other.

pub(crate) mod cgroups;
pub(crate) mod context;
pub(crate) mod report;
pub(crate) mod users;
