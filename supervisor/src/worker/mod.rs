//! Worker processes: start, communication, and end.

mod clock;
pub(crate) mod connection;
pub(crate) mod exit;
pub(crate) mod handshake;
pub(crate) mod pipeline;
mod socket;
pub(crate) mod spawn;
pub(crate) mod stderr;
#[cfg(test)]
mod testing;
pub(crate) mod usage;
