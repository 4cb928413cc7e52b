//! References between URLs (RFC 3986, section 5), and URLs as texts, as `net/url` has them.

use std::fmt;

use super::url::{Part, Url, escape, is_plain, unescape};

impl Url {
    /// Where a reference leads from here.
    pub(crate) fn resolve(&self, reference: &Self) -> Self {
        let mut url = reference.clone();
        if reference.scheme.is_empty() {
            url.scheme.clone_from(&self.scheme);
        }
        if !reference.scheme.is_empty() || !reference.host.is_empty() || reference.user.is_some() {
            url.set_path(&joined(&reference.escaped_path(), ""));
            return url;
        }
        let without_path = reference.path.is_empty();
        if without_path && !reference.has_query {
            url.raw_query.clone_from(&self.raw_query);
            if reference.fragment.is_empty() {
                url.fragment.clone_from(&self.fragment);
                url.raw_fragment.clone_from(&self.raw_fragment);
            }
        }
        if without_path && !self.opaque.is_empty() {
            url.opaque.clone_from(&self.opaque);
            return Self { user: None, host: String::new(), path: String::new(), ..url };
        }
        url.host.clone_from(&self.host);
        url.user.clone_from(&self.user);
        url.set_path(&joined(&self.escaped_path(), &reference.escaped_path()));
        url
    }

    fn set_path(&mut self, path: &str) {
        self.path = unescape(path, Part::Path).unwrap_or_default();
        self.raw_path.clear();
        if escape(&self.path, Part::Path) != path {
            path.clone_into(&mut self.raw_path);
        }
    }

    fn escaped_path(&self) -> String {
        if self.path == "*" {
            "*".to_owned()
        } else {
            escaped(&self.path, &self.raw_path, Part::Path)
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.extend([&self.scheme, ":"]);
        }
        if self.opaque.is_empty() {
            let (has_host, has_user) = (!self.host.is_empty(), self.user.is_some());
            let omitted = self.omits_host && !has_host && !has_user;
            if (!self.scheme.is_empty() || has_host || has_user) && !omitted {
                if has_host || !self.path.is_empty() || has_user {
                    out.push_str("//");
                }
                if let Some(user) = &self.user {
                    out.extend([user, "@"]);
                }
                out.push_str(&escape(&self.host, Part::Host));
            }
            let path = self.escaped_path();
            if !path.is_empty() && !path.starts_with('/') && has_host {
                out.push('/');
            }
            if out.is_empty() && path.split('/').next().is_some_and(|part| part.contains(':')) {
                out.push_str("./");
            }
            out.push_str(&path);
        } else {
            out.push_str(&self.opaque);
        }
        if self.has_query || !self.raw_query.is_empty() {
            out.extend(["?", &self.raw_query]);
        }
        if !self.fragment.is_empty() {
            let fragment = escaped(&self.fragment, &self.raw_fragment, Part::Fragment);
            out.extend(["#", &fragment]);
        }
        f.write_str(&out)
    }
}

/// The text as it was written where that is a valid form of it, else its own.
fn escaped(text: &str, raw: &str, part: Part) -> String {
    let is_valid =
        raw.bytes().all(|byte| b"!$&'()*+,;=:@[]%".contains(&byte) || is_plain(byte, part));
    if !raw.is_empty() && is_valid && unescape(raw, part).is_ok_and(|plain| plain == text) {
        raw.to_owned()
    } else {
        escape(text, part)
    }
}

/// A path from another one, without `.` and `..`.
fn joined(base: &str, path: &str) -> String {
    let full = if path.is_empty() {
        base.to_owned()
    } else if path.starts_with('/') {
        path.to_owned()
    } else {
        let directory = base.rfind('/').and_then(|slash| base.get(..=slash)).unwrap_or("");
        format!("{directory}{path}")
    };
    if full.is_empty() {
        return full;
    }
    let mut out: Vec<&str> = Vec::new();
    let mut last = "";
    for segment in full.split('/') {
        last = segment;
        match segment {
            "." => {}
            ".." => {
                out.pop();
            }
            segment => out.push(segment),
        }
    }
    let mut text = out.join("/");
    if matches!(last, "." | "..") && !text.ends_with('/') {
        text.push('/');
    }
    if text.starts_with('/') { text } else { format!("/{text}") }
}
