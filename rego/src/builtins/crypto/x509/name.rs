//! Names of subjects and issuers.

use regorus::Value;

use super::lists::{list, oid, texts};
use crate::builtins::Failure;
use crate::builtins::crypto::der::{self, Der, Element, Oid};
use crate::builtins::crypto::{failed, object};

/// A name's attributes, in order. In requests, values need not be texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Name(Vec<(Oid, Result<String, Value>)>);

/// The name of a `Name` with its header, whose values are texts.
pub(super) fn parse(whole: &[u8]) -> Result<Name, Failure> {
    parse_with(whole, |value| string(value.tag, value.content).map(Ok))
}

/// The same, with a function that reads a value.
pub(super) fn parse_with(
    whole: &[u8],
    read: impl Fn(Element<'_>) -> Result<Result<String, Value>, String>,
) -> Result<Name, Failure> {
    let wrong = |what: &str| failed(&format!("x509: invalid RDNSequence{what}"));
    let mut sequence = Der::new(whole).read(der::SEQUENCE).ok_or_else(|| wrong(""))?;
    let mut attributes = Vec::new();
    while !sequence.is_empty() {
        let mut set = sequence.read(der::SET).ok_or_else(|| wrong(""))?;
        while !set.is_empty() {
            let attribute = set.read(der::SEQUENCE);
            let mut attribute = attribute.ok_or_else(|| wrong(": invalid attribute"))?;
            let kind = attribute.oid().ok_or_else(|| wrong(": invalid attribute type"))?;
            let value = attribute.any().ok_or_else(|| wrong(": invalid attribute value"))?;
            let value =
                read(value).map_err(|what| wrong(&format!(": invalid attribute value: {what}")))?;
            attributes.push((kind, value));
        }
    }
    Ok(Name(attributes))
}

/// A text of one of ASN.1's kinds.
pub(super) fn string(tag: u8, bytes: &[u8]) -> Result<String, String> {
    let ascii = |valid: fn(&u8) -> bool, name: &str| {
        if bytes.iter().all(valid) {
            Ok(bytes.iter().copied().map(char::from).collect())
        } else {
            Err(format!("invalid {name}"))
        }
    };
    match tag {
        // It is nearly Latin-1, and is usually treated as Latin-1.
        der::T61_STRING => Ok(bytes.iter().copied().map(char::from).collect()),
        der::PRINTABLE_STRING => ascii(is_printable, "PrintableString"),
        der::IA5_STRING => ascii(u8::is_ascii, "IA5String"),
        der::NUMERIC_STRING => ascii(|b| matches!(b, b'0'..=b'9' | b' '), "NumericString"),
        der::UTF8_STRING => {
            String::from_utf8(bytes.to_vec()).map_err(|_| "invalid UTF-8 string".to_owned())
        }
        der::BMP_STRING => utf16(bytes).ok_or_else(|| "invalid BMPString".to_owned()),
        other => Err(format!("unsupported string type: {other}")),
    }
}

/// The characters of the type, and two more that certificates have.
fn is_printable(byte: &u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'\''..=b')' | b'+'..=b'/')
        || b" :=?*&".contains(byte)
}

/// Two bytes a character, with an optional zero at the end.
fn utf16(bytes: &[u8]) -> Option<String> {
    let bytes =
        bytes.strip_suffix(&[0, 0]).filter(|_| bytes.len().is_multiple_of(2)).unwrap_or(bytes);
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes
        .chunks(2)
        .map(|pair| {
            let point = pair.iter().fold(0, |point, byte| point << 8 | u32::from(*byte));
            if matches!(point, 0xfffe | 0xffff | 0xfdd0..=0xfdef) {
                return None;
            }
            char::from_u32(point)
        })
        .collect()
}

impl Name {
    fn all(&self, last: u32) -> Vec<&str> {
        let is = |oid: &Oid| oid.is(&[2, 5, 4, last]);
        let texts = self.0.iter().filter(|(oid, _)| is(oid));
        texts.filter_map(|(_, value)| value.as_deref().ok()).collect()
    }

    fn last(&self, last: u32) -> Value {
        Value::from(self.all(last).last().copied().unwrap_or(""))
    }

    /// As Go writes it in JSON.
    pub(super) fn value(&self) -> Value {
        let many = |last| texts(self.all(last).into_iter());
        let attribute = |(kind, value): &(Oid, Result<String, Value>)| {
            let value = match value {
                Ok(text) => Value::from(text.as_str()),
                Err(other) => other.clone(),
            };
            object([("Type", oid(kind)), ("Value", value)])
        };
        object([
            ("Country", many(6)),
            ("Organization", many(10)),
            ("OrganizationalUnit", many(11)),
            ("Locality", many(7)),
            ("Province", many(8)),
            ("StreetAddress", many(9)),
            ("PostalCode", many(17)),
            ("SerialNumber", self.last(5)),
            ("CommonName", self.last(3)),
            ("Names", list(self.0.iter().map(attribute))),
            ("ExtraNames", Value::Null),
        ])
    }
}
