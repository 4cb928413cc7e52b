//! A server of bundles that answers as a test says, also as no server should.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::enforcer::wait_for;

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    head: Vec<(String, String)>,
}

impl Request {
    /// The value of a header; its name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.iter();
        fields.find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// What a server sends.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These bytes, and then it closes the connection.
    Raw(Vec<u8>),
    /// The bytes, and then a byte now and then, for ever.
    Drip(Vec<u8>),
    /// The bytes, and then as many more as there are takers, for ever.
    Flood(Vec<u8>),
    /// Nothing, until the server answers otherwise.
    Wait,
}

impl Answer {
    /// A whole answer with this status, these lines of its head, and this body.
    pub(crate) fn whole(status: &str, fields: &[(&str, &str)], body: &[u8]) -> Self {
        let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in fields {
            answer.push_str(&format!("{name}: {value}\r\n"));
        }
        answer.push_str("\r\n");
        Self::Raw([answer.as_bytes(), body].concat())
    }

    /// A bundle; 304 for whoever has it already.
    pub(crate) fn bundle(request: &Request, etag: &str, archive: &[u8]) -> Self {
        if request.header("if-none-match") == Some(etag) {
            return Self::Raw(
                format!("HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\n\r\n").into_bytes(),
            );
        }
        Self::whole("200 OK", &[("ETag", etag)], archive)
    }
}

type Script = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// See the module. It ends when it is dropped.
pub(crate) struct BundleServer {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    requests: Arc<Mutex<Vec<Request>>>,
    ends: Arc<AtomicBool>,
    accepting: Option<thread::JoinHandle<()>>,
}

impl BundleServer {
    pub(crate) fn start(
        tls: Option<ServerConfig>,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), tls, script)
    }

    /// As `start`, where a server was before.
    pub(crate) fn start_at(
        address: SocketAddr,
        tls: Option<ServerConfig>,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = wait_for("the address of the server", || TcpListener::bind(address).ok());
        let address = listener.local_addr().unwrap();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Arc::new(script)));
        let (requests, ends) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let tls = tls.map(Arc::new);
        let accepting = thread::spawn({
            let (script, requests, ends) =
                (Arc::clone(&script), Arc::clone(&requests), Arc::clone(&ends));
            move || {
                for stream in listener.incoming() {
                    if ends.load(Ordering::Relaxed) {
                        return;
                    }
                    let connection = Connection {
                        script: Arc::clone(&script),
                        requests: Arc::clone(&requests),
                        ends: Arc::clone(&ends),
                    };
                    let (stream, tls) = (stream.unwrap(), tls.clone());
                    thread::spawn(move || connection.serve(stream, tls));
                }
            }
        });
        Self { address, script, requests, ends, accepting: Some(accepting) }
    }

    /// Answers in this way from now on.
    pub(crate) fn answer(&self, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Has this bundle from now on.
    pub(crate) fn serve(&self, etag: &'static str, archive: Vec<u8>) {
        self.answer(move |request| Answer::bundle(request, etag, &archive));
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits for a request.
    pub(crate) fn wait_for_request(&self, what: &str, is_it: impl Fn(&Request) -> bool) -> Request {
        wait_for(what, || self.requests().into_iter().find(|request| is_it(request)))
    }
}

impl Drop for BundleServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Accepting ends with the next connection.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
    }
}

struct Connection {
    script: Arc<Mutex<Script>>,
    requests: Arc<Mutex<Vec<Request>>>,
    ends: Arc<AtomicBool>,
}

impl Connection {
    fn serve(self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        let closing = stream.try_clone().unwrap();
        match tls {
            Some(tls) => {
                let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
                self.answer(&mut stream);
                stream.conn.send_close_notify();
                // The client may have gone.
                let _ = stream.flush();
            }
            None => self.answer(&mut &stream),
        }
        let _ = closing.shutdown(Shutdown::Write);
        // Closing with bytes unread would take back what was sent.
        let _ = std::io::copy(&mut &closing, &mut std::io::sink());
    }

    /// Errors are the client's right: it closes when it has heard enough.
    fn answer(&self, stream: &mut (impl Read + Write)) {
        let mut reader = BufReader::new(stream);
        let Some(request) = read_request(&mut reader) else { return };
        self.requests.lock().unwrap().push(request.clone());
        let stream = reader.into_inner();
        let (bytes, more) = loop {
            let script = Arc::clone(&self.script.lock().unwrap());
            match script(&request) {
                Answer::Raw(bytes) => return drop(stream.write_all(&bytes)),
                Answer::Drip(bytes) => break (bytes, 1),
                Answer::Flood(bytes) => break (bytes, 64 * 1024),
                Answer::Wait if self.ends.load(Ordering::Relaxed) => return,
                Answer::Wait => thread::sleep(Duration::from_millis(5)), // between two checks
            }
        };
        let mut next = bytes;
        while stream.write_all(&next).and_then(|()| stream.flush()).is_ok() {
            next = vec![0; more];
            if more == 1 {
                thread::sleep(Duration::from_millis(50)); // it is a slow server
            }
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut lines = reader.lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let head = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    Some(Request { path, head })
}

/// An authority that issues certificates for this machine.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// A server with a certificate for 127.0.0.1. With `clients`, it wants one that they issued.
    pub(crate) fn server(&self, clients: Option<&Self>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(&authority.pem)).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let Issued { certificate: own, key } = self.issue("127.0.0.1");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        builder.with_single_cert(vec![certificate(&own)], key).unwrap()
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}
