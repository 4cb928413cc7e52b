//! `uuid.*`, `rand.intn`

use std::collections::BTreeMap;

use regorus::Value;

use super::operands::{argument, string, word};
use super::{Answer, Context, Failure, encoding, limits, text};

/// The highest number of different random values in one evaluation.
const RANDOM_VALUES: usize = 1 << 16;

/// Intervals of 100 ns from the beginning of the Gregorian calendar to 1970.
const GREGORIAN: i64 = 122_192_928_000_000_000;

pub(super) fn rfc4122(context: &mut Context, args: &[Value]) -> Answer {
    let key = format!("uuid.rfc4122 {}", text::term(argument(args, 1))?);
    stable(context, key, || {
        let mut bytes: [u8; 16] = random()?;
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        let digits = encoding::hex(&bytes);
        let mut uuid = String::new();
        for (i, digit) in digits.chars().enumerate() {
            if matches!(i, 8 | 12 | 16 | 20) {
                uuid.push('-');
            }
            uuid.push(digit);
        }
        Ok(Value::from(uuid))
    })
}

pub(super) fn intn(context: &mut Context, args: &[Value]) -> Answer {
    let (name, n) = (string(args, 1)?, word(args, 2)?.unsigned_abs());
    if n == 0 {
        return Ok(Value::from(0u64));
    }
    let key = format!("rand.intn {name}-{n}");
    stable(context, key, || {
        // The range of numbers that is a multiple of n, so that the distribution is uniform.
        let end = u64::MAX - u64::MAX % n;
        loop {
            let number = u64::from_le_bytes(random()?);
            if number < end {
                return Ok(Value::from(number % n));
            }
        }
    })
}

/// A random value, the same for every call in one evaluation.
pub(super) fn stable(
    context: &mut Context,
    key: String,
    make: impl FnOnce() -> Result<Value, Failure>,
) -> Answer {
    if let Some(known) = context.stable.get(&key) {
        return Ok(known.clone());
    }
    if context.stable.len() >= RANDOM_VALUES {
        return Err(limits::exceeded("there are too many random values"));
    }
    let value = make()?;
    context.stable.insert(key, value.clone());
    Ok(value)
}

/// Bytes from the system's generator.
fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Halt(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

/// A UUID's parts; undefined where the text is not a UUID.
pub(super) fn parse(_: &mut Context, args: &[Value]) -> Answer {
    let Some(bytes) = bytes(string(args, 1)?) else { return Ok(Value::Undefined) };
    let number = u128::from_be_bytes(bytes);
    let part =
        |shift: u32, bits: u32| u64::try_from(number >> shift & ((1 << bits) - 1)).unwrap_or(0);
    let version = part(76, 4);
    let variant = match part(56, 8) {
        byte if byte & 0xc0 == 0x80 => "RFC4122",
        byte if byte & 0xe0 == 0xc0 => "Microsoft",
        byte if byte & 0xe0 == 0xe0 => "Future",
        _ => "Reserved",
    };
    let mut parts = BTreeMap::from([
        (Value::from("version"), Value::from(version)),
        (Value::from("variant"), Value::from(variant)),
    ]);
    if matches!(version, 1 | 2) {
        let time = part(96, 32) | part(80, 16) << 32 | part(64, 12) << 48;
        let node: Vec<String> = (0..6).map(|i| format!("{:02x}", part(40 - 8 * i, 8))).collect();
        let address = match part(40, 2) {
            0b11 => "local:multicast",
            0b01 => "global:multicast",
            0b10 => "local:unicast",
            _ => "global:unicast",
        };
        parts.insert(Value::from("time"), Value::from(nanoseconds(time.cast_signed())));
        parts.insert(Value::from("nodeid"), Value::from(node.join("-")));
        parts.insert(Value::from("macvariables"), Value::from(address));
        parts.insert(Value::from("clocksequence"), Value::from(part(48, 14)));
    }
    if version == 2 {
        let domain = match part(48, 8) {
            0 => "Person".to_owned(),
            1 => "Group".to_owned(),
            2 => "Org".to_owned(),
            other => format!("Domain{other}"),
        };
        parts.insert(Value::from("id"), Value::from(part(96, 32)));
        parts.insert(Value::from("domain"), Value::from(domain));
    }
    Ok(Value::from(parts))
}

/// Nanoseconds since 1970 of intervals since 1582. In Go, larger values wrap around.
fn nanoseconds(intervals: i64) -> i64 {
    let since = intervals.wrapping_sub(GREGORIAN);
    let seconds = since / 10_000_000;
    seconds.wrapping_mul(1_000_000_000).wrapping_add(since % 10_000_000 * 100)
}

/// The bytes of a text: plain, in braces or any two characters, after `urn:uuid:`, or only digits.
fn bytes(text: &str) -> Option<[u8; 16]> {
    let digits = match text.len() {
        32 => text.to_owned(),
        36 => without_hyphens(text)?,
        38 => without_hyphens(text.get(1..37)?)?,
        45 => {
            let (prefix, uuid) = text.split_at_checked(9)?;
            if !prefix.eq_ignore_ascii_case("urn:uuid:") {
                return None;
            }
            without_hyphens(uuid)?
        }
        _ => return None,
    };
    let all_digits = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| all_digits)?;
    Some(number.to_be_bytes())
}

fn without_hyphens(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(32);
    for (i, c) in text.chars().enumerate() {
        match (i, c) {
            (8 | 13 | 18 | 23, '-') => {}
            (8 | 13 | 18 | 23, _) => return None,
            (_, c) => digits.push(c),
        }
    }
    Some(digits)
}
