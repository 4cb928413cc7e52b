//! Reads the tables of the configuration file that are no settings.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::{Table, Value as Toml};

use super::errors::ConfigError;
use super::file::ConfigFile;
use super::values::duration;

/// Stands for a value that may be a secret.
const HIDDEN: &str = "…";

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
        let hidden = Toml::from(HIDDEN);
        let is_there = !value.as_str().is_some_and(str::is_empty);
        let value = if self.values == Values::Hidden && is_there { &hidden } else { value };
        self.faults.push(self.file.fault(&format!("{}.{key}", self.name), value, expected));
    }

    pub(super) fn known(&mut self, keys: &[&str]) {
        for (key, value) in self.table {
            if !keys.contains(&key.as_str()) {
                self.fault(key, value, &format!("expected one of {}", keys.join(", ")));
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
        let hidden = Toml::from(HIDDEN);
        // A password in an address is not repeated.
        let is_shown = !value.as_str().is_some_and(|text| text.contains('@'));
        parsed
            .map_err(|expected| {
                self.fault(key, if is_shown { value } else { &hidden }, &expected);
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
        self.fault(key, &Toml::from(""), &expected);
        None
    }

    /// A list of texts, of at least one and at most `most`; `None` after a fault.
    pub(super) fn list(&mut self, key: &str, most: usize, expected: &str) -> Option<Vec<&'a str>> {
        let value = self.table.get(key);
        let texts =
            value.and_then(Toml::as_array).filter(|array| (1..=most).contains(&array.len()));
        let texts = texts.and_then(|array| array.iter().map(Toml::as_str).collect());
        if texts.is_none() {
            self.fault(key, value.unwrap_or(&Toml::from("")), expected);
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
