use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use provisioning_proto::Fingerprint;
use provisioning_proto::certificates::{
    Certificate, CertificateError, CertificationRequest, KeyAlgorithm, PublicKey,
};

use crate::support::{Party, Ring, days, device_params, today};

fn vector(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/certificates");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn asked(name: &str) -> Result<CertificationRequest, CertificateError> {
    CertificationRequest::from_pem(&vector(&format!("request-{name}.pem")))
}

#[test]
fn a_certificate_of_openssl_is_read_as_openssl_prints_it() {
    let authority = Certificate::from_pem(&vector("authority-rsa.pem")).unwrap();
    let device = Certificate::from_pem(&vector("device-ed.pem")).unwrap();
    assert_eq!(device.common_name(), Some("dev-ed"));
    assert_eq!(device.serial().to_string(), "8000000000000001");
    assert_eq!(authority.serial().to_string(), "ff01");
    assert_eq!(device.issuer(), authority.subject());
    assert_eq!(
        device.alternative_names().collect::<Vec<_>>(),
        ["dev-ed", "urn:dev:ed"]
    );
    assert_eq!(device.public_key().algorithm(), KeyAlgorithm::Ed25519);
    assert_eq!(authority.public_key().algorithm(), KeyAlgorithm::Rsa);
    assert!(authority.is_authority() && !device.is_authority());
    device.check_issued_by(&authority, &Ring).unwrap();
    authority.check_issued_by(&authority, &Ring).unwrap();
    assert_eq!(
        authority.check_issued_by(&device, &Ring),
        Err(CertificateError::BadSignature)
    );
    let sha256: Fingerprint = FINGERPRINT.parse().unwrap();
    let sha1: Fingerprint = FINGERPRINT_SHA1.parse().unwrap();
    assert!(device.has_fingerprint(&sha256) && device.has_fingerprint(&sha1));
    assert!(!authority.has_fingerprint(&sha256) && !authority.has_fingerprint(&sha1));
}

const FINGERPRINT: &str = "a8c260584cb3d4a552480caeb7996d2370545c491793f3ce7762a26ddb7125fa";
const FINGERPRINT_SHA1: &str = "411f89784bbf94b27122379ff6da941e702631d8";

#[test]
fn requests_of_openssl_prove_their_keys() {
    for (name, algorithm) in [
        ("ec", KeyAlgorithm::EcdsaP256),
        ("p384", KeyAlgorithm::EcdsaP384),
        ("ed", KeyAlgorithm::Ed25519),
        ("rsa", KeyAlgorithm::Rsa),
    ] {
        let request = asked(name).unwrap();
        request.check_signature(&Ring).unwrap();
        assert_eq!(request.public_key().algorithm(), algorithm);
        assert_eq!(request.common_name(), Some(format!("dev-{name}").as_str()));
        assert!(request.names_only(&format!("dev-{name}")) && !request.names_only("dev"));
        assert!(!request.asks_for_authority());
    }
}

#[test]
fn weak_keys_and_unlisted_algorithms_are_refused() {
    assert_eq!(asked("weak").unwrap_err(), CertificateError::WeakKey);
    let unsupported = CertificateError::UnsupportedAlgorithm;
    assert_eq!(asked("p521").unwrap_err(), unsupported);
    assert_eq!(asked("sha1").unwrap_err(), unsupported);
    assert_eq!(asked("pss").unwrap_err(), unsupported);
}

#[test]
fn what_a_request_asks_for_is_seen() {
    assert!(asked("ca").unwrap().asks_for_authority());
    let foreign = asked("foreign-san").unwrap();
    assert!(!foreign.names_only("dev-ec") && !foreign.names_only("other"));
    assert!(asked("anonymous").unwrap().names_only("anything"));
}

#[test]
fn a_changed_byte_of_a_request_breaks_its_signature_or_the_request() {
    let text = vector("request-ec.pem");
    let good = CertificationRequest::from_pem(&text).unwrap();
    good.check_signature(&Ring).unwrap();
    let der = openssl_der(&text);
    for place in 0..der.len() {
        let mut broken = der.clone();
        broken[place] ^= 1;
        let taken = CertificationRequest::from_der(&broken)
            .is_ok_and(|request| request.check_signature(&Ring).is_ok());
        assert!(!taken, "byte {place} counts for nothing");
    }
}

fn openssl_der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap()
}

#[test]
fn only_the_whole_certificate_is_read() {
    let der = Party::root("Root").certificate.der().to_vec();
    assert!(Certificate::from_der(&der).is_ok());
    let mut longer = der.clone();
    longer.push(0);
    assert_eq!(
        Certificate::from_der(&longer).unwrap_err(),
        CertificateError::Malformed
    );
    assert!(Certificate::from_der(&der[..der.len() - 1]).is_err());
    assert_eq!(
        Certificate::from_der(&vec![0x30; Certificate::MAX + 1]).unwrap_err(),
        CertificateError::TooLong
    );
    assert!(PublicKey::from_spki(&der).is_err());
}

#[test]
fn pem_is_found_in_what_tools_print_and_counted() {
    let root = Party::root("Root");
    let device = root.device("dev1");
    let text = format!(
        "Certificate:\n    Data:\n{}\nnext\n{}",
        device.to_pem(),
        root.certificate.to_pem()
    );
    let chain = Certificate::chain_from_pem(&text, 2).unwrap();
    assert_eq!(chain, [device.clone(), root.certificate.clone()]);
    assert_eq!(
        Certificate::chain_from_pem(&text, 1).unwrap_err(),
        CertificateError::TooLong
    );
    assert_eq!(
        Certificate::from_pem(&text).unwrap_err(),
        CertificateError::Malformed
    );
    assert_eq!(Certificate::from_pem(&device.to_pem()).unwrap(), device);
    assert!(Certificate::from_pem("").is_err());
    assert!(Certificate::from_pem("-----BEGIN CERTIFICATE-----\nMIIB").is_err());
}

#[test]
fn both_ends_of_the_validity_are_within() {
    let mut params = device_params("dev1");
    params.not_before = rcgen::date_time_ymd(2027, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 2, 1);
    let device = Party::self_signed(params).certificate;
    let second = Duration::from_secs(1);
    device.check_validity(device.not_before()).unwrap();
    device.check_validity(device.not_after()).unwrap();
    device.check_validity(today()).unwrap();
    assert_eq!(
        device.check_validity(device.not_before() - second),
        Err(CertificateError::NotYetValid)
    );
    assert_eq!(
        device.check_validity(device.not_after() + second),
        Err(CertificateError::Expired)
    );
    assert_eq!(device.not_after(), device.not_before() + days(31));
    assert!(device.not_before() > SystemTime::UNIX_EPOCH);
}

proptest! {
    #[test]
    fn no_bytes_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Certificate::from_der(&bytes).is_err());
        prop_assert!(CertificationRequest::from_der(&bytes).is_err());
    }
}
