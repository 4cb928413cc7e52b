//! The load: real HTTP over loopback from one thread, in a closed or an open loop.
//!
//! A closed loop sends the next request as soon as it has an answer, on each of its connections,
//! and so measures the highest throughput. An open loop sends requests on a fixed schedule, and
//! measures each latency from the time when its request was due: a server that stalls is charged
//! for every request that was due meanwhile, not for one request per connection.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

/// The longest latency that the histogram records, in microseconds. The bench gives up on an answer
/// before.
const LONGEST_MICROS: u64 = 60_000_000;

/// How long to wait for answers after the last request.
const DRAIN: Duration = Duration::from_secs(10);

/// The longest answer that is accepted.
const MAX_ANSWER: usize = 1024 * 1024;

/// Header fields of an answer.
const MAX_FIELDS: usize = 64;

/// The highest number of groups that a load can distinguish.
pub(crate) const MAX_GROUPS: usize = 2;

/// A request, ready to be written, and the texts that its answer must contain.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    bytes: Vec<u8>,
    expected: Vec<Vec<u8>>,
    group: usize,
}

impl Prepared {
    /// A POST of a JSON body. The answer must be 200 and contain all of `expected`.
    pub(crate) fn post(path: &str, body: &str, expected: &[String]) -> Self {
        let length = body.len();
        let bytes = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let expected = expected.iter().map(|text| text.clone().into_bytes()).collect();
        Self { bytes: bytes.into_bytes(), expected, group: 0 }
    }

    /// A GET whose answer must be 200.
    pub(crate) fn get(path: &str) -> Self {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        Self { bytes, expected: Vec::new(), group: 0 }
    }

    /// Whether its bytes contain this text.
    pub(crate) fn asks(&self, text: &str) -> bool {
        contains(&self.bytes, text.as_bytes())
    }

    /// The same request, counted in another group.
    pub(crate) fn in_group(self, group: usize) -> Self {
        Self { group: group.min(MAX_GROUPS - 1), ..self }
    }

    fn is_answered_by(&self, answer: &Answer<'_>) -> bool {
        answer.status == 200 && self.expected.iter().all(|text| contains(answer.body, text))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

/// When requests are made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As soon as there is an answer.
    Closed,
    /// This many a second, evenly, independent of the answers.
    Open(f64),
    /// Each once, one after the other on each connection.
    Once,
}

/// A load for a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    /// Sent one after the other, repeatedly.
    pub(crate) requests: &'a [Prepared],
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// How long requests are sent before measuring begins.
    pub(crate) warm_up: Duration,
    /// How long answers are measured.
    pub(crate) length: Duration,
}

/// The results of one group's requests.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    /// Latencies of correct answers, in microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Answers other than 200.
    pub(crate) failed: u64,
    /// Answers of 200 with the wrong content.
    pub(crate) wrong: u64,
    /// Requests that were due and have no answer.
    pub(crate) unanswered: u64,
}

impl Answers {
    /// Correct answers.
    pub(crate) fn right(&self) -> u64 {
        self.latencies.len()
    }

    /// Failed, wrong and missing answers.
    pub(crate) fn bad(&self) -> u64 {
        self.failed + self.wrong + self.unanswered
    }

    /// This percentile of the latencies of correct answers, in microseconds.
    pub(crate) fn micros(&self, percent: f64) -> f64 {
        // A histogram with three digits is exact in a float.
        self.latencies.value_at_percentile(percent) as f64
    }
}

/// The results of a load.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) groups: Vec<Answers>,
    /// From the first request that counts to the last answer.
    pub(crate) took: Duration,
}

impl Measured {
    /// Correct answers a second.
    pub(crate) fn rate(&self) -> f64 {
        let right: u64 = self.groups.iter().map(Answers::right).sum();
        right as f64 / self.took.as_secs_f64()
    }

    /// Failed, wrong and missing answers.
    pub(crate) fn bad(&self) -> u64 {
        self.groups.iter().map(Answers::bad).sum()
    }

    /// The first group, which has all answers where there is one group.
    pub(crate) fn first(&self) -> io::Result<&Answers> {
        self.groups.first().ok_or_else(|| io::Error::other("a load has a group"))
    }
}

/// An answer's parts.
struct Answer<'a> {
    status: u16,
    body: &'a [u8],
    length: usize,
}

/// The answer at the start of `bytes`, once it is complete.
fn answer(bytes: &[u8]) -> io::Result<Option<Answer<'_>>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(start) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let status = head.code.unwrap_or_default();
    let field = |name: &str| {
        let found = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.and_then(|field| str::from_utf8(field.value).ok())
    };
    let rest = bytes.get(start..).unwrap_or_default();
    if let Some(length) = field("content-length") {
        let length: usize = length.parse().map_err(io::Error::other)?;
        return Ok(rest.get(..length).map(|body| Answer { status, body, length: start + length }));
    }
    // Peers answer in chunks. Their texts are short enough for one chunk, so chunks are not
    // decoded: only the end of the coding is searched for, and nothing follows it.
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        let is_whole = rest == b"0\r\n\r\n" || rest.ends_with(b"\r\n0\r\n\r\n");
        return Ok(is_whole.then_some(Answer { status, body: rest, length: bytes.len() }));
    }
    Ok(Some(Answer { status, body: &[], length: start }))
}

/// A connection and its pending request.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// When the request was due, and its index.
    asked: Option<(Instant, usize)>,
}

impl Load<'_> {
    /// Runs the load, and returns when every request is answered or given up.
    ///
    /// # Errors
    /// When the server refuses or closes a connection.
    pub(crate) fn run(&self) -> io::Result<Measured> {
        // A sleeping thread is otherwise woken up to 50 µs late (`prctl(2)`, PR_SET_TIMERSLACK).
        nix::sys::prctl::set_timerslack(1)?;
        Generator::new(self)?.run()
    }
}

struct Generator<'a> {
    load: &'a Load<'a>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    /// Requests that were due and have no connection yet.
    late: VecDeque<Instant>,
    next: usize,
    next_due: Instant,
    begin: Instant,
    end: Instant,
    groups: Vec<Answers>,
    last_answer: Instant,
}

impl<'a> Generator<'a> {
    fn new(load: &'a Load<'a>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(load.connections);
        for number in 0..load.connections {
            let stream = TcpStream::connect(load.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(u64::try_from(number).unwrap_or(u64::MAX));
            epoll::add(&epoll, &stream, data, EventFlags::IN)?;
            connections.push(Connection { stream, buffer: Vec::new(), asked: None });
        }
        let latencies =
            Histogram::new_with_bounds(1, LONGEST_MICROS, 3).map_err(io::Error::other)?;
        let answers = Answers { latencies, failed: 0, wrong: 0, unanswered: 0 };
        let groups = load.requests.iter().map(|request| request.group + 1).max().unwrap_or(1);
        let start = Instant::now();
        let begin = start + load.warm_up;
        Ok(Self {
            load,
            epoll,
            idle: (0..connections.len()).rev().collect(),
            connections,
            late: VecDeque::new(),
            next: 0,
            next_due: start,
            begin,
            end: begin + load.length,
            groups: vec![answers; groups],
            last_answer: begin,
        })
    }

    fn run(mut self) -> io::Result<Measured> {
        let mut events = Vec::with_capacity(self.connections.len().max(1));
        loop {
            let now = Instant::now();
            self.ask(now)?;
            let is_over = !self.goes_on(now);
            if is_over && self.idle.len() == self.connections.len() && self.late.is_empty() {
                break;
            }
            if now > self.end + DRAIN {
                break;
            }
            let wake = match self.load.pace {
                Pace::Open(_) if !is_over => self.next_due,
                _ => self.end + DRAIN,
            };
            let left = wake.saturating_duration_since(now);
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                self.take(usize::try_from(event.data.u64()).unwrap_or(usize::MAX))?;
            }
        }
        for connection in &self.connections {
            if let Some((due, which)) = connection.asked
                && due >= self.begin
                && let Some(group) = self.load.requests.get(which).map(|request| request.group)
                && let Some(answers) = self.groups.get_mut(group)
            {
                answers.unanswered += 1;
            }
        }
        if let Some(answers) = self.groups.first_mut() {
            answers.unanswered += u64::try_from(self.late.len()).unwrap_or(u64::MAX);
        }
        let took = self.last_answer.saturating_duration_since(self.begin);
        Ok(Measured { groups: self.groups, took })
    }

    /// Whether there are requests left that are not due yet.
    fn goes_on(&self, now: Instant) -> bool {
        match self.load.pace {
            Pace::Once => self.next < self.load.requests.len(),
            _ => now < self.end,
        }
    }

    /// Sends the requests that are due, as far as connections are idle.
    fn ask(&mut self, now: Instant) -> io::Result<()> {
        match self.load.pace {
            Pace::Open(per_second) => {
                let gap = Duration::from_secs_f64(1.0 / per_second);
                while self.next_due <= now && self.next_due < self.end {
                    self.late.push_back(self.next_due);
                    self.next_due += gap;
                }
                while let Some(due) = self.late.front().copied() {
                    let Some(connection) = self.idle.pop() else { break };
                    self.late.pop_front();
                    self.send(connection, due)?;
                }
            }
            Pace::Closed | Pace::Once => {
                while self.goes_on(Instant::now()) {
                    let Some(connection) = self.idle.pop() else { break };
                    self.send(connection, Instant::now())?;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, number: usize, due: Instant) -> io::Result<()> {
        let which = self.next.checked_rem(self.load.requests.len()).unwrap_or(0);
        self.next += 1;
        let (Some(connection), Some(request)) =
            (self.connections.get_mut(number), self.load.requests.get(which))
        else {
            return Err(io::Error::other("a load needs a request"));
        };
        connection.asked = Some((due, which));
        // It is shorter than the empty buffer of a socket.
        connection.stream.write_all(&request.bytes)
    }

    /// Reads from a connection.
    fn take(&mut self, number: usize) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(number) else { return Ok(()) };
        let mut piece = [0; 16 * 1024];
        match connection.stream.read(&mut piece) {
            Ok(0) => {
                let what = format!("the server closed a connection to {}", self.load.address);
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, what));
            }
            Ok(count) => {
                connection.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        if connection.buffer.len() > MAX_ANSWER {
            return Err(io::Error::other("an answer is too long"));
        }
        let Some(answer) = answer(&connection.buffer)? else { return Ok(()) };
        let now = Instant::now();
        let length = answer.length;
        if let Some((due, which)) = connection.asked.take()
            && due >= self.begin
            && let Some(request) = self.load.requests.get(which)
            && let Some(answers) = self.groups.get_mut(request.group)
        {
            self.last_answer = now;
            if request.is_answered_by(&answer) {
                let micros = u64::try_from(now.saturating_duration_since(due).as_micros());
                answers.latencies.saturating_record(micros.unwrap_or(LONGEST_MICROS).max(1));
            } else if answer.status == 200 {
                answers.wrong += 1;
            } else {
                answers.failed += 1;
            }
        }
        connection.buffer.drain(..length);
        self.idle.push(number);
        Ok(())
    }
}
