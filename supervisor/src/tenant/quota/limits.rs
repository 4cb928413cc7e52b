//! The two kinds of quotas: of units in a second, and of things that are there at once.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use enforcer_protocol::SharedRateLimiter;

use super::report::{QuotaExceeded, QuotaName, QuotaUse};
use super::window::{WINDOW, Window};
use crate::stream::{QuotaLevel, QuotaNotice};

/// When a request may be tried again that found too many others in progress: they end in
/// milliseconds, and the header has no smaller unit than a second.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(1);

/// A quota of units in a second.
#[derive(Debug)]
pub(super) struct RateQuota {
    pub(super) per_second: u64,
    pub(super) burst: u64,
    pub(super) limiter: SharedRateLimiter,
    pub(super) watch: Watch,
}

/// A quota of things that are there at once.
#[derive(Debug)]
pub(super) struct CountQuota {
    pub(super) limit: u32,
    held: AtomicU32,
    pub(super) watch: Watch,
}

/// What operators see of a quota.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) name: QuotaName,
    pub(super) window: Window,
    pub(super) warnings: AtomicU64,
    pub(super) exceeded: AtomicU64,
}

/// One of the things that a quota allows at once. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct QuotaPermit(Option<Arc<CountQuota>>);

impl QuotaPermit {
    /// Of no quota.
    pub(super) const FREE: Self = Self(None);
}

impl Drop for QuotaPermit {
    fn drop(&mut self) {
        if let Some(quota) = &self.0 {
            quota.held.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl RateQuota {
    pub(super) fn new(
        name: QuotaName,
        per_second: NonZeroU64,
        burst: NonZeroU64,
        now: Instant,
    ) -> Self {
        let limiter = SharedRateLimiter::new(per_second, burst, now);
        let (per_second, burst) = (per_second.get(), burst.get());
        Self { per_second, burst, limiter, watch: Watch::new(name) }
    }

    /// How many units it gives in a window.
    pub(super) const fn window_limit(&self) -> u64 {
        self.per_second.saturating_mul(WINDOW.as_secs())
    }

    pub(super) fn notice(&self, level: QuotaLevel, used: u64) -> QuotaNotice {
        let (limit, units) = (self.window_limit(), self.units());
        let message = match level {
            QuotaLevel::Warning => format!(
                "the last minute used {used} of the {limit} {units} that the tenant's quota gives in a minute"
            ),
            QuotaLevel::Exceeded => format!("requests are refused: {}", self.spent()),
        };
        let (quota, window_seconds) = (self.watch.name.name(), Some(WINDOW.as_secs()));
        QuotaNotice { quota, level, limit, used, window_seconds, message }
    }

    pub(super) fn exceeded(&self, wait: Duration) -> QuotaExceeded {
        let message = format!("{}; try again later", self.spent());
        QuotaExceeded { quota: self.watch.name, message, wait }
    }

    pub(super) fn shown(&self, at: Duration) -> QuotaUse {
        QuotaUse {
            name: self.watch.name,
            limit: self.per_second,
            burst: Some(self.burst),
            window_seconds: Some(WINDOW.as_secs()),
            window_limit: self.window_limit(),
            used: self.watch.window.used(at),
            warnings: self.watch.warnings.load(Ordering::Relaxed),
            exceeded: self.watch.exceeded.load(Ordering::Relaxed),
        }
    }

    fn spent(&self) -> String {
        format!("the tenant's quota of {} {} per second is spent", self.per_second, self.units())
    }

    const fn units(&self) -> &'static str {
        match self.watch.name {
            QuotaName::BodyBytesPerSecond => "bytes of request bodies",
            _ => "decisions",
        }
    }
}

impl CountQuota {
    pub(super) fn new(name: QuotaName, limit: NonZeroU32) -> Arc<Self> {
        let watch = Watch::new(name);
        Arc::new(Self { limit: limit.get(), held: AtomicU32::new(0), watch })
    }

    /// A permit, where fewer are held than the limit.
    pub(super) fn permit(self: &Arc<Self>) -> Option<QuotaPermit> {
        let more = |held: u32| held.checked_add(1).filter(|held| *held <= self.limit);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(QuotaPermit(Some(Arc::clone(self))))
    }

    /// How many permits are held.
    pub(super) fn held(&self) -> u32 {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn notice(&self, level: QuotaLevel, used: u32) -> QuotaNotice {
        let (limit, things) = (self.limit, self.things());
        let message = match level {
            QuotaLevel::Warning => {
                format!("there are {used} {things}, and the tenant's quota allows {limit}")
            }
            QuotaLevel::Exceeded => format!(
                "requests are refused: there are {limit} {things}, and the tenant's quota allows no more"
            ),
        };
        let (limit, used) = (limit.into(), used.into());
        let quota = self.watch.name.name();
        QuotaNotice { quota, level, limit, used, window_seconds: None, message }
    }

    pub(super) fn exceeded(&self) -> QuotaExceeded {
        let (limit, things) = (self.limit, self.things());
        let message = format!("the tenant's quota of {limit} {things} is used; try again later");
        QuotaExceeded { quota: self.watch.name, message, wait: WAIT_FOR_OTHERS }
    }

    pub(super) fn shown(&self) -> QuotaUse {
        QuotaUse {
            name: self.watch.name,
            limit: self.limit.into(),
            burst: None,
            window_seconds: None,
            window_limit: self.limit.into(),
            used: self.held().into(),
            warnings: self.watch.warnings.load(Ordering::Relaxed),
            exceeded: self.watch.exceeded.load(Ordering::Relaxed),
        }
    }

    const fn things(&self) -> &'static str {
        match self.watch.name {
            QuotaName::StreamConsumers => "consumers of the tenant's stream",
            _ => "requests in progress",
        }
    }
}

impl Watch {
    fn new(name: QuotaName) -> Self {
        let (warnings, exceeded) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { name, window: Window::default(), warnings, exceeded }
    }
}
