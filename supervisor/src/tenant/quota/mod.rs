//! A tenant's quotas: how much its clients may ask for, so that one tenant's clients leave the host
//! to the others. Atomics of the tenant's own: no request waits for another one here.

mod limits;
mod report;
mod window;

use std::fmt::Write;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use enforcer_protocol::{MAX_BATCH, TenantId};
use tracing::warn;

use crate::config::{DecisionQuota, TenantQuotas};
use crate::stream::{QuotaLevel, QuotaNotice, TenantStream};
use limits::{CountQuota, RateQuota, Watch};
use window::Notice;

pub(crate) use limits::QuotaPermit;
pub(crate) use report::{QuotaExceeded, QuotaName, QuotaUse};

/// Share of a quota, in percent, whose use is warned of.
const WARNING_PERCENT: u64 = 80;

/// The effective window of what is left (`t` of the header field `RateLimit`): rates are given by
/// the second.
const EFFECTIVE_WINDOW_SECONDS: u64 = 1;

/// The quotas of a tenant.
#[derive(Debug)]
pub(crate) struct Quotas {
    tenant_id: TenantId,
    stream: Arc<TenantStream>,
    epoch: Instant,
    decisions: Option<RateQuota>,
    body_bytes: Option<RateQuota>,
    concurrent_requests: Option<Arc<CountQuota>>,
    stream_consumers: Option<Arc<CountQuota>>,
    /// The value of the header field `RateLimit-Policy`.
    policy: Option<Bytes>,
}

impl Quotas {
    /// The quotas of a tenant whose largest body has `max_body` bytes, unused `now`.
    pub(crate) fn new(
        tenant_id: TenantId,
        limits: TenantQuotas,
        max_body: usize,
        stream: Arc<TenantStream>,
        now: Instant,
    ) -> Self {
        let decisions = limits.decisions.map(|DecisionQuota { per_second, burst }| {
            RateQuota::new(QuotaName::DecisionsPerSecond, per_second, burst, now)
        });
        let body_bytes = limits.body_bytes_per_second.map(|per_second| {
            // The largest body must fit, or it could never be sent.
            let largest = u64::try_from(max_body).ok().and_then(NonZeroU64::new);
            let burst = largest.map_or(per_second, |largest| largest.max(per_second));
            RateQuota::new(QuotaName::BodyBytesPerSecond, per_second, burst, now)
        });
        let count = |name, limit: Option<NonZeroU32>| limit.map(|it| CountQuota::new(name, it));
        let concurrent_requests = count(QuotaName::ConcurrentRequests, limits.concurrent_requests);
        let stream_consumers = count(QuotaName::StreamConsumers, limits.stream_consumers);
        let mut quotas = Self {
            tenant_id,
            stream,
            epoch: now,
            decisions,
            body_bytes,
            concurrent_requests,
            stream_consumers,
            policy: None,
        };
        quotas.policy = quotas.policy_text().map(Bytes::from);
        quotas
    }

    /// Counts a request that asks the policy, before its body is read. `length` is its body's, if it
    /// says it. The permit is the request's for as long as it is in progress.
    ///
    /// # Errors
    /// When a quota is spent; then nothing of the others is used.
    pub(crate) fn admit(
        &self,
        length: Option<u64>,
        now: Instant,
    ) -> Result<QuotaPermit, QuotaExceeded> {
        let permit = self.permit(self.concurrent_requests.as_ref(), now)?;
        self.take(self.decisions.as_ref(), 1, now)?;
        if let Err(exceeded) = self.take_body(length.unwrap_or(0), now) {
            self.decisions.iter().for_each(|quota| quota.limiter.put_back(1));
            return Err(exceeded);
        }
        self.count(self.decisions.as_ref(), 1, now);
        Ok(permit)
    }

    /// Counts bytes of a body that arrived, or that will.
    ///
    /// # Errors
    /// When the quota is spent.
    pub(crate) fn take_body(&self, bytes: u64, now: Instant) -> Result<(), QuotaExceeded> {
        if bytes > 0 {
            self.take(self.body_bytes.as_ref(), bytes, now)?;
            self.count(self.body_bytes.as_ref(), bytes, now);
        }
        Ok(())
    }

    /// Inputs that a batch may have that was counted as one decision.
    pub(crate) fn batch_limit(&self, now: Instant) -> u32 {
        let all = u32::try_from(MAX_BATCH).unwrap_or(u32::MAX);
        let Some(quota) = &self.decisions else { return u32::MAX };
        let left = u32::try_from(quota.limiter.available(now)).unwrap_or(u32::MAX);
        // More than any batch may have is told by the worker, in other words.
        if left >= all { u32::MAX } else { left + 1 }
    }

    /// Counts the further decisions of a batch that was answered. Others may have used the quota
    /// meanwhile: then those who ask next wait for longer, so that the rate holds. No more than the
    /// batches in the tenant's queue can be owed.
    pub(crate) fn count_batch(&self, inputs: usize, now: Instant) {
        let further = u64::try_from(inputs).unwrap_or(u64::MAX).saturating_sub(1);
        if let Some(quota) = self.decisions.as_ref().filter(|_| further > 0) {
            quota.limiter.take(further, now);
            self.count(Some(quota), further, now);
        }
    }

    /// A batch had more inputs than [`Self::batch_limit`].
    pub(crate) fn refuse_batch(&self, inputs: u32, now: Instant) -> QuotaExceeded {
        let quota = QuotaName::DecisionsPerSecond;
        let Some(rate) = &self.decisions else {
            let message = format!("the batch has {inputs} inputs, and that is too many");
            return QuotaExceeded { quota, message, wait: Duration::ZERO };
        };
        let RateQuota { per_second, burst, .. } = rate;
        let missing = u64::from(inputs).min(*burst).saturating_sub(rate.limiter.available(now));
        let message = if u64::from(inputs) > *burst {
            format!(
                "the batch has {inputs} inputs, and the tenant's quota allows {burst} decisions at once; send smaller batches"
            )
        } else {
            format!(
                "the batch has {inputs} inputs, and fewer are left of the tenant's quota of {per_second} decisions per second; try again later, or send smaller batches"
            )
        };
        let wait = Duration::from_nanos(
            missing.saturating_mul(1_000_000_000).checked_div(*per_second).unwrap_or(0),
        );
        self.refuse_rate(rate, now);
        QuotaExceeded { quota, message, wait }
    }

    /// A permit for a consumer of the tenant's own stream.
    ///
    /// # Errors
    /// When there are as many as the quota allows.
    pub(crate) fn consumer(&self, now: Instant) -> Result<QuotaPermit, QuotaExceeded> {
        self.permit(self.stream_consumers.as_ref(), now)
    }

    /// The value of the header field `RateLimit-Policy`
    /// (draft-ietf-httpapi-ratelimit-headers-11); `None` where a request has no quota.
    pub(crate) const fn policy(&self) -> Option<&Bytes> {
        self.policy.as_ref()
    }

    /// The value of the header field `RateLimit`: what is left now.
    pub(crate) fn left(&self, now: Instant) -> String {
        let mut text = String::with_capacity(128);
        let rates = [&self.decisions, &self.body_bytes].into_iter().flatten();
        for RateQuota { limiter, watch, .. } in rates {
            let (name, left) = (watch.name.name(), limiter.available(now));
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "{}\"{name}\";r={left};t={EFFECTIVE_WINDOW_SECONDS}",
                separator(&text)
            );
        }
        if let Some(quota) = &self.concurrent_requests {
            let left = quota.limit.saturating_sub(quota.held());
            let _ = write!(text, "{}\"{}\";r={left}", separator(&text), quota.watch.name.name());
        }
        text
    }

    /// The use of each quota that there is.
    pub(crate) fn all(&self, now: Instant) -> impl Iterator<Item = QuotaUse> {
        let at = self.at(now);
        let rates = [&self.decisions, &self.body_bytes].into_iter().flatten();
        let counts = [&self.concurrent_requests, &self.stream_consumers].into_iter().flatten();
        rates.map(move |quota| quota.shown(at)).chain(counts.map(|quota| quota.shown()))
    }

    fn policy_text(&self) -> Option<String> {
        let mut text = String::new();
        let rates = [(&self.decisions, ""), (&self.body_bytes, ";qu=\"content-bytes\"")];
        for (quota, unit) in rates {
            let Some(RateQuota { per_second, burst, watch, .. }) = quota else { continue };
            let name = watch.name.name();
            let _ = write!(
                text,
                "{}\"{name}\";q={per_second}{unit};w=1;enforcer-burst={burst}",
                separator(&text)
            );
        }
        if let Some(quota) = &self.concurrent_requests {
            let (name, limit) = (quota.watch.name.name(), quota.limit);
            let _ =
                write!(text, "{}\"{name}\";q={limit};qu=\"concurrent-requests\"", separator(&text));
        }
        (!text.is_empty()).then_some(text)
    }

    fn take(
        &self,
        quota: Option<&RateQuota>,
        units: u64,
        now: Instant,
    ) -> Result<(), QuotaExceeded> {
        let Some(quota) = quota else { return Ok(()) };
        quota.limiter.try_take(units, now).map_err(|wait| {
            self.refuse_rate(quota, now);
            quota.exceeded(wait)
        })
    }

    fn refuse_rate(&self, quota: &RateQuota, now: Instant) {
        self.refuse(&quota.watch, now, || {
            quota.notice(QuotaLevel::Exceeded, quota.watch.window.used(self.at(now)))
        });
    }

    /// Counts units that were taken, and warns when they are most of what a window has.
    fn count(&self, quota: Option<&RateQuota>, units: u64, now: Instant) {
        let Some(quota) = quota else { return };
        let used = quota.watch.window.add(units, self.at(now));
        if is_nearly_all(used, quota.window_limit()) {
            self.warn(&quota.watch, now, || quota.notice(QuotaLevel::Warning, used));
        }
    }

    fn permit(
        &self,
        quota: Option<&Arc<CountQuota>>,
        now: Instant,
    ) -> Result<QuotaPermit, QuotaExceeded> {
        let Some(quota) = quota else { return Ok(QuotaPermit::FREE) };
        let Some(permit) = quota.permit() else {
            self.refuse(&quota.watch, now, || quota.notice(QuotaLevel::Exceeded, quota.limit));
            return Err(quota.exceeded());
        };
        let held = quota.held();
        if is_nearly_all(held.into(), quota.limit.into()) {
            self.warn(&quota.watch, now, || quota.notice(QuotaLevel::Warning, held));
        }
        Ok(permit)
    }

    /// Warns operators, once in a window.
    fn warn(&self, watch: &Watch, now: Instant, notice: impl FnOnce() -> QuotaNotice) {
        if watch.window.tell(Notice::NearlyUsed, self.at(now)) {
            watch.warnings.fetch_add(1, Ordering::Relaxed);
            self.tell(notice());
        }
    }

    /// Counts a request that is refused, and tells operators of the first one in a window.
    fn refuse(&self, watch: &Watch, now: Instant, notice: impl FnOnce() -> QuotaNotice) {
        watch.exceeded.fetch_add(1, Ordering::Relaxed);
        if watch.window.tell(Notice::Exceeded, self.at(now)) {
            self.tell(notice());
        }
    }

    fn tell(&self, notice: QuotaNotice) {
        let QuotaNotice { quota, limit, used, message, .. } = &notice;
        warn!(tenant_id = %self.tenant_id, quota, limit, used, "{message}");
        self.stream.quota(notice);
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }
}

/// Between two items of a list of structured fields.
const fn separator(text: &str) -> &'static str {
    if text.is_empty() { "" } else { ", " }
}

fn is_nearly_all(used: u64, limit: u64) -> bool {
    used.saturating_mul(100) >= limit.saturating_mul(WARNING_PERCENT)
}

#[cfg(test)]
mod tests;
