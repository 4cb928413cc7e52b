//! The errors of a configuration.

use std::fmt;

/// All errors in a configuration, at least one.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is not valid:")?;
        self.0.iter().try_for_each(|error| write!(formatter, "\n  {error}"))
    }
}

#[derive(Debug)]
pub(super) struct ConfigError {
    /// The variable, or the flag where that was used.
    pub(super) name: String,
    pub(super) value: String,
    pub(super) expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is {:?}: {}", self.name, self.value, self.expected)
    }
}
