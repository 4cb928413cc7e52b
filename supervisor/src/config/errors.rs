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
    /// `None` where it is not there, and where it may be a secret.
    pub(super) value: Option<String>,
    pub(super) expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(formatter, "{} is {value:?}: {}", self.name, self.expected),
            None => write!(formatter, "{}: {}", self.name, self.expected),
        }
    }
}
