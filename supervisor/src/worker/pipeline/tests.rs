//! A connection with a worker that the test scripts.

use super::*;
use bytes::BufMut;
use enforcer_protocol::{
    Decision, FRAME_HEADER_LENGTH, MAX_DECISION_STRING, MAX_FRAME_FROM_WORKER, Outcome,
    PROTOCOL_VERSION, append_frame, decode,
};

use crate::tenant::admission::Tenant;
use crate::tenant::testing::{request, tenant};
use crate::worker::testing::{FakeWorker, answer, greeting, loaded, pair};

type Answers = oneshot::Receiver<Result<Answer, AskError>>;

const LONG: Duration = Duration::from_secs(3600);

/// A connection that serves, as a controller has it.
struct Serving {
    requests: mpsc::Sender<Request>,
    release: oneshot::Sender<oneshot::Sender<mpsc::Receiver<Request>>>,
    served: tokio::task::JoinHandle<Served>,
    worker: FakeWorker,
    tenant: Arc<Tenant>,
}

impl Serving {
    async fn ask(&self, body: &'static str, time: Duration) -> Answers {
        let (request, answer) = request(body, time);
        self.requests.send(request).await.unwrap();
        answer
    }

    async fn end(self) -> End {
        self.served.await.unwrap().end
    }
}

fn serving() -> Serving {
    serving_with(VecDeque::new(), None)
}

fn serving_with(backlog: VecDeque<Request>, idle_timeout: Option<Duration>) -> Serving {
    let (connection, worker) = pair();
    let (requests, receiver) = mpsc::channel(256);
    let (release, released) = oneshot::channel();
    let (tenant, _) = tenant();
    let params = ServeParams {
        backlog,
        requests: receiver,
        release: released,
        idle_timeout,
        poison: Arc::clone(&tenant.poison),
        status: Arc::clone(&tenant.status),
        revision: Revision::from_digest([0; 32]),
        has_mask: false,
    };
    let served = tokio::spawn(ReadyConnection(connection).serve(params));
    Serving { requests, release, served, worker, tenant }
}

/// A serving connection with one request at the worker.
async fn asked() -> (Serving, Answers) {
    let mut serving = serving();
    let answer = serving.ask("body", LONG).await;
    assert_eq!(serving.worker.hear_question().await, 0);
    (serving, answer)
}

#[tokio::test]
async fn every_answer_goes_to_its_own_question() {
    let mut serving = serving();
    let mut answers = Vec::new();
    for _ in 0..200 {
        answers.push(serving.ask("body", LONG).await);
    }
    for id in 0..200 {
        assert_eq!(serving.worker.hear_question().await, id);
        serving.worker.say(&answer(id, id)).await;
    }
    for (id, answer) in (0..).zip(answers) {
        assert_eq!(answer.await.unwrap().unwrap().micros, id);
    }
}

#[tokio::test]
async fn no_more_than_a_window_of_requests_is_at_the_worker() {
    let mut serving = serving();
    let mut answers = Vec::new();
    for _ in 0..=MAX_IN_FLIGHT {
        answers.push(serving.ask("", LONG).await);
    }
    for _ in 0..MAX_IN_FLIGHT {
        serving.worker.hear_question().await;
    }
    let more = serving.worker.hear_question();
    tokio::time::timeout(Duration::from_millis(50), more).await.unwrap_err();
    serving.worker.say(&answer(0, 0)).await;
    let next = u64::try_from(MAX_IN_FLIGHT).unwrap();
    assert_eq!(serving.worker.hear_question().await, next);
}

#[tokio::test]
async fn a_request_without_a_waiting_client_is_not_sent() {
    let (abandoned, abandoned_answer) = request("abandoned", LONG);
    drop(abandoned_answer);
    let (wanted, _answer) = request("wanted", LONG);
    let mut serving = serving_with([abandoned, wanted].into(), None);
    let payload = serving.worker.hear().await;
    let question: ToWorker<'_> = decode(&payload).unwrap();
    assert!(matches!(question, ToWorker::Evaluate { id: 0, body: b"wanted", .. }), "{question:?}");
}

#[tokio::test]
async fn a_released_connection_gives_the_requests_back_and_answers_those_it_has() {
    let (serving, owed) = asked().await;
    let Serving { requests, release, served, mut worker, .. } = serving;
    let (back, given) = oneshot::channel();
    release.send(back).unwrap();
    let mut given = given.await.unwrap();
    let (request, _answer) = request("later", LONG);
    requests.send(request).await.unwrap();
    assert_eq!(given.recv().await.unwrap().body, "later");
    worker.say(&answer(0, 7)).await;
    assert_eq!(owed.await.unwrap().unwrap().micros, 7);
    let served = served.await.unwrap();
    assert!(matches!(served.end, End::Drained));
    assert!(served.unanswered.is_empty() && served.requests.is_none());
}

#[tokio::test]
async fn a_crash_fails_the_one_request_that_was_at_the_worker() {
    let (mut serving, _owed) = asked().await;
    drop(std::mem::replace(&mut serving.worker, pair().1));
    let served = serving.served.await.unwrap();
    assert_eq!(served.culprit.unwrap().body, "body");
    assert!(served.unanswered.is_empty() && served.requests.is_some());
}

#[tokio::test]
async fn a_request_at_the_worker_among_others_is_a_suspect_and_no_request_is_lost() {
    let mut serving = serving();
    let mut answers = Vec::new();
    for _ in 0..MAX_IN_FLIGHT + 3 {
        answers.push(serving.ask("body", LONG).await);
    }
    for _ in 0..MAX_IN_FLIGHT {
        serving.worker.hear_question().await;
    }
    serving.worker.say(&answer(0, 0)).await;
    answers.remove(0).await.unwrap().unwrap();
    serving.worker.hear_question().await;
    drop(serving.worker);
    let served = serving.served.await.unwrap();
    assert!(served.culprit.is_none());
    let mut left = served.unanswered.into_iter().collect::<Vec<_>>();
    if let Some(mut requests) = served.requests {
        while let Ok(request) = requests.try_recv() {
            left.push(request);
        }
    }
    assert_eq!(left.len(), answers.len());
    assert_eq!(left.iter().filter(|request| request.is_suspect).count(), MAX_IN_FLIGHT);
}

#[tokio::test]
async fn suspects_are_asked_one_at_a_time() {
    let mut backlog = VecDeque::new();
    let mut answers = Vec::new();
    for number in 0..4 {
        let (mut request, answer) = request("body", LONG);
        request.is_suspect = number < 2;
        backlog.push_back(request);
        answers.push(answer);
    }
    let mut serving = serving_with(backlog, None);
    for id in 0..2 {
        assert_eq!(serving.worker.hear_question().await, id);
        let more = serving.worker.hear_question();
        tokio::time::timeout(Duration::from_millis(50), more).await.unwrap_err();
        serving.worker.say(&answer(id, 0)).await;
    }
    assert_eq!(serving.worker.hear_question().await, 2);
    assert_eq!(serving.worker.hear_question().await, 3);
    drop(answers);
}

/// Answers up to `count` requests, each as its body says, and then ends.
async fn answer_some(mut worker: FakeWorker, count: usize) {
    for _ in 0..count {
        let payload = worker.hear().await;
        let question: ToWorker<'_> = decode(&payload).unwrap();
        let ToWorker::Evaluate { id, body, .. } = question else { panic!("{question:?}") };
        let micros = std::str::from_utf8(body).unwrap().parse().unwrap();
        worker.say(&answer(id, micros)).await;
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn every_request_gets_its_one_answer_however_often_workers_end(
        count in 1_usize..150,
        deaths in proptest::collection::vec(0_usize..40, 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut backlog, answers): (VecDeque<_>, Vec<_>) =
                (0..count).map(|number| request(number.to_string(), LONG)).unzip();
            let mut failed = 0;
            for before_death in &deaths {
                let left = backlog.len();
                let serving = serving_with(backlog, None);
                answer_some(serving.worker, (*before_death).min(left)).await;
                let served = serving.served.await.unwrap();
                failed += usize::from(served.culprit.is_some());
                backlog = served.unanswered;
                if backlog.is_empty() {
                    break;
                }
            }
            let left = backlog.len();
            let serving = serving_with(backlog, None);
            answer_some(serving.worker, left).await;
            let mut answered = 0;
            for (number, answer) in (0..).zip(answers) {
                // A culprit's reply is dropped with it here; the controller answers it.
                if let Ok(answer) = answer.await {
                    assert_eq!(answer.unwrap().micros, number);
                    answered += 1;
                }
            }
            assert_eq!(answered + failed, count);
            assert!(failed <= deaths.len());
        });
    }
}

#[tokio::test]
async fn an_input_that_ends_workers_is_not_asked() {
    let mut serving = serving();
    for _ in 0..2 {
        serving.tenant.poison.remember(&request("poison", LONG).0);
    }
    let refused = serving.ask("poison", LONG).await;
    let _other = serving.ask("other", LONG).await;
    assert_eq!(refused.await.unwrap().unwrap_err(), AskError::PoisonInput);
    let payload = serving.worker.hear().await;
    let question: ToWorker<'_> = decode(&payload).unwrap();
    assert!(matches!(question, ToWorker::Evaluate { body: b"other", .. }), "{question:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_requests_is_idle_after_its_time_and_not_before() {
    let idle_timeout = Duration::from_secs(60);
    let mut serving = serving_with(VecDeque::new(), Some(idle_timeout));
    tokio::time::advance(idle_timeout / 2).await;
    let answer_to = serving.ask("body", LONG).await;
    assert_eq!(serving.worker.hear_question().await, 0);
    tokio::time::advance(idle_timeout * 2).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!serving.served.is_finished());
    serving.worker.say(&answer(0, 0)).await;
    answer_to.await.unwrap().unwrap();
    assert!(matches!(serving.end().await, End::Idle));
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_ends_after_the_idle_timeout_however_long_its_deadlines_are() {
    let idle_timeout = Duration::from_secs(60);
    let began = Instant::now();
    // The request is there when the connection begins to serve, so the clock is looked at meanwhile.
    let (first, answer_to) = request("body", LONG);
    let mut serving = serving_with([first].into(), Some(idle_timeout));
    assert_eq!(serving.worker.hear_question().await, 0);
    serving.worker.say(&answer(0, 0)).await;
    answer_to.await.unwrap().unwrap();
    assert!(matches!(serving.end().await, End::Idle));
    assert!(began.elapsed() < idle_timeout * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_breach_ends_the_worker_and_leaves_no_answer() {
    let framed = |payload: &[u8]| {
        let mut bytes = Vec::new();
        bytes.put_u32(u32::try_from(payload.len()).unwrap());
        bytes.put_slice(payload);
        bytes
    };
    let whole = |frame: &FromWorker| {
        let mut wire = Vec::new();
        append_frame(&mut wire, frame, MAX_FRAME_FROM_WORKER).unwrap();
        wire
    };
    let reason = |length| FromWorker::Evaluated {
        id: 0,
        outcome: Outcome::Decision(Decision {
            reason: Some("x".repeat(length)),
            ..Decision::default()
        }),
        micros: 0,
        mask: Mask::Absent,
        differed: false,
    };
    let mut trailing = whole(&answer(0, 0)).split_off(FRAME_HEADER_LENGTH);
    trailing.push(0);
    for (name, bytes) in [
        ("an id that was not requested", whole(&answer(1, 0))),
        ("a greeting", whole(&greeting(PROTOCOL_VERSION, Vec::new()))),
        ("a bundle that loaded again", whole(&loaded(None))),
        ("bytes behind the answer", framed(&trailing)),
        ("an empty frame", framed(b"")),
        ("an unknown kind", framed(&[0xff; 16])),
        ("a length over the limit", vec![0xff; 4]),
        ("a reason over the limit", whole(&reason(MAX_DECISION_STRING + 1))),
    ] {
        let (mut serving, reply) = asked().await;
        serving.worker.say_bytes(&bytes).await;
        assert!(matches!(serving.end().await, End::Breach(_)), "{name}");
        assert!(reply.await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn an_answer_too_many_is_a_breach() {
    let mut serving = serving();
    serving.worker.say(&answer(0, 0)).await;
    assert!(matches!(serving.end().await, End::Breach(Breach::Unexpected(_))));
}

#[tokio::test]
async fn a_worker_that_ends_leaves_no_answer() {
    let (mut serving, reply) = asked().await;
    serving.worker.say_bytes(&[0, 0, 0, 9, 1]).await; // and not the rest of it
    drop(std::mem::replace(&mut serving.worker, pair().1));
    assert!(matches!(serving.end().await, End::Closed));
    assert!(reply.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_never_answers_is_given_up() {
    let serving = serving();
    let start = Instant::now();
    let time = Duration::from_millis(100);
    let _answer = serving.ask("", time).await;
    let (_requests, _worker, served) = (serving.requests, serving.worker, serving.served);
    assert!(matches!(served.await.unwrap().end, End::Stuck));
    let took = start.elapsed();
    assert!(took >= time + KILL_MARGIN && took < time + 2 * KILL_MARGIN, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_never_reads_is_given_up() {
    let serving = serving();
    let mut answers = Vec::new();
    for _ in 0..8 {
        // More than a socket takes.
        let (request, answer) = request(vec![0; 1024 * 1024], Duration::from_millis(100));
        serving.requests.send(request).await.unwrap();
        answers.push(answer);
    }
    let (_requests, _worker, served) = (serving.requests, serving.worker, serving.served);
    assert!(matches!(served.await.unwrap().end, End::Stuck));
}
