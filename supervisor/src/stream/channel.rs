//! Where consumers take events from: one channel for each tenant, and one for operators who see all.
//!
//! A channel is there while somebody listens. While somebody may come back and ask for what was
//! missed (server-sent events), it also remembers what it sent last.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;
use uuid::Uuid;

use super::event::Event;
use super::subscription::Kinds;

/// How long a consumer that can resume may stay away: an `EventSource` comes back after seconds.
const RESUME_WINDOW: Duration = Duration::from_secs(60);

/// Bytes of events that a channel remembers. What it sends is bounded by the tenants' stream
/// memory; this is what may be kept of that for who is not there.
const MAX_REMEMBERED_BYTES: usize = 2 * 1024 * 1024;

/// What a channel carries.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Grows with every item of the channel; not always by one.
    pub(super) position: u64,
    pub(super) what: Carried,
}

#[derive(Clone, Debug)]
pub(super) enum Carried {
    Event(Arc<Event>),
    /// So many events could not be built.
    Lost(u64),
}

impl Item {
    fn bytes(&self) -> usize {
        match &self.what {
            Carried::Event(event) => event.json.len(),
            Carried::Lost(_) => 0,
        }
    }
}

/// Where in a stream a consumer is, to begin there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// As the stream itself has said it.
    At { run: u32, position: u64 },
    /// Behind the event of this decision, which may be known from elsewhere.
    Behind(Uuid),
    /// Somewhere that is not known.
    Unknown,
}

/// Whether a consumer comes back when its connection breaks, and asks for what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// It begins anew.
    Never,
    /// It may, later.
    Possible,
    /// It does so now, from this place.
    From(Place),
}

impl Resumption {
    fn is_possible(self) -> bool {
        self != Self::Never
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { run, position } => write!(formatter, "{run:08x}.{position}"),
            Self::Behind(id) => write!(formatter, "{id}"),
            Self::Unknown => formatter.write_str("unknown"),
        }
    }
}

impl From<&str> for Place {
    fn from(text: &str) -> Self {
        let at = |(run, position): (&str, &str)| {
            let run = u32::from_str_radix(run, 16).ok()?;
            Some(Self::At { run, position: position.parse().ok()? })
        };
        let behind = || Uuid::from_str(text).ok().map(Self::Behind);
        text.split_once('.').and_then(at).or_else(behind).unwrap_or(Self::Unknown)
    }
}

/// What a consumer begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) receiver: broadcast::Receiver<Item>,
    pub(super) run: u32,
    /// The position of what is sent next.
    pub(super) next: u64,
    /// What was sent before, as far as it is remembered, where somebody asks for it.
    remembered: VecDeque<Item>,
}

/// What a consumer has missed while it was away.
#[derive(Debug)]
pub(super) struct Since {
    /// What the channel still has of it.
    pub(super) backlog: VecDeque<Item>,
    /// How much there was before that.
    pub(super) missed: Missed,
}

/// How many events a consumer did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    Nothing,
    Events(u64),
    /// It is not known how many.
    Unknown,
}

/// What a channel's positions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Positions {
    /// All that happens, also while nobody listens.
    OfAll,
    /// What the channel sends.
    OfWhatIsSent,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// Items that a consumer may be behind.
    length: usize,
    positions: Positions,
    /// Whether anybody listens or may come back: what every decision looks at.
    is_wanted: AtomicBool,
    /// The same, of decisions.
    wants_decisions: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Tells places of this channel from those of another of the same name.
    run: u32,
    /// Of the item that was sent last.
    position: u64,
    /// While somebody listens.
    sender: Option<broadcast::Sender<Item>>,
    /// Consumers that want decisions.
    of_decisions: usize,
    /// Consumers that may come back and ask for what they missed, whatever it was.
    resumers: usize,
    /// Until when those that left may come back.
    kept_until: Option<Instant>,
    remembered: VecDeque<Item>,
    remembered_bytes: usize,
    is_closed: bool,
}

impl Channel {
    pub(super) fn new(length: usize, positions: Positions) -> Self {
        let state = State {
            run: random_run(),
            position: 0,
            sender: None,
            of_decisions: 0,
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
            wants_decisions: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Whether events should be built for it.
    pub(super) fn is_wanted(&self) -> bool {
        // Whoever listens has been told so by its answer, so a decision that it asked for after
        // that sees it.
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Whether events of decisions should be built for it.
    pub(super) fn wants_decisions(&self) -> bool {
        self.wants_decisions.load(Ordering::Acquire)
    }

    /// Whether events should still be built for it, now that time has passed.
    pub(super) fn is_still_wanted(&self) -> bool {
        if !self.is_wanted() {
            return false;
        }
        self.settle(&mut self.locked())
    }

    /// Finds out whether the channel is wanted, and lets go of what it has where it is not.
    fn settle(&self, state: &mut State) -> bool {
        let is_wanted = state.is_wanted();
        if !is_wanted {
            state.forget();
            if self.positions == Positions::OfWhatIsSent {
                // Nothing is counted from now on, so places of before mean nothing after it.
                state.run = random_run();
            }
        }
        let wants_decisions = is_wanted && (state.of_decisions > 0 || state.can_resume());
        self.wants_decisions.store(wants_decisions, Ordering::Release);
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
        state.of_decisions += usize::from(kinds.decisions);
        self.settle(&mut state);
        let remembered = match resumption {
            Resumption::From(_) => state.remembered.clone(),
            Resumption::Never | Resumption::Possible => VecDeque::new(),
        };
        let (run, next) = (state.run, state.position + 1);
        Some(Beginning { receiver, run, next, remembered })
    }

    /// Takes note that a consumer has dropped its receiver.
    pub(super) fn leave(&self, kinds: Kinds, resumption: Resumption) {
        let mut state = self.locked();
        if state.sender.as_ref().is_some_and(|sender| sender.receiver_count() == 0) {
            state.sender = None;
        }
        state.of_decisions -= usize::from(kinds.decisions);
        if resumption.is_possible() {
            state.resumers = state.resumers.saturating_sub(1);
            state.kept_until = Some(Instant::now() + RESUME_WINDOW);
        }
        self.settle(&mut state);
    }

    /// Sends what is at `position`, or next where that is `None`.
    pub(super) fn send(&self, position: Option<u64>, what: Carried) {
        let mut state = self.locked();
        state.position = position.unwrap_or(state.position + 1);
        let item = Item { position: state.position, what };
        if state.can_resume() {
            state.remember(item.clone(), self.length);
        }
        if let Some(sender) = &state.sender {
            // Fails where nobody listens any more.
            let _ = sender.send(item);
        }
    }

    /// Ends the channel: its consumers get what was sent, and then nothing.
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
    /// What was sent since `place` and is remembered, and what is missing before that. What was not
    /// sent yet begins with `next`.
    pub(super) fn since(&self, place: Place, next: u64) -> Since {
        let behind = |index: usize| self.remembered.iter().skip(index).cloned().collect();
        let (backlog, missed) = match place {
            Place::At { run, position } if run == self.run && position < next => {
                let index = self.remembered.partition_point(|item| item.position <= position);
                let first = self.remembered.get(index).map_or(next, |item| item.position);
                let missed = match first.saturating_sub(position + 1) {
                    0 => Missed::Nothing,
                    // What lies between two that are remembered is told by them.
                    _ if (1..self.remembered.len()).contains(&index) => Missed::Nothing,
                    missed => Missed::Events(missed),
                };
                (behind(index), missed)
            }
            Place::Behind(id) => {
                let is_it =
                    |item: &Item| matches!(&item.what, Carried::Event(event) if event.id == id);
                match self.remembered.iter().position(is_it) {
                    Some(index) => (behind(index + 1), Missed::Nothing),
                    None => (behind(0), Missed::Unknown),
                }
            }
            // Of an earlier run of the supervisor, or of nobody.
            Place::At { .. } | Place::Unknown => (behind(0), Missed::Unknown),
        };
        Since { backlog, missed }
    }
}

/// Nobody gains by guessing it: it only tells one run from another.
fn random_run() -> u32 {
    let [.., a, b, c, d] = Uuid::now_v7().into_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 8;

    const ALL: Kinds = Kinds { decisions: true, tenants: true };

    const BACK: Resumption = Resumption::From(Place::Unknown);

    fn positions(items: &VecDeque<Item>) -> Vec<u64> {
        items.iter().map(|item| item.position).collect()
    }

    fn at(beginning: &Beginning, position: u64) -> Place {
        Place::At { run: beginning.run, position }
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for place in [
            Place::At { run: 7, position: u64::MAX },
            Place::Behind(Uuid::now_v7()),
            Place::Unknown,
        ] {
            assert_eq!(Place::from(place.to_string().as_str()), place);
        }
        for text in ["", ".", "1", "x.1", "1.x", "1.-1", "100000000.1"] {
            assert_eq!(Place::from(text), Place::Unknown, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_is_wanted_while_somebody_listens_or_may_come_back() {
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
    async fn decisions_are_wanted_by_who_asks_for_them_or_may_come_back() {
        let channel = Channel::new(LENGTH, Positions::OfAll);
        let others = Kinds { decisions: false, tenants: true };
        let _listens = channel.subscribe(others, Resumption::Never).unwrap();
        assert!(channel.is_wanted() && !channel.wants_decisions());
        drop(channel.subscribe(ALL, Resumption::Never).unwrap());
        assert!(channel.wants_decisions());
        channel.leave(ALL, Resumption::Never);
        assert!(channel.is_wanted() && !channel.wants_decisions());
        drop(channel.subscribe(others, Resumption::Possible).unwrap());
        channel.leave(others, Resumption::Possible);
        assert!(channel.wants_decisions());
        tokio::time::advance(RESUME_WINDOW).await;
        assert!(channel.is_still_wanted() && !channel.wants_decisions());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_back_gets_what_it_missed_and_is_told_of_the_rest() {
        let channel = Channel::new(LENGTH, Positions::OfAll);
        drop(channel.subscribe(ALL, Resumption::Possible).unwrap());
        channel.leave(ALL, Resumption::Possible);
        // More than is kept, and one that could not be built.
        for position in (1..=11).filter(|position| *position != 9) {
            channel.send(Some(position), Carried::Lost(1));
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
        // What happens next is further than what was sent: nobody listened in between.
        let since = beginning.since(at(&beginning, 11), 20);
        assert_eq!(since.missed, Missed::Events(8));
        for place in [
            at(&beginning, 12),
            Place::At { run: beginning.run.wrapping_add(1), position: 11 },
            Place::Behind(Uuid::nil()),
            Place::Unknown,
        ] {
            let since = beginning.since(place, 12);
            assert_eq!((since.backlog.len(), since.missed), (8, Missed::Unknown), "{place}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_remembered_for_who_cannot_come_back() {
        let channel = Channel::new(LENGTH, Positions::OfWhatIsSent);
        let _listens = channel.subscribe(ALL, Resumption::Never).unwrap();
        channel.send(None, Carried::Lost(1));
        assert!(channel.subscribe(ALL, BACK).unwrap().remembered.is_empty());
        channel.send(None, Carried::Lost(1));
        assert_eq!(positions(&channel.subscribe(ALL, BACK).unwrap().remembered), [2]);
        for _ in 0..2 {
            channel.leave(ALL, Resumption::Possible);
        }
        tokio::time::advance(RESUME_WINDOW).await;
        channel.send(None, Carried::Lost(1));
        // Still there, and no more than it was.
        assert_eq!(positions(&channel.subscribe(ALL, BACK).unwrap().remembered), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn places_of_what_is_sent_mean_nothing_once_nobody_listened() {
        let channel = Channel::new(LENGTH, Positions::OfWhatIsSent);
        let run = channel.subscribe(ALL, Resumption::Never).unwrap().run;
        channel.leave(ALL, Resumption::Never);
        assert_ne!(channel.subscribe(ALL, Resumption::Never).unwrap().run, run);

        let channel = Channel::new(LENGTH, Positions::OfAll);
        let run = channel.subscribe(ALL, Resumption::Never).unwrap().run;
        channel.leave(ALL, Resumption::Never);
        assert_eq!(channel.subscribe(ALL, Resumption::Never).unwrap().run, run);
    }
}
