//! Keeps the keys of all issuers as their files and servers have them.
//!
//! What cannot be read or fetched takes no key away: the last keys stay until there are others. Tokens
//! are verified meanwhile, and refused only once no keys were ever there.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{HeaderMap, StatusCode};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::issuer::{Issuer, Issuers};
use super::keys::{KeySet, MAX_KEY_SET};
use super::source::{KeyLocation, KeySource};
use crate::access::gate::Access;
use crate::blocking::{BlockingError, blocking_with_timeout};
use crate::clock::utc_now;
use crate::config::Service;
use crate::outbound::client::{Client, Question};
use crate::outbound::error::chain;
use crate::telemetry::logging::printable;
use crate::tls::{Stamp, small_file, stamp};

/// Between two looks at a file of keys.
const FILE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a look at a file may take: the file system may hang.
const FILE_PATIENCE: Duration = Duration::from_secs(10);

/// Between two questions that tokens with unknown keys lead to: anybody can send such tokens, and the
/// issuer's server must not suffer from it.
const ASKED_SPACING: Duration = Duration::from_secs(10);

/// The time after a failed question until the next one, at first and at most. It doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// How long a whole answer may take.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// Keys of a set that are not used and that the log names.
const LOGGED_UNUSED: usize = 10;

/// See the module. The keys are no longer kept once this is dropped.
#[derive(Debug)]
pub(crate) struct KeyKeepers {
    access: Arc<Access>,
    /// Where servers are asked, on threads that give way to those that decide.
    requests: Handle,
    /// Where files are read.
    files: Handle,
    running: Mutex<Vec<Keeper>>,
}

/// One issuer's keys, and the task that keeps them.
#[derive(Debug)]
struct Keeper {
    source: Arc<KeySource>,
    _task: AbortOnDropHandle<()>,
}

impl KeyKeepers {
    /// Without issuers; `access` is told of every change.
    pub(crate) fn new(access: Arc<Access>, requests: Handle, files: Handle) -> Self {
        Self { access, requests, files, running: Mutex::default() }
    }

    /// Keeps the keys of these issuers from now on, and no others. An issuer that was there before
    /// has the keys that it had, until its server was asked again, or those of its file, which was
    /// just read.
    #[must_use]
    pub(crate) fn keep(&self, issuers: Issuers) -> Issuers {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *running);
        let kept = issuers.0.into_iter().map(|issuer| {
            let same = before.iter().position(|keeper| keeper.source.is_same(&issuer.keys));
            let (issuer, keeper) = match same {
                Some(index) => {
                    let keeper = before.swap_remove(index);
                    match issuer.keys.location {
                        KeyLocation::File(_) => {
                            let set = issuer.keys.current().set.clone();
                            keeper.source.replace(set, utc_now());
                        }
                        KeyLocation::Server { .. } => keeper.source.ask(),
                    }
                    (Arc::new(issuer.with_keys(Arc::clone(&keeper.source))), keeper)
                }
                None => {
                    let keeper = self.start(&issuer);
                    (issuer, keeper)
                }
            };
            running.push(keeper);
            issuer
        });
        Issuers(kept.collect())
    }

    fn start(&self, issuer: &Issuer) -> Keeper {
        let source = Arc::clone(&issuer.keys);
        let task = Task {
            source: Arc::clone(&source),
            access: Arc::clone(&self.access),
            files: self.files.clone(),
            told: None,
        };
        let task = self.requests.spawn(task.run());
        Keeper { source, _task: AbortOnDropHandle::new(task) }
    }
}

struct Task {
    source: Arc<KeySource>,
    access: Arc<Access>,
    files: Handle,
    /// The failure that the log was told, until it is over.
    told: Option<String>,
}

impl Task {
    async fn run(self) {
        match self.source.location.clone() {
            KeyLocation::File(path) => self.watch(path).await,
            KeyLocation::Server { service, refresh } => self.poll(service, refresh).await,
        }
    }

    /// Reads the file again whenever it changes.
    async fn watch(mut self, path: PathBuf) {
        let mut seen: Option<Option<Stamp>> = None;
        loop {
            let path = path.clone();
            let look = move || {
                let now = stamp(&path);
                let read = (seen != Some(now)).then(|| small_file(&path));
                (now, read)
            };
            match blocking_with_timeout(&self.files, FILE_PATIENCE, look).await {
                Ok((now, read)) => {
                    seen = Some(now);
                    match read {
                        Some(Ok(content)) => self.take(&content),
                        Some(Err(error)) => self.fail(&error.to_string()),
                        None => {}
                    }
                }
                Err(BlockingError::Hangs(work)) => {
                    self.fail("reading the file hangs");
                    // Another look would take another thread.
                    let _ = work.await;
                    seen = None;
                }
                Err(BlockingError::Failed) => self.fail("the host has no thread to read it"),
            }
            sleep(FILE_INTERVAL).await;
        }
    }

    /// Asks the server now and then, and when a token names a key that is not known.
    async fn poll(mut self, service: Arc<Service>, refresh: Duration) {
        let client = Client::new(service, self.files.clone());
        let mut retry = FIRST_RETRY;
        let mut asked_from = Instant::now();
        loop {
            let next = match fetch(&client).await {
                Ok(document) => {
                    self.take(&document);
                    retry = FIRST_RETRY;
                    refresh
                }
                Err(error) => {
                    self.fail(&error);
                    let next = retry.min(refresh);
                    retry = (retry * 2).min(LAST_RETRY);
                    next
                }
            };
            let next = Instant::now() + next;
            let asked = async {
                self.source.asked().await;
                sleep_until(asked_from).await;
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = asked => asked_from = Instant::now() + ASKED_SPACING,
            }
        }
    }

    fn take(&mut self, document: &[u8]) {
        let set = match KeySet::parse(document) {
            Ok(set) => set,
            Err(error) => return self.fail(&error.to_string()),
        };
        let is_over = self.told.take().is_some();
        let issuer = printable(&self.source.issuer);
        let keys = set.len();
        let unused = set.unused().iter().take(LOGGED_UNUSED).cloned().collect::<Vec<_>>();
        let is_other = self.source.replace(set, utc_now());
        if is_over {
            info!(%issuer, keys, "the keys of the issuer can be read again");
        }
        if !is_other {
            return;
        }
        if keys == 0 {
            warn!(%issuer, "the issuer has no key that tokens can be verified by, so its tokens are refused");
        } else {
            info!(%issuer, keys, "the issuer has other keys now");
        }
        if !unused.is_empty() {
            warn!(%issuer, "no token is verified by these keys of the issuer: {}", printable(&unused.join("; ")));
        }
        // Answers that last end where their token's key is gone.
        self.access.check_again();
    }

    fn fail(&mut self, why: &str) {
        self.source.failed(utc_now());
        if self.told.as_deref() == Some(why) {
            return;
        }
        let issuer = printable(&self.source.issuer);
        let keys = self.source.current().set.len();
        let effect = if keys == 0 {
            "its tokens are refused until they can be"
        } else {
            "those from before stay"
        };
        warn!(%issuer, keys, "the keys of the issuer cannot be read, and {effect}: {}", printable(why));
        self.told = Some(why.to_owned());
    }
}

/// The document of an issuer's keys.
async fn fetch(client: &Client) -> Result<Vec<u8>, String> {
    let question = Question {
        url: client.service.url.clone(),
        headers: HeaderMap::new(),
        wait: Duration::ZERO,
    };
    let answer = client.ask(&question).await.map_err(|error| error.to_string())?;
    let status = answer.response.status();
    if status != StatusCode::OK {
        return Err(format!("the server answered {status}"));
    }
    let body = Limited::new(answer.response.into_body(), MAX_KEY_SET).collect();
    let body = timeout(BODY_PATIENCE, body)
        .await
        .map_err(|_| format!("the answer took longer than {} s", BODY_PATIENCE.as_secs()))?;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return format!("the answer is larger than {MAX_KEY_SET} bytes");
        }
        format!("the answer ended early or was damaged: {}", chain(&*error))
    })?;
    Ok(body.to_bytes().to_vec())
}
