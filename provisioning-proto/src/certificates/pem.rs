//! PEM as RFC 7468 writes it, with text around it allowed, as tools print it.

use x509_cert::der::pem;

use super::CertificateError;

pub(super) const CERTIFICATE: &str = "CERTIFICATE";
pub(super) const REQUEST: &str = "CERTIFICATE REQUEST";
/// The label of older tools (RFC 7468, 7).
pub(super) const NEW_REQUEST: &str = "NEW CERTIFICATE REQUEST";

/// The only thing with this label in the text, in DER.
pub(super) fn one(text: &str, label: &str, longest: usize) -> Result<Vec<u8>, CertificateError> {
    let mut all = all(text, label, longest, 2)?;
    match (all.pop(), all.is_empty()) {
        (Some(der), true) => Ok(der),
        _ => Err(CertificateError::Malformed),
    }
}

/// Everything with this label in the text, in DER, up to `most`.
pub(super) fn all(
    text: &str,
    label: &str,
    longest: usize,
    most: usize,
) -> Result<Vec<Vec<u8>>, CertificateError> {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, from)) = rest.split_once(&begin) {
        let (inside, after) = from.split_once(&end).ok_or(CertificateError::Malformed)?;
        // Four characters hold three bytes, and lines of 64 end in two more: well below twice.
        if inside.len() > longest.saturating_mul(2).saturating_add(128) {
            return Err(CertificateError::TooLong);
        }
        if found.len() >= most {
            return Err(CertificateError::TooLong);
        }
        let whole = format!("{begin}{inside}{end}\n");
        let (_, der) =
            pem::decode_vec(whole.as_bytes()).map_err(|_| CertificateError::Malformed)?;
        found.push(der);
        rest = after;
    }
    Ok(found)
}

/// One thing in PEM.
pub(super) fn write(label: &str, der: &[u8]) -> String {
    // Cannot fail but for a label that is none, and ours are.
    pem::encode_string(label, pem::LineEnding::LF, der).unwrap_or_default()
}
