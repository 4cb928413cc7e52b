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

/// A path below `/v1/data/` or `/v1/batch/data/`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DataPath<'a> {
    pub(crate) tenant_id: TenantId,
    /// The part after the tenant's segment, as it was sent.
    pub(crate) rest: &'a str,
}

impl DataPath<'_> {
    /// Whether it names the tenant's decision.
    pub(crate) fn is_decision(&self) -> bool {
        percent_decode_str(self.rest).decode_utf8().is_ok_and(|rest| rest == DECISION)
            && !self.rest.contains("%2")
    }
}

/// The decision, behind a tenant's segment.
pub(crate) const DECISION: &str = "/allow";

/// Reads the part of a path after `/v1/data/`.
///
/// # Errors
/// When it names no resource of a tenant, or the tenant id is invalid.
pub(crate) fn data_path(path: &str) -> Result<DataPath<'_>, ApiError> {
    let Some((root, below)) = path.split_once('/') else { return Err(ApiError::UnknownResource) };
    if segments(root)?.concat() != TENANTS_SEGMENT {
        return Err(ApiError::UnknownResource);
    }
    let (id, rest) = below.find('/').map_or((below, ""), |at| below.split_at(at));
    Ok(DataPath { tenant_id: segments(id)?.concat().parse()?, rest })
}

/// A resource of one tenant below `/v1/tenants/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenantResource {
    /// Where it stands.
    Status,
    /// Explain a decision.
    Why,
    /// Tell its worker what to do.
    Operation(Operation),
}

/// Something that an operator has done with a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Read its bundle again.
    Reload,
    /// Replace its worker by a fresh one.
    Restart,
    /// Try again at once, after a quarantine or a pause.
    Release,
}

impl Operation {
    /// Every operation.
    pub(crate) const ALL: [Self; 3] = [Self::Reload, Self::Restart, Self::Release];

    /// The operation as the path has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::Release => "release",
        }
    }
}

/// Reads the part of a path after `/v1/tenants/`.
///
/// # Errors
/// When it names no resource of a tenant, or the tenant id is invalid.
pub(crate) fn tenant_resource(path: &str) -> Result<(TenantId, TenantResource), ApiError> {
    let segments = segments(path)?;
    let (tenant_id, resource) = match segments.as_slice() {
        [tenant_id] => (tenant_id, TenantResource::Status),
        [tenant_id, action] if action == "why" => (tenant_id, TenantResource::Why),
        [tenant_id, action] => {
            let operation = Operation::ALL.into_iter().find(|it| it.name() == action);
            let operation = operation.ok_or(ApiError::UnknownResource)?;
            (tenant_id, TenantResource::Operation(operation))
        }
        _ => return Err(ApiError::UnknownResource),
    };
    Ok((tenant_id.parse()?, resource))
}

/// What is about one tenant, for observers and operators.
pub(crate) const TENANTS: &str = "/v1/tenants/";

/// The first segment, below which all tenants are.
const TENANTS_SEGMENT: &str = "tenants";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_s_path_names_its_tenant() {
        for (path, id) in [
            ("tenants/tenant_a/allow", "tenant_a"),
            ("tenants/tenant%2Dc/allow", "tenant-c"),
            ("tenants/a/%61llow", "a"),
        ] {
            let path = data_path(path).unwrap();
            assert!(path.is_decision() && path.tenant_id.as_str() == id, "{path:?}");
        }
    }

    #[test]
    fn no_path_becomes_another_by_decoding() {
        for id in ["..", "%2e%2e", "a%2Fb", "", "%00", "a%0a", "%D1%82enant", "%252e", "a%"] {
            let path = format!("tenants/{id}/allow");
            let refused = data_path(&path);
            assert!(matches!(refused, Err(ApiError::InvalidTenantId(_))), "{id}: {refused:?}");
        }
        let refused = data_path("tenants/%ff/allow");
        assert!(matches!(refused, Err(ApiError::InvalidParameter(_))), "{refused:?}");
    }

    #[test]
    fn a_resource_is_the_segment_after_the_tenant() {
        let of = |path| tenant_resource(path).map(|(id, resource)| (id.to_string(), resource));
        for (path, resource) in [
            ("a", TenantResource::Status),
            ("a/why", TenantResource::Why),
            ("a/reload", TenantResource::Operation(Operation::Reload)),
            ("a/restart", TenantResource::Operation(Operation::Restart)),
            ("a/release", TenantResource::Operation(Operation::Release)),
        ] {
            assert_eq!(of(path).unwrap(), ("a".to_owned(), resource), "{path}");
        }
        for path in ["a/", "a/other", "a/why/", "a%2Fwhy", "a/reload/x"] {
            assert!(of(path).is_err(), "{path}");
        }
    }

    #[test]
    fn other_paths_are_not_decisions() {
        for path in [
            "tenants/a",
            "tenants/a/",
            "tenants/a/b/allow",
            "tenants/a/allow/",
            "tenants/a/allow%2F",
            "tenants/a%2Fallow",
            "tenants/a/%2Fallow",
        ] {
            assert!(!data_path(path).is_ok_and(|path| path.is_decision()), "{path}");
        }
        for path in ["", "tenants", "other/a/allow", "/tenants/a/allow"] {
            assert!(matches!(data_path(path), Err(ApiError::UnknownResource)), "{path}");
        }
    }
}
