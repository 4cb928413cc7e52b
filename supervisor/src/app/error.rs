//! Why the supervisor could not start, or could not go on.

use std::io;
use std::net::SocketAddr;

/// Why the supervisor could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The operating system refused something that the supervisor needs.
    #[error("{what}: {error}")]
    Host {
        /// What was wanted.
        what: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {error}; choose another with ENFORCER_HOST and ENFORCER_PORT"
    )]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// Workers would not serve here.
    #[error(
        "this host lacks layers of the sandbox that workers need: {lacking}; run `edge-policy-enforcer sandbox` for details"
    )]
    NotStrict {
        /// The layers, and why the host lacks each.
        lacking: String,
    },
    /// The host lacks a system call or a file system that the supervisor needs.
    #[error("this host lacks {what}, which the supervisor needs to {purpose}: {error}; {help}")]
    Missing {
        /// The system call or file system.
        what: &'static str,
        /// What it is for.
        purpose: &'static str,
        /// What the operating system said.
        error: io::Error,
        /// What an operator can do.
        help: &'static str,
    },
    /// The host's clock is before 1970, which is no time to decide at.
    #[error("the clock of this host says {0}, which is before 1970: set it, and start again")]
    Clock(String),
    /// The HTTP server ended by itself, which it never should.
    #[error("the HTTP server ended by itself; please report this")]
    ServerEnded(#[source] Option<tokio::task::JoinError>),
    /// The bundles' directory cannot be read.
    #[error("cannot read BUNDLES_DIR: {0}")]
    BundlesDir(io::Error),
}

/// Maps what the operating system said to an error about `what`.
pub(super) fn host(what: &'static str) -> impl Fn(io::Error) -> SupervisorError {
    move |error| SupervisorError::Host { what, error }
}
