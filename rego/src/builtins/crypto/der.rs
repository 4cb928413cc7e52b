//! ASN.1 in DER, as strict as Go's `cryptobyte`, which refuses the same certificates.

use num_bigint::{BigInt, BigUint};
use num_traits::ToPrimitive as _;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const NUMERIC_STRING: u8 = 0x12;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const T61_STRING: u8 = 0x14;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// `NULL` with its header.
pub(super) const NULL: &[u8] = &[5, 0];

/// The tag of a context-specific field.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The tag of a constructed context-specific field.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// A reader that takes elements from the front of a DER text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Der<'a>(&'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    /// With its header.
    pub(super) whole: &'a [u8],
    pub(super) content: &'a [u8],
}

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether an element with this tag comes next.
    pub(super) fn peek(self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The next element, with any tag. Tags above 30, indefinite lengths and lengths that are not
    /// in the shortest form are invalid.
    pub(super) fn any(&mut self) -> Option<Element<'a>> {
        let [tag, first, after @ ..] = self.0 else { return None };
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, header) = if first & 0x80 == 0 {
            (usize::from(*first), 2)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let digits = after.get(..count)?;
            let length = digits.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
            if length < 0x80 || digits.first() == Some(&0) {
                return None;
            }
            (usize::try_from(length).ok()?, 2 + count)
        };
        let (whole, rest) = self.0.split_at_checked(header.checked_add(length)?)?;
        self.0 = rest;
        Some(Element { tag: *tag, whole, content: whole.get(header..)? })
    }

    /// The next element, which must have this tag.
    pub(super) fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.peek(tag) { self.any() } else { None }
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn read(&mut self, tag: u8) -> Option<Der<'a>> {
        self.element(tag).map(|element| Der(element.content))
    }

    /// The content of the next element if it has this tag; `None` where it is malformed.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Option<Der<'a>>> {
        if self.peek(tag) { self.read(tag).map(Some) } else { Some(None) }
    }

    fn integer_bytes(&mut self, tag: u8) -> Option<&'a [u8]> {
        let bytes = self.read(tag)?.0;
        match bytes {
            [] => None,
            [0, second, ..] if second & 0x80 == 0 => None,
            [0xff, second, ..] if second & 0x80 != 0 => None,
            _ => Some(bytes),
        }
    }

    /// An integer of any size.
    pub(super) fn integer(&mut self) -> Option<BigInt> {
        self.integer_bytes(INTEGER).map(BigInt::from_signed_bytes_be)
    }

    /// An integer above zero.
    pub(super) fn positive(&mut self) -> Option<BigUint> {
        self.integer()?.to_biguint().filter(|n| *n != BigUint::ZERO)
    }

    /// An integer of a word, with its own tag.
    pub(super) fn word(&mut self, tag: u8) -> Option<i64> {
        BigInt::from_signed_bytes_be(self.integer_bytes(tag)?).to_i64()
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.read(BOOLEAN)?.0 {
            [0] => Some(false),
            [0xff] => Some(true),
            _ => None,
        }
    }

    pub(super) fn oid(&mut self) -> Option<Oid> {
        Oid::of(self.read(OBJECT_IDENTIFIER)?.0)
    }

    /// The bytes of a bit string, shifted so that the last bit is the last of the last byte.
    pub(super) fn bit_string(&mut self) -> Option<BitString<'a>> {
        let (unused, bytes) = self.read(BIT_STRING)?.0.split_first()?;
        let valid = match bytes.last() {
            None => *unused == 0,
            Some(last) => *unused < 8 && last & ((1_u8 << unused) - 1) == 0,
        };
        valid.then_some(BitString { bytes, unused: *unused })
    }
}

/// A bit string.
#[derive(Debug, Clone, Copy)]
pub(super) struct BitString<'a> {
    bytes: &'a [u8],
    unused: u8,
}

impl<'a> BitString<'a> {
    /// The original bytes, and the number of bits.
    pub(super) fn left_aligned(self) -> (&'a [u8], u64) {
        let bits = u64::try_from(self.bytes.len()).unwrap_or(0) * 8;
        (self.bytes, bits.saturating_sub(u64::from(self.unused)))
    }

    /// The bits with the last one at the end of the last byte.
    pub(super) fn right_aligned(self) -> Vec<u8> {
        let mut above = 0;
        self.bytes
            .iter()
            .map(|byte| {
                let shifted = u16::from(above) << 8 | u16::from(*byte);
                above = *byte;
                u8::try_from(shifted >> self.unused & 0xff).unwrap_or(0)
            })
            .collect()
    }

    /// The bit at a place from the front.
    pub(super) fn bit(self, place: usize) -> bool {
        self.bytes.get(place / 8).is_some_and(|byte| byte >> (7 - place % 8) & 1 == 1)
    }
}

/// An object identifier whose parts fit in 31 bits, as Go's `asn1.ObjectIdentifier`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Oid(Vec<u32>);

impl Oid {
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut parts = Vec::with_capacity(bytes.len() + 1);
        let mut part = 0_u32;
        let mut length = 0;
        for byte in bytes {
            if length == 5 || part >= 1 << 24 || length == 0 && *byte == 0x80 {
                return None;
            }
            part = part << 7 | u32::from(byte & 0x7f);
            length += 1;
            if byte & 0x80 == 0 {
                match (parts.is_empty(), part) {
                    (true, 0..80) => parts.extend([part / 40, part % 40]),
                    (true, _) => parts.extend([2, part - 80]),
                    (false, _) => parts.push(part),
                }
                (part, length) = (0, 0);
            }
        }
        (length == 0 && !parts.is_empty()).then_some(Self(parts))
    }

    /// The parts of an identifier of any size, where all fit.
    pub(super) fn parts(&self) -> &[u32] {
        &self.0
    }

    pub(super) fn is(&self, parts: &[u32]) -> bool {
        self.0 == parts
    }
}

impl std::fmt::Display for Oid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            write!(f, "{}{part}", if i > 0 { "." } else { "" })?;
        }
        Ok(())
    }
}

/// An object identifier of any size, by its bytes, as Go's `x509.OID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LongOid(pub(super) Vec<u8>);

impl LongOid {
    /// # Errors
    /// When a part is not in the shortest form, or incomplete.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut at_start = true;
        for byte in bytes {
            if at_start && *byte == 0x80 {
                return None;
            }
            at_start = byte & 0x80 == 0;
        }
        (at_start && !bytes.is_empty()).then(|| Self(bytes.to_vec()))
    }

    /// The identifier, where its parts fit.
    pub(super) fn to_short(&self) -> Option<Oid> {
        Oid::of(&self.0)
    }
}

impl std::fmt::Display for LongOid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut part = BigUint::ZERO;
        let mut first = true;
        for byte in &self.0 {
            part = part << 7 | BigUint::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                continue;
            }
            if first {
                let top = (&part / 40_u32).to_u32().unwrap_or(u32::MAX).min(2);
                write!(f, "{top}.{}", &part - 40 * top)?;
            } else {
                write!(f, ".{part}")?;
            }
            first = false;
            part = BigUint::ZERO;
        }
        Ok(())
    }
}
