//! The extensions of a certificate or of a request (RFC 5280, 4.2), as far as they decide anything here.

use std::collections::BTreeSet;

use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::ext::{Extension, pkix};

use super::CertificateError;

/// The most extensions of one certificate.
const MAX: usize = 32;

pub(super) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
pub(super) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub(super) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
pub(super) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
pub(super) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// What the extensions say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Extensions {
    /// `cA` of the basic constraints.
    pub(super) authority: bool,
    /// `pathLenConstraint`.
    pub(super) path_length: Option<u8>,
    key_usage: Option<KeyUsage>,
    purposes: Option<Vec<ObjectIdentifier>>,
    /// The DNS names, addresses of mail and URIs of the subject alternative name; `None` for another kind of name.
    pub(super) names: Vec<Option<String>>,
    /// The subject key identifier.
    pub(super) subject_key: Option<Vec<u8>>,
    /// One is critical that is none of these.
    pub(super) unknown_critical: bool,
}

impl Extensions {
    pub(super) fn read(list: &[Extension]) -> Result<Self, CertificateError> {
        if list.len() > MAX {
            return Err(CertificateError::TooLong);
        }
        let mut seen = BTreeSet::new();
        let mut read = Self::default();
        for extension in list {
            // RFC 5280, 4.2: not two of one kind.
            if !seen.insert(extension.extn_id) {
                return Err(CertificateError::Malformed);
            }
            read.take(extension)?;
        }
        Ok(read)
    }

    fn take(&mut self, extension: &Extension) -> Result<(), CertificateError> {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            BASIC_CONSTRAINTS => {
                let constraints: BasicConstraints = decode(value)?;
                // RFC 5280, 4.2.1.9: a length only where it is an authority.
                if constraints.path_len_constraint.is_some() && !constraints.ca {
                    return Err(CertificateError::Malformed);
                }
                self.authority = constraints.ca;
                self.path_length = constraints.path_len_constraint;
            }
            KEY_USAGE => self.key_usage = Some(decode(value)?),
            EXTENDED_KEY_USAGE => self.purposes = Some(decode::<ExtendedKeyUsage>(value)?.0),
            pkix::ID_CE_SUBJECT_ALT_NAME => {
                let names: SubjectAltName = decode(value)?;
                self.names = names.0.iter().map(text).collect();
            }
            pkix::ID_CE_SUBJECT_KEY_IDENTIFIER => {
                let id: pkix::SubjectKeyIdentifier = decode(value)?;
                self.subject_key = Some(id.0.into_bytes().into_vec());
            }
            _ => self.unknown_critical |= extension.critical,
        }
        Ok(())
    }

    /// RFC 5280, 4.2.1.3: where usages are listed, signing certificates is among them.
    pub(super) fn may_sign_certificates(&self) -> bool {
        self.key_usage.is_none_or(|usage| usage.key_cert_sign())
    }

    pub(super) fn may_sign_lists(&self) -> bool {
        self.key_usage.is_none_or(|usage| usage.crl_sign())
    }

    /// A handshake is signed, by a client (RFC 5280, 4.2.1.3 and 4.2.1.12).
    pub(super) fn may_authenticate_client(&self) -> bool {
        let signs = self.key_usage.is_none_or(|usage| usage.digital_signature());
        let fits = |purposes: &Vec<_>| {
            purposes
                .iter()
                .any(|purpose| [CLIENT_AUTH, ANY_PURPOSE].contains(purpose))
        };
        signs && self.purposes.as_ref().is_none_or(fits)
    }
}

fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822Name(text)
        | GeneralName::DnsName(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
        _ => None,
    }
}

fn decode<'d, T: Decode<'d>>(value: &'d [u8]) -> Result<T, CertificateError> {
    T::from_der(value).map_err(|_| CertificateError::Malformed)
}
