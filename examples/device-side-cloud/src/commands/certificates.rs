//! The commands for certificates.

use std::fs;
use std::path::Path;

use provisioning_proto::certificates::issuance;
use serde_json::Value;

use super::{answer, ask, print, read_password};
use crate::admin::Order;
use crate::args::{Authority, Certificate, Named, Reason};
use crate::certificates::write_private;
use crate::certification::{AuthorityDeed as Deed, CertificateDeed};
use crate::error::Error;

/// The longest file of certificates that is read, in bytes.
const MAX_PEM: u64 = 60 * 1024;

/// Authority commands.
pub(crate) async fn authority(command: Authority) -> Result<(), Error> {
    let (named, deed) = match command {
        Authority::Upload { named, pem, name } => {
            let name = name.unwrap_or_else(|| named.ca.clone());
            let pem = read(&pem)?;
            (named, Deed::Upload { name, pem })
        }
        Authority::Replace { named, pem } => (named, Deed::Replace { pem: read(&pem)? }),
        Authority::Code(named) => (named, Deed::Code),
        Authority::Verify { named, pem } => (named, Deed::Verify { pem: read(&pem)? }),
        Authority::Show(named) => (named, Deed::Show),
        Authority::AcceptExpired { named, accept } => (named, Deed::AcceptExpired { accept }),
        Authority::Deny { named, certificate } => {
            let denial = certificate;
            (named, Deed::Deny { denial })
        }
        Authority::Allow { named, certificate } => {
            let denial = certificate;
            (named, Deed::Allow { denial })
        }
        Authority::Revoke(named) => (named, Deed::Revoke),
        Authority::Delete(named) => (named, Deed::Delete),
    };
    let Named { tenant, ca, file } = named;
    ask(&file, Order::Authority { tenant, ca, deed }).await
}

/// Certificate commands.
pub(crate) async fn certificate(command: Certificate) -> Result<(), Error> {
    let mut out = None;
    let mut key = None;
    let (tenant, deed, file) = match command {
        Certificate::Issuer {
            tenant,
            issuer,
            days,
            out: path,
            file,
        } => {
            out = Some(path);
            (tenant, CertificateDeed::AddIssuer { issuer, days }, file)
        }
        Certificate::Profile {
            tenant,
            profile,
            days,
            overwrite,
            immediate,
            rsa,
            file,
        } => {
            let deed = CertificateDeed::SetProfile {
                profile,
                days,
                overwrite,
                immediate,
                rsa,
            };
            (tenant, deed, file)
        }
        Certificate::Issue {
            tenant,
            device,
            profile,
            request,
            private_key,
            out: path,
            file,
        } => {
            (out, key) = (Some(path), private_key);
            let deed = CertificateDeed::Issue {
                device,
                profile,
                request: request.as_deref().map(read).transpose()?,
            };
            (tenant, deed, file)
        }
        Certificate::Activate {
            tenant,
            device,
            file,
        } => {
            let token = read_password()?;
            (tenant, CertificateDeed::Activate { device, token }, file)
        }
        Certificate::Revoke {
            tenant,
            serial,
            reason,
            file,
        } => {
            let reason = reason.into();
            (tenant, CertificateDeed::Revoke { serial, reason }, file)
        }
        Certificate::Show {
            tenant,
            device,
            file,
        } => (tenant, CertificateDeed::Show { device }, file),
        Certificate::Judge { tenant, pem, file } => {
            let pem = read(&pem)?;
            (tenant, CertificateDeed::Judge { pem }, file)
        }
        Certificate::Check { tenant, pem, file } => {
            let pem = read(&pem)?;
            (tenant, CertificateDeed::CheckChain { pem }, file)
        }
    };
    let mut answered = answer(&file, &Order::Certificate { tenant, deed }).await?;
    for (member, path) in [("private_key", key), ("pem", out)] {
        let taken = answered.as_object_mut().and_then(|all| all.remove(member));
        if let (Some(Value::String(pem)), Some(path)) = (taken, path) {
            let pem = zeroize::Zeroizing::new(pem);
            write_private(&path, pem.as_bytes())?;
        }
    }
    print(answered);
    Ok(())
}

impl From<Reason> for issuance::Reason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unspecified => Self::Unspecified,
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::AffiliationChanged => Self::AffiliationChanged,
            Reason::CessationOfOperation => Self::CessationOfOperation,
            Reason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
        }
    }
}

fn read(path: &Path) -> Result<String, Error> {
    use std::io::Read as _;

    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_PEM).read_to_string(&mut text))
        .map_err(|cause| Error::new(format!("cannot read {}", path.display()), cause))?;
    Ok(text)
}
