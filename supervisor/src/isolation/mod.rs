//! What keeps workers apart from the host and from each other, as far as the supervisor gives it.

pub(crate) mod cgroups;
pub(crate) mod context;
pub(crate) mod report;
pub(crate) mod users;
