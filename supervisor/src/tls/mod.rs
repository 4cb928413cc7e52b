//! TLS: certificates and keys from files, and what a client and a server make of them.
//!
//! The cryptography is ring's: a C compiler is all that it needs to be built, and it is linked once,
//! whoever speaks TLS here.

pub(crate) mod server;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

/// Bytes of a file of certificates, of a key, or of a token. A bundle of all public authorities is a
/// tenth of it.
const MAX_FILE: u64 = 2 * 1024 * 1024;

/// Certificates in one file.
const MAX_CERTIFICATES: usize = 4096;

/// The files that a client of TLS uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientFiles {
    /// The authorities that a server's certificate may come from; the system's without it.
    pub(crate) authorities: Option<PathBuf>,
    /// The client's certificate and its key.
    pub(crate) identity: Option<Identity>,
}

/// The files of a certificate, with those that it was issued by, and of its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Why TLS cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{path} cannot be read: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{path} is not a PEM file with a certificate: {error}")]
    Certificate { path: PathBuf, error: pem::Error },
    #[error("{path} is not a PEM file with a private key: {error}")]
    Key { path: PathBuf, error: pem::Error },
    #[error(
        "the system has no certificates of authorities; install them (ca-certificates), or name a file with ca"
    )]
    NoAuthorities,
    #[error("the certificates cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("{certificate} and {key} cannot be used together: {error}")]
    Identity { certificate: PathBuf, key: PathBuf, error: rustls::Error },
    #[error("{path} is not a PEM file with certificate revocation lists: {error}")]
    Crl { path: PathBuf, error: pem::Error },
    #[error("{path} cannot be used to verify clients: {error}")]
    ClientAuthority { path: PathBuf, error: String },
}

impl ClientFiles {
    /// How a client speaks TLS with these files as they are now. It blocks. With `is_known` a
    /// client shows its own certificate; it is not for servers that a redirect leads to.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub(crate) fn client_config(&self, is_known: bool) -> Result<ClientConfig, TlsError> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate)?;
                }
            }
            // One that cannot be parsed is no authority, and the others are.
            None => drop(
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
            ),
        }
        if roots.is_empty() {
            return Err(TlsError::NoAuthorities);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match self.identity.as_ref().filter(|_| is_known) {
            Some(Identity { certificate, key }) => {
                builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Changes where one of the files does.
    pub(crate) fn stamp(&self) -> Vec<Option<Stamp>> {
        let identity = self.identity.iter().flat_map(|files| [&files.certificate, &files.key]);
        self.authorities.iter().chain(identity).map(|path| stamp(path)).collect()
    }
}

/// The metadata of a file, which change where the file does: also where it is a symbolic link that
/// leads to another one, or another one was renamed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: SystemTime,
    length: u64,
    inode: u64,
    device: u64,
}

/// The metadata of a file, if it is there.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = path.metadata().ok()?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
        inode: metadata.ino(),
        device: metadata.dev(),
    })
}

/// The content of a small file of the operator. It blocks.
///
/// # Errors
/// When it cannot be read, is not a regular file, or is larger than any such file.
pub(crate) fn small_file(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = path.metadata()?;
    // Opening a FIFO would block.
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // A buffer that grew would leave copies of a key behind.
    let length = usize::try_from(metadata.len().min(MAX_FILE)).unwrap_or(0);
    let mut content = Vec::with_capacity(length.saturating_add(1));
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= MAX_FILE) {
        return Ok(content);
    }
    Err(io::Error::other(format!("it is larger than {MAX_FILE} bytes")))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    small_file(path).map_err(|error| TlsError::File { path: path.to_owned(), error })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refused = |error| TlsError::Certificate { path: path.to_owned(), error };
    let content = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&content)
        .take(MAX_CERTIFICATES)
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    if found.is_empty() { Err(refused(pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let refused = |error| TlsError::Key { path: path.to_owned(), error };
    let content = Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&content).map_err(refused)
}
