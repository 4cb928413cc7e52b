//! What the server makes of its certificates, and how it verifies those of clients. Both are read
//! again when their files change, and connections that are open keep what they have.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::{Identity, Stamp, TlsError, certificates, private_key, read, stamp};

/// Protocols that are offered in a handshake (ALPN), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Sessions that clients may resume. They are kept here and not in tickets, so that they end when the
/// certificates are read again: nobody resumes a session whose certificate was revoked meanwhile.
const RESUMABLE_SESSIONS: usize = 2048;

/// Lists of revoked certificates in one file.
const MAX_CRLS: usize = 256;

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MinVersion {
    /// 1.2 and 1.3.
    #[default]
    Tls12,
    /// 1.3 only.
    Tls13,
}

impl MinVersion {
    fn versions(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Self::Tls12 => vec![&TLS13, &TLS12],
            Self::Tls13 => vec![&TLS13],
        }
    }
}

/// The files of the server's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerFiles {
    /// For clients that name no host, or one without a certificate of its own.
    pub(crate) default: Identity,
    /// For clients that name these hosts. A name may begin with `*.`, which stands for one label.
    pub(crate) by_name: Vec<(Vec<String>, Identity)>,
    /// The authorities that a client's certificate may come from; no client is asked for one
    /// without it.
    pub(crate) client_authorities: Option<PathBuf>,
    /// Lists of revoked certificates of clients.
    pub(crate) crls: Vec<PathBuf>,
    pub(crate) min_version: MinVersion,
}

/// What the server speaks TLS with, of one moment.
pub(crate) struct Loaded {
    pub(crate) config: Arc<ServerConfig>,
    /// How a client's certificate is verified, if clients are asked for one.
    pub(crate) clients: Option<Arc<dyn ClientCertVerifier>>,
    /// When each certificate, and the first list of revoked ones, ends, in seconds since 1970.
    pub(crate) ends: Vec<(String, i64)>,
    /// The files as they were before they were read.
    stamps: Stamps,
}

impl std::fmt::Debug for Loaded {
    /// Without keys.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Loaded").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl ServerFiles {
    /// How the server speaks TLS with these files as they are now. It blocks.
    ///
    /// # Errors
    /// When a file cannot be read or used. The error names the file and repeats nothing of it.
    pub(crate) fn load(&self) -> Result<Loaded, TlsError> {
        let stamps = self.stamps();
        let provider = Arc::new(ring::default_provider());
        let mut ends = Vec::new();
        let default = certified(&self.default, "default", &mut ends)?;
        let mut by_name = HashMap::new();
        for (names, identity) in &self.by_name {
            let label = names.first().map_or("", String::as_str);
            let certified = certified(identity, label, &mut ends)?;
            by_name.extend(names.iter().map(|name| (name.to_ascii_lowercase(), certified.clone())));
        }
        let clients = match &self.client_authorities {
            Some(path) => Some(self.client_verifier(path, &mut ends)?),
            None => None,
        };
        let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Clock))
            .with_protocol_versions(&self.min_version.versions())?;
        let builder = match &clients {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Certificates { default, by_name }));
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        config.session_storage = ServerSessionMemoryCache::new(RESUMABLE_SESSIONS);
        Ok(Loaded { config: Arc::new(config), clients, ends, stamps })
    }

    fn client_verifier(
        &self,
        path: &Path,
        ends: &mut Vec<(String, i64)>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let refused = |error: String| TlsError::ClientAuthority { path: path.to_owned(), error };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| refused(error.to_string()))?;
        }
        let mut crls = Vec::new();
        for path in &self.crls {
            crls.extend(crls_in(path)?);
        }
        let next_updates = crls.iter().filter_map(|crl| {
            let (_, crl) = CertificateRevocationList::from_der(crl).ok()?;
            crl.next_update().map(|time| time.timestamp())
        });
        ends.extend(next_updates.min().map(|end| ("crls".to_owned(), end)));
        let provider = Arc::new(ring::default_provider());
        let builder =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        // A client without a certificate may have a token. Where there are lists, a certificate
        // whose issuer has none, or whose list is out of date, is refused: nobody knows of it.
        let builder = builder.allow_unauthenticated().with_crls(crls);
        builder.enforce_revocation_expiration().build().map_err(|error| refused(error.to_string()))
    }

    /// Every file.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let identities = self.by_name.iter().map(|(_, identity)| identity);
        let identities = std::iter::once(&self.default)
            .chain(identities)
            .flat_map(|identity| [identity.certificate.as_path(), identity.key.as_path()]);
        let authorities = self.client_authorities.as_deref();
        identities.chain(authorities).chain(self.crls.iter().map(PathBuf::as_path))
    }

    /// Changes where one of the files does. It blocks.
    fn stamps(&self) -> Stamps {
        self.files().map(stamp).collect()
    }
}

/// The metadata of every file.
type Stamps = Vec<Option<Stamp>>;

/// A certificate with its key.
fn certified(
    identity: &Identity,
    label: &str,
    ends: &mut Vec<(String, i64)>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(&identity.certificate)?;
    if let Some(leaf) = chain.first()
        && let Ok((_, leaf)) = X509Certificate::from_der(leaf)
    {
        ends.push((label.to_owned(), leaf.validity().not_after.timestamp()));
    }
    let key = private_key(&identity.key)?;
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
    certified.map(Arc::new).map_err(|error| TlsError::Identity {
        certificate: identity.certificate.clone(),
        key: identity.key.clone(),
        error,
    })
}

fn crls_in(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let refused = |error| TlsError::Crl { path: path.to_owned(), error };
    let content = read(path)?;
    let found: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&content)
        .take(MAX_CRLS)
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    let none = rustls::pki_types::pem::Error::NoItemsFound;
    if found.is_empty() { Err(refused(none)) } else { Ok(found) }
}

/// The time for certificates. A host whose clock is before 1970 has none, and no handshake succeeds.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        now()
    }
}

fn now() -> Option<UnixTime> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
}

/// The server's certificates.
#[derive(Debug)]
struct Certificates {
    default: Arc<CertifiedKey>,
    /// By names in lower case.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    fn of(&self, name: &str) -> &Arc<CertifiedKey> {
        let name = name.to_ascii_lowercase();
        let by_wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        self.by_name.get(&name).or_else(by_wildcard).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(hello.server_name().map_or(&self.default, |name| self.of(name))))
    }
}

/// The server's TLS: what was read last, and how clients' certificates are verified by it.
#[derive(Debug)]
pub(crate) struct ServerTls {
    files: ServerFiles,
    current: ArcSwap<Generation>,
    last: AtomicU64,
}

/// What was read at one time, numbered.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) loaded: Loaded,
}

impl ServerTls {
    /// Of files that were read already.
    pub(crate) fn new(files: ServerFiles, loaded: Loaded) -> Self {
        let current = ArcSwap::from_pointee(Generation { number: 1, loaded });
        Self { files, current, last: AtomicU64::new(1) }
    }

    /// What was read last.
    pub(crate) fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// The number of what was read last.
    pub(crate) fn generation(&self) -> u64 {
        self.current.load().number
    }

    /// Reads all files again, and replaces what was read before. It blocks.
    ///
    /// # Errors
    /// When a file cannot be read or used. Then what was read before stays.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let loaded = self.files.load()?;
        let number = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.current.store(Arc::new(Generation { number, loaded }));
        Ok(())
    }

    /// Whether a client's certificate would be accepted now; returns the generation that says so.
    pub(crate) fn accepts(&self, chain: &[CertificateDer<'static>]) -> Option<u64> {
        let current = self.current.load();
        let verifier = current.loaded.clients.as_ref()?;
        let (leaf, issuers) = chain.split_first()?;
        verifier.verify_client_cert(leaf, issuers, now()?).ok()?;
        Some(current.number)
    }
}

/// Looks at the files, and says when they are to be read again: once they have changed, and did not
/// change any more between two looks. So a certificate is not read while its key is still being
/// replaced.
#[derive(Debug)]
pub(crate) struct FileWatch {
    /// The files as they were when they were read last.
    read: Stamps,
    /// As they were at the last look.
    seen: Stamps,
}

impl FileWatch {
    /// Between two looks.
    pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

    /// From when the files were read, so that no change since then is missed.
    pub(crate) fn new(tls: &ServerTls) -> Self {
        let read = tls.current().loaded.stamps.clone();
        Self { seen: read.clone(), read }
    }

    /// Whether the files are to be read. It blocks.
    pub(crate) fn is_due(&mut self, tls: &ServerTls) -> bool {
        let now = tls.files.stamps();
        let is_due = now == self.seen && now != self.read;
        if is_due {
            self.read.clone_from(&now);
        }
        self.seen = now;
        is_due
    }
}

#[cfg(test)]
mod tests;
