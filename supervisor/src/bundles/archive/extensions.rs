//! Headers that extend the next entry's: GNU's long names, and the records of PAX.
//!
//! Of them only a path is used. Whatever else would change what a file is or where it ends is
//! refused, because readers of archives disagree about it.

/// The extensions of the next entry, from the headers before it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    name: Option<Vec<u8>>,
    is_pending: bool,
}

impl Extensions {
    /// Whether a header waits for its entry.
    pub(super) const fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// The name of the entry that comes now, if a header gave one.
    pub(super) fn take_name(&mut self) -> Option<Vec<u8>> {
        self.is_pending = false;
        self.name.take()
    }

    /// Takes GNU's header with a long name.
    ///
    /// # Errors
    /// When the entry was extended already.
    pub(super) fn take_long_name(&mut self, content: &[u8]) -> Result<bool, String> {
        self.begin()?;
        self.name = Some(content.strip_suffix(b"\0").unwrap_or(content).to_vec());
        Ok(true)
    }

    /// Takes a header's records, `length key=value` and a line feed each. Returns whether they name
    /// the entry.
    ///
    /// # Errors
    /// When a record is malformed or would change how the entry is read.
    pub(super) fn take_records(&mut self, content: &[u8]) -> Result<bool, String> {
        self.begin()?;
        let mut rest = content;
        while !rest.is_empty() {
            let (record, behind) = record(rest).ok_or("a record is malformed")?;
            rest = behind;
            let (key, value) = split(record, b'=').ok_or("a record has no value")?;
            match key {
                b"path" => self.set_path(value)?,
                b"size" | b"linkpath" | b"hdrcharset" => return Err(refused(key)),
                _ if key.starts_with(b"GNU.sparse.") => return Err(refused(key)),
                // Times, owners, comments: nothing that is in a bundle.
                _ => {}
            }
        }
        Ok(self.name.is_some())
    }

    fn set_path(&mut self, path: &[u8]) -> Result<(), String> {
        match self.name.replace(path.to_vec()) {
            None => Ok(()),
            Some(_) => Err("the path is given twice".to_owned()),
        }
    }

    fn begin(&mut self) -> Result<(), String> {
        if self.is_pending {
            return Err("it follows another one".to_owned());
        }
        self.is_pending = true;
        Ok(())
    }
}

fn refused(key: &[u8]) -> String {
    format!("the record {} is not supported", String::from_utf8_lossy(key))
}

/// The first record without its length and line feed, and what is behind it.
fn record(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (digits, _) = split(content, b' ')?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let (whole, behind) = content.split_at_checked(length)?;
    let record = whole.get(digits.len() + 1..)?.strip_suffix(b"\n")?;
    Some((record, behind))
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| *byte == at)?;
    Some((text.get(..position)?, text.get(position + 1..)?))
}
