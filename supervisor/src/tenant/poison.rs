//! Inputs that end workers: a request that has killed two workers of a revision is not given to a
//! third.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use enforcer_protocol::{BatchQuery, DocumentQuery, Query};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::request::Request;

/// Inputs of one tenant that are remembered for having ended a worker. The oldest makes room.
const REMEMBERED_INPUTS: usize = 64;

/// How long an input is remembered. The cause may have passed: a host without processor time makes
/// a worker look stuck.
const INPUT_MEMORY: Duration = Duration::from_secs(300);

/// An input that has ended this many workers of a revision is given to no other.
const DEATHS_OF_AN_INPUT: u32 = 2;

/// The inputs that have ended workers of the revision that serves.
#[derive(Debug, Default)]
pub(crate) struct PoisonInputs {
    /// Whether any input is poison: nearly never, so most requests check nothing else.
    is_any: AtomicBool,
    deaths: Mutex<VecDeque<Death>>,
}

/// An input on which workers ended.
#[derive(Debug)]
struct Death {
    input: [u8; 32],
    count: u32,
    latest: Instant,
}

impl Death {
    fn is_remembered(&self) -> bool {
        self.latest.elapsed() < INPUT_MEMORY
    }
}

impl PoisonInputs {
    /// Remembers that a worker ended on this request. A suspect was at an earlier worker that
    /// ended, too.
    pub(crate) fn remember(&self, request: &Request) {
        let input = digest(request);
        let mut deaths = self.locked();
        let known = deaths.iter().position(|death| death.input == input);
        let before = known.and_then(|at| deaths.remove(at));
        let before = before.filter(Death::is_remembered).map_or(0, |death| death.count);
        if deaths.len() == REMEMBERED_INPUTS {
            deaths.pop_front();
        }
        let count = before.saturating_add(if request.is_suspect { 2 } else { 1 });
        deaths.push_back(Death { input, count, latest: Instant::now() });
        if count >= DEATHS_OF_AN_INPUT {
            self.is_any.store(true, Ordering::Relaxed);
        }
    }

    /// Whether no worker may get this input.
    pub(crate) fn contains(&self, request: &Request) -> bool {
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let input = digest(request);
        let is_poison = |death: &Death| {
            death.input == input && death.count >= DEATHS_OF_AN_INPUT && death.is_remembered()
        };
        self.locked().iter().any(is_poison)
    }

    /// Forgets all inputs.
    pub(crate) fn clear(&self) {
        self.locked().clear();
        self.is_any.store(false, Ordering::Relaxed);
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Death>> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names a question and its input. The same input may be harmless for another rule.
fn digest(request: &Request) -> [u8; 32] {
    let mut digest = Sha256::new();
    match &request.query {
        Query::Decision => digest.update(b"decision"),
        Query::Document(query, source) => {
            digest.update(b"document");
            digest.update(format!("{source:?}"));
            update(&mut digest, query);
        }
        Query::Batch(BatchQuery::Decision, _) => digest.update(b"decisions"),
        Query::Batch(BatchQuery::Document(query), _) => {
            digest.update(b"documents");
            update(&mut digest, query);
        }
    }
    digest.update([0]);
    digest.update(&request.body);
    digest.finalize().into()
}

fn update(digest: &mut Sha256, query: &DocumentQuery) {
    // Texts in quotes, so that no two queries are the same string of bytes.
    digest.update(format!("{query:?}"));
}

#[cfg(test)]
mod tests {
    use enforcer_protocol::InputSource;

    use super::*;
    use crate::tenant::testing;

    fn request(body: impl Into<bytes::Bytes>, time: Duration) -> (Request, ()) {
        (testing::request(body, time).0, ())
    }

    fn asked(body: &str) -> Request {
        request(body.to_owned(), Duration::ZERO).0
    }

    #[tokio::test]
    async fn an_input_is_poison_for_one_question_only() {
        let inputs = PoisonInputs::default();
        let decision = asked("a");
        inputs.remember(&decision);
        inputs.remember(&decision);
        let document = |key: &str| {
            let query = DocumentQuery { path: vec![key.to_owned()], strict_builtin_errors: false };
            let query = Query::Document(query, InputSource::Absent);
            Request { query, ..asked("a") }
        };
        assert!(inputs.contains(&asked("a")) && !inputs.contains(&document("x")));
        let poison = document("x");
        inputs.remember(&poison);
        inputs.remember(&poison);
        assert!(inputs.contains(&document("x")) && !inputs.contains(&document("y")));
    }

    #[tokio::test]
    async fn an_input_is_poison_after_two_deaths_or_one_of_a_suspect() {
        let inputs = PoisonInputs::default();
        let (mut request, _) = request("a", Duration::ZERO);
        inputs.remember(&request);
        assert!(!inputs.contains(&asked("a")));
        inputs.remember(&request);
        assert!(inputs.contains(&asked("a")) && !inputs.contains(&asked("b")));

        let inputs = PoisonInputs::default();
        request.is_suspect = true;
        inputs.remember(&request);
        assert!(inputs.contains(&asked("a")));
        inputs.clear();
        assert!(!inputs.contains(&asked("a")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_is_not_poison_for_ever() {
        let inputs = PoisonInputs::default();
        let (mut request, _) = request("a", Duration::ZERO);
        request.is_suspect = true;
        inputs.remember(&request);
        tokio::time::advance(INPUT_MEMORY).await;
        assert!(!inputs.contains(&asked("a")));
        request.is_suspect = false;
        inputs.remember(&request);
        assert!(!inputs.contains(&asked("a")));
    }

    #[tokio::test]
    async fn no_more_inputs_are_remembered_than_that() {
        let inputs = PoisonInputs::default();
        for number in 0..1000 {
            let (request, _) = request(number.to_string(), Duration::ZERO);
            inputs.remember(&request);
            inputs.remember(&request);
        }
        assert_eq!(inputs.locked().len(), REMEMBERED_INPUTS);
        assert!(inputs.contains(&asked("999")) && !inputs.contains(&asked("0")));
    }
}
