//! A tenant's part of the stream: the records that decisions leave, and the publisher that makes
//! events of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use enforcer_protocol::{Mask, TenantId};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::channel::{Channel, ChannelMessage, Positions};
use super::cursor::Resumption;
use super::disclosure::{Disclosure, MaskedPaths, ShownInput, omitted};
use super::event::{
    Change, Changed, Decided, EVENT_OVERHEAD, FailedRequest, Input, QuotaNotice, Record, What,
    decision_bytes,
};
use super::hub::Stream;
use super::input::RequestInput;
use super::kinds::{EventKind, Kinds};
use super::memory::{Memory, Share};
use super::recent::{RECENT_BODY, RecentEvent, RecentRequest, RecentRequests};
use super::subscription::Subscription;
use crate::clock::{new_id, utc_now};
use crate::config::StreamInputs;

/// Events that a consumer of one tenant may be behind, before it loses the oldest.
pub(super) const TENANT_CHANNEL: usize = 1024;

/// Decisions of one tenant that wait to become events. Further ones are lost to the stream, and its
/// consumers are told.
const QUEUE_LENGTH: usize = 4096;

/// Events that are made at once.
const BATCH: usize = 256;

/// Between two batches of one tenant. Events in between are sent together, so that each consumer is
/// woken once for them and not for every event.
const PACE: Duration = Duration::from_millis(5);

/// How long a publisher without work stays, in case there soon is some. Most tenants of a large
/// host decide rarely, and a publisher takes some kilobytes.
const PUBLISHER_IDLE: Duration = Duration::from_secs(5);

/// A tenant's part of the stream.
#[derive(Debug)]
pub(crate) struct TenantStream {
    tenant_id: TenantId,
    channel: Arc<Channel>,
    stream: Arc<Stream>,
    memory: Memory,
    /// Whether inputs are shown at all.
    inputs: StreamInputs,
    /// Whether the policy that serves, or that served last, is known to have no mask. Until a worker
    /// has said so, nothing is shown that a mask has not seen.
    has_no_mask: AtomicBool,
    /// Whether events were lost since the publisher looked last: it looks into the feed only then.
    has_lost: AtomicBool,
    /// Held on the path of every decision, so never across an await, and hardly ever by the
    /// stream's own threads: they give way to others, also while they hold it.
    feed: Mutex<Feed>,
}

#[derive(Debug)]
struct Feed {
    /// Decisions that were ever made.
    sequence: u64,
    /// The sequence of the latest event.
    position: u64,
    /// Events that were lost behind the last record in the queue.
    lost: u64,
    /// The queue to the publisher, while there is one.
    queue: Option<mpsc::Sender<Record>>,
    /// Of the first record that went to that publisher, or that may, since the last one that did
    /// not.
    began: u64,
    /// The tenant was removed.
    is_closed: bool,
    recent_decisions: RecentRequests,
    recent_errors: RecentRequests,
}

impl TenantStream {
    /// A new tenant's part, which continues where one of the same name ended before.
    pub(crate) fn new(
        stream: &Arc<Stream>,
        tenant_id: TenantId,
        max_body: usize,
        inputs: StreamInputs,
    ) -> Self {
        let feed = Feed {
            sequence: stream.take_sequence(&tenant_id),
            position: 0,
            lost: 0,
            queue: None,
            began: 0,
            is_closed: false,
            recent_decisions: RecentRequests::default(),
            recent_errors: RecentRequests::default(),
        };
        Self {
            tenant_id,
            channel: Arc::new(Channel::new(TENANT_CHANNEL, Positions::OfAll)),
            memory: Memory::new(max_body, &stream.large_events),
            stream: Arc::clone(stream),
            inputs,
            has_no_mask: AtomicBool::new(false),
            has_lost: AtomicBool::new(false),
            feed: Mutex::new(feed),
        }
    }

    /// A worker that has loaded its policy begins to serve: whether the policy has a mask.
    pub(crate) fn set_mask(&self, has_mask: bool) {
        self.has_no_mask.store(!has_mask, Ordering::Release);
    }

    /// How much is shown of an answer that no mask has seen.
    pub(crate) fn without_mask(&self) -> Disclosure {
        self.disclosure(false, Mask::Absent)
    }

    /// How much is shown of an answer with this mask. The policy that answered has a mask or not; where
    /// a newer one has, nothing that it has not seen is shown either.
    pub(crate) fn disclosure(&self, has_mask: bool, mask: Mask) -> Disclosure {
        Disclosure::of(has_mask || !self.has_no_mask.load(Ordering::Acquire), mask)
    }

    /// Whether a decision that is asked for now will be shown to somebody, so that the policy's mask,
    /// if there is one, has to be applied.
    pub(crate) fn wants_mask(&self, now: Instant) -> bool {
        !self.has_no_mask.load(Ordering::Acquire)
            && (self.wants(EventKind::Decision)
                || self.locked().recent_decisions.may_have_room(now))
    }

    /// The input as it is shown. A masked one is taken out of `shown`.
    fn shown_input(&self, shown: &mut ShownInput, input: &RequestInput) -> Input {
        match (shown, input) {
            (_, RequestInput::Absent) => Input::In(RequestInput::Absent),
            _ if self.inputs == StreamInputs::Omit => Input::Omitted(omitted::OPERATOR),
            (ShownInput::AsSent, input) => Input::In(input.clone()),
            (ShownInput::Masked { input, .. }, _) => {
                input.take().map_or(Input::Omitted(omitted::MASK), Input::Masked)
            }
            (ShownInput::Omitted(why), _) => Input::Omitted(why),
        }
    }

    /// The input of a request without a decision as it is shown: no mask has seen it.
    fn failed_input(&self, input: Option<&RequestInput>) -> Input {
        let Some(input) = input else { return Input::Refused };
        match self.without_mask() {
            Disclosure::Whole => self.shown_input(&mut ShownInput::AsSent, input),
            _ => self.shown_input(&mut ShownInput::Omitted(omitted::MASK), input),
        }
    }

    /// Records a decision that was made about an input. Never waits.
    pub(crate) fn decided(self: &Arc<Self>, mut decided: Decided, input: &RequestInput) {
        // A body may be large, and other decisions need the feed: so it is copied before.
        let paths = decided.paths().map_or(0, MaskedPaths::length);
        let bytes = EVENT_OVERHEAD + decision_bytes(&decided.decision) + paths;
        let input = self.shown_input(&mut decided.input, input);
        let kept = self.wants(EventKind::Decision).then(|| self.keep(bytes, &input));
        let now = Instant::now();
        let mut feed = self.locked();
        feed.sequence += 1;
        let sequence = feed.sequence;
        if feed.recent_decisions.has_room(now) {
            let (decided, input) = recent_decision(&decided, &input);
            let what = What::Decision { decided, input, sequence };
            feed.recent_decisions.keep(utc_now(), what);
        }
        if !self.goes_on(&mut feed, self.wants(EventKind::Decision)) {
            return;
        }
        let (memory, input) = kept.unwrap_or_else(|| self.keep(bytes, &input));
        self.put(&mut feed, memory, What::Decision { decided, input, sequence });
    }

    /// Records a request that got no decision; `input` if its body was read.
    pub(crate) fn failed(self: &Arc<Self>, failed: FailedRequest, input: Option<&RequestInput>) {
        let errors = failed.errors.iter().map(|error| error.message.len() + EVENT_OVERHEAD);
        let bytes = EVENT_OVERHEAD + failed.message.len() + errors.sum::<usize>();
        let input = self.failed_input(input);
        let now = Instant::now();
        let mut feed = self.locked();
        if feed.recent_errors.has_room(now) {
            let input = recent_input(&input);
            let what = What::Error { failed: failed.clone(), input };
            feed.recent_errors.keep(utc_now(), what);
        }
        if !self.goes_on(&mut feed, self.wants(EventKind::Error)) {
            return;
        }
        let (memory, input) = self.keep(bytes, &input);
        self.put(&mut feed, memory, What::Error { failed, input });
    }

    /// The latest decisions and errors that came after `after`, to be written as the stream sends them.
    pub(crate) fn recent(&self, after: DateTime<Utc>) -> Vec<RecentRequest> {
        let feed = self.locked();
        let kept = feed.recent_decisions.iter().chain(feed.recent_errors.iter());
        kept.filter(|(at, _)| *at > after)
            .map(|(at, what)| RecentRequest::new(self.tenant_id.clone(), *at, what.clone()))
            .collect()
    }

    /// Keeps the input of a request, if there is memory for it and for the `bytes` of its event.
    fn keep(&self, bytes: usize, input: &Input) -> (Option<Share>, Input) {
        let length = input.length();
        match self.memory.take(bytes + length) {
            Some(memory) => (Some(memory), input.copied()),
            None if length == 0 => (None, input.clone()),
            None => {
                self.stream.metrics.inputs_omitted.inc();
                (self.memory.take(bytes), Input::Omitted(omitted::TOO_LARGE))
            }
        }
    }

    /// Records a change of the tenant.
    pub(crate) fn changed(self: &Arc<Self>, changed: Changed) {
        let (id, at) = (new_id(), utc_now());
        let is_removed = changed.change == Change::Removed;
        let what = What::Tenant { id, changed };
        if let Some(json) = what.message(&self.tenant_id, at, EVENT_OVERHEAD) {
            self.stream.recent_changes.keep(RecentEvent { at, json: json.into() });
        }
        let What::Tenant { changed, .. } = &what else { return };
        let mut feed = self.locked();
        if self.goes_on(&mut feed, self.is_wanted()) {
            let errors = changed.errors.iter().map(|error| error.message.len() + EVENT_OVERHEAD);
            let bytes = EVENT_OVERHEAD + changed.message.len() + errors.sum::<usize>();
            let memory = self.memory.take(bytes);
            self.put(&mut feed, memory, what);
        }
        if !is_removed {
            return;
        }
        feed.is_closed = true;
        let sequence = feed.sequence;
        // The publisher closes the channel once it has sent the remaining records.
        let has_publisher = feed.queue.take().is_some();
        drop(feed);
        if !has_publisher {
            self.channel.close();
        }
        self.stream.remember(&self.tenant_id, sequence);
    }

    /// Records that a quota of the tenant is nearly or wholly used. Never waits.
    pub(crate) fn quota(self: &Arc<Self>, notice: QuotaNotice) {
        let (id, bytes) = (new_id(), EVENT_OVERHEAD + notice.message.len());
        let mut feed = self.locked();
        if self.goes_on(&mut feed, self.wants(EventKind::Quota)) {
            let what = What::Quota { id, notice };
            let memory = self.memory.take(bytes);
            self.put(&mut feed, memory, what);
        }
    }

    /// Adds a consumer of this tenant alone. `None` where the tenant is removed.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        kinds: Kinds,
        resumption: Resumption,
    ) -> Option<Subscription> {
        let beginning = self.channel.subscribe(kinds, resumption)?;
        let next = {
            let feed = self.locked();
            match feed.queue {
                // Every event that was counted since is published: it finds a consumer.
                None => feed.position + 1,
                // It may still have to send events that were counted.
                Some(_) => feed.began.max(beginning.next),
            }
        };
        let channel = Arc::clone(&self.channel);
        Some(Subscription::new(channel, beginning, next, kinds, resumption, &self.stream.metrics))
    }

    /// Counts an event. Returns whether it is published.
    fn goes_on(&self, feed: &mut Feed, is_wanted: bool) -> bool {
        feed.position += 1;
        let goes_on = !feed.is_closed && is_wanted;
        if !goes_on {
            // The publisher may still run, and will not publish it.
            feed.began = feed.position + 1;
        }
        goes_on
    }

    /// Gives a record to the publisher, or loses it.
    fn put(self: &Arc<Self>, feed: &mut Feed, memory: Option<Share>, what: What) {
        let Some(memory) = memory else { return self.lose(feed) };
        let position = feed.position;
        let queue = feed.queue.get_or_insert_with(|| {
            let (queue, records) = mpsc::channel(QUEUE_LENGTH);
            self.stream.runtime.spawn(publish(Arc::clone(self), records));
            feed.began = position;
            queue
        });
        let lost_before = feed.lost;
        match queue.try_send(Record { at: utc_now(), position, lost_before, what, memory }) {
            Ok(()) => feed.lost = 0,
            Err(_) => self.lose(feed),
        }
    }

    fn lose(&self, feed: &mut Feed) {
        feed.lost += 1;
        self.has_lost.store(true, Ordering::Release);
    }

    /// Makes an event of a record for all consumers, after a message about the events that were
    /// lost before it.
    fn send(&self, record: Record) {
        let position = record.position;
        self.tell_of_lost(record.lost_before, position - 1);
        match record.build(&self.tenant_id, &self.memory) {
            Some(event) => {
                let event = Arc::new(event);
                self.stream.metrics.events.inc();
                self.channel.send(Some(position), ChannelMessage::Event(Arc::clone(&event)));
                self.stream.operators.send(None, ChannelMessage::Event(event));
            }
            None => self.tell_of_lost(1, position),
        }
    }

    /// Reports lost events that no record follows.
    fn tell_of_lost_last(&self, records: &mpsc::Receiver<Record>) {
        if !records.is_empty() || !self.has_lost.swap(false, Ordering::Acquire) {
            return;
        }
        let (lost, position) = {
            let mut feed = self.locked();
            if !records.is_empty() {
                // Events lost after those are reported when they are sent.
                self.has_lost.store(true, Ordering::Release);
                return;
            }
            (std::mem::take(&mut feed.lost), feed.position)
        };
        self.tell_of_lost(lost, position);
    }

    fn tell_of_lost(&self, lost: u64, position: u64) {
        if lost > 0 {
            self.stream.metrics.missed.inc_by(lost);
            self.channel.send(Some(position), ChannelMessage::Lost(lost));
            self.stream.operators.send(None, ChannelMessage::Lost(lost));
        }
    }

    /// Whether the publisher of these records may end: they have no consumer, or the queue is
    /// empty. From then on it gets no more.
    fn lets_go(&self, records: &mpsc::Receiver<Record>) -> bool {
        let mut feed = self.locked();
        if self.is_wanted() {
            // A consumer that came meanwhile wants the records in the queue.
            if !records.is_empty() || feed.lost > 0 {
                return false;
            }
        } else {
            feed.lost = 0;
        }
        feed.queue = None;
        true
    }

    fn wants(&self, kind: EventKind) -> bool {
        self.channel.wants(kind) || self.stream.operators.wants(kind)
    }

    fn is_wanted(&self) -> bool {
        self.channel.is_wanted() || self.stream.operators.is_wanted()
    }

    /// As [`Self::is_wanted`], now that time has passed.
    fn is_still_wanted(&self) -> bool {
        // Both, because each finds out what it may free.
        self.channel.is_still_wanted() | self.stream.operators.is_still_wanted()
    }

    fn locked(&self) -> MutexGuard<'_, Feed> {
        // Every change leaves the feed whole.
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A copy of a small input, for the dashboard.
fn recent_input(input: &Input) -> Input {
    match input.length() {
        0..=RECENT_BODY => input.copied(),
        _ => Input::Omitted(omitted::TOO_LARGE),
    }
}

/// A copy of a decision and of a small input, for the dashboard. Many paths of a mask are left out
/// with the input.
fn recent_decision(decided: &Decided, input: &Input) -> (Decided, Input) {
    let mut decided = decided.clone();
    if decided.paths().is_some_and(|paths| paths.length() > RECENT_BODY) {
        decided.forget_paths();
        return (decided, Input::Omitted(omitted::TOO_LARGE));
    }
    (decided, recent_input(input))
}

/// Makes events of a tenant's records, until no record comes for a while or there is no consumer.
async fn publish(tenant: Arc<TenantStream>, mut records: mpsc::Receiver<Record>) {
    let mut batch = Vec::new();
    loop {
        let Ok(count) = timeout(PUBLISHER_IDLE, records.recv_many(&mut batch, BATCH)).await else {
            tenant.tell_of_lost_last(&records);
            if tenant.lets_go(&records) {
                return;
            }
            continue;
        };
        if count == 0 {
            break;
        }
        for record in batch.drain(..) {
            tenant.send(record);
        }
        tenant.tell_of_lost_last(&records);
        if count == BATCH {
            // More may wait; but consumers come first, or they fall behind.
            yield_now().await;
        } else {
            sleep(PACE).await;
        }
        if !tenant.is_still_wanted() && tenant.lets_go(&records) {
            return;
        }
    }
    // The tenant was removed.
    tenant.tell_of_lost_last(&records);
    tenant.channel.close();
}

#[cfg(test)]
mod tests;
