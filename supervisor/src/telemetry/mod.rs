//! The operators' view of the service: the log, metrics, and the last minutes.

pub(crate) mod exposition;
pub(crate) mod history;
mod key_metrics;
pub(crate) mod logging;
pub(crate) mod metrics;
mod process;
