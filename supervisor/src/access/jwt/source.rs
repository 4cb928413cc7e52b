//! Where an issuer's keys come from, and the keys as they are now.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::keys::KeySet;
use crate::config::Service;

/// Where an issuer has its keys.
#[derive(Clone, Debug)]
pub(crate) enum KeyLocation {
    /// A file of this host, which is read again when it changes.
    File(PathBuf),
    /// A server, which is asked again after this time.
    Server { service: Arc<Service>, refresh: Duration },
}

/// Keys, and which they are in the order of all that there were.
#[derive(Debug)]
pub(super) struct CurrentKeys {
    pub(super) set: KeySet,
    /// Another number for every other set of keys.
    pub(super) generation: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct KeySource {
    /// Of the issuer.
    pub(crate) issuer: String,
    pub(super) location: KeyLocation,
    keys: ArcSwap<CurrentKeys>,
    /// Wakes the keeper, because a token names a key that is not known.
    asked: Notify,
    success: AtomicU64,
    failure: AtomicU64,
    state: Mutex<KeyState>,
}

/// How fetching keys went last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct KeyState {
    last_success: Option<DateTime<Utc>>,
    failing_since: Option<DateTime<Utc>>,
}

/// Where an issuer's keys stand, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyStatus {
    pub(crate) issuer: String,
    /// Keys that tokens can be verified by.
    pub(crate) keys: usize,
    /// When they were last read or fetched.
    pub(crate) last_success: Option<DateTime<Utc>>,
    /// Since when they cannot be; older keys are used meanwhile.
    pub(crate) failing_since: Option<DateTime<Utc>>,
    /// How often they were read or fetched, and how often that failed.
    pub(crate) successes: u64,
    pub(crate) failures: u64,
}

impl KeyLocation {
    /// Whether keys from there are kept by the same means.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (
                Self::Server { service: one, refresh },
                Self::Server { service: other, refresh: of_other },
            ) => one.url == other.url && one.tls == other.tls && refresh == of_other,
            (Self::File(_), Self::Server { .. }) | (Self::Server { .. }, Self::File(_)) => false,
        }
    }
}

impl KeySource {
    /// Of this issuer, with the keys that are known already.
    pub(crate) fn new(issuer: String, location: KeyLocation, set: KeySet) -> Self {
        Self {
            issuer,
            location,
            keys: ArcSwap::from_pointee(CurrentKeys { set, generation: 0 }),
            asked: Notify::new(),
            success: AtomicU64::new(0),
            failure: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// The keys as they are now.
    pub(super) fn current(&self) -> Guard<Arc<CurrentKeys>> {
        self.keys.load()
    }

    /// Whether both are the keys of the same issuer, from the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.location.is_same(&other.location)
    }

    /// Has the keys fetched soon, because a token names one that is not known.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Waits until a token names a key that is not known. One that came before counts too.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Takes keys that were just read or fetched. Whether they are others than before: then tokens
    /// that were verified have to be verified again.
    pub(super) fn replace(&self, set: KeySet, at: DateTime<Utc>) -> bool {
        self.success.fetch_add(1, Ordering::Relaxed);
        // Held to the end: two sets must not get the same number.
        let mut state = self.state();
        *state = KeyState { last_success: Some(at), failing_since: None };
        let current = self.keys.load();
        let is_other = current.set != set;
        if is_other {
            let generation = current.generation + 1;
            self.keys.store(Arc::new(CurrentKeys { set, generation }));
        }
        is_other
    }

    /// Records that the keys could not be read or fetched. Those from before stay.
    pub(super) fn failed(&self, at: DateTime<Utc>) {
        self.failure.fetch_add(1, Ordering::Relaxed);
        self.state().failing_since.get_or_insert(at);
    }

    /// Where the keys stand.
    pub(crate) fn status(&self) -> KeyStatus {
        let KeyState { last_success, failing_since } = *self.state();
        KeyStatus {
            issuer: self.issuer.clone(),
            keys: self.current().set.len(),
            last_success,
            failing_since,
            successes: self.success.load(Ordering::Relaxed),
            failures: self.failure.load(Ordering::Relaxed),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, KeyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
