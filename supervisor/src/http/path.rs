//! Takes request paths apart. Segments are decoded after they are separated, so that an encoded
//! slash is part of a segment and never a separator.

use std::borrow::Cow;

use enforcer_protocol::TenantId;
use percent_encoding::percent_decode_str;

use super::error::ApiError;

/// The segments of `path`, decoded.
///
/// # Errors
/// When a segment is not UTF-8 once it is decoded.
pub(crate) fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, ApiError> {
    let not_utf8 = |_| ApiError::InvalidParameter("the path is not UTF-8 once decoded".to_owned());
    path.split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8().map_err(not_utf8))
        .collect()
}

/// The resource that a path below `/v1/data/` names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DataPath {
    /// A tenant's decision.
    Decision(TenantId),
    /// Another resource of a tenant.
    Other(TenantId),
}

/// Reads the part of a path after `/v1/data/`.
///
/// # Errors
/// When it names no resource of a tenant, or the tenant id is invalid.
pub(crate) fn data_path(path: &str) -> Result<DataPath, ApiError> {
    let segments = segments(path)?;
    let [root, tenant_id, rest @ ..] = segments.as_slice() else {
        return Err(ApiError::UnknownResource);
    };
    if root != "tenants" {
        return Err(ApiError::UnknownResource);
    }
    let tenant_id = tenant_id.parse()?;
    match rest {
        [rule] if rule == "allow" => Ok(DataPath::Decision(tenant_id)),
        _ => Ok(DataPath::Other(tenant_id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_s_path_names_its_tenant() {
        let decision = |id: &str| DataPath::Decision(id.parse().unwrap());
        assert_eq!(data_path("tenants/tenant_a/allow").unwrap(), decision("tenant_a"));
        assert_eq!(data_path("tenants/tenant%2Dc/allow").unwrap(), decision("tenant-c"));
        assert_eq!(data_path("tenants/a/%61llow").unwrap(), decision("a"));
    }

    #[test]
    fn no_path_becomes_another_by_decoding() {
        for id in ["..", "%2e%2e", "a%2Fb", "", "%00", "a%0a", "%D1%82enant", "%252e", "a%"] {
            let refused = data_path(&format!("tenants/{id}/allow"));
            assert!(matches!(refused, Err(ApiError::InvalidTenantId(_))), "{id}: {refused:?}");
        }
        let refused = data_path("tenants/%ff/allow");
        assert!(matches!(refused, Err(ApiError::InvalidParameter(_))), "{refused:?}");
    }

    #[test]
    fn other_paths_are_not_decisions() {
        let other = DataPath::Other("a".parse().unwrap());
        for path in [
            "tenants/a",
            "tenants/a/",
            "tenants/a/b/allow",
            "tenants/a/allow/",
            "tenants/a/allow%2F",
        ] {
            assert_eq!(data_path(path).unwrap(), other, "{path}");
        }
        for path in ["", "tenants", "other/a/allow", "/tenants/a/allow"] {
            assert!(matches!(data_path(path), Err(ApiError::UnknownResource)), "{path}");
        }
    }
}
