//! Reads the tables of the configuration file that are no settings.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::{Table, Value as Toml};

use super::errors::ConfigError;
use super::file::ConfigFile;
use super::values::duration;

/// Whether messages repeat the values of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    Shown,
    /// One of them may be a secret that was put into the wrong place.
    Hidden,
}

/// A table of the file while it is read. Every fault is kept, not only the first.
pub(super) struct Fields<'a> {
    pub(super) file: &'a ConfigFile,
    pub(super) name: String,
    pub(super) table: &'a Table,
    pub(super) faults: &'a mut Vec<ConfigError>,
    values: Values,
}

impl<'a> Fields<'a> {
    /// Of the table with this name.
    pub(super) const fn new(
        file: &'a ConfigFile,
        name: String,
        table: &'a Table,
        faults: &'a mut Vec<ConfigError>,
    ) -> Self {
        Self { file, name, table, faults, values: Values::Shown }
    }

    /// The same for a table whose values no message repeats.
    pub(super) const fn secret(
        file: &'a ConfigFile,
        name: String,
        table: &'a Table,
        faults: &'a mut Vec<ConfigError>,
    ) -> Self {
        Self { file, name, table, faults, values: Values::Hidden }
    }

    pub(super) fn fault(&mut self, key: &str, value: &Toml, expected: &str) {
        let name = format!("{}.{key}", self.name);
        self.faults.push(match self.values {
            Values::Shown => self.file.fault(&name, value, expected),
            Values::Hidden => self.file.fault_without_value(&name, expected),
        });
    }

    /// The same where there is no value, or where it may be a secret.
    pub(super) fn fault_without_value(&mut self, key: &str, expected: &str) {
        self.faults.push(self.file.fault_without_value(&format!("{}.{key}", self.name), expected));
    }

    pub(super) fn known(&mut self, keys: &[&str]) {
        for key in self.table.keys() {
            if !keys.contains(&key.as_str()) {
                self.fault_without_value(key, &format!("expected one of {}", keys.join(", ")));
            }
        }
    }

    /// A value of text that `parse` understands; `None` without it, and after a fault.
    pub(super) fn text<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.table.get(key)?;
        let parsed = match value {
            Toml::String(text) => parse(text),
            Toml::Integer(number) => parse(&number.to_string()),
            Toml::Datetime(time) => parse(&time.to_string()),
            _ => Err("expected a string".to_owned()),
        };
        // A password in an address is not repeated.
        let is_secret = value.as_str().is_some_and(|text| text.contains('@'));
        parsed
            .map_err(|expected| match is_secret {
                true => self.fault_without_value(key, &expected),
                false => self.fault(key, value, &expected),
            })
            .ok()
    }

    pub(super) fn needed<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.table.contains_key(key) {
            return self.text(key, parse);
        }
        let expected = parse("").err().unwrap_or_else(|| "expected a value".to_owned());
        self.fault_without_value(key, &expected);
        None
    }

    /// A list of texts, of at least one and at most `most`; `None` after a fault.
    pub(super) fn list(&mut self, key: &str, most: usize, expected: &str) -> Option<Vec<&'a str>> {
        let value = self.table.get(key);
        let texts =
            value.and_then(Toml::as_array).filter(|array| (1..=most).contains(&array.len()));
        let texts = texts.and_then(|array| array.iter().map(Toml::as_str).collect());
        match (&texts, value) {
            (Some(_), _) => {}
            (None, Some(value)) => self.fault(key, value, expected),
            (None, None) => self.fault_without_value(key, expected),
        }
        texts
    }

    pub(super) fn time(
        &mut self,
        key: &str,
        bounds: RangeInclusive<u64>,
        default: Duration,
    ) -> Duration {
        self.text(key, |text| duration(text, bounds)).unwrap_or(default)
    }

    pub(super) fn boolean(&mut self, key: &str) -> bool {
        match self.table.get(key) {
            None => false,
            Some(Toml::Boolean(value)) => *value,
            Some(other) => {
                self.fault(key, other, "expected true or false");
                false
            }
        }
    }
}
