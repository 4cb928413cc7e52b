//! Terminates HTTP, keeps one worker process per tenant, and trusts none of them.
//!
//! Nothing here parses Rego, a tenant's data, or a request's body: all of that happens in the
//! tenant's own worker.

mod access;
mod app;
mod blocking;
mod bundles;
mod clock;
mod config;
mod deadline;
mod error_code;
mod http;
mod inspection;
mod isolation;
mod outbound;
mod permits;
mod readiness;
mod signatures;
mod stream;
mod telemetry;
mod tenant;
mod tls;
mod worker;

#[doc(hidden)]
pub mod fuzzing {
    //! The functions that the fuzz targets call; not part of the crate's interface.

    pub use crate::bundles::fuzzing::unpack;
    pub use crate::signatures::fuzzing::{canonical, verify};
    pub use crate::worker::connection::fuzzing::frames;
}

pub use access::token::NewToken;
pub use app::error::SupervisorError;
pub use app::host::prepare_process;
pub use app::inspect::{BundleInspector, BundleSubject, Loading, NoFindings};
pub use app::{report_sandbox, run};
pub use config::{
    Config, ConfigErrors, ListenAddress, LogConfig, SETTINGS, Setting, parse_credential_name,
    parse_expiry,
};
pub use isolation::context::protect_supervisor;
pub use isolation::report::{LayerReport, SandboxReport};
pub use telemetry::logging::{LogGuard, init as init_logging};
pub use worker::spawn::WORKER_SUBCOMMAND;
