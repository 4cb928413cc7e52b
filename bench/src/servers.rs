//! The servers that are measured: each is a process with its children.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::load::{Load, Pace, Prepared};
use crate::peers;
use crate::policies::Policy;
use crate::processes::{self, Cost};

/// The time limit for a server's first answer.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// Between two checks for it.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// The longest text that [`get`] takes.
const MAX_TEXT: u64 = 1024 * 1024;

/// The kinds of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The product.
    Enforcer,
    /// One process, an engine per tenant behind a mutex, no isolation.
    InProcess,
    /// The product with workers that answer without evaluating.
    Echo,
    /// Open Policy Agent's server.
    Opa,
    /// Cerbos' server, which has one tenant.
    Cerbos,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Enforcer => "enforcer",
            Self::InProcess => "in-process",
            Self::Echo => "echo-worker",
            Self::Opa => "OPA",
            Self::Cerbos => "Cerbos",
        }
    }
}

/// The paths of the programs.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) enforcer: PathBuf,
    /// This one, which is also `in-process` and `echo-worker`.
    pub(crate) bench: PathBuf,
    pub(crate) opa: Option<PathBuf>,
    pub(crate) cerbos: Option<PathBuf>,
}

/// Tenants of one policy, for the server under test.
#[derive(Clone, Debug)]
pub(crate) struct Tenants {
    pub(crate) ids: Vec<String>,
    pub(crate) policy: Policy,
}

impl Tenants {
    pub(crate) fn new(count: usize, policy: Policy) -> Self {
        Self { ids: (0..count).map(|number| format!("tenant_{number:04}")).collect(), policy }
    }

    /// The first `count` of them.
    pub(crate) fn first(&self, count: usize) -> Self {
        Self { ids: self.ids.iter().take(count).cloned().collect(), policy: self.policy.clone() }
    }

    /// Writes their bundles.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        for id in &self.ids {
            write_bundle(directory, id, &self.policy)?;
        }
        Ok(())
    }

    /// Every question to every tenant, one tenant after the other.
    pub(crate) fn requests(&self, kind: Kind) -> Vec<Prepared> {
        let cases = self.policy.cases.iter();
        cases
            .flat_map(|case| {
                self.ids.iter().map(move |id| {
                    let (path, body, expected) = match kind {
                        Kind::Enforcer | Kind::InProcess => peers::enforcer_request(id, case),
                        Kind::Echo => peers::echo_request(id, case),
                        Kind::Opa => peers::opa_request(id, case),
                        Kind::Cerbos => peers::cerbos_request(case),
                    };
                    Prepared::post(&path, &body, &expected)
                })
            })
            .collect()
    }
}

/// Writes one tenant's bundle.
pub(crate) fn write_bundle(directory: &Path, id: &str, policy: &Policy) -> io::Result<()> {
    let directory = directory.join(id);
    fs::create_dir_all(&directory)?;
    for (name, content) in policy.bundle(id) {
        fs::write(directory.join(name), content)?;
    }
    Ok(())
}

/// A running server. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// The directory of its tenants' bundles.
    pub(crate) bundles: TempDir,
    /// From its start until it answered.
    pub(crate) ready_after: Duration,
    child: Child,
}

impl Server {
    /// Starts it over these tenants, and waits until it answers.
    ///
    /// # Errors
    /// When the program is missing or does not answer correctly in time.
    pub(crate) fn start(programs: &Programs, kind: Kind, tenants: &Tenants) -> io::Result<Self> {
        Self::start_with(programs, kind, tenants, &[])
    }

    /// As `start`, with these settings.
    pub(crate) fn start_with(
        programs: &Programs,
        kind: Kind,
        tenants: &Tenants,
        settings: &[(&str, &str)],
    ) -> io::Result<Self> {
        let bundles = tempfile::tempdir()?;
        let port = free_port()?;
        let missing = || io::Error::other(format!("the path of {} is not given", kind.name()));
        let mut command = match kind {
            Kind::Enforcer | Kind::Echo => {
                tenants.write(bundles.path())?;
                let mut command = Command::new(match kind {
                    Kind::Echo => &programs.bench,
                    _ => &programs.enforcer,
                });
                if kind == Kind::Echo {
                    command.arg("echo");
                }
                command
                    .env_clear()
                    .env("BUNDLES_DIR", bundles.path())
                    .env("ENFORCER_PORT", port.to_string())
                    // No other server writes a line for each request.
                    .env("ENFORCER_DECISION_LOG", "false")
                    .env("LOG_LEVEL", "error")
                    .envs(settings.iter().copied());
                command
            }
            Kind::InProcess => {
                tenants.write(bundles.path())?;
                let mut command = Command::new(&programs.bench);
                command.args(["in-process", "--port", &port.to_string(), "--bundles"]);
                command.arg(bundles.path());
                command
            }
            Kind::Opa => {
                let opa = programs.opa.as_ref().ok_or_else(missing)?;
                peers::opa(opa, bundles.path(), port, &tenants.ids)?
            }
            Kind::Cerbos => {
                let cerbos = programs.cerbos.as_ref().ok_or_else(missing)?;
                peers::cerbos(cerbos, bundles.path(), port)?
            }
        };
        let began = Instant::now();
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = quiet.spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { kind, address, bundles, ready_after: Duration::ZERO, child };
        let is_ready = match kind {
            Kind::Enforcer | Kind::Echo => Prepared::get("/health?bundles"),
            _ => {
                let mut requests = tenants.first(1).requests(kind).into_iter();
                requests.next().ok_or_else(|| io::Error::other("a server needs a tenant"))?
            }
        };
        server.wait_until(&is_ready)?;
        server.ready_after = began.elapsed();
        Ok(server)
    }

    /// Waits until a request has the expected answer.
    pub(crate) fn wait_until(&mut self, request: &Prepared) -> io::Result<()> {
        let end = Instant::now() + START_PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                let what = format!("{} ended before it answered: {status}", self.kind.name());
                return Err(io::Error::other(what));
            }
            if self.answers(request) {
                return Ok(());
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Err(io::Error::other(format!("{} did not answer correctly in time", self.kind.name())))
    }

    fn answers(&self, request: &Prepared) -> bool {
        let load = Load {
            address: self.address,
            requests: std::slice::from_ref(request),
            connections: 1,
            pace: Pace::Once,
            warm_up: Duration::ZERO,
            length: Duration::ZERO,
        };
        load.run().is_ok_and(|measured| measured.bad() == 0)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its cost so far, with its workers.
    pub(crate) fn cost(&self) -> Cost {
        processes::cost(self.pid())
    }

    /// Its memory, and all its workers'. In KiB.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let workers = processes::children(self.pid());
        (processes::private_kib(self.pid()), workers.into_iter().map(processes::private_kib).sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its workers end with it. An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's answer to a GET, as text.
///
/// # Errors
/// When it does not answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_TEXT).read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| io::Error::other(format!("no answer to GET {path}")))
}

/// A port that is free now. The servers report their ports in different ways or not at all.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
