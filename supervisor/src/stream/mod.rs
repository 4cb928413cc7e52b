//! The decision stream: events about decisions and tenants, as they happen.
//!
//! ```text
//! decision ─► TenantStream ─ queue ─► publisher ─┬─► tenant's channel ─► consumers of the tenant
//!  (without waiting)                             └─► operators' channel ─► consumers of all
//! ```
//!
//! A decision leaves a record in its tenant's queue, and only where there is a consumer. The
//! publisher, one task a tenant, makes an event of it, built and serialised once for all consumers.
//! Channels drop events that a consumer is too slow to read, and report how many. Publishers and
//! consumers run on threads of their own, which give way to those that decide.

mod channel;
mod cursor;
mod disclosure;
mod event;
mod hub;
mod input;
mod kinds;
mod memory;
mod recent;
mod subscription;
mod tenant;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use cursor::{Cursor, Resumption};
pub(crate) use disclosure::Disclosure;
pub(crate) use event::{
    CONNECTED, Change, Changed, Decided, FailedRequest, QuotaLevel, QuotaNotice,
};
pub(crate) use hub::Stream;
pub(crate) use input::{BatchInputs, RequestInput};
pub(crate) use kinds::{EventKind, Kinds};
pub(crate) use recent::{RecentEvent, RecentRequest};
pub(crate) use subscription::{Delivery, Ended, Subscription};
pub(crate) use tenant::TenantStream;
