//! HTTP: the routes, and their common parts.

mod body;
mod connection;
mod dashboard;
mod date;
mod decision;
mod error;
mod operations;
mod overview;
mod path;
mod query;
mod routes;
pub(crate) mod server;
pub(crate) mod state;
mod stream;
