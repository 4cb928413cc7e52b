//! HTTP: the routes, and their common parts.

mod body;
mod connection;
mod dashboard;
mod data;
mod date;
mod decision;
mod error;
mod evaluation;
mod gzip;
mod json;
mod operations;
mod overview;
mod path;
mod query;
mod routes;
pub(crate) mod server;
pub(crate) mod state;
mod stream;
mod why;
