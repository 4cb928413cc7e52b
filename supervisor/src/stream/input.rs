//! Finds the input in a request's body, to show it.
//!
//! No decision depends on it. The worker has read the same body before and answered; but a worker
//! may be hostile, and may accept a body that is not JSON. The input stands in the middle of an
//! event, so it has to be one whole value, or a body could write the rest of the event itself.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The value of `input` in `body`, as it was sent. The last of equal keys counts, as in OPA. `None`
/// where an honest worker would refuse the body: JSON in UTF-8, nested to 127 levels, with an
/// `input`.
pub(super) fn find(body: &[u8]) -> Option<&RawValue> {
    let Envelope(input) = serde_json::from_slice(body).ok()?;
    let input = input?;
    serde_json::from_str::<Sound>(input.get()).ok().map(|Sound| input)
}

/// A request's body, of which only `input` is looked at.
struct Envelope<'a>(Option<&'a RawValue>);

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut input = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "input" {
                input = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Envelope(input))
    }
}

/// A value of which every part was read. A value that is only skipped may nest without a bound and
/// hold half a surrogate pair, which consumers' parsers reject.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SoundVisitor)
    }
}

struct SoundVisitor;

impl<'de> Visitor<'de> for SoundVisitor {
    type Value = Sound;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Sound, A::Error> {
        while sequence.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sound, A::Error> {
        while map.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &[u8]) -> Option<&str> {
        find(body).map(RawValue::get)
    }

    #[test]
    fn the_input_is_found_as_it_was_sent() {
        for (body, input) in [
            (r#"{"input":{"a":[1.10,null,true,"é\n"]}}"#, r#"{"a":[1.10,null,true,"é\n"]}"#),
            (r#" { "x" : {"input":1} , "input" : 18446744073709551615 } "#, "18446744073709551615"),
            (r#"{"input":1,"input":{"b": 2}}"#, r#"{"b": 2}"#),
            (r#"{"\u0069nput":-1e3}"#, "-1e3"),
            (r#"{"input":null}"#, "null"),
        ] {
            assert_eq!(found(body.as_bytes()), Some(input), "{body}");
        }
    }

    #[test]
    fn what_no_honest_worker_decides_about_is_not_shown() {
        let deep = format!(r#"{{"input":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        for body in [
            r"",
            r"{}",
            r"[]",
            r#"{"input":1"#,
            r#"{"input":1}}"#,
            r#"{"input":1},"data":{"tenant_id":"other"}"#,
            r#"{"input":"\ud800"}"#,
            r#"{"input":{"\ud800":1}}"#,
            r#"{"input":1e999}"#,
            deep.as_str(),
        ] {
            assert_eq!(found(body.as_bytes()), None, "{}", body.get(..40).unwrap_or(body));
        }
        assert_eq!(found(b"{\"input\":\"\xff\"}"), None);
    }
}
