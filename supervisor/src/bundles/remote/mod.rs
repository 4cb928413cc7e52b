//! Bundles that are downloaded from a server, kept on disk, and read from there like others.
//!
//! A download goes to a file of its own. It becomes the tenant's candidate once it was read within
//! the bounds of archives and its signature was verified, and the tenant's last good copy once a
//! worker has loaded it. Nothing that a server does takes a good copy away.

pub(crate) mod cache;
mod client;
pub(crate) mod downloads;
mod error;
mod fetch;
pub(crate) mod poller;
mod schedule;
pub(crate) mod status;
mod transfer;
