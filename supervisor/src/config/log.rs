//! How to log.

use tracing::level_filters::LevelFilter;

/// How to log.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    pub(crate) level: LevelFilter,
    pub(crate) format: LogFormat,
    pub(crate) decisions: bool,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}
