//! A consumer's end of the stream, whatever protocol it speaks.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::Stream;
use super::channel::{Beginning, Carried, Channel, Item, Missed, Place, Resumption, Since};
use super::event::{Event, EventKind, lagged};
use super::tenant::TenantStream;
use crate::metrics::StreamMetrics;

/// The kinds of events that a consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) decisions: bool,
    pub(crate) tenants: bool,
}

impl Kinds {
    const fn include(self, kind: EventKind) -> bool {
        match kind {
            EventKind::Decision => self.decisions,
            EventKind::Tenant => self.tenants,
        }
    }
}

/// What a consumer gets.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// An event, and the place behind it.
    Event(Place, Arc<Event>),
    /// A message that some were missed.
    Missed(Bytes),
}

impl Delivery {
    /// The message that says it.
    pub(crate) fn into_message(self) -> Bytes {
        match self {
            Self::Event(_, event) => event.json.clone(),
            Self::Missed(message) => message,
        }
    }
}

/// That there is nothing more, because the tenant was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

/// Where a consumer's events come from.
#[derive(Debug)]
pub(super) enum Source {
    Tenant(Arc<TenantStream>),
    Operators(Arc<Stream>),
}

impl Source {
    fn channel(&self) -> &Channel {
        match self {
            Self::Tenant(tenant) => &tenant.channel,
            Self::Operators(stream) => &stream.operators,
        }
    }
}

/// A consumer's end of the stream.
#[derive(Debug)]
pub(crate) struct Subscription {
    source: Source,
    /// `None` only while it is dropped.
    receiver: Option<broadcast::Receiver<Item>>,
    run: u32,
    backlog: VecDeque<Item>,
    missed: Missed,
    kinds: Kinds,
    resumption: Resumption,
    missed_by_all: Counter,
}

impl Subscription {
    /// What was not sent yet when it began begins with `next`.
    pub(super) fn new(
        source: Source,
        beginning: Beginning,
        next: u64,
        kinds: Kinds,
        resumption: Resumption,
        metrics: &StreamMetrics,
    ) -> Self {
        let Since { backlog, missed } = match resumption {
            Resumption::From(place) => beginning.since(place, next),
            Resumption::Never | Resumption::Possible => {
                Since { backlog: VecDeque::new(), missed: Missed::Nothing }
            }
        };
        let Beginning { receiver, run, .. } = beginning;
        let missed_by_all = metrics.missed.clone();
        let receiver = Some(receiver);
        Self { source, receiver, run, backlog, missed, kinds, resumption, missed_by_all }
    }

    /// What comes next. Nothing is lost where waiting for it is given up.
    pub(crate) async fn next(&mut self) -> Result<Delivery, Ended> {
        loop {
            if let Some(delivery) = self.take_from_before() {
                return Ok(delivery);
            }
            let Some(receiver) = &mut self.receiver else { return Err(Ended) };
            match receiver.recv().await {
                Ok(item) => {
                    if let Some(delivery) = self.deliver(item) {
                        return Ok(delivery);
                    }
                }
                Err(RecvError::Lagged(missed)) => return Ok(self.miss(missed)),
                Err(RecvError::Closed) => return Err(Ended),
            }
        }
    }

    /// What comes next, where it is there already.
    pub(crate) fn next_if_there(&mut self) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.take_from_before() {
                return Some(delivery);
            }
            match self.receiver.as_mut()?.try_recv() {
                Ok(item) => {
                    if let Some(delivery) = self.deliver(item) {
                        return Some(delivery);
                    }
                }
                Err(TryRecvError::Lagged(missed)) => return Some(self.miss(missed)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// What was missed before the subscription began, as far as it is still there.
    fn take_from_before(&mut self) -> Option<Delivery> {
        match std::mem::replace(&mut self.missed, Missed::Nothing) {
            Missed::Nothing => {}
            Missed::Events(missed) => return Some(self.miss(missed)),
            Missed::Unknown => return Some(Delivery::Missed(lagged(None))),
        }
        while let Some(item) = self.backlog.pop_front() {
            if let Some(delivery) = self.deliver(item) {
                return Some(delivery);
            }
        }
        None
    }

    fn deliver(&self, item: Item) -> Option<Delivery> {
        match item.what {
            Carried::Event(event) => self.kinds.include(event.kind).then(|| {
                Delivery::Event(Place::At { run: self.run, position: item.position }, event)
            }),
            Carried::Lost(lost) => Some(Delivery::Missed(lagged(Some(lost)))),
        }
    }

    fn miss(&self, missed: u64) -> Delivery {
        self.missed_by_all.inc_by(missed);
        Delivery::Missed(lagged(Some(missed)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // First, so that the channel sees that it is gone.
        self.receiver = None;
        self.source.channel().leave(self.kinds, self.resumption);
    }
}
