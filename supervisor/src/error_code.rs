//! The codes of errors that clients see.

use serde::Serialize;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal;)*) => {
        /// A code of the error table in docs/http-api.md.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum ErrorCode {
            $($(#[$doc])* $code),*
        }

        impl ErrorCode {
            /// Every code.
            pub(crate) const ALL: &[Self] = &[$(Self::$code),*];

            /// The code as clients see it.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$code => $name),* }
            }
        }
    };
}

codes! {
    /// The request is malformed: its JSON, a parameter, its tenant id, or its `Host`.
    InvalidParameter = "invalid_parameter";
    /// The request shows no credential that is accepted.
    Unauthorized = "unauthorized";
    /// The credential lacks the role that the request needs, the operator has not turned it on, or a
    /// page of another origin asks.
    Forbidden = "forbidden";
    /// The input's subject belongs to another tenant.
    TenantMismatch = "tenant_mismatch";
    /// The request's `Host` is not one that is answered here.
    MisdirectedRequest = "misdirected_request";
    /// There is no such tenant or path, or it is another's.
    ResourceNotFound = "resource_not_found";
    /// The document is undefined (`/v0/data` only).
    UndefinedDocument = "undefined_document";
    /// The path does not support the method.
    InvalidOperation = "invalid_operation";
    /// The decision stream was requested without a protocol that it supports.
    UpgradeRequired = "upgrade_required";
    /// The body did not arrive in time.
    RequestTimeout = "request_timeout";
    /// The body is over the tenant's limit.
    RequestTooLarge = "request_too_large";
    /// A quota of the tenant is spent.
    QuotaExceeded = "quota_exceeded";
    /// The policy failed while it was evaluated, or the supervisor did.
    InternalError = "internal_error";
    /// The evaluation reached the tenant's memory limit.
    MemoryLimitExceeded = "memory_limit_exceeded";
    /// The worker ended on this request or is restarting.
    WorkerUnavailable = "worker_unavailable";
    /// Too many requests, or too many bytes of them, wait already.
    Overloaded = "overloaded";
    /// The tenant has no usable policy, or is in quarantine.
    TenantUnavailable = "tenant_unavailable";
    /// The evaluation's deadline passed.
    EvaluationTimeout = "evaluation_timeout";
}

impl ErrorCode {
    /// Its place in [`Self::ALL`], for arrays with one element a code.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Whether it is the result of an evaluation in a worker: such errors in a row make a tenant
    /// `failing`.
    pub(crate) const fn is_evaluation_failure(self) -> bool {
        match self {
            Self::InternalError
            | Self::MemoryLimitExceeded
            | Self::WorkerUnavailable
            | Self::EvaluationTimeout => true,
            Self::InvalidParameter
            | Self::Unauthorized
            | Self::Forbidden
            | Self::MisdirectedRequest
            | Self::TenantMismatch
            | Self::ResourceNotFound
            | Self::UndefinedDocument
            | Self::InvalidOperation
            | Self::UpgradeRequired
            | Self::RequestTimeout
            | Self::RequestTooLarge
            | Self::QuotaExceeded
            | Self::Overloaded
            | Self::TenantUnavailable => false,
        }
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
