//! Certificates of tests: authorities, what they issue and revoke, and clients that use them.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::enforcer::DEADLINE;

/// An authority.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate with these alternative names: URIs, and DNS names and addresses.
    pub(crate) fn issue(&self, names: &[&str], serial: u64) -> Issued {
        self.issue_with(names, serial, |_| {})
    }

    /// The same, after a change.
    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        serial: u64,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let (uris, others): (Vec<&str>, Vec<&str>) =
            names.iter().partition(|name| name.contains("://"));
        let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(others).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name.push(DnType::CommonName, "gw.example.com");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        for uri in uris {
            params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        }
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    /// A list that revokes these.
    pub(crate) fn revoke(&self, serials: &[u64]) -> String {
        let revoked_certs = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A client that trusts this authority's servers.
    pub(crate) fn client(&self) -> TlsClient<'_> {
        TlsClient {
            authority: self,
            versions: rustls::ALL_VERSIONS.to_vec(),
            identity: None,
            protocol: b"http/1.1",
        }
    }
}

impl Issued {
    /// Writes both files, each at once, as who renews certificates should.
    pub(crate) fn write(&self, directory: &Path, name: &str) {
        replace(&directory.join(format!("{name}.pem")), &self.certificate);
        replace(&directory.join(format!("{name}.key")), &self.key);
    }
}

/// Replaces a file at once.
pub(crate) fn replace(path: &Path, content: &str) {
    let new = PathBuf::from(format!("{}.new", path.display()));
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// How a client speaks TLS.
#[derive(Clone)]
pub(crate) struct TlsClient<'a> {
    authority: &'a Authority,
    versions: Vec<&'static SupportedProtocolVersion>,
    identity: Option<Issued>,
    protocol: &'static [u8],
}

pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

impl TlsClient<'_> {
    pub(crate) fn shows(&self, identity: &Issued) -> Self {
        Self { identity: Some(identity.clone()), ..self.clone() }
    }

    pub(crate) fn only(&self, version: &'static SupportedProtocolVersion) -> Self {
        Self { versions: vec![version], ..self.clone() }
    }

    pub(crate) fn speaks(&self, protocol: &'static [u8]) -> Self {
        Self { protocol, ..self.clone() }
    }

    /// Connects, and ends the handshake. With TLS 1.3 a server refuses a client's certificate only
    /// after it.
    pub(crate) fn connect(&self, address: SocketAddr, name: &str) -> io::Result<TlsStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.key_der.clone()));
                builder.with_client_auth_cert(vec![issued.der.clone()], key).unwrap()
            }
        };
        config.alpn_protocols = vec![self.protocol.to_vec()];
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// Asks once on a new connection; returns the status and the body.
    pub(crate) fn ask(&self, address: SocketAddr, request: &str) -> io::Result<(u16, String)> {
        let mut stream = self.connect(address, "localhost")?;
        ask(&mut stream, request)
    }
}

/// Asks on a connection; returns the status and the body.
pub(crate) fn ask(stream: &mut (impl Read + Write), request: &str) -> io::Result<(u16, String)> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length =
        head.split("content-length: ").nth(1).map_or("0", |rest| rest.lines().next().unwrap());
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body)?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok((status, String::from_utf8(body).unwrap()))
}

/// The leaf that the server has shown.
pub(crate) fn shown(stream: &TlsStream) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

impl PartialEq<Issued> for CertificateDer<'_> {
    fn eq(&self, other: &Issued) -> bool {
        self.as_ref() == other.der.as_ref()
    }
}
