//! Issuing: the key of who signs is made here, kept sealed, and opened for one signature.

use provisioning_proto::certificates::issuance::{
    Command, Config, IssuedCertificates, Order, Reply, Subject,
};
use provisioning_proto::certificates::{Certificate, PublicKey};
use provisioning_proto::{CaId, ProfileId, RegistrationId, SealedSecret, Secret, TenantId};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use zeroize::Zeroizing;

use super::signatures::sign;
use super::{Certification, Ring, known};
use crate::clock;
use crate::error::Error;

/// A certificate on its way to its device.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) certificate: Certificate,
    pub(crate) issuer: Certificate,
    /// What makes it active, unless it is.
    pub(crate) token: Option<Secret>,
}

/// A key pair that this service made for a device.
pub(crate) struct ServiceKey {
    /// PKCS #8 in PEM, for the device alone; it is kept nowhere.
    pub(crate) private: Zeroizing<String>,
    pub(crate) public: PublicKey,
}

impl ServiceKey {
    /// Makes one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(crate) fn make() -> Result<Self, Error> {
        let pair = KeyPair::generate().map_err(|cause| Error::new("cannot make a key", cause))?;
        Ok(Self {
            private: Zeroizing::new(pair.serialize_pem()),
            public: PublicKey::from_spki(&pair.subject_public_key_info())
                .map_err(|cause| Error::new("the new key cannot be used", cause))?,
        })
    }
}

impl Certification {
    /// Makes an authority of the tenant's own that signs from now on; its certificate.
    ///
    /// # Errors
    /// The id was used before, or the journal cannot be written.
    pub(crate) async fn add_issuer(
        &self,
        tenant: &TenantId,
        issuer: &CaId,
        days: u32,
    ) -> Result<Certificate, Error> {
        let key = KeyPair::generate().map_err(|cause| Error::new("cannot make a key", cause))?;
        let certificate = issuing_certificate(tenant, issuer, days, &key)?;
        let (stream, field) = (
            IssuedCertificates::stream(tenant),
            IssuedCertificates::issuer_key_field(issuer),
        );
        let private = Zeroizing::new(key.serialize_der());
        let sealed = self
            .store
            .keyring()
            .seal(&stream, &field, clock::entropy()?, &private)
            .map_err(|cause| Error::new("the issuing key cannot be sealed", cause))?;
        let command = Command::AddIssuer {
            issuer: issuer.clone(),
            certificate: Box::new(certificate.clone()),
            key: SealedSecret::new(sealed)
                .map_err(|cause| Error::new("the issuing key is too long", cause))?,
            list_url: Some(format!("{}/certificates/{tenant}/{issuer}.crl", self.base)),
        };
        self.on_issued(tenant, command).await?;
        Ok(certificate)
    }

    /// Issues a certificate to a device that authenticated itself, or that an operator names.
    ///
    /// # Errors
    /// The order is refused, or the journal cannot be written.
    pub(crate) async fn issue(
        &self,
        tenant: &TenantId,
        id: RegistrationId,
        profile: ProfileId,
        subject: Subject,
    ) -> Result<Issued, Error> {
        let order = Order::new(id, profile, subject, clock::entropy()?);
        let prepared = {
            let tenants = self.tenants.lock().await;
            known(&tenants, tenant)?
                .issued
                .ledger()
                .prepare(&order, &Config::default(), &Ring, clock::wall())
                .map_err(|cause| Error::new("no certificate is issued", cause))?
        };
        let signature = self.sign(
            tenant,
            prepared.issuer(),
            prepared.key(),
            prepared.message(),
        )?;
        let command = Command::Record {
            prepared: Box::new(prepared),
            signature,
            entropy: clock::entropy()?,
        };
        let Reply::Issued {
            certificate,
            issuer,
            token,
        } = self.on_issued(tenant, command).await?
        else {
            return Err(Error::plain("no certificate was issued"));
        };
        self.issued.notify_one();
        Ok(Issued {
            certificate: *certificate,
            issuer: *issuer,
            token,
        })
    }

    /// Opens an issuer's key for one signature.
    pub(super) fn sign(
        &self,
        tenant: &TenantId,
        issuer: &CaId,
        sealed: &SealedSecret,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let (stream, field) = (
            IssuedCertificates::stream(tenant),
            IssuedCertificates::issuer_key_field(issuer),
        );
        let opened = self
            .store
            .keyring()
            .open(&stream, &field, sealed.as_bytes())
            .map_err(|cause| Error::new("the issuing key cannot be opened", cause))?;
        sign(opened.expose(), message)
    }
}

fn issuing_certificate(
    tenant: &TenantId,
    issuer: &CaId,
    days: u32,
    key: &KeyPair,
) -> Result<Certificate, Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, tenant.as_str());
    params
        .distinguished_name
        .push(DnType::CommonName, issuer.as_str());
    let now = clock::wall();
    let day = std::time::Duration::from_secs(24 * 3600);
    let end = now
        .checked_add(day.saturating_mul(days))
        .ok_or_else(|| Error::plain("the issuer would be valid for too long"))?;
    params.not_before = now.into();
    params.not_after = end.into();
    let made = params
        .self_signed(key)
        .map_err(|cause| Error::new("cannot make the issuer's certificate", cause))?;
    Certificate::from_der(made.der())
        .map_err(|cause| Error::new("the issuer's certificate cannot be used", cause))
}
