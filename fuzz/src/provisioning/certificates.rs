//! Targets of its certificates.

use provisioning_proto::certificates::authorities::{self, CertificateAuthorities};
use provisioning_proto::certificates::issuance::{self, IssuedCertificates};
use provisioning_proto::certificates::{Certificate, CertificationRequest, PublicKey};

/// A certificate: what reads is the whole of what was there, reads again from PEM, and its key from its own bytes.
pub fn certificate(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        assert_eq!(certificate.der(), bytes);
        assert_eq!(
            Certificate::from_pem(&certificate.to_pem()).as_ref(),
            Ok(&certificate)
        );
        let key = certificate.public_key();
        assert_eq!(PublicKey::from_spki(key.spki()).as_ref(), Ok(key));
        let named = certificate.fingerprint().parse();
        assert!(named.is_ok_and(|fingerprint| certificate.has_fingerprint(&fingerprint)));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let chain = Certificate::chain_from_pem(text, 4);
        assert!(chain.is_ok_and(|chain| chain.len() <= 4) || Certificate::from_pem(text).is_err());
    }
}

/// A request for a certificate.
pub fn request(bytes: &[u8]) {
    if let Ok(request) = CertificationRequest::from_der(bytes) {
        let name = request.common_name().unwrap_or_default().to_owned();
        let two = request.names_only(&name) && request.names_only("another");
        assert!(!two || name.is_empty() || name == "another");
        let key = request.public_key();
        assert_eq!(PublicKey::from_spki(key.spki()).as_ref(), Ok(key));
    }
}

/// A stored change of a tenant's authorities.
pub fn authorities(bytes: &[u8]) {
    if let Ok(change) = authorities::Change::decode(bytes) {
        let written = change.encode().expect("what was read can be written");
        assert_eq!(
            authorities::Change::decode(&written).as_ref().ok(),
            Some(&change)
        );
        let mut ledger = CertificateAuthorities::default();
        ledger.apply(&change);
        let snapshot = ledger.snapshot().expect("a ledger can be written");
        let restored = CertificateAuthorities::restore(authorities::SNAPSHOT_FORMAT, &snapshot);
        assert_eq!(restored.ok(), Some(ledger));
    }
}

/// A stored change of a tenant's issued certificates.
pub fn issuance(bytes: &[u8]) {
    if let Ok(change) = issuance::Change::decode(bytes) {
        let written = change.encode().expect("what was read can be written");
        assert_eq!(
            issuance::Change::decode(&written).as_ref().ok(),
            Some(&change)
        );
        let mut ledger = IssuedCertificates::default();
        ledger.apply(&change);
        let snapshot = ledger.snapshot().expect("a ledger can be written");
        let restored = IssuedCertificates::restore(issuance::SNAPSHOT_FORMAT, &snapshot);
        assert_eq!(restored.ok(), Some(ledger));
    }
}
