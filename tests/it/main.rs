//! The real binary, real processes, real sockets. One module for each promise.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test panics, also in its helpers"
)]

mod access;
mod any_arguments;
mod archives;
mod bad_bundles;
mod bad_input;
mod bundle_server;
mod capabilities;
mod concurrency;
mod configuration;
mod dashboard;
mod data_api;
mod decisions;
mod deployment;
mod documents;
mod enforcer;
mod evaluators;
mod faults;
mod http2;
mod http2_client;
mod http_client;
mod latencies;
mod lazy;
mod limits;
mod masks;
mod operations;
mod pki;
mod processes;
mod proxies;
mod quotas;
mod reload;
mod remote_bundles;
mod sandbox;
mod shell;
mod shutdown;
mod stream;
mod stream_client;
mod stream_load;
mod supervision;
mod tls;
mod tokens;
mod trouble;
