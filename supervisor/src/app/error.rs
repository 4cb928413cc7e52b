//! Why the supervisor could not start, or could not go on.

use std::io;
use std::path::PathBuf;

use crate::config::ListenAddress;

/// Why the supervisor could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The operating system refused something that the supervisor needs.
    #[error("{what}: {error}")]
    Host {
        /// The failed operation.
        what: &'static str,
        /// The operating system's error.
        error: io::Error,
    },
    /// The supervisor cannot listen on the address.
    #[error(
        "cannot listen on {address}: {error}; choose another with ENFORCER_HOST and ENFORCER_PORT, or ENFORCER_LISTEN"
    )]
    Listen {
        /// The address of the configuration.
        address: ListenAddress,
        /// The operating system's error.
        error: io::Error,
    },
    /// Workers cannot serve here.
    #[error(
        "this host lacks layers of the sandbox that workers need: {lacking}; run `edge-policy-enforcer sandbox` for details"
    )]
    NotStrict {
        /// The missing layers, each with its reason.
        lacking: String,
    },
    /// The host lacks a system call or a file system that the supervisor needs.
    #[error("this host lacks {what}, which the supervisor needs to {purpose}: {error}; {help}")]
    Missing {
        /// The system call or file system.
        what: &'static str,
        /// Its purpose.
        purpose: &'static str,
        /// The operating system's error.
        error: io::Error,
        /// The operator's remedy.
        help: &'static str,
    },
    /// The directory of the bundle cache cannot be made, read or locked.
    #[error("the bundle cache {} ([bundle_cache] in the configuration file) cannot be used: {error}", directory.display())]
    BundleCache {
        /// The directory of the configuration.
        directory: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
    /// Another supervisor uses the bundle cache.
    #[error(
        "another supervisor uses the bundle cache {}; end that one, or give this one another directory in [bundle_cache] in the configuration file", directory.display()
    )]
    BundleCacheInUse {
        /// The directory of the configuration.
        directory: PathBuf,
    },
    /// The host's clock is before 1970, so policies that depend on the time would decide wrongly.
    #[error("the clock of this host says {0}, which is before 1970: set it, and start again")]
    Clock(String),
    /// The HTTP server ended by itself, which it never should.
    #[error("the HTTP server ended by itself; please report this")]
    ServerEnded(#[source] Option<tokio::task::JoinError>),
    /// The bundles' directory cannot be read.
    #[error("cannot read BUNDLES_DIR: {0}")]
    BundlesDir(io::Error),
}

/// Maps the operating system's error to one about `what`.
pub(super) fn host(what: &'static str) -> impl Fn(io::Error) -> SupervisorError {
    move |error| SupervisorError::Host { what, error }
}
