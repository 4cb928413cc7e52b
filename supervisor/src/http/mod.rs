//! HTTP: the routes, and their common parts.

mod body;
mod connection;
mod cookie;
mod dashboard;
mod data;
mod date;
mod decision;
mod error;
mod evaluation;
mod gate;
mod gzip;
mod json;
pub(crate) mod listener;
mod operations;
mod origin;
mod overview;
mod path;
mod query;
mod quota;
mod routes;
pub(crate) mod server;
mod session;
pub(crate) mod state;
mod stream;
mod why;
