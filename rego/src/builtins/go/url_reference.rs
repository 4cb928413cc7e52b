//! References between URLs (RFC 3986, section 5), as `net/url` resolves them.

use super::url::{Part, Url, escape, unescape};

impl Url {
    /// Resolves a reference from this URL.
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
        let has_query = reference.force_query || !reference.raw_query.is_empty();
        if without_path && !has_query {
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
