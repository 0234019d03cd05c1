//! What a certificate, a request and a list of revocations have in common (RFC 5280, 4.1.1): something, the name of an
//! algorithm, and a signature over the exact bytes of the first.

use x509_cert::AlgorithmIdentifier;
use x509_cert::der::asn1::{AnyRef, BitString};
use x509_cert::der::{Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use x509_cert::name::Name;

use super::CertificateError;

/// The bytes that are signed, as they came: never encoded again before they are checked.
pub(super) fn signed_bytes(der: &[u8]) -> Result<Vec<u8>, CertificateError> {
    let read = |mut reader: SliceReader<'_>| {
        reader.sequence(|inner| {
            let bytes = inner.tlv_bytes()?.to_vec();
            while !inner.is_finished() {
                inner.decode::<AnyRef<'_>>()?;
            }
            Ok::<_, x509_cert::der::Error>(bytes)
        })
    };
    SliceReader::new(der)
        .and_then(read)
        .map_err(|_| CertificateError::Malformed)
}

/// Puts a signature to what it is over.
pub(super) fn assemble(
    signed: &[u8],
    algorithm: &AlgorithmIdentifier,
    signature: &[u8],
) -> Result<Vec<u8>, CertificateError> {
    let parts = || {
        let mut contents = signed.to_vec();
        algorithm.encode_to_vec(&mut contents)?;
        BitString::from_bytes(signature)?.encode_to_vec(&mut contents)?;
        AnyRef::new(Tag::Sequence, &contents)?.to_der()
    };
    parts().map_err(|_: x509_cert::der::Error| CertificateError::Malformed)
}

/// The one common name of a subject; `None` where there is none, several, or one in a set of characters that is not text.
pub(super) fn common_name(name: &Name) -> Option<String> {
    let mut names = name.iter().filter(|attribute| attribute.oid == COMMON_NAME);
    let only = names.next()?;
    if names.next().is_some() {
        return None;
    }
    let text = std::str::from_utf8(only.value.value()).ok()?;
    let fits = matches!(only.value.tag(), Tag::Utf8String)
        || (matches!(only.value.tag(), Tag::PrintableString | Tag::Ia5String) && text.is_ascii());
    fits.then(|| text.to_owned())
}

pub(super) const COMMON_NAME: x509_cert::der::asn1::ObjectIdentifier =
    x509_cert::der::asn1::ObjectIdentifier::new_unwrap("2.5.4.3");
