//! The channels from which consumers get events: one for each tenant, and one for operators, who
//! see all tenants.
//!
//! A channel exists while it has a consumer. While a consumer may reconnect and ask for missed
//! events (server-sent events), it also keeps the events that it sent last.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cursor::{Cursor, Resumption};
use super::event::Event;
use super::kinds::{EventKind, Kinds};
use crate::clock::new_id;
use tokio::sync::broadcast;
use tokio::time::Instant;

/// How long a consumer that can resume may stay away: an `EventSource` reconnects after seconds.
const RESUME_WINDOW: Duration = Duration::from_secs(60);

/// Bytes of events that a channel keeps for consumers that may reconnect. The events that it sends
/// are bounded by the tenants' stream memory.
const MAX_REMEMBERED_BYTES: usize = 2 * 1024 * 1024;

/// An item of a channel.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Grows with every item of the channel; not always by one.
    pub(super) position: u64,
    pub(super) what: ChannelMessage,
}

#[derive(Clone, Debug)]
pub(super) enum ChannelMessage {
    Event(Arc<Event>),
    /// The number of events that could not be built.
    Lost(u64),
}

impl Item {
    fn bytes(&self) -> usize {
        match &self.what {
            ChannelMessage::Event(event) => event.json.len(),
            ChannelMessage::Lost(_) => 0,
        }
    }
}

/// The start of a consumer's subscription.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) receiver: broadcast::Receiver<Item>,
    pub(super) epoch: u32,
    /// The position of the next item.
    pub(super) next: u64,
    /// The earlier items that are kept, if the consumer asks for them.
    remembered: VecDeque<Item>,
}

/// The items that a consumer missed while it was disconnected.
#[derive(Debug)]
pub(super) struct Since {
    /// Those that the channel still has.
    pub(super) backlog: VecDeque<Item>,
    /// The number before those.
    pub(super) missed: Missed,
}

/// How many events a consumer did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    Nothing,
    Events(u64),
    /// The number is unknown.
    Unknown,
}

/// The unit of a channel's positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Positions {
    /// All that happens, also without a consumer.
    OfAll,
    /// The items that the channel sends.
    OfSentItems,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// Items that a consumer may be behind.
    length: usize,
    positions: Positions,
    /// Whether a consumer listens or may reconnect: read by every decision.
    is_wanted: AtomicBool,
    /// The [`Kinds`] of events that any consumer wants.
    wanted_kinds: AtomicU8,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Tells cursors of this channel from those of another of the same name.
    epoch: u32,
    /// Of the item that was sent last.
    position: u64,
    /// While there is a consumer.
    sender: Option<broadcast::Sender<Item>>,
    /// Consumers that want each kind of events.
    wanting: [usize; EventKind::ALL.len()],
    /// Consumers that may reconnect and ask for missed events of any kind.
    resumers: usize,
    /// Until when those that left may reconnect.
    kept_until: Option<Instant>,
    remembered: VecDeque<Item>,
    remembered_bytes: usize,
    is_closed: bool,
}

impl Channel {
    pub(super) fn new(length: usize, positions: Positions) -> Self {
        let state = State {
            epoch: random_epoch(),
            position: 0,
            sender: None,
            wanting: [0; EventKind::ALL.len()],
            resumers: 0,
            kept_until: None,
            remembered: VecDeque::new(),
            remembered_bytes: 0,
            is_closed: false,
        };
        Self {
            length,
            positions,
            is_wanted: AtomicBool::new(false),
            wanted_kinds: AtomicU8::new(0),
            state: Mutex::new(state),
        }
    }

    /// Whether events should be built for it.
    pub(super) fn is_wanted(&self) -> bool {
        // A consumer knows from its answer that it listens, so a decision that it requests after
        // that sees it.
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Whether events of this kind should be built for it.
    pub(super) fn wants(&self, kind: EventKind) -> bool {
        Kinds::from_bits(self.wanted_kinds.load(Ordering::Acquire)).include(kind)
    }

    /// Whether events should still be built for it, now that time has passed.
    pub(super) fn is_still_wanted(&self) -> bool {
        if !self.is_wanted() {
            return false;
        }
        self.settle(&mut self.locked())
    }

    /// Finds out whether the channel is wanted, and frees its items if not.
    fn settle(&self, state: &mut State) -> bool {
        let is_wanted = state.is_wanted();
        if !is_wanted {
            state.forget();
            if self.positions == Positions::OfSentItems {
                // Nothing is counted from now on, so earlier cursors mean nothing after it.
                state.epoch = random_epoch();
            }
        }
        self.wanted_kinds.store(state.wanted_kinds(is_wanted).bits(), Ordering::Release);
        self.is_wanted.store(is_wanted, Ordering::Release);
        is_wanted
    }

    /// Adds a consumer. `None` where the channel is closed.
    pub(super) fn subscribe(&self, kinds: Kinds, resumption: Resumption) -> Option<Beginning> {
        let mut state = self.locked();
        if state.is_closed {
            return None;
        }
        let sender =
            state.sender.get_or_insert_with(|| broadcast::Sender::new(self.length)).clone();
        let receiver = sender.subscribe();
        state.resumers += usize::from(resumption.is_possible());
        state.count(kinds, |wanting| wanting + 1);
        self.settle(&mut state);
        let remembered = match resumption {
            Resumption::From(_) => state.remembered.clone(),
            Resumption::Never | Resumption::Possible => VecDeque::new(),
        };
        let (epoch, next) = (state.epoch, state.position + 1);
        Some(Beginning { receiver, epoch, next, remembered })
    }

    /// Removes a consumer that has dropped its receiver.
    pub(super) fn leave(&self, kinds: Kinds, resumption: Resumption) {
        let mut state = self.locked();
        if state.sender.as_ref().is_some_and(|sender| sender.receiver_count() == 0) {
            state.sender = None;
        }
        state.count(kinds, |wanting| wanting.saturating_sub(1));
        if resumption.is_possible() {
            state.resumers = state.resumers.saturating_sub(1);
            state.kept_until = Some(Instant::now() + RESUME_WINDOW);
        }
        self.settle(&mut state);
    }

    /// Sends an item at `position`, or at the next one if that is `None`.
    pub(super) fn send(&self, position: Option<u64>, what: ChannelMessage) {
        let mut state = self.locked();
        state.position = position.unwrap_or(state.position + 1);
        let item = Item { position: state.position, what };
        if state.can_resume() {
            state.remember(item.clone(), self.length);
        }
        if let Some(sender) = &state.sender {
            // Fails when there is no consumer any more.
            let _ = sender.send(item);
        }
    }

    /// Ends the channel: its consumers get the items that were sent, and then the end.
    pub(super) fn close(&self) {
        let mut state = self.locked();
        state.is_closed = true;
        state.sender = None;
        self.settle(&mut state);
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn can_resume(&self) -> bool {
        self.resumers > 0 || self.kept_until.is_some_and(|until| Instant::now() < until)
    }

    fn count(&mut self, kinds: Kinds, change: impl Fn(usize) -> usize) {
        for (kind, wanting) in EventKind::ALL.into_iter().zip(&mut self.wanting) {
            if kinds.include(kind) {
                *wanting = change(*wanting);
            }
        }
    }

    fn wanted_kinds(&self, is_wanted: bool) -> Kinds {
        if is_wanted && self.can_resume() {
            // A consumer that reconnects may ask for events of any kind.
            return Kinds::ALL;
        }
        let wanted = EventKind::ALL.into_iter().zip(self.wanting);
        wanted
            .filter(|(_, wanting)| is_wanted && *wanting > 0)
            .fold(Kinds::NONE, |kinds, (kind, _)| kinds.with(kind))
    }

    fn is_wanted(&self) -> bool {
        !self.is_closed && (self.sender.is_some() || self.can_resume())
    }

    fn forget(&mut self) {
        self.remembered = VecDeque::new();
        self.remembered_bytes = 0;
        self.kept_until = None;
    }

    fn remember(&mut self, item: Item, length: usize) {
        self.remembered_bytes += item.bytes();
        self.remembered.push_back(item);
        while self.remembered.len() > length || self.remembered_bytes > MAX_REMEMBERED_BYTES {
            let Some(oldest) = self.remembered.pop_front() else { break };
            self.remembered_bytes -= oldest.bytes();
        }
    }
}

impl Beginning {
    /// The kept items since `cursor`, and the number that is missing before them. `next` is the
    /// position of the first item that was not sent yet.
    pub(super) fn since(&self, cursor: Cursor, next: u64) -> Since {
        let behind = |index: usize| self.remembered.iter().skip(index).cloned().collect();
        let (backlog, missed) = match cursor {
            Cursor::At { epoch, position } if epoch == self.epoch && position < next => {
                let index = self.remembered.partition_point(|item| item.position <= position);
                let first = self.remembered.get(index).map_or(next, |item| item.position);
                let missed = match first.saturating_sub(position + 1) {
                    0 => Missed::Nothing,
                    // Two kept items tell how many lie between them.
                    _ if (1..self.remembered.len()).contains(&index) => Missed::Nothing,
                    missed => Missed::Events(missed),
                };
                (behind(index), missed)
            }
            Cursor::Behind(id) => {
                let is_it = |item: &Item| matches!(&item.what, ChannelMessage::Event(event) if event.id == id);
                match self.remembered.iter().position(is_it) {
                    Some(index) => (behind(index + 1), Missed::Nothing),
                    None => (behind(0), Missed::Unknown),
                }
            }
            // Of an earlier run of the supervisor, or forged.
            Cursor::At { .. } | Cursor::Unknown => (behind(0), Missed::Unknown),
        };
        Since { backlog, missed }
    }
}

/// It need not be secret: it only tells one epoch from another.
fn random_epoch() -> u32 {
    let [.., a, b, c, d] = new_id().into_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 8;

    const ALL: Kinds = Kinds::ALL;

    const BACK: Resumption = Resumption::From(Cursor::Unknown);

    fn positions(items: &VecDeque<Item>) -> Vec<u64> {
        items.iter().map(|item| item.position).collect()
    }

    fn at(beginning: &Beginning, position: u64) -> Cursor {
        Cursor::At { epoch: beginning.epoch, position }
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_is_wanted_while_a_consumer_listens_or_may_reconnect() {
        let channel = Channel::new(LENGTH, Positions::OfAll);
        assert!(!channel.is_wanted());
        for resumption in [Resumption::Never, Resumption::Possible, BACK] {
            let beginning = channel.subscribe(ALL, resumption).unwrap();
            assert!(channel.is_wanted());
            drop(beginning);
            channel.leave(ALL, resumption);
            assert_eq!(channel.is_wanted(), resumption != Resumption::Never);
        }
        tokio::time::advance(RESUME_WINDOW).await;
        assert!(!channel.is_still_wanted() && !channel.is_wanted());
        channel.close();
        assert!(channel.subscribe(ALL, Resumption::Never).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn decisions_are_wanted_by_consumers_that_ask_for_them_or_may_reconnect() {
        let channel = Channel::new(LENGTH, Positions::OfAll);
        let others = Kinds::NONE.with(EventKind::Tenant);
        let _listens = channel.subscribe(others, Resumption::Never).unwrap();
        assert!(channel.is_wanted() && !channel.wants(EventKind::Decision));
        drop(channel.subscribe(ALL, Resumption::Never).unwrap());
        assert!(channel.wants(EventKind::Decision));
        channel.leave(ALL, Resumption::Never);
        assert!(channel.is_wanted() && !channel.wants(EventKind::Decision));
        drop(channel.subscribe(others, Resumption::Possible).unwrap());
        channel.leave(others, Resumption::Possible);
        assert!(channel.wants(EventKind::Decision));
        tokio::time::advance(RESUME_WINDOW).await;
        assert!(channel.is_still_wanted() && !channel.wants(EventKind::Decision));
    }

    #[tokio::test(start_paused = true)]
    async fn a_consumer_that_reconnects_gets_missed_events_and_is_told_of_the_rest() {
        let channel = Channel::new(LENGTH, Positions::OfAll);
        drop(channel.subscribe(ALL, Resumption::Possible).unwrap());
        channel.leave(ALL, Resumption::Possible);
        // More than is kept, and one that could not be built.
        for position in (1..=11).filter(|position| *position != 9) {
            channel.send(Some(position), ChannelMessage::Lost(1));
        }
        let beginning = channel.subscribe(ALL, BACK).unwrap();
        assert_eq!(beginning.next, 12);
        for (position, backlog, missed) in [
            (11, &[][..], Missed::Nothing),
            (9, &[10, 11], Missed::Nothing),
            (8, &[10, 11], Missed::Nothing),
            (2, &[3, 4, 5, 6, 7, 8, 10, 11], Missed::Nothing),
            (0, &[3, 4, 5, 6, 7, 8, 10, 11], Missed::Events(2)),
        ] {
            let since = beginning.since(at(&beginning, position), 12);
            assert_eq!((positions(&since.backlog).as_slice(), since.missed), (backlog, missed));
        }
        // The next event is further than the last one sent: there was no consumer in between.
        let since = beginning.since(at(&beginning, 11), 20);
        assert_eq!(since.missed, Missed::Events(8));
        for cursor in [
            at(&beginning, 12),
            Cursor::At { epoch: beginning.epoch.wrapping_add(1), position: 11 },
            Cursor::Behind(uuid::Uuid::nil()),
            Cursor::Unknown,
        ] {
            let since = beginning.since(cursor, 12);
            assert_eq!((since.backlog.len(), since.missed), (8, Missed::Unknown), "{cursor}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_for_consumers_that_cannot_reconnect() {
        let channel = Channel::new(LENGTH, Positions::OfSentItems);
        let _listens = channel.subscribe(ALL, Resumption::Never).unwrap();
        channel.send(None, ChannelMessage::Lost(1));
        assert!(channel.subscribe(ALL, BACK).unwrap().remembered.is_empty());
        channel.send(None, ChannelMessage::Lost(1));
        assert_eq!(positions(&channel.subscribe(ALL, BACK).unwrap().remembered), [2]);
        for _ in 0..2 {
            channel.leave(ALL, Resumption::Possible);
        }
        tokio::time::advance(RESUME_WINDOW).await;
        channel.send(None, ChannelMessage::Lost(1));
        // Still kept, and no more than before.
        assert_eq!(positions(&channel.subscribe(ALL, BACK).unwrap().remembered), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn cursors_of_sent_items_are_invalid_after_a_time_without_consumers() {
        let channel = Channel::new(LENGTH, Positions::OfSentItems);
        let epoch = channel.subscribe(ALL, Resumption::Never).unwrap().epoch;
        channel.leave(ALL, Resumption::Never);
        assert_ne!(channel.subscribe(ALL, Resumption::Never).unwrap().epoch, epoch);

        let channel = Channel::new(LENGTH, Positions::OfAll);
        let epoch = channel.subscribe(ALL, Resumption::Never).unwrap().epoch;
        channel.leave(ALL, Resumption::Never);
        assert_eq!(channel.subscribe(ALL, Resumption::Never).unwrap().epoch, epoch);
    }
}
