//! Authorities and devices made with rcgen, and the arithmetic of ring.

use std::time::{Duration, SystemTime};

use provisioning_proto::certificates::{
    Certificate, CertificationRequest, KeyAlgorithm, PublicKey, SignatureAlgorithm, Signatures,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

pub(crate) struct Ring;

impl Signatures for Ring {
    fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match (algorithm, key.algorithm()) {
            (SignatureAlgorithm::EcdsaSha256, KeyAlgorithm::EcdsaP256) => {
                &signature::ECDSA_P256_SHA256_ASN1
            }
            (SignatureAlgorithm::EcdsaSha384, KeyAlgorithm::EcdsaP256) => {
                &signature::ECDSA_P256_SHA384_ASN1
            }
            (SignatureAlgorithm::EcdsaSha256, KeyAlgorithm::EcdsaP384) => {
                &signature::ECDSA_P384_SHA256_ASN1
            }
            (SignatureAlgorithm::EcdsaSha384, KeyAlgorithm::EcdsaP384) => {
                &signature::ECDSA_P384_SHA384_ASN1
            }
            (SignatureAlgorithm::Ed25519, _) => &signature::ED25519,
            (SignatureAlgorithm::RsaSha256, _) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (SignatureAlgorithm::RsaSha384, _) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (SignatureAlgorithm::RsaSha512, _) => &signature::RSA_PKCS1_2048_8192_SHA512,
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, key.key())
            .verify(message, signature)
            .is_ok()
    }
}

/// The day that the tests take for today: within the dates of everything made here unless it says otherwise.
pub(crate) fn today() -> SystemTime {
    // 2027-01-15
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn days(number: u64) -> Duration {
    Duration::from_secs(number * 24 * 3600)
}

pub(crate) struct Party {
    pub(crate) certificate: Certificate,
    params: CertificateParams,
    pub(crate) key: KeyPair,
}

pub(crate) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    params
}

pub(crate) fn authority_params(name: &str, constraint: BasicConstraints) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(constraint);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) fn device_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

impl Party {
    pub(crate) fn root(name: &str) -> Self {
        Self::self_signed(authority_params(name, BasicConstraints::Unconstrained))
    }

    pub(crate) fn self_signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = read(&params.self_signed(&key).unwrap());
        Self {
            certificate,
            params,
            key,
        }
    }

    /// Signs what is described, for a new key.
    pub(crate) fn sign(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = read(&params.signed_by(&key, &issuer).unwrap());
        Self {
            certificate,
            params,
            key,
        }
    }

    /// The same authority with other particulars: its key stays.
    pub(crate) fn reissued(&self, params: CertificateParams) -> Self {
        let key = KeyPair::try_from(self.key.serialized_der()).unwrap();
        let certificate = read(&params.self_signed(&key).unwrap());
        Self {
            certificate,
            params,
            key,
        }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.sign(authority_params(name, BasicConstraints::Unconstrained))
    }

    pub(crate) fn device(&self, name: &str) -> Certificate {
        self.sign(device_params(name)).certificate
    }

    pub(crate) fn device_numbered(&self, name: &str, serial: u64) -> Certificate {
        let mut params = device_params(name);
        params.serial_number = Some(SerialNumber::from(serial));
        self.sign(params).certificate
    }
}

pub(crate) fn read(certificate: &rcgen::Certificate) -> Certificate {
    Certificate::from_der(certificate.der()).unwrap()
}

pub(crate) fn request(params: &CertificateParams, key: &KeyPair) -> CertificationRequest {
    let request = params.serialize_request(key).unwrap();
    CertificationRequest::from_der(request.der()).unwrap()
}
