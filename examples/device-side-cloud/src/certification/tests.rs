#![allow(clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use provisioning_proto::certificates::Certificate;
use provisioning_proto::certificates::authorities::{Command, Reply};
use provisioning_proto::certificates::issuance::{self, Profile, Reason};
use provisioning_proto::directory::{Evidence, Issuer};
use provisioning_proto::{CaId, RegistrationId, TenantId};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer as Signer,
    KeyPair, KeyUsagePurpose,
};

use super::Certification;
use crate::clock;
use crate::monitor::Monitor;
use crate::store::Store;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn certification(name: &str) -> (Folder, Certification) {
    let name = format!("certification-{name}-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let (data, keys) = (folder.0.join("data"), folder.0.join("keys"));
    let store = Store::open(&data, &keys, Monitor::default()).expect("store");
    let certification = Certification::load(&store, "https://localhost").await;
    (folder, certification.expect("certification"))
}

fn tenant() -> TenantId {
    "maker".parse().expect("tenant")
}

fn ca() -> CaId {
    "root".parse().expect("authority")
}

fn id(name: &str) -> RegistrationId {
    name.parse().expect("id")
}

fn described(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn device(name: &str, issuer: &Signer<'_, &KeyPair>) -> Certificate {
    let key = KeyPair::generate().expect("key");
    let mut params = described(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let made = params.signed_by(&key, issuer).expect("certificate");
    Certificate::from_der(made.der()).expect("certificate")
}

/// The authorities that vouch, and how many fingerprints there are.
fn vouched(evidence: Option<Evidence>) -> (Vec<Issuer>, usize) {
    match evidence.expect("evidence") {
        Evidence::Certificate {
            issuers,
            fingerprints,
            ..
        } => {
            let plain = |one: Issuer| Issuer::new(one.tenant, one.ca, one.expired);
            let issuers = issuers.into_iter().map(plain).collect();
            (issuers, fingerprints.len())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_authority_vouches_for_the_name_in_the_certificate_once_it_is_verified() {
    let (_folder, certification) = certification("vouches").await;
    let key = KeyPair::generate().expect("key");
    let mut params = described("Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = params.self_signed(&key).expect("root");
    let signer = Signer::from_params(&params, &key);
    let upload = Command::Upload {
        name: "Root".to_owned(),
        certificate: Certificate::from_der(root.der()).expect("root"),
    };
    let (tenant, ca) = (tenant(), ca());
    let run = async |command| certification.on_authority(&tenant, &ca, command).await;
    run(upload).await.expect("uploaded");
    let leaf = [device("dev1", &signer)];
    let ask = async |name| vouched(certification.evidence(None, id(name), &leaf).await);
    assert_eq!(ask("dev1").await, (Vec::new(), 2));
    let entropy = clock::entropy().expect("entropy");
    let Ok(Reply::Code(challenge)) = run(Command::GenerateCode { entropy }).await else {
        panic!("no code");
    };
    let proof = Command::Verify(device(&challenge.code, &signer));
    assert_eq!(run(proof).await.expect("judged"), Reply::Verified);
    let issuer = Issuer::new(tenant.clone(), ca.clone(), false);
    assert_eq!(ask("dev1").await, (vec![issuer], 2));
    assert_eq!(ask("dev2").await, (Vec::new(), 2));
    // The id of an authority is not an issuer's, too.
    assert!(certification.add_issuer(&tenant, &ca, 30).await.is_err());
}

#[tokio::test]
async fn a_request_in_a_registration_is_answered_with_a_certificate_that_proves_the_device_until_it_is_revoked()
 {
    let (_folder, certification) = certification("answers").await;
    let (tenant, issuer) = (tenant(), ca());
    certification
        .add_issuer(&tenant, &issuer, 30)
        .await
        .expect("issuer");
    let key = KeyPair::generate().expect("key");
    let request = described("dev1").serialize_request(&key).expect("request");
    let answer = async |name: &str| {
        let (id, request) = (id(name), request.der());
        certification.answer_request(&tenant, &id, request).await
    };
    assert!(answer("dev1").await.is_err(), "there is no profile yet");
    let settings = issuance::Command::SetProfile {
        profile: "registration".parse().expect("profile"),
        settings: Profile::new(20).expect("profile"),
    };
    certification
        .on_issued(&tenant, settings)
        .await
        .expect("profile");
    assert!(answer("dev2").await.is_err(), "it names another device");
    let leaf = answer("dev1").await.expect("certificate");
    let leaf = [Certificate::from_der(&leaf).expect("certificate")];
    let vouches = vec![Issuer::new(tenant.clone(), issuer, false)];
    let evidence = certification.evidence(None, id("dev1"), &leaf).await;
    assert_eq!(vouched(evidence), (vouches, 2));
    let stolen = certification.evidence(None, id("dev2"), &leaf).await;
    assert_eq!(stolen, None);
    let serial = leaf.first().expect("leaf").serial().clone();
    let reason = Reason::KeyCompromise;
    certification
        .on_issued(&tenant, issuance::Command::Revoke { serial, reason })
        .await
        .expect("revoked");
    let evidence = certification.evidence(None, id("dev1"), &leaf).await;
    assert_eq!(evidence, None);
}
