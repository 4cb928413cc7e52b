//! A consumer's end of the stream, for every protocol.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::channel::{Beginning, Channel, ChannelMessage, Item, Missed, Since};
use super::cursor::{Cursor, Resumption};
use super::event::{Event, lagged};
use super::kinds::Kinds;
use crate::telemetry::metrics::StreamMetrics;

/// An item that a consumer gets.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// An event, and the cursor behind it.
    Event(Cursor, Arc<Event>),
    /// A message that events were missed.
    Missed(Bytes),
}

impl Delivery {
    /// The text of the message.
    pub(crate) fn into_message(self) -> Bytes {
        match self {
            Self::Event(_, event) => event.json.clone(),
            Self::Missed(message) => message,
        }
    }
}

/// The end of the stream, because the tenant was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

/// A consumer's end of the stream.
#[derive(Debug)]
pub(crate) struct Subscription {
    channel: Arc<Channel>,
    /// `None` only while it is dropped.
    receiver: Option<broadcast::Receiver<Item>>,
    epoch: u32,
    backlog: VecDeque<Item>,
    missed: Missed,
    kinds: Kinds,
    resumption: Resumption,
    missed_by_all: Counter,
}

impl Subscription {
    /// `next` is the position of the first item that was not sent yet when it began.
    pub(super) fn new(
        channel: Arc<Channel>,
        beginning: Beginning,
        next: u64,
        kinds: Kinds,
        resumption: Resumption,
        metrics: &StreamMetrics,
    ) -> Self {
        let Since { backlog, missed } = match resumption {
            Resumption::From(cursor) => beginning.since(cursor, next),
            Resumption::Never | Resumption::Possible => {
                Since { backlog: VecDeque::new(), missed: Missed::Nothing }
            }
        };
        let Beginning { receiver, epoch, .. } = beginning;
        let missed_by_all = metrics.missed.clone();
        let receiver = Some(receiver);
        Self { channel, receiver, epoch, backlog, missed, kinds, resumption, missed_by_all }
    }

    /// The next item. It is cancel safe: dropping the future loses nothing.
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

    /// The next item, if it is there already.
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

    /// The items that were missed before the subscription began, as far as they are kept.
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
            ChannelMessage::Event(event) => self.kinds.include(event.kind).then(|| {
                Delivery::Event(Cursor::At { epoch: self.epoch, position: item.position }, event)
            }),
            ChannelMessage::Lost(lost) => Some(Delivery::Missed(lagged(Some(lost)))),
        }
    }

    fn miss(&self, missed: u64) -> Delivery {
        self.missed_by_all.inc_by(missed);
        Delivery::Missed(lagged(Some(missed)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // First, so that the channel sees the receiver gone.
        self.receiver = None;
        self.channel.leave(self.kinds, self.resumption);
    }
}
