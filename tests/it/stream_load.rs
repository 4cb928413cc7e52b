//! A thousand consumers: every one that reads gets every event, and those that do not read do not
//! affect others. These tests take minutes and print figures, so they are run by
//! `tests/stream/run`.

#![allow(clippy::print_stdout, reason = "the figures are the output of these tests")]

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{ClientRequestBuilder, Message};

use crate::enforcer::{Bundles, DEADLINE, ECHO, Enforcer, cpu_millis, private_memory, wait_for};
use crate::http_client::Connection;
use crate::latencies::Latencies;
use crate::stream_client::PATH;

/// Connections of those that ask for decisions.
const CLIENTS: usize = 16;

impl Latencies {
    /// The p50, p99, p99.9 and the largest, in microseconds.
    fn summary(&self) -> String {
        let [p50, p99, p999, largest] = [500, 990, 999, 1000].map(|permille| self.micros(permille));
        format!("{p50:>7} {p99:>7} {p999:>7} {largest:>7}")
    }
}

type Socket = WebSocketStream<TcpStream>;

/// Connects a consumer, and waits for the greeting.
async fn consume(address: SocketAddr, query: &str) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    let uri = format!("ws://{address}{PATH}{query}").parse().unwrap();
    let config = WebSocketConfig::default().read_buffer_size(8192).write_buffer_size(0);
    let request = ClientRequestBuilder::new(uri);
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await.unwrap();
    assert!(message(&mut socket).await.unwrap().contains("connected"));
    socket
}

/// The next text, or `None` where the server closed the stream.
async fn message(socket: &mut Socket) -> Option<String> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// The fields of a decision, read from the ends of its message; `None` for another message.
fn tenant_and_sequence(text: &str) -> Option<(&str, u64)> {
    let rest = text.strip_prefix(r#"{"type":"decision","data":{"event_id":""#)?;
    let (_, rest) = rest.split_once(r#"","tenant_id":""#)?;
    let (tenant_id, rest) = rest.split_once('"')?;
    let (_, sequence) = rest.rsplit_once(r#","sequence":"#)?;
    Some((tenant_id, sequence.strip_suffix("}}")?.parse().ok()?))
}

/// Reads one tenant's stream from one decision to another. Every message must be that tenant's and
/// in sequence. Returns their number.
async fn read_all(mut socket: Socket, tenant_id: String, first: u64, last: u64) -> u64 {
    for expected in first..=last {
        let text = message(&mut socket).await.unwrap();
        let Some((of, sequence)) = tenant_and_sequence(&text) else { panic!("{text}") };
        assert_eq!(of, tenant_id, "another tenant's event: {text}");
        assert_eq!(sequence, expected, "a gap: {text}");
    }
    last + 1 - first
}

/// Kernel memory in sockets of the whole host, in KiB.
fn socket_memory() -> u64 {
    let stat = fs::read_to_string("/proc/net/sockstat").unwrap();
    let line = stat.lines().find(|line| line.starts_with("TCP:")).unwrap();
    let pages: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    pages * 4
}

/// This many identical tenants.
fn tenants(count: usize) -> (Enforcer, Vec<String>) {
    let ids: Vec<String> = (0..count).map(|number| format!("t{number}")).collect();
    let bundles = ids.iter().fold(Bundles::new(), |bundles, id| bundles.tenant(id, ECHO));
    let variables = [("ENFORCER_DECISION_LOG", "false")];
    let enforcer = bundles.start_with(&variables);
    for id in &ids {
        enforcer.wait_for_state(id, "ready");
    }
    (enforcer, ids)
}

/// Asks for `per_second` decisions a second, of each tenant in turn, `count` in all. Returns each
/// latency, from when the request was due.
fn decide_evenly(address: SocketAddr, ids: &[String], per_second: u64, count: u64) -> Latencies {
    let began = Instant::now() + Duration::from_millis(100);
    let ask = |client| {
        let mut connection = Connection::open(address);
        let mut times = Vec::new();
        for number in (client..count).step_by(CLIENTS) {
            let due = began + Duration::from_micros(number * 1_000_000 / per_second);
            thread::sleep(due.saturating_duration_since(Instant::now())); // the load's own pace
            let id = &ids[usize::try_from(number).unwrap() % ids.len()];
            let body = format!(
                r#"{{"input":{{"allow":true,"id":"request {number}","subject":{{"user_id":"user_{number}"}},"action":"read","resource":{{"type":"sensor_data","region":"EU"}}}}}}"#
            );
            assert_eq!(connection.decide(id, body.as_bytes()).status, 200);
            times.push(due.elapsed());
        }
        times
    };
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS as u64).map(|client| scope.spawn(move || ask(client))).collect();
        Latencies::new(clients.into_iter().flat_map(|client| client.join().unwrap()).collect())
    })
}

/// How long a consumer that does not read stays before another replaces it: longer than the server
/// waits for it.
const NEVER_READS_FOR: Duration = Duration::from_secs(25);

/// A consumer that never reads, replaced by another when it must have been cut off.
async fn never_read(address: SocketAddr, query: String) {
    loop {
        let socket = consume(address, &query).await;
        sleep(NEVER_READS_FOR).await;
        drop(socket);
    }
}

/// The runtime of the consumers. Its threads have a lower priority than those that ask, as if they
/// were on another host.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(|| {
            rustix::process::nice(10).unwrap();
        })
        .build()
        .unwrap()
}

#[test]
#[ignore = "takes more than a minute; tests/stream/run runs it"]
fn a_thousand_consumers_get_every_event_and_those_that_never_read_cost_nobody() {
    const PER_SECOND: u64 = 1000;
    const SECONDS: u64 = 60;
    const ALONE: u64 = 10;
    /// KiB of the supervisor's memory that a consumer may take: buffers, its task, and its share of
    /// the channels.
    const PER_CONSUMER: u64 = 64;

    let (enforcer, ids) = tenants(10);
    let (address, pid) = (enforcer.address, enforcer.pid());
    let tenants = ids.len() as u64;
    let first = ALONE * PER_SECOND / tenants + 1;
    let last = (ALONE + SECONDS) * PER_SECOND / tenants;

    println!("\ndecisions, µs from when each was due       p50     p99   p99.9     max");
    let alone = decide_evenly(address, &ids, PER_SECOND, ALONE * PER_SECOND);
    println!("no consumer, {ALONE} s                      {}", alone.summary());
    let (before, cpu) = (private_memory(pid), cpu_millis(pid));

    let runtime = runtime();
    let (healthy, never) = runtime.block_on(async {
        let mut healthy = Vec::new();
        for number in 0..1000 {
            let id = ids[number % ids.len()].clone();
            let socket = consume(address, &format!("?tenant_id={id}")).await;
            healthy.push(runtime.spawn(read_all(socket, id, first, last)));
        }
        let never: Vec<_> = (0..100)
            .map(|number| match number % 10 {
                0 => String::new(),
                _ => format!("?tenant_id={}", ids[number % ids.len()]),
            })
            .map(|query| runtime.spawn(never_read(address, query)))
            .collect();
        (healthy, never)
    });
    wait_for("all consumers", || {
        (enforcer.metric("enforcer_stream_consumers") == 1100.0).then_some(())
    });
    let connected = private_memory(pid);

    let is_over = AtomicBool::new(false);
    let (times, peak, kernel_peak) = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut peak, mut kernel_peak) = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                peak = peak.max(private_memory(pid));
                kernel_peak = kernel_peak.max(socket_memory());
                thread::sleep(Duration::from_millis(500)); // between two checks
            }
            (peak, kernel_peak)
        });
        let times = decide_evenly(address, &ids, PER_SECOND, SECONDS * PER_SECOND);
        is_over.store(true, Ordering::Relaxed);
        let (peak, kernel_peak) = watch.join().unwrap();
        (times, peak, kernel_peak)
    });
    println!("1000 that read, 100 that do not, {SECONDS} s  {}", times.summary());
    let events: u64 = runtime.block_on(async {
        let mut events = 0;
        for consumer in healthy {
            events += timeout(DEADLINE, consumer).await.expect("an event did not come").unwrap();
        }
        for consumer in never {
            consumer.abort();
        }
        events
    });
    let cpu = cpu_millis(pid) - cpu;
    assert_eq!(events, 1000 * (last + 1 - first));
    let cut = enforcer.metric(r#"enforcer_host_limit_reached_total{limit="stream_write_time"}"#);
    println!(
        "{events} events to 1000 consumers, each of its own tenant, in order and without a gap; {cut} that did not read were cut off"
    );
    println!(
        "supervisor: {before} KiB private before, {connected} with 1100 consumers, {peak} at most; {kernel_peak} KiB in sockets of the whole host at most; {cpu} ms of processor time"
    );
    assert!(cut >= 100.0, "{cut} were cut off");
    assert!(peak < before + 1100 * PER_CONSUMER, "{peak} KiB");
}

/// The events that consumers have received.
#[derive(Debug, Default)]
struct Got {
    events: AtomicU64,
    missed: AtomicU64,
}

/// Reads until the server or the test ends the stream.
async fn count(mut socket: Socket, got: Arc<Got>) {
    while let Some(text) = message(&mut socket).await {
        match text.strip_prefix(r#"{"type":"lagged","missed":"#) {
            Some(rest) => {
                let missed: u64 = rest.trim_end_matches('}').parse().unwrap();
                got.missed.fetch_add(missed, Ordering::Relaxed);
            }
            None => {
                assert!(tenant_and_sequence(&text).is_some(), "{text}");
                got.events.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Makes every client ask one tenant in a closed loop. Returns the decisions a second.
fn decide_as_fast_as_possible(address: SocketAddr, time: Duration) -> f64 {
    let began = Instant::now();
    let ask = || {
        let mut connection = Connection::open(address);
        let mut decisions = 0;
        while began.elapsed() < time {
            let body = br#"{"input":{"allow":true,"id":"request"}}"#;
            assert_eq!(connection.decide("t0", body).status, 200);
            decisions += 1;
        }
        decisions
    };
    let decisions: u32 = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    f64::from(decisions) / began.elapsed().as_secs_f64()
}

#[test]
#[ignore = "takes a minute; tests/stream/run runs it"]
fn decisions_go_on_however_many_listen() {
    const CONSUMERS: [usize; 4] = [0, 1, 100, 1000];
    const ROUNDS: usize = 5;
    const TIME: Duration = Duration::from_secs(2);

    let (enforcer, _) = tenants(1);
    let address = enforcer.address;
    let mut rates: [Vec<f64>; 4] = Default::default();
    let mut got: [(u64, u64); 4] = Default::default();
    let readers = runtime();
    decide_as_fast_as_possible(address, TIME);
    for _ in 0..ROUNDS {
        for (index, consumers) in CONSUMERS.into_iter().enumerate() {
            let counts = Arc::new(Got::default());
            let tasks: Vec<_> = readers.block_on(async {
                let mut tasks = Vec::new();
                for _ in 0..consumers {
                    let socket = consume(address, "?tenant_id=t0").await;
                    tasks.push(readers.spawn(count(socket, Arc::clone(&counts))));
                }
                tasks
            });
            rates[index].push(decide_as_fast_as_possible(address, TIME));
            got[index].0 += counts.events.load(Ordering::Relaxed);
            got[index].1 += counts.missed.load(Ordering::Relaxed);
            for task in tasks {
                task.abort();
            }
            wait_for("the consumers to be gone", || {
                (enforcer.metric("enforcer_stream_consumers") == 0.0).then_some(())
            });
        }
    }
    println!("\nconsumers   decisions/s: median     min     max   of none   events/s   missed/s");
    let median = |rates: &[f64]| {
        let mut rates = rates.to_vec();
        rates.sort_unstable_by(f64::total_cmp);
        (rates[rates.len() / 2], rates[0], rates[rates.len() - 1])
    };
    let (none, _, _) = median(&rates[0]);
    let seconds = ROUNDS as f64 * TIME.as_secs_f64();
    for (index, consumers) in CONSUMERS.into_iter().enumerate() {
        let (middle, min, max) = median(&rates[index]);
        let (events, missed) = got[index];
        println!(
            "{consumers:>9} {middle:>21.0} {min:>7.0} {max:>7.0} {:>9.2} {:>10.0} {:>10.0}",
            middle / none,
            events as f64 / seconds,
            missed as f64 / seconds,
        );
    }
}
