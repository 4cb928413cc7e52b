//! What the server makes of its files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::*;

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, serial: u64) -> (String, String, CertificateDer<'static>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem(), certificate.der().clone())
    }

    fn revoke(&self, serials: &[u64], next_update: i32) -> String {
        let revoked_certs = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(next_update, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn write(directory: &Path, name: &str, content: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    path
}

/// A server whose certificate is for `name`, and which asks for certificates of the authority.
fn files(directory: &Path, authority: &Authority) -> ServerFiles {
    let (certificate, key, _) = authority.issue("server.example", 1);
    ServerFiles {
        default: Identity {
            certificate: write(directory, "server.pem", &certificate),
            key: write(directory, "server.key", &key),
        },
        by_name: Vec::new(),
        client_authorities: Some(write(directory, "ca.pem", &authority.certificate.pem())),
        crls: Vec::new(),
        min_version: MinVersion::Tls12,
    }
}

fn server(files: ServerFiles) -> ServerTls {
    let loaded = files.load().unwrap();
    ServerTls::new(files, loaded)
}

#[test]
fn a_client_s_certificate_is_refused_once_a_list_revokes_it() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let mut files = files(directory.path(), &authority);
    files.crls = vec![write(directory.path(), "crl.pem", &authority.revoke(&[99], 2100))];
    let tls = server(files);
    let (_, _, client) = authority.issue("client.example", 7);
    assert_eq!(tls.accepts(std::slice::from_ref(&client)), Some(1));
    write(directory.path(), "crl.pem", &authority.revoke(&[7], 2100));
    assert_eq!(tls.accepts(std::slice::from_ref(&client)), Some(1));
    tls.reload().unwrap();
    assert_eq!(tls.accepts(&[client]), None);
    let (_, _, other) = authority.issue("client.example", 8);
    assert_eq!(tls.accepts(&[other]), Some(2));
}

#[test]
fn a_client_of_another_authority_or_of_an_outdated_list_is_refused() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let mut files = files(directory.path(), &authority);
    let (_, _, client) = authority.issue("client.example", 7);
    let (_, _, stranger) = Authority::new().issue("client.example", 7);
    let tls = server(files.clone());
    assert!(tls.accepts(std::slice::from_ref(&client)).is_some());
    assert_eq!(tls.accepts(&[stranger]), None);
    assert_eq!(tls.accepts(&[]), None);
    files.crls = vec![write(directory.path(), "crl.pem", &authority.revoke(&[], 2021))];
    assert_eq!(server(files).accepts(&[client]), None);
}

#[test]
fn a_set_that_cannot_be_used_leaves_the_one_from_before_and_repeats_no_key() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let tls = server(files(directory.path(), &authority));
    let (_, other_key, _) = authority.issue("server.example", 2);
    write(directory.path(), "server.key", &other_key);
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("server.key"), "{error}");
    let secret = other_key.lines().nth(1).unwrap();
    write(directory.path(), "server.key", &other_key.replace("BEGIN", "END"));
    let error = format!("{error}{}", tls.reload().unwrap_err());
    assert!(!error.contains(secret), "{error}");
    assert!(!format!("{tls:?}").contains(secret));
    assert_eq!(tls.generation(), 1);
}

#[test]
fn files_are_due_once_they_changed_and_rest() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let directory = directory.path();
    // As Kubernetes does it: files in a directory that a symbolic link leads to.
    for set in ["one", "two"] {
        fs::create_dir(directory.join(set)).unwrap();
        files(&directory.join(set), &authority);
    }
    symlink("one", directory.join("current")).unwrap();
    let mut found = files(&directory.join("one"), &authority);
    found.default.certificate = directory.join("current/server.pem");
    found.default.key = directory.join("current/server.key");
    let tls = server(found);
    let mut watch = FileWatch::new(&tls);
    assert!(!watch.is_due(&tls));
    symlink("two", directory.join("next")).unwrap();
    fs::rename(directory.join("next"), directory.join("current")).unwrap();
    assert!(!watch.is_due(&tls), "it may still be changing");
    assert!(watch.is_due(&tls));
    assert!(!watch.is_due(&tls));
    fs::remove_file(directory.join("two/server.key")).unwrap();
    assert!(!watch.is_due(&tls));
    assert!(watch.is_due(&tls));
}

#[test]
fn a_host_has_the_certificate_of_its_name_or_the_default() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let mut files = files(directory.path(), &authority);
    for (file, names) in [("a", vec!["a.example.com"]), ("any", vec!["*.example.com", "b.test"])] {
        let (certificate, key, _) = authority.issue(file, 3);
        let identity = Identity {
            certificate: write(directory.path(), &format!("{file}.pem"), &certificate),
            key: write(directory.path(), &format!("{file}.key"), &key),
        };
        files.by_name.push((names.into_iter().map(str::to_owned).collect(), identity));
    }
    let mut ends = Vec::new();
    let by_name: HashMap<String, Arc<CertifiedKey>> = files
        .by_name
        .iter()
        .flat_map(|(names, identity)| {
            let key = certified(identity, "", &mut ends).unwrap();
            names.iter().map(move |name| (name.clone(), Arc::clone(&key))).collect::<Vec<_>>()
        })
        .collect();
    let certificates =
        Certificates { default: certified(&files.default, "", &mut ends).unwrap(), by_name };
    let of = |name: &str| certificates.of(name).cert[0].clone();
    assert_eq!(of("A.example.com"), certificates.by_name["a.example.com"].cert[0]);
    assert_eq!(of("c.example.com"), certificates.by_name["*.example.com"].cert[0]);
    assert_eq!(of("b.test"), certificates.by_name["b.test"].cert[0]);
    for other in ["example.com", "x.c.example.com", "localhost"] {
        assert_eq!(of(other), certificates.default.cert[0], "{other}");
    }
}
