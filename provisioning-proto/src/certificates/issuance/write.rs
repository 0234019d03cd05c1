//! The bytes of a certificate that are signed (RFC 5280, 4.1), all of them chosen here but the key.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use x509_cert::der::asn1::{
    AnyRef, ContextSpecific, GeneralizedTime, Ia5String, OctetString, UtcTime,
};
use x509_cert::der::{self, DateTime, Encode, Tag, TagMode, TagNumber};
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
    KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};
use x509_cert::{Version, certificate::Rfc5280};

use super::{Issuer, Purpose};
use crate::RegistrationId;
use crate::certificates::extensions::{
    BASIC_CONSTRAINTS, CLIENT_AUTH, EXTENDED_KEY_USAGE, KEY_USAGE, SERVER_AUTH,
};
use crate::certificates::{CertificateError, PublicKey, Serial, SignatureAlgorithm};

pub(super) const AUTHORITY_KEY: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("2.5.29.35");
const SUBJECT_KEY: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("2.5.29.14");
const DISTRIBUTION_POINTS: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("2.5.29.31");

/// What goes into a certificate.
pub(super) struct Contents<'c> {
    pub(super) issuer: &'c Issuer,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) serial: &'c Serial,
    pub(super) id: &'c RegistrationId,
    pub(super) key: &'c PublicKey,
    pub(super) purposes: &'c BTreeSet<Purpose>,
    pub(super) validity: (SystemTime, SystemTime),
}

pub(super) fn certificate(contents: &Contents<'_>) -> Result<Vec<u8>, CertificateError> {
    let identifier = contents
        .algorithm
        .identifier()
        .ok_or(CertificateError::UnsupportedAlgorithm)?;
    write(contents, &identifier).map_err(|_| CertificateError::Malformed)
}

fn write(
    contents: &Contents<'_>,
    algorithm: &x509_cert::AlgorithmIdentifier,
) -> der::Result<Vec<u8>> {
    let (from, to) = contents.validity;
    let mut bytes = Vec::new();
    explicit(0, Version::V3).encode_to_vec(&mut bytes)?;
    SerialNumber::<Rfc5280>::new(contents.serial.as_bytes())?.encode_to_vec(&mut bytes)?;
    algorithm.encode_to_vec(&mut bytes)?;
    // As the issuer's certificate has it, byte for byte (RFC 5280, 7.1).
    bytes.extend_from_slice(contents.issuer.certificate.subject());
    Validity::<Rfc5280>::new(time(from)?, time(to)?).encode_to_vec(&mut bytes)?;
    // The characters of an id have no meaning in a name.
    Name::from_str(&format!("CN={}", contents.id))?.encode_to_vec(&mut bytes)?;
    bytes.extend_from_slice(contents.key.spki());
    explicit(3, extensions(contents)?).encode_to_vec(&mut bytes)?;
    AnyRef::new(Tag::Sequence, &bytes)?.to_der()
}

fn explicit<T>(number: u32, value: T) -> ContextSpecific<T> {
    ContextSpecific {
        tag_number: TagNumber(number),
        tag_mode: TagMode::Explicit,
        value,
    }
}

fn extensions(contents: &Contents<'_>) -> der::Result<Extensions> {
    let constraints = BasicConstraints {
        ca: false,
        path_len_constraint: None,
    };
    let purposes = contents.purposes.iter().map(|purpose| match purpose {
        Purpose::ClientAuth => CLIENT_AUTH,
        Purpose::ServerAuth => SERVER_AUTH,
    });
    let key = SubjectKeyIdentifier(OctetString::new(key_identifier(contents.key))?);
    let mut list = vec![
        extension(BASIC_CONSTRAINTS, true, &constraints)?,
        extension(
            KEY_USAGE,
            true,
            &KeyUsage(KeyUsages::DigitalSignature.into()),
        )?,
        extension(
            EXTENDED_KEY_USAGE,
            false,
            &ExtendedKeyUsage(purposes.collect()),
        )?,
        extension(SUBJECT_KEY, false, &key)?,
        authority_key(contents.issuer)?,
    ];
    if let Some(url) = &contents.issuer.list_url {
        let name = GeneralName::UniformResourceIdentifier(Ia5String::new(url)?);
        let point = DistributionPoint {
            distribution_point: Some(DistributionPointName::FullName(vec![name])),
            reasons: None,
            crl_issuer: None,
        };
        let points = CrlDistributionPoints(vec![point]);
        list.push(extension(DISTRIBUTION_POINTS, false, &points)?);
    }
    Ok(list)
}

/// RFC 5280, 4.2.1.1: the issuer's own key identifier, as it has it.
pub(super) fn authority_key(issuer: &Issuer) -> der::Result<Extension> {
    let own = issuer.certificate.extensions().subject_key.clone();
    let identifier = own.unwrap_or_else(|| key_identifier(issuer.certificate.public_key()));
    let value = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(identifier)?),
        ..AuthorityKeyIdentifier::default()
    };
    extension(AUTHORITY_KEY, false, &value)
}

/// RFC 7093, 2, method 1: the first 160 bits of SHA-256 of the key.
fn key_identifier(key: &PublicKey) -> Vec<u8> {
    let digest = Sha256::digest(key.key());
    digest.iter().take(20).copied().collect()
}

pub(super) fn extension(
    id: der::asn1::ObjectIdentifier,
    critical: bool,
    value: &impl Encode,
) -> der::Result<Extension> {
    Ok(Extension {
        extn_id: id,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

/// Whole seconds, in two digits of the year up to 2049 and four after it (RFC 5280, 4.1.2.5).
pub(super) fn time(at: SystemTime) -> der::Result<Time> {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let date = DateTime::from_unix_duration(Duration::from_secs(since.as_secs()))?;
    Ok(match UtcTime::from_date_time(date) {
        Ok(short) => Time::UtcTime(short),
        Err(_) => Time::GeneralTime(GeneralizedTime::from_date_time(date)),
    })
}
