//! The role of a file in a bundle, by its path: the same in a directory and in an archive.

/// The manifest of an OPA bundle, in its root.
pub(super) const MANIFEST: &str = ".manifest";

/// The same in Protocol Buffers, which is refused.
pub(super) const MANIFEST_PROTO: &str = ".manifest.pb";

/// The signature of an OPA bundle, in its root.
pub(super) const SIGNATURES: &str = ".signatures.json";

/// The role of a file in its bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    /// A policy, data or metadata: the worker gets it.
    Part,
    /// The signature of the others.
    Signatures,
    /// Nothing that decides. A signature covers it too.
    Other,
}

/// A file whose presence would make OPA decide differently, and why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefusedName(pub(super) &'static str);

/// The role of the file at a path below the bundle's root. Policies, data and the bundle's metadata
/// are those that OPA reads.
///
/// # Errors
/// When a bundle with such a file cannot be loaded.
pub(super) fn role(path: &str) -> Result<Role, RefusedName> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_in_root = directory.is_empty();
    match name {
        MANIFEST if is_in_root => return Ok(Role::Part),
        SIGNATURES if is_in_root => return Ok(Role::Signatures),
        SIGNATURES => {
            return Err(RefusedName("the signature must be in the bundle's root"));
        }
        MANIFEST_PROTO if is_in_root => {
            return Err(RefusedName(
                "a manifest in Protocol Buffers is not supported; build the bundle with a JSON manifest",
            ));
        }
        _ => {}
    }
    if path.split('/').any(|part| part.starts_with('.')) {
        return Ok(Role::Other);
    }
    match name {
        "patch.json" => {
            Err(RefusedName("delta bundles are not supported; put the whole bundle here"))
        }
        "data.json" | "data.yaml" | "data.yml" => Ok(Role::Part),
        "metadata.json" if is_in_root => Ok(Role::Part),
        _ if name.ends_with(".rego") => Ok(Role::Part),
        _ => Ok(Role::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_role_or_a_reason() {
        for (path, expected) in [
            ("policy.rego", Role::Part),
            ("a/b/data.yml", Role::Part),
            ("metadata.json", Role::Part),
            ("a/metadata.json", Role::Other),
            (".manifest", Role::Part),
            ("a/.manifest", Role::Other),
            (".signatures.json", Role::Signatures),
            (".git/policy.rego", Role::Other),
            (".policy.rego", Role::Other),
            ("policy.wasm", Role::Other),
            ("plan.json", Role::Other),
        ] {
            assert_eq!(role(path), Ok(expected), "{path}");
        }
        for path in ["patch.json", "a/patch.json", "a/.signatures.json", ".manifest.pb"] {
            assert!(role(path).is_err(), "{path}");
        }
    }
}
