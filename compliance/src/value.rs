//! Rego values with exact equality: sets differ from arrays, `1` from `"1"`, `0.1` from
//! `0.10000000000000001`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value as Json, json};

/// A Rego value. The order of the variants is OPA's order of types, so that sets become arrays in
/// the order in which OPA writes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number of any size and precision.
    Number(Number),
    /// Text.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; any value may be a key.
    Object(BTreeMap<Value, Value>),
    /// A set.
    Set(BTreeSet<Value>),
}

/// A decimal number without rounding: `0.DIGITS × 10^exponent`. Equal numbers are equal in all
/// fields, however they were written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    /// Neither the first nor the last is zero; zero has no digits.
    digits: String,
    exponent: i64,
}

/// Integers of up to this many digits are written with all of them.
const LONGEST_INTEGER: i64 = 400;

impl Number {
    /// Reads a number as JSON writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, power) = match rest.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_start_matches('0');
        let leading = i64::try_from(all.len() - significant.len()).ok()?;
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let exponent = i64::try_from(whole.len()).ok()?.checked_add(power)?.checked_sub(leading)?;
        Some(Self { negative, digits, exponent })
    }
}

impl Number {
    fn in_doubles(&self) -> Self {
        let digits = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        let double = format!("0.{}e{}", self.digits, self.exponent).parse::<f64>();
        match double {
            Ok(double) if self.exponent < digits => {
                let sign = if self.negative { "-" } else { "" };
                Self::parse(&format!("{sign}{double}")).unwrap_or_else(|| self.clone())
            }
            _ => self.clone(),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let digits = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        match usize::try_from(self.exponent) {
            _ if self.digits.is_empty() => return formatter.write_str("0"),
            Ok(width) if (digits..=LONGEST_INTEGER).contains(&self.exponent) => {
                let zeros = width - self.digits.len();
                return write!(formatter, "{sign}{}{}", self.digits, "0".repeat(zeros));
            }
            Ok(width) if self.exponent < digits => {
                let (whole, fraction) = self.digits.split_at(width);
                let whole = if whole.is_empty() { "0" } else { whole };
                return write!(formatter, "{sign}{whole}.{fraction}");
            }
            _ => {}
        }
        let first = self.digits.get(..1).unwrap_or("0");
        let rest = self.digits.get(1..).unwrap_or("");
        let point = if rest.is_empty() { "" } else { "." };
        write!(formatter, "{sign}{first}{point}{rest}e{}", self.exponent.saturating_sub(1))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let magnitude =
            self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then(match sign(self) {
            0 => Ordering::Equal,
            1 => magnitude,
            _ => magnitude.reverse(),
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An integer.
    #[must_use]
    pub fn integer(number: i64) -> Self {
        Number::parse(&number.to_string()).map_or(Self::Null, Self::Number)
    }

    /// Ordinary JSON. Its numbers keep the digits that serde_json kept.
    #[must_use]
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(*bool),
            Json::Number(number) => {
                Number::parse(&number.to_string()).map_or(Self::Null, Self::Number)
            }
            Json::String(text) => Self::String(text.clone()),
            Json::Array(items) => Self::Array(items.iter().map(Self::from_json).collect()),
            Json::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(key, value)| (Self::String(key.clone()), Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// The lossless form of the processes' protocol: see `tests/opa/main.go`.
    #[must_use]
    pub fn to_typed(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => Json::Bool(*bool),
            Self::Number(number) => json!({ "n": number.to_string() }),
            Self::String(text) => Json::String(text.clone()),
            Self::Array(items) => Json::Array(items.iter().map(Self::to_typed).collect()),
            Self::Set(items) => {
                json!({ "s": items.iter().map(Self::to_typed).collect::<Vec<_>>() })
            }
            Self::Object(members) => json!({
                "o": members
                    .iter()
                    .map(|(key, value)| [key.to_typed(), value.to_typed()])
                    .collect::<Vec<_>>()
            }),
        }
    }

    /// Reads [`Value::to_typed`]'s form.
    #[must_use]
    pub fn from_typed(json: &Json) -> Option<Self> {
        let items = |json: &Json| -> Option<Vec<Self>> {
            json.as_array()?.iter().map(Self::from_typed).collect()
        };
        match json {
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
                Some(Self::from_json(json))
            }
            Json::Array(_) => items(json).map(Self::Array),
            Json::Object(members) => {
                if let Some(number) = members.get("n") {
                    Number::parse(number.as_str()?).map(Self::Number)
                } else if let Some(set) = members.get("s") {
                    Some(Self::Set(items(set)?.into_iter().collect()))
                } else {
                    let pairs = members.get("o")?.as_array()?;
                    let pair = |pair: &Json| match items(pair)?.as_slice() {
                        [key, value] => Some((key.clone(), value.clone())),
                        _ => None,
                    };
                    pairs.iter().map(pair).collect::<Option<_>>().map(Self::Object)
                }
            }
        }
    }

    /// With fractions as doubles, the only fractions of our arithmetic (`docs/rego.md`).
    #[must_use]
    pub fn in_doubles(&self) -> Self {
        match self {
            Self::Null | Self::Bool(_) | Self::String(_) => self.clone(),
            Self::Number(number) => Self::Number(number.in_doubles()),
            Self::Array(items) => Self::Array(items.iter().map(Self::in_doubles).collect()),
            Self::Set(items) => Self::Set(items.iter().map(Self::in_doubles).collect()),
            Self::Object(members) => Self::Object(
                members.iter().map(|(key, value)| (key.in_doubles(), value.in_doubles())).collect(),
            ),
        }
    }

    /// As converted to JSON: sets are arrays, and keys are strings.
    #[must_use]
    pub fn plain(&self) -> Self {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => self.clone(),
            Self::Array(items) => Self::Array(items.iter().map(Self::plain).collect()),
            Self::Set(items) => Self::Array(items.iter().map(Self::plain).collect()),
            Self::Object(members) => Self::Object(
                members.iter().map(|(key, value)| (key.key_text(), value.plain())).collect(),
            ),
        }
    }

    fn key_text(&self) -> Self {
        match self {
            Self::String(_) => self.clone(),
            _ => Self::String(self.plain().compact()),
        }
    }

    /// JSON text without white space, of a value without sets.
    #[must_use]
    pub fn compact(&self) -> String {
        match self {
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::compact).collect();
                format!("[{}]", items.join(","))
            }
            Self::Set(items) => Self::Array(items.iter().cloned().collect()).compact(),
            Self::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("{}:{}", key.compact(), value.compact()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => self.to_string(),
        }
    }
}

/// As Rego writes it.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<'a>(
            formatter: &mut fmt::Formatter<'_>,
            items: impl Iterator<Item = &'a Value>,
        ) -> fmt::Result {
            for (index, item) in items.enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                write!(formatter, "{comma}{item}")?;
            }
            Ok(())
        }
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(bool) => write!(formatter, "{bool}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::String(text) => write!(formatter, "{}", Json::String(text.clone())),
            Self::Array(items) => {
                formatter.write_str("[")?;
                list(formatter, items.iter())?;
                formatter.write_str("]")
            }
            Self::Set(items) if items.is_empty() => formatter.write_str("set()"),
            Self::Set(items) => {
                formatter.write_str("{")?;
                list(formatter, items.iter())?;
                formatter.write_str("}")
            }
            Self::Object(members) => {
                formatter.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(formatter, "{comma}{key}: {value}")?;
                }
                formatter.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        for (one, other) in
            [("1e3", "1000"), ("0.10", "1E-1"), ("-0", "0"), ("100000000000000000000", "1e20")]
        {
            assert_eq!(number(one), number(other), "{one} {other}");
        }
        assert_ne!(number("0.1"), number("0.10000000000000001"));
        assert_ne!(number("-1"), number("1"));
    }

    #[test]
    fn numbers_are_ordered_by_size() {
        let ordered = ["-1e3", "-2", "-1.5", "0", "1e-9", "0.1", "1", "1.01", "9", "10", "1e20"];
        for pair in ordered.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn the_typed_form_loses_nothing() {
        let set = Value::Set(BTreeSet::from([Value::Array(vec![]), Value::Null]));
        let members = [(Value::integer(1), set), (Value::text("n"), Value::Set(BTreeSet::new()))];
        let value = Value::Array(vec![
            Value::Object(members.into_iter().collect()),
            Value::Number(number("1e-400")),
            Value::Number(number("12345678901234567890")),
        ]);
        assert_eq!(Value::from_typed(&value.to_typed()), Some(value));
    }

    #[test]
    fn plain_values_have_no_sets_and_text_as_keys() {
        let value = Value::Object(BTreeMap::from([(
            Value::Set(BTreeSet::from([Value::integer(2), Value::integer(1)])),
            Value::Set(BTreeSet::new()),
        )]));
        assert_eq!(value.plain().to_string(), r#"{"[1,2]": []}"#);
    }
}
