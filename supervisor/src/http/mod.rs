//! HTTP: routes, and what they share.

mod body;
mod connection;
mod dashboard;
mod date;
mod decision;
mod error;
mod operations;
mod overview;
mod path;
pub(crate) mod permits;
mod query;
mod routes;
pub(crate) mod server;
pub(crate) mod state;
mod stream;
