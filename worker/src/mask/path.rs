//! The paths of a mask's rules, as OPA reads and writes them.

/// Keys that one path may have: more than a request's input has levels, and few enough that the
/// objects that a rule adds are not nested without a bound.
const MAX_KEYS: usize = 128;

/// The parts of OPA's events that a path may begin with. Events here have no
/// `nd_builtin_cache`, so its rules change nothing.
const PARTS: [&str; 3] = ["input", "result", "nd_builtin_cache"];

/// Where a rule's value is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MaskPath {
    part: &'static str,
    /// The keys below the part, each escaped as a segment of a URL. OPA looks them up so too, so no
    /// path names a key with, for example, a space.
    keys: Vec<String>,
}

impl MaskPath {
    /// Reads a path.
    ///
    /// # Errors
    /// Says why it is none.
    pub(super) fn parse(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Err("mask must be non-empty".to_owned());
        }
        let below = path
            .strip_prefix('/')
            .ok_or_else(|| format!("mask must be slash-prefixed, and {path:?} is not"))?;
        let mut keys = below.split('/');
        let first = keys.next().unwrap_or_default();
        let part = PARTS.into_iter().find(|part| *part == first).ok_or_else(|| {
            format!("mask prefix not allowed: {first:?}; expected /input or /result")
        })?;
        let keys: Vec<String> = keys.take(MAX_KEYS + 1).map(escaped).collect::<Result<_, _>>()?;
        if keys.len() > MAX_KEYS {
            return Err(format!("a path of the mask has more than {MAX_KEYS} keys"));
        }
        Ok(Self { part, keys })
    }

    /// The part of the event that it is in.
    pub(super) const fn part(&self) -> &'static str {
        self.part
    }

    /// The keys below the part; none where the path names all of it.
    pub(super) fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The path, as the lists of erased and masked paths have it.
    pub(super) fn text(&self) -> String {
        let mut text = format!("/{}", self.part);
        for key in &self.keys {
            text.push('/');
            text.push_str(key);
        }
        text
    }
}

/// A segment as Go's `url.PathEscape` writes it, after its `url.PathUnescape` has found it sound.
fn escaped(segment: &str) -> Result<String, String> {
    let mut rest = segment.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let after = rest.get(at + 1..).unwrap_or_default();
        match after {
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                let length = after.len().min(2);
                let bad = after.get(..length).unwrap_or_default();
                return Err(format!("invalid URL escape \"%{}\"", String::from_utf8_lossy(bad)));
            }
        }
    }
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            b'$' | b'&' | b'+' | b':' | b'=' | b'@' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    Ok(text)
}

/// The index of an array that a key is, as Go's `strconv.Atoi` reads it. `None` for a negative one.
pub(super) fn index(key: &str) -> Option<usize> {
    let (is_negative, digits) = match key.as_bytes().first()? {
        b'-' => (true, key.get(1..)?),
        b'+' => (false, key.get(1..)?),
        _ => (false, key),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // One that does not fit is beyond the end of every array too.
    let index: usize = digits.parse().ok()?;
    (!is_negative || index == 0).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPA 1.22.2's paths.
    #[test]
    fn paths_are_read_and_written_as_opa_does() {
        for (path, text) in [
            ("/input", "/input"),
            ("/input/", "/input/"),
            ("/input/a/0", "/input/a/0"),
            ("/result/a b", "/result/a%20b"),
            ("/input/a%20b", "/input/a%2520b"),
            ("/input/$&+:=@~-_.", "/input/$&+:=@~-_."),
            ("/input/;,?!*'()", "/input/%3B%2C%3F%21%2A%27%28%29"),
            ("/input/é", "/input/%C3%A9"),
            ("/nd_builtin_cache/x", "/nd_builtin_cache/x"),
        ] {
            assert_eq!(MaskPath::parse(path).unwrap().text(), text, "{path}");
        }
        for (path, fault) in [
            ("", "non-empty"),
            ("input/a", "slash-prefixed"),
            ("/labels/a", "prefix not allowed"),
            ("/", "prefix not allowed"),
            ("/input%", "prefix not allowed"),
            ("/input/%", "invalid URL escape \"%\""),
            ("/input/%g0", "invalid URL escape \"%g0\""),
            ("/input/%4", "invalid URL escape \"%4\""),
        ] {
            let error = MaskPath::parse(path).unwrap_err();
            assert!(error.contains(fault), "{path}: {error}");
        }
    }

    #[test]
    fn a_path_has_so_many_keys_and_no_more() {
        let of = |keys: usize| MaskPath::parse(&format!("/input{}", "/a".repeat(keys)));
        assert_eq!(of(MAX_KEYS).unwrap().keys().len(), MAX_KEYS);
        assert!(of(MAX_KEYS + 1).is_err());
    }

    #[test]
    fn indexes_are_go_s() {
        for (key, expected) in
            [("0", 0), ("7", 7), ("007", 7), ("+3", 3), ("-0", 0)].map(|(k, i)| (k, Some(i)))
        {
            assert_eq!(index(key), expected, "{key}");
        }
        for key in ["", "-", "+", "-1", "1.0", "1e3", "x", "99999999999999999999999", "1_0", "٣"] {
            assert_eq!(index(key), None, "{key}");
        }
    }
}
