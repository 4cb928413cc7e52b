//! A tenant as requests see it, and everything that belongs to one tenant alone.

pub(crate) mod admission;
pub(crate) mod controller;
pub(crate) mod lifecycle;
pub(crate) mod orders;
pub(crate) mod poison;
pub(crate) mod quota;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod state;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod testing;
