//! Finds the input in a request's body, to show it.
//!
//! No decision depends on it. The worker has read the same body before and answered; but a worker
//! may be hostile, and may accept a body that is not JSON. The input stands in the middle of an
//! event, so it has to be one whole value, or a body could write the rest of the event itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A request's body, and the place of the input in it.
#[derive(Clone, Debug)]
pub(crate) enum RequestInput {
    /// The member `input` of a body in JSON.
    Member(Bytes),
    /// The whole of a text in JSON.
    Whole(Bytes),
    /// The input of this name in a batch.
    Batched(Arc<BatchInputs>, String),
    /// The body is not JSON.
    OtherLanguage,
    /// The request has no input.
    Absent,
}

/// The inputs of one batch. They are found once for all of them, when the first is shown.
#[derive(Debug)]
pub(crate) struct BatchInputs {
    body: Bytes,
    count: usize,
    /// The text of each input by its name.
    found: OnceLock<BTreeMap<String, String>>,
}

impl BatchInputs {
    /// The inputs in `body`, which are `count`.
    pub(crate) fn new(body: &Bytes, count: usize) -> Arc<Self> {
        // The body as it is may be part of a much larger buffer.
        let body = Bytes::copy_from_slice(body);
        Arc::new(Self { body, count, found: OnceLock::new() })
    }

    fn find(&self, name: &str) -> Option<&RawValue> {
        let found = self.found.get_or_init(|| {
            let Ok(Batch { inputs }) = serde_json::from_slice(&self.body) else {
                return BTreeMap::new();
            };
            inputs.into_iter().map(|(name, text)| (name, text.get().to_owned())).collect()
        });
        sound(serde_json::from_str(found.get(name)?).ok()?)
    }
}

/// A batch's body, of which only `inputs` is looked at.
#[derive(serde::Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    inputs: BTreeMap<String, &'a RawValue>,
}

impl RequestInput {
    /// Bytes that are kept for it.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Member(text) | Self::Whole(text) => text.len(),
            // The body, and once more the texts that are found in it.
            Self::Batched(inputs, name) => name.len() + 2 * inputs.body.len() / inputs.count.max(1),
            Self::OtherLanguage | Self::Absent => 0,
        }
    }

    /// A copy that keeps no more memory than it needs: a body may be part of a much larger buffer.
    pub(super) fn copied(&self) -> Self {
        match self {
            Self::Member(text) => Self::Member(Bytes::copy_from_slice(text)),
            Self::Whole(text) => Self::Whole(Bytes::copy_from_slice(text)),
            Self::Batched(..) | Self::OtherLanguage | Self::Absent => self.clone(),
        }
    }

    /// The input as it is shown, or why it is left out.
    pub(super) fn shown(&self) -> Result<&RawValue, &'static str> {
        let found = match self {
            Self::Member(body) => find(body),
            Self::Whole(text) => serde_json::from_slice(text).ok().and_then(sound),
            Self::Batched(inputs, name) => inputs.find(name),
            Self::OtherLanguage => None,
            Self::Absent => return Err("no_input"),
        };
        found.ok_or("not_json")
    }
}

/// The value of `input` in `body`, as it was sent. The last of equal keys counts, as in OPA. `None`
/// where an honest worker would refuse the body: JSON in UTF-8, nested to 127 levels, with an
/// `input`.
fn find(body: &[u8]) -> Option<&RawValue> {
    let Envelope(input) = serde_json::from_slice(body).ok()?;
    sound(input?)
}

/// A value, if every part of it can be read.
fn sound(value: &RawValue) -> Option<&RawValue> {
    serde_json::from_str::<Sound>(value.get()).ok().map(|Sound| value)
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
    fn an_input_is_shown_from_its_place() {
        let text = |text: &str| Bytes::from(text.to_owned());
        let shown = |input: &RequestInput| input.shown().map(|value| value.get().to_owned());
        assert_eq!(shown(&RequestInput::Whole(text(" {\"a\": 1} "))).as_deref(), Ok("{\"a\": 1}"));
        assert_eq!(shown(&RequestInput::Whole(text("1,\"x\":2"))), Err("not_json"));
        assert_eq!(shown(&RequestInput::OtherLanguage), Err("not_json"));
        assert_eq!(shown(&RequestInput::Absent), Err("no_input"));
        let body = r#"{"common_input":{},"inputs":{"a":{"x": 1},"b":"\ud800","c":2}}"#;
        let inputs = BatchInputs::new(&text(body), 3);
        let of = |name: &str| shown(&RequestInput::Batched(Arc::clone(&inputs), name.to_owned()));
        assert_eq!(of("a").as_deref(), Ok("{\"x\": 1}"));
        assert_eq!(of("c").as_deref(), Ok("2"));
        assert_eq!(of("b"), Err("not_json"));
        assert_eq!(of("d"), Err("not_json"));
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
