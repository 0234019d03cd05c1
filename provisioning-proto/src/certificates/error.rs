/// Why a certificate, a request for one, or a chain of them is refused.
///
/// For operators and audit: a device is told no more than that it is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Longer than the limit, or more of them than the limit.
    #[error("too long")]
    TooLong,
    /// Not DER, not PEM, not of the standard's form, or with something after it.
    #[error("malformed")]
    Malformed,
    /// A key or signature algorithm that is not on the list.
    #[error("the algorithm is not supported")]
    UnsupportedAlgorithm,
    /// An RSA key below 2048 bits or with a small exponent.
    #[error("the key is weak")]
    WeakKey,
    /// The signature is not one of the key that should have made it.
    #[error("the signature is wrong")]
    BadSignature,
    /// It is not valid yet.
    #[error("not valid yet")]
    NotYetValid,
    /// It is not valid any more.
    #[error("expired")]
    Expired,
    /// It signs others but is no certificate of an authority, or may not sign certificates.
    #[error("not a certificate authority")]
    NotAuthority,
    /// An authority's certificate where a device's is wanted.
    #[error("a certificate authority, not a device")]
    NotDevice,
    /// More intermediate authorities than one of them allows.
    #[error("the path is longer than an authority allows")]
    PathTooLong,
    /// Its usages do not allow what it is used for.
    #[error("the certificate is not for this use")]
    WrongUsage,
    /// It has a critical extension that is not understood here.
    #[error("a critical extension is not supported")]
    CriticalExtension,
    /// The chain ends at no authority that is enrolled.
    #[error("no enrolled authority signed it")]
    UnknownAuthority,
    /// The authority is not verified, or was revoked.
    #[error("the authority may not be used")]
    UnusableAuthority,
    /// An operator denied this certificate, or it was revoked.
    #[error("the certificate is denied")]
    Denied,
    /// The request asks for a certificate of an authority.
    #[error("the request asks for an authority")]
    AuthorityRequested,
    /// The request names something else than the device that makes it.
    #[error("the request names another device")]
    ForeignName,
    /// The public key belongs to another device already, or to an authority.
    #[error("the key belongs to another")]
    KeyTaken,
    /// The profile does not allow the algorithm of the key.
    #[error("the profile does not allow the key's algorithm")]
    KeyNotAllowed,
}
