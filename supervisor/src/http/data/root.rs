//! The routes below `/tenants/{tenant_id}`: the tenant's own OPA.

use std::collections::BTreeMap;

use axum::body::Body as HttpBody;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use enforcer_protocol::TenantId;
use serde::Serialize;

use super::super::body;
use super::super::error::ApiError;
use super::super::json::ObjectWriter;
use super::super::operations::HealthChecks;
use super::super::path::segments;
use super::super::state::AppState;
use super::parameters::Parameters;
use super::policies::policies;
use super::query::query;
use super::response::Client;
use super::{document_path, documents, refuse, v0, v1};
use crate::clock::rfc3339;
use crate::tenant::admission::Tenant;

/// A resource below a tenant's root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    /// `POST /`: the decision, as `/v0/data` has it.
    DefaultDecision,
    DataV0(&'a str),
    DataV1(&'a str),
    Batch(&'a str),
    Query,
    Policies(&'a str),
    Health,
    Config,
    Status,
    Unknown,
}

impl<'a> Resource<'a> {
    /// Whether it asks the tenant's policy for something.
    pub(crate) const fn is_of_policy(&self) -> bool {
        match self {
            Self::DefaultDecision
            | Self::DataV0(_)
            | Self::DataV1(_)
            | Self::Batch(_)
            | Self::Query
            | Self::Policies(_) => true,
            Self::Health | Self::Config | Self::Status | Self::Unknown => false,
        }
    }

    fn of(path: &'a str) -> Self {
        if is_empty(path) {
            Self::DefaultDecision
        } else if let Some(rest) = below(path, &["v1", "data"]) {
            Self::DataV1(rest)
        } else if let Some(rest) = below(path, &["v0", "data"]) {
            Self::DataV0(rest)
        } else if let Some(rest) = below(path, &["v1", "batch", "data"]) {
            Self::Batch(rest)
        } else if let Some(rest) = below(path, &["v1", "policies"]) {
            Self::Policies(rest)
        } else if below(path, &["health"]).is_some_and(is_empty) {
            Self::Health
        } else if below(path, &["v1", "query"]).is_some_and(is_empty) {
            Self::Query
        } else if below(path, &["v1", "config"]) == Some("") {
            Self::Config
        } else if below(path, &["v1", "status"]) == Some("") {
            Self::Status
        } else {
            Self::Unknown
        }
    }
}

/// The part of a path that follows some segments. As in OPA, slashes may be doubled: a base URL that
/// ends in one is often joined with a path that begins with one.
fn below<'a>(path: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().try_fold(path, |rest, word| {
        let rest = rest.trim_start_matches('/').strip_prefix(word)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    })
}

fn is_empty(path: &str) -> bool {
    path.bytes().all(|byte| byte == b'/')
}

/// The tenant and the resource that a path names, which begins with the tenant's id.
///
/// # Errors
/// When the tenant id is invalid.
pub(crate) fn resource_below_root(path: &str) -> Result<(TenantId, Resource<'_>), ApiError> {
    let (id, rest) = path.split_once('/').unwrap_or((path, ""));
    Ok((segments(id)?.concat().parse()?, Resource::of(rest)))
}

/// Answers a request for a resource below a tenant's root.
pub(crate) async fn below_root(
    app: &AppState,
    tenant: &Tenant,
    resource: Resource<'_>,
    head: &Parts,
    body: HttpBody,
) -> Response {
    match resource {
        Resource::DataV1(path) => v1(app, tenant, document_path(&[], path), head, body).await,
        Resource::DataV0(path) => v0(app, tenant, document_path(&[], path), head, body).await,
        Resource::Batch(path) => documents(tenant, document_path(&[], path), head, body).await,
        Resource::DefaultDecision => {
            let entrypoint = tenant.limits.entrypoint(&tenant.id);
            v0(app, tenant, document_path(&entrypoint, ""), head, body).await
        }
        Resource::Query => query(app, tenant, head, body).await,
        Resource::Policies(path) => policies(app, tenant, path, head, body).await,
        Resource::Health => only_get(head, body, || health(tenant, head.uri.query())).await,
        Resource::Config => only_get(head, body, || Ok(config(tenant))).await,
        Resource::Status => only_get(head, body, || Ok(status(tenant))).await,
        Resource::Unknown => refuse(ApiError::UnknownResource, head, body).await,
    }
}

async fn only_get(
    head: &Parts,
    body: HttpBody,
    answer: impl FnOnce() -> Result<String, ApiError>,
) -> Response {
    if head.method != Method::GET {
        return refuse(ApiError::MethodNotAllowed { allow: "GET" }, head, body).await;
    }
    let rest = body::drain_or_close(head, body).await;
    match answer() {
        Ok(json) => {
            let pretty = Parameters::of(head.uri.query()).pretty;
            Client::plain(pretty).with_rest(rest, json)
        }
        Err(error) => error.response(rest),
    }
}

/// OPA's body is empty. A tenant that has never had a usable bundle fails if the query asks for
/// `bundles` or `plugins`.
fn health(tenant: &Tenant, query: Option<&str>) -> Result<String, ApiError> {
    let checks = HealthChecks::parse(query.unwrap_or_default())?;
    if (checks.bundles || checks.plugins || checks.ready) && !tenant.status.is_activated() {
        return Err(ApiError::UnactivatedBundles { unready: 1, registered: 1 });
    }
    Ok("{}".to_owned())
}

#[derive(Debug, Serialize)]
struct Labels<'a> {
    id: &'a str,
    version: &'static str,
}

impl<'a> Labels<'a> {
    fn of(tenant: &'a Tenant) -> Self {
        Self { id: tenant.id.as_str(), version: env!("CARGO_PKG_VERSION") }
    }
}

/// The part of OPA's configuration that a tenant has.
fn config(tenant: &Tenant) -> String {
    #[derive(Serialize)]
    struct Config<'a> {
        default_authorization_decision: &'static str,
        default_decision: String,
        labels: Labels<'a>,
    }
    let default_decision = format!("/{}", tenant.limits.entrypoint(&tenant.id).join("/"));
    let mut answer = ObjectWriter::new(256);
    answer.member(
        "result",
        &Config {
            default_authorization_decision: "/system/authz/allow",
            default_decision,
            labels: Labels::of(tenant),
        },
    );
    answer.finish()
}

/// The tenant's bundle, as OPA's status API shows a bundle.
fn status(tenant: &Tenant) -> String {
    #[derive(Serialize)]
    struct Bundle<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        active_revision: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_successful_activation: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Plugin {
        state: &'static str,
    }
    #[derive(Serialize)]
    struct Answer<'a> {
        labels: Labels<'a>,
        bundles: BTreeMap<&'a str, Bundle<'a>>,
        plugins: BTreeMap<&'static str, Plugin>,
    }
    let status = tenant.status.status();
    let message = status.bundle_error();
    let bundle = Bundle {
        name: tenant.id.as_str(),
        active_revision: tenant.status.shown_revision(),
        last_successful_activation: status.revision_since().map(rfc3339),
        code: message.map(|_| "bundle_error"),
        message,
    };
    let state = if tenant.status.is_activated() { "OK" } else { "NOT_READY" };
    let result = Answer {
        labels: Labels::of(tenant),
        bundles: [(tenant.id.as_str(), bundle)].into(),
        plugins: [("bundle", Plugin { state })].into(),
    };
    let mut answer = ObjectWriter::new(512);
    answer.member("result", &result);
    answer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_by_whole_segments() {
        for (path, resource) in [
            ("", Resource::DefaultDecision),
            ("v1/data", Resource::DataV1("")),
            ("v1/data/", Resource::DataV1("/")),
            ("v1/data/a/b%2Fc", Resource::DataV1("/a/b%2Fc")),
            ("v0/data/a", Resource::DataV0("/a")),
            ("v1/batch/data/a", Resource::Batch("/a")),
            ("v1/query", Resource::Query),
            ("v1/policies", Resource::Policies("")),
            ("v1/policies/a/b.rego", Resource::Policies("/a/b.rego")),
            ("health", Resource::Health),
            ("v1/config", Resource::Config),
            ("v1/config/", Resource::Unknown),
            ("//", Resource::DefaultDecision),
            ("/v1//data//a", Resource::DataV1("//a")),
            ("health//", Resource::Health),
            ("health/x", Resource::Unknown),
            ("v1/dataset", Resource::Unknown),
            ("v1", Resource::Unknown),
            ("V1/data", Resource::Unknown),
        ] {
            assert_eq!(Resource::of(path), resource, "{path}");
        }
    }
}
