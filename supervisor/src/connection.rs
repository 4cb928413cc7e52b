//! The supervisor's end of a worker's socket.
//!
//! Every byte that comes is hostile. A frame is bounded before it is held, has to be of a kind that
//! is expected in that state, and answers come in the order of the questions: the worker is
//! synchronous, so anything else is a breach, and a breach is the end of the worker.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use enforcer_protocol::{
    DecodeError, Diagnostic, EncodeError, Evaluator, FrameBuffer, FromWorker,
    MAX_FRAME_FROM_WORKER, MAX_FRAME_TO_WORKER, PROTOCOL_VERSION, QueryKind, Revision,
    SandboxLayer, SandboxMode, TenantId, ToWorker, append_frame, decode,
};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::bundles::Bundle;
use crate::config::{EvaluatorChoice, TenantLimits};
use crate::socket::WorkerSocket;
use crate::tenant::{Answer, AskError, Request, Tenant};

/// Requests that are at the worker at once: enough that it never waits for us, few enough that
/// what a crash takes with it is bounded.
const MAX_IN_FLIGHT: usize = 64;

/// Bytes that wait to be written to a worker, beyond which no further request is encoded.
const OUTBOX_TARGET: usize = 256 * 1024;

/// How long after its deadline an evaluation is taken for stuck, and its worker killed. A built-in
/// that the engine's timer cannot interrupt is; a worker that others keep from the processor is
/// not, and should not be killed for it.
const KILL_MARGIN: Duration = Duration::from_millis(500);

/// Between two looks at the clock that would otherwise follow one another at once.
const CLOCK_INTERVAL: Duration = Duration::from_millis(50);

/// How the serving of a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// It was told to take no more requests, and has answered all that it had.
    #[error("it was told to end")]
    Drained,
    /// No request came for long.
    #[error("it had nothing to do")]
    Idle,
    /// An evaluation did not end.
    #[error("an evaluation was stuck beyond its deadline")]
    Stuck,
    /// The worker closed its socket: it ended, or is about to.
    #[error("it closed its socket")]
    Closed,
    /// The worker sent what it must not.
    #[error("it broke the protocol: {0}")]
    Breach(#[from] Breach),
    /// The socket failed.
    #[error("its socket failed: {0}")]
    Socket(#[from] io::Error),
}

/// What a worker sent that it must not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Breach {
    #[error("a frame is over the limit of {MAX_FRAME_FROM_WORKER} bytes")]
    TooLong,
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("its protocol version is {0}, and ours {PROTOCOL_VERSION}")]
    Version(u16),
    #[error("a frame of the wrong kind came where {0} was expected")]
    Unexpected(&'static str),
    #[error("request {asked} was asked next, and {answered} was answered")]
    WrongId { asked: u64, answered: u64 },
    #[error("a list or a text in a frame is over its limit")]
    OverLimits,
    #[error("its sandbox lacks {0}")]
    NotSealed(SandboxLayer),
}

/// Why a worker did not come to serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the bundle was rejected")]
    Rejected(Vec<Diagnostic>),
    #[error(transparent)]
    Ended(#[from] End),
    #[error("the bundle cannot be sent: {0}")]
    Encode(#[from] EncodeError),
}

impl From<Breach> for HandshakeError {
    fn from(breach: Breach) -> Self {
        Self::Ended(breach.into())
    }
}

/// What a worker said of itself while it came up.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) layers: Vec<SandboxLayer>,
    /// The bundle's version, from its metadata.
    pub(crate) version: Option<String>,
    /// What evaluates its policy.
    pub(crate) evaluator: Evaluator,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// The bytes that came from a worker, and the frames among them.
#[derive(Debug)]
pub(crate) struct Inbox {
    frames: FrameBuffer,
}

impl Inbox {
    pub(crate) const fn new() -> Self {
        Self { frames: FrameBuffer::new(MAX_FRAME_FROM_WORKER) }
    }

    /// Takes the next whole frame out of what has come.
    pub(crate) fn next_frame(&mut self) -> Result<Option<FromWorker>, Breach> {
        let Some(payload) = self.frames.next_frame().map_err(|_| Breach::TooLong)? else {
            return Ok(None);
        };
        let frame: FromWorker = decode(payload)?;
        if frame.is_within_limits() { Ok(Some(frame)) } else { Err(Breach::OverLimits) }
    }
}

#[doc(hidden)]
pub mod fuzzing {
    //! What the fuzz targets call; no part of the crate's interface.

    use enforcer_protocol::FromWorker;

    use super::Inbox;

    /// The frames in a stream that comes in pieces, up to the first breach.
    #[must_use]
    pub fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<FromWorker> {
        let mut inbox = Inbox::new();
        let mut frames = Vec::new();
        for mut piece in pieces {
            while matches!(inbox.frames.fill(&mut piece), Ok(1..)) {
                loop {
                    match inbox.next_frame() {
                        Ok(Some(frame)) => frames.push(frame),
                        Ok(None) => break,
                        Err(_) => return frames,
                    }
                }
            }
        }
        frames
    }
}

/// The supervisor's end of a worker's socket.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: WorkerSocket,
    inbox: Inbox,
    outbox: Vec<u8>,
    /// Where in `outbox` the bytes begin that are not written yet.
    written: usize,
    /// Bytes that were ever written while serving.
    total_written: u64,
    is_introduced: bool,
}

impl Connection {
    pub(crate) fn new(socket: WorkerSocket) -> Self {
        Self {
            socket,
            inbox: Inbox::new(),
            outbox: Vec::new(),
            written: 0,
            total_written: 0,
            is_introduced: false,
        }
    }

    /// Whether the worker has introduced itself. From then on its tenant's code may run in it, and
    /// what it says of the host is a tenant's word.
    pub(crate) const fn is_introduced(&self) -> bool {
        self.is_introduced
    }

    /// Has the worker introduce itself and load its bundle. Waits as long as that takes: the
    /// caller bounds it.
    pub(crate) async fn handshake(
        &mut self,
        tenant_id: &TenantId,
        limits: &TenantLimits,
        mode: SandboxMode,
        bundle: &Bundle,
    ) -> Result<Introduction, HandshakeError> {
        let layers = match self.next_frame().await? {
            FromWorker::Hello { version: PROTOCOL_VERSION, layers, .. } => layers,
            FromWorker::Hello { version, .. } => return Err(Breach::Version(version).into()),
            _ => return Err(Breach::Unexpected("Hello").into()),
        };
        self.is_introduced = true;
        // The worker refuses by itself; that it did is not taken on trust.
        if mode != SandboxMode::DebugOff
            && let Some(lacking) = SandboxLayer::lacking_in(&layers).first()
        {
            return Err(Breach::NotSealed(*lacking).into());
        }
        self.send_bundle(tenant_id, limits, bundle).await?;
        match self.next_frame().await? {
            FromWorker::Loaded { version, evaluator, warnings } => {
                Ok(Introduction { layers, version, evaluator, warnings })
            }
            FromWorker::LoadFailed { diagnostics } => Err(HandshakeError::Rejected(diagnostics)),
            _ => Err(Breach::Unexpected("Loaded").into()),
        }
    }

    async fn send_bundle(
        &mut self,
        tenant_id: &TenantId,
        limits: &TenantLimits,
        bundle: &Bundle,
    ) -> Result<(), HandshakeError> {
        // The warm-up must not be what the loading has no time for.
        let timeout = limits.evaluation_timeout.min(limits.load_timeout / 2);
        let evaluation_timeout_micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        let tenant_id = tenant_id.as_str();
        let bytecode = limits.evaluator == EvaluatorChoice::Auto;
        self.append(&ToWorker::LoadBundle {
            tenant_id,
            evaluation_timeout_micros,
            bytecode,
            strict_builtin_errors: limits.strict_builtin_errors,
        })?;
        for file in &bundle.files {
            self.append(&ToWorker::BundleFile { path: &file.path, length: file.length() })?;
            for piece in &file.content {
                self.append(&ToWorker::BundleChunk(piece))?;
                self.write_all().await?;
                // Requests are answered by the same threads, and a socket may take hundreds of
                // chunks without a pause.
                yield_now().await;
            }
        }
        self.append(&ToWorker::BundleEnd)?;
        self.write_all().await?;
        Ok(())
    }

    fn append(&mut self, frame: &ToWorker<'_>) -> Result<(), EncodeError> {
        append_frame(&mut self.outbox, frame, MAX_FRAME_TO_WORKER)
    }

    async fn write_all(&mut self) -> Result<(), End> {
        loop {
            self.write()?;
            if self.unwritten() == 0 {
                return Ok(());
            }
            self.socket.room().await?;
        }
    }

    /// Waits for the next frame, as long as that takes: the caller bounds it.
    pub(crate) async fn next_frame(&mut self) -> Result<FromWorker, End> {
        loop {
            if let Some(frame) = self.inbox.next_frame()? {
                return Ok(frame);
            }
            self.wait().await?;
        }
    }

    /// Waits until the worker has said something, and reads once; or until there is room for what
    /// waits to be written. Who stops waiting has lost nothing.
    async fn wait(&mut self) -> Result<(), End> {
        let has_unwritten = self.unwritten() > 0;
        let read = self.socket.wait(has_unwritten, &mut self.inbox.frames).await?;
        has_read(read).map(drop)
    }

    /// Reads once what the socket has. Returns whether it had anything.
    fn try_read(&mut self) -> Result<bool, End> {
        has_read(self.socket.try_read(&mut self.inbox.frames)?)
    }

    /// Writes what the socket takes now.
    fn write(&mut self) -> Result<(), End> {
        while let Some(rest @ [_, ..]) = self.outbox.get(self.written..) {
            let Some(count) = self.socket.try_write(rest)? else { return Ok(()) };
            self.written += count;
            self.total_written += u64::try_from(count).unwrap_or(u64::MAX);
        }
        self.written = 0;
        self.outbox.clear();
        self.outbox.shrink_to(OUTBOX_TARGET);
        Ok(())
    }

    fn unwritten(&self) -> usize {
        self.outbox.len() - self.written
    }

    /// What `total_written` is when all that was appended so far is written.
    fn end_of_outbox(&self) -> u64 {
        self.total_written + u64::try_from(self.unwritten()).unwrap_or(u64::MAX)
    }

    /// Puts requests to the worker and hands out its answers, until it is told to take no more, has
    /// had nothing to do for the `idle` time, or can no longer be trusted.
    pub(crate) async fn serve(mut self, intake: Intake) -> Served {
        let mut exchange = Exchange::new(intake);
        loop {
            if let Err(end) = exchange.step(&mut self).await {
                return exchange.close(end, self.total_written);
            }
        }
    }
}

/// What a serving connection is given.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Requests that were meant for a worker before; they go first.
    pub(crate) backlog: VecDeque<Request>,
    pub(crate) requests: mpsc::Receiver<Request>,
    /// Gets where `requests` are to be given back, once no more of them are to be taken.
    pub(crate) release: oneshot::Receiver<oneshot::Sender<mpsc::Receiver<Request>>>,
    /// How long it may have nothing to do.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) tenant: Arc<Tenant>,
    /// What the worker has loaded.
    pub(crate) revision: Revision,
}

/// What a serving connection leaves.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) end: End,
    /// The request that the worker was at when it ended, where that is known.
    pub(crate) culprit: Option<Request>,
    /// Requests that another worker can answer.
    pub(crate) unanswered: VecDeque<Request>,
    /// Unless they were given back already.
    pub(crate) requests: Option<mpsc::Receiver<Request>>,
}

/// The requests of a serving connection.
///
/// `pending` is in the order of arrival, and the first `in_flight` of it are at the worker. That is
/// nearly the order of deadlines too, but not quite: requests that waited for the worker to start
/// may come behind later ones.
#[derive(Debug)]
struct Exchange {
    /// `None` once no more are to be taken.
    requests: Option<mpsc::Receiver<Request>>,
    release: Option<oneshot::Receiver<oneshot::Sender<mpsc::Receiver<Request>>>>,
    pending: VecDeque<Request>,
    in_flight: usize,
    /// For each that is in flight, where in all that is written it ends: before that is written,
    /// the worker cannot know of it.
    ends: VecDeque<u64>,
    /// The id of the first of `pending`, which is the next to be answered.
    next_answer: u64,
    /// Rings when the worker may be stuck or idle: it may be too early, and is never too late.
    alarm: Option<Pin<Box<Sleep>>>,
    idle_timeout: Option<Duration>,
    last_arrival: Instant,
    tenant: Arc<Tenant>,
    revision: Revision,
}

impl Exchange {
    fn new(Intake { backlog, requests, release, idle_timeout, tenant, revision }: Intake) -> Self {
        Self {
            requests: Some(requests),
            release: Some(release),
            pending: backlog,
            in_flight: 0,
            ends: VecDeque::new(),
            next_answer: 0,
            // Rings at once, and is then set to what it has to wait for.
            alarm: Some(Box::pin(sleep_until(Instant::now()))),
            idle_timeout,
            last_arrival: Instant::now(),
            tenant,
            revision,
        }
    }

    async fn step(&mut self, connection: &mut Connection) -> Result<(), End> {
        if self.requests.is_none() && self.pending.is_empty() {
            return Err(End::Drained);
        }
        let mut arrived = Vec::new();
        tokio::select! {
            count = receive(self.requests.as_mut(), &mut arrived) => {
                if count == 0 {
                    // The tenant is gone, and with it whoever could ask.
                    self.requests = None;
                }
                self.last_arrival = Instant::now();
                self.pending.extend(arrived);
                if let Some(first) = self.pending.front() {
                    self.wake_by(first.deadline + KILL_MARGIN);
                }
            }
            waited = connection.wait() => {
                waited?;
                self.take_answers(connection)?;
            }
            () = ring(self.alarm.as_mut()) => {
                // What has come meanwhile counts: it may be we who were kept from the processor.
                while connection.try_read()? {
                    self.take_answers(connection)?;
                }
                self.look_at_the_clock()?;
            }
            back = released(self.release.as_mut()) => {
                self.release = None;
                if let (Some(back), Some(requests)) = (back, self.requests.take()) {
                    // Whoever told us to release waits for them.
                    let _ = back.send(requests);
                }
            }
        }
        self.dispatch(connection)?;
        connection.write()
    }

    fn take_answers(&mut self, connection: &mut Connection) -> Result<(), End> {
        while let Some(frame) = connection.inbox.next_frame()? {
            let FromWorker::Evaluated { id, outcome, micros, differed } = frame else {
                return Err(Breach::Unexpected("Evaluated").into());
            };
            let pending = match self.in_flight {
                0 => return Err(Breach::Unexpected("nothing").into()),
                _ if id != self.next_answer => {
                    let wrong = Breach::WrongId { asked: self.next_answer, answered: id };
                    return Err(wrong.into());
                }
                _ if self.ends.front().is_none_or(|end| *end > connection.total_written) => {
                    return Err(Breach::Unexpected("nothing yet").into());
                }
                _ => self.pending.pop_front(),
            };
            if differed {
                self.tenant.evaluators_differed(pending.as_ref().map(|request| &request.body));
            }
            self.ends.pop_front();
            self.in_flight -= 1;
            self.next_answer += 1;
            if let Some(request) = pending {
                // The client may have gone, which is no concern of the worker's.
                let answer = Answer { outcome, revision: self.revision, micros };
                let _ = request.reply.send(Ok(answer));
            }
        }
        Ok(())
    }

    /// Encodes the next requests, as long as the worker and the outbox have room.
    fn dispatch(&mut self, connection: &mut Connection) -> Result<(), End> {
        while self.in_flight < self.window() && connection.unwritten() < OUTBOX_TARGET {
            let Some(next) = self.pending.get(self.in_flight) else {
                break;
            };
            if next.reply.is_closed() {
                // Nobody waits for it any more.
                self.pending.remove(self.in_flight);
                continue;
            }
            if self.tenant.lethal.contains(&next.body) {
                if let Some(request) = self.pending.remove(self.in_flight) {
                    let _ = request.reply.send(Err(AskError::LethalInput));
                }
                continue;
            }
            let in_flight = u64::try_from(self.in_flight).unwrap_or(u64::MAX);
            let evaluate = ToWorker::Evaluate {
                id: self.next_answer.wrapping_add(in_flight),
                kind: QueryKind::Decision,
                deadline_micros: monotonic_micros(next.deadline),
                body: &next.body,
            };
            connection.append(&evaluate).map_err(io::Error::other)?;
            self.ends.push_back(connection.end_of_outbox());
            self.in_flight += 1;
        }
        Ok(())
    }

    /// How many requests may be at the worker. A suspect is there alone, so that, should the worker
    /// end again, it is known on what.
    fn window(&self) -> usize {
        let is_suspect = |at| self.pending.get(at).is_some_and(|request| request.is_suspect);
        match self.in_flight {
            0 => 1,
            in_flight if is_suspect(0) || is_suspect(in_flight) => in_flight,
            _ => MAX_IN_FLIGHT,
        }
    }

    /// Sees to it that the alarm rings at `at`, or before.
    fn wake_by(&mut self, at: Instant) {
        match &mut self.alarm {
            Some(alarm) if alarm.deadline() <= at => {}
            Some(alarm) => alarm.as_mut().reset(at),
            None => self.alarm = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Gives the worker up when it is stuck, or has nothing to do for too long.
    fn look_at_the_clock(&mut self) -> Result<(), End> {
        self.alarm = None;
        let now = Instant::now();
        if let Some(first) = self.pending.front() {
            let stuck = first.deadline + KILL_MARGIN;
            if stuck <= now && self.in_flight > 0 {
                return Err(End::Stuck);
            }
            // Whoever was not given to the worker in time was not kept waiting by it alone.
            self.wake_by(stuck.max(now + CLOCK_INTERVAL));
        } else if let Some(idle_timeout) = self.idle_timeout {
            let idle = self.last_arrival + idle_timeout;
            if idle <= now {
                return Err(End::Idle);
            }
            self.wake_by(idle);
        }
        Ok(())
    }

    /// Sorts what is left by what may be done with it.
    fn close(mut self, end: End, written: u64) -> Served {
        let is_death = !matches!(end, End::Drained | End::Idle);
        let at_the_worker = self.ends.iter().filter(|end| **end <= written).count();
        // Of more than one it is not known: answers that were made may not have been written.
        let culprit = if is_death && at_the_worker == 1 { self.pending.pop_front() } else { None };
        let suspects = if culprit.is_some() { 0 } else { at_the_worker };
        for request in self.pending.iter_mut().take(suspects) {
            request.is_suspect = true;
        }
        Served { end, culprit, unanswered: self.pending, requests: self.requests }
    }
}

/// Whether there was anything to read, where that was not the socket's end.
const fn has_read(read: Option<usize>) -> Result<bool, End> {
    match read {
        Some(0) => Err(End::Closed),
        read => Ok(read.is_some()),
    }
}

async fn receive(requests: Option<&mut mpsc::Receiver<Request>>, into: &mut Vec<Request>) -> usize {
    match requests {
        Some(requests) => requests.recv_many(into, MAX_IN_FLIGHT).await,
        None => pending().await,
    }
}

async fn released<T>(release: Option<&mut oneshot::Receiver<T>>) -> Option<T> {
    match release {
        Some(release) => release.await.ok(),
        None => pending().await,
    }
}

async fn ring(alarm: Option<&mut Pin<Box<Sleep>>>) {
    match alarm {
        Some(alarm) => alarm.await,
        None => pending().await,
    }
}

/// `instant` as microseconds of `CLOCK_MONOTONIC`, which is the clock of the wire, and of `Instant`
/// on Linux too, without saying so.
fn monotonic_micros(instant: Instant) -> u64 {
    static BASE: OnceLock<Option<(Instant, Duration)>> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
        Some((Instant::now(), Duration::from(now)))
    });
    let Some((base_instant, base_micros)) = base else {
        // No clock, no time left.
        return 0;
    };
    let since = instant.saturating_duration_since(*base_instant);
    u64::try_from((*base_micros + since).as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;
    use enforcer_protocol::{
        Decision, DiagnosticCode, FRAME_HEADER_LENGTH, MAX_DECISION_STRING, MAX_DIAGNOSTICS,
        MAX_SANDBOX_LAYERS,
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use crate::tenant::tests::{request, tenant};

    /// The other end of a connection: says what a test wants it to.
    struct FakeWorker {
        socket: UnixStream,
    }

    impl FakeWorker {
        async fn say(&mut self, frame: &FromWorker) {
            let mut wire = Vec::new();
            append_frame(&mut wire, frame, MAX_FRAME_FROM_WORKER).unwrap();
            self.say_bytes(&wire).await;
        }

        async fn say_bytes(&mut self, bytes: &[u8]) {
            self.socket.write_all(bytes).await.unwrap();
        }

        /// Reads a whole frame's payload.
        async fn hear(&mut self) -> Vec<u8> {
            let length = self.socket.read_u32().await.unwrap();
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.socket.read_exact(&mut payload).await.unwrap();
            payload
        }

        /// Reads an `Evaluate`, and returns its id.
        async fn hear_question(&mut self) -> u64 {
            let payload = self.hear().await;
            let ToWorker::Evaluate { id, .. } = decode(&payload).unwrap() else {
                panic!("no question: {payload:?}")
            };
            id
        }
    }

    fn pair() -> (Connection, FakeWorker) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = WorkerSocket::new(ours.into_std().unwrap()).unwrap();
        (Connection::new(ours), FakeWorker { socket: theirs })
    }

    fn answer(id: u64, micros: u64) -> FromWorker {
        FromWorker::Evaluated {
            id,
            outcome: enforcer_protocol::Outcome::Decision(Decision::default()),
            micros,
            differed: false,
        }
    }

    fn loaded(version: Option<&str>) -> FromWorker {
        FromWorker::Loaded {
            version: version.map(str::to_owned),
            evaluator: Evaluator::Bytecode,
            warnings: Vec::new(),
        }
    }

    fn greeting(version: u16, layers: Vec<SandboxLayer>) -> FromWorker {
        FromWorker::Hello { version, layers, missing: Vec::new() }
    }

    type Answers = oneshot::Receiver<Result<Answer, AskError>>;

    const LONG: Duration = Duration::from_secs(3600);

    /// A connection that serves, as a driver has it.
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
        let intake = Intake {
            backlog,
            requests: receiver,
            release: released,
            idle_timeout,
            tenant: Arc::clone(&tenant),
            revision: Revision::from_digest([0; 32]),
        };
        let served = tokio::spawn(connection.serve(intake));
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
    async fn a_question_that_nobody_waits_for_is_not_asked() {
        let (abandoned, answer_to_nobody) = request("abandoned", LONG);
        drop(answer_to_nobody);
        let (wanted, _answer) = request("wanted", LONG);
        let mut serving = serving_with([abandoned, wanted].into(), None);
        let payload = serving.worker.hear().await;
        let question: ToWorker<'_> = decode(&payload).unwrap();
        assert!(
            matches!(question, ToWorker::Evaluate { id: 0, body: b"wanted", .. }),
            "{question:?}"
        );
    }

    #[tokio::test]
    async fn who_is_released_gives_the_requests_back_and_answers_those_it_has() {
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
    async fn who_was_at_the_worker_among_others_is_a_suspect_and_nobody_is_lost() {
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

    /// Answers up to `count` questions, each with what its body says, and then ends.
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
                    // A culprit's reply is dropped with it here; the driver answers it.
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
            serving.tenant.lethal.remember(&request("lethal", LONG).0);
        }
        let refused = serving.ask("lethal", LONG).await;
        let _other = serving.ask("other", LONG).await;
        assert_eq!(refused.await.unwrap().unwrap_err(), AskError::LethalInput);
        let payload = serving.worker.hear().await;
        let question: ToWorker<'_> = decode(&payload).unwrap();
        assert!(matches!(question, ToWorker::Evaluate { body: b"other", .. }), "{question:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_without_requests_is_idle_after_its_time_and_not_before() {
        let idle_timeout = Duration::from_secs(60);
        let mut serving = serving_with(VecDeque::new(), Some(idle_timeout));
        tokio::time::sleep(idle_timeout / 2).await;
        let answer_to = serving.ask("body", LONG).await;
        assert_eq!(serving.worker.hear_question().await, 0);
        tokio::time::sleep(idle_timeout * 2).await;
        assert!(!serving.served.is_finished());
        serving.worker.say(&answer(0, 0)).await;
        answer_to.await.unwrap().unwrap();
        assert!(matches!(serving.end().await, End::Idle));
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
            outcome: enforcer_protocol::Outcome::Decision(Decision {
                reason: Some("x".repeat(length)),
                ..Decision::default()
            }),
            micros: 0,
            differed: false,
        };
        let mut trailing = whole(&answer(0, 0)).split_off(FRAME_HEADER_LENGTH);
        trailing.push(0);
        for (name, bytes) in [
            ("an id that was not asked", whole(&answer(1, 0))),
            ("a greeting", whole(&greeting(PROTOCOL_VERSION, Vec::new()))),
            ("a bundle that loaded again", whole(&loaded(None))),
            ("bytes behind the answer", framed(&trailing)),
            ("an empty frame", framed(b"")),
            ("a kind that there is not", framed(&[0xff; 16])),
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

    #[tokio::test]
    async fn only_a_worker_that_introduces_itself_properly_gets_to_serve() {
        let sealed = SandboxLayer::ALL.to_vec();
        let repeated = vec![SandboxLayer::EmptyRoot; MAX_SANDBOX_LAYERS + 1];
        let unfiltered: Vec<_> = SandboxLayer::ALL
            .iter()
            .copied()
            .filter(|layer| *layer != SandboxLayer::SystemCallFilter)
            .collect();
        let another = greeting(PROTOCOL_VERSION + 1, sealed.clone());
        let greeting = |layers| greeting(PROTOCOL_VERSION, layers);
        let (repeated, unfiltered) = (greeting(repeated), greeting(unfiltered));
        let greeting = greeting(sealed);
        let fault = Diagnostic::new(DiagnosticCode::Parse, "");
        let failed = |count| FromWorker::LoadFailed { diagnostics: vec![fault.clone(); count] };
        let loaded = loaded(Some("1"));
        for (name, said, expected) in [
            ("another version", vec![another], "breach"),
            ("too many layers", vec![repeated], "breach"),
            ("a mandatory layer too few", vec![unfiltered, loaded.clone()], "breach"),
            ("no greeting", vec![loaded.clone()], "breach"),
            ("two greetings", vec![greeting.clone(), greeting.clone()], "breach"),
            ("an answer first", vec![greeting.clone(), answer(0, 0)], "breach"),
            ("refused for no reason", vec![greeting.clone(), failed(0)], "breach"),
            ("too many reasons", vec![greeting.clone(), failed(MAX_DIAGNOSTICS + 1)], "breach"),
            ("refused", vec![greeting.clone(), failed(1)], "rejected"),
            ("gone", vec![greeting.clone()], "closed"),
            ("well", vec![greeting, loaded], "introduced"),
        ] {
            let (mut connection, mut worker) = pair();
            for frame in said {
                worker.say(&frame).await;
            }
            worker.socket.shutdown().await.unwrap();
            let bundle = Bundle {
                revision: Revision::from_digest([0; 32]),
                files: Vec::new(),
                ignored_files: Vec::new(),
            };
            let (tenant, _) = tenant();
            let mode = SandboxMode::Strict;
            let result = connection.handshake(&tenant.id, &tenant.limits, mode, &bundle).await;
            let got = match result {
                Ok(introduction) => {
                    assert_eq!(introduction.version.as_deref(), Some("1"));
                    "introduced"
                }
                Err(HandshakeError::Rejected(_)) => "rejected",
                Err(HandshakeError::Ended(End::Breach(_))) => "breach",
                Err(HandshakeError::Ended(End::Closed)) => "closed",
                Err(other) => panic!("{name}: {other}"),
            };
            assert_eq!(got, expected, "{name}");
        }
    }
}
