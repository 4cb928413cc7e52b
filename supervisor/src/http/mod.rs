//! HTTP: the routes, and their common parts.

pub(crate) mod addresses;
mod body;
mod connection;
mod dashboard;
mod data;
mod date;
mod decision;
mod error;
mod evaluation;
mod gate;
mod gzip;
pub(crate) mod handshake;
mod http2;
mod json;
pub(crate) mod listener;
mod operations;
mod overview;
mod path;
mod proxy_protocol;
mod query;
mod routes;
pub(crate) mod server;
mod socket;
pub(crate) mod state;
mod stream;
mod why;
