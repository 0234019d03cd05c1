//! The interface on a machine whose journal is a counter.
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]

mod certificates;
mod devices;
mod documented;
mod entries;
mod issuing;
mod migrations;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use super::{Context, IssuanceDeed, Made, MigrationWish, SealFailed, Step, begin};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PublicKeyData as _, SigningKey as _,
};

use crate::certificates::Certificate;
use crate::certificates::authorities::{self, CertificateAuthorities};
use crate::certificates::issuance::{self, IssuedCertificates, Order};
use crate::certificates::{PublicKey, SignatureAlgorithm, Signatures};
use crate::migration::{self, AbortCause, Plans};
use crate::registration::{Command, Config, Output, Registrations, Reply, Stored};
use crate::{CaId, Error, ErrorKind, SealedSecret, Secret, TenantId, tenant};

/// What the keys of rcgen sign with.
struct Ring;

impl Signatures for Ring {
    fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        assert_eq!(algorithm, SignatureAlgorithm::EcdsaSha256);
        let algorithm = &ring::signature::ECDSA_P256_SHA256_ASN1;
        let key = ring::signature::UnparsedPublicKey::new(algorithm, key.key());
        key.verify(message, signature).is_ok()
    }
}

/// A cloud with one tenant, `t1`, asked by its operators.
struct Cloud {
    machine: Registrations,
    authorities: CertificateAuthorities,
    plans: Plans,
    issued: IssuedCertificates,
    /// The keys of the issuers.
    keys: BTreeMap<CaId, KeyPair>,
    start: Instant,
    asked: u8,
}

impl Cloud {
    fn new() -> Self {
        let mut cloud = Self {
            machine: Registrations::new(Config::default(), [7; 32]),
            authorities: CertificateAuthorities::default(),
            plans: Plans::default(),
            issued: IssuedCertificates::default(),
            keys: BTreeMap::new(),
            start: Instant::now(),
            asked: 0,
        };
        for (tenant, point) in [("t1", "east"), ("t2", "theirs")] {
            let name = "A tenant".to_owned();
            let tenant: TenantId = tenant.parse().unwrap();
            let command = tenant::Command::Create { name };
            cloud
                .carry_out(Command::Settings {
                    tenant: tenant.clone(),
                    command,
                })
                .unwrap();
            let path = format!("access-points/{point}");
            let body = json!({"name": point, "endpoints": {"mqtt": "10.0.0.1:8883"}});
            let (status, _) = cloud.ask_as(tenant.as_str(), "PUT", &path, &[], &body);
            assert_eq!(status, 200);
        }
        cloud
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_532_454_980 + u64::from(self.asked))
    }

    fn carry_out(&mut self, command: Command) -> Result<Reply, ErrorKind> {
        let (wall, start) = (self.wall(), self.start);
        self.machine.command(command, wall, start)?;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Append(append) => {
                    let version = append.expected_version + append.changes.len() as u64;
                    self.machine
                        .handle_stored(append.id, Stored::Done { version }, wall, start);
                }
                Output::UpsertDevice { exchange, .. } => {
                    self.machine
                        .handle_target_reply(exchange, true, wall, start);
                }
                Output::Done { result, .. } => return result,
                _ => {}
            }
        }
        panic!("a command without an end")
    }

    fn send(&mut self, tenant: &str, request: &Request<Bytes>) -> Response<Bytes> {
        self.asked = self.asked.wrapping_add(1);
        let tenant: TenantId = tenant.parse().unwrap();
        let seal = |_: &str, _: &str, secret: &Secret| {
            let mirrored: Vec<u8> = secret.expose().iter().map(|byte| !byte).collect();
            SealedSecret::new(mirrored).map_err(|_| SealFailed::new())
        };
        let instances = ["production".to_owned()];
        let context = Context::new(
            self.machine.directory(),
            &tenant,
            &seal,
            [self.asked; 32],
            self.wall(),
        )
        .with_authorities(&self.authorities)
        .with_migrations(&self.plans, &instances)
        .with_issued(&self.issued)
        .with_local_secrets(&|secret| {
            let long = secret.expose().len() >= 16;
            long.then_some(())
                .ok_or_else(|| "too short for here".to_owned())
        });
        match begin(&context, request) {
            Step::Answer(response) => response,
            Step::Edit(edit) => {
                for command in edit.preparations().to_vec() {
                    let _ = self.carry_out(command);
                }
                let mut result = Err(ErrorKind::InvalidValue);
                for command in edit.commands().to_vec() {
                    result = self.carry_out(command);
                    if result.is_err() {
                        break;
                    }
                }
                edit.answer(self.machine.directory(), result)
            }
            Step::Migration(edit) => {
                let command = match edit.wish().clone() {
                    MigrationWish::Seen(_) => migration::Command::Confirm,
                    MigrationWish::Plan(plan) => migration::Command::Plan { plan, most: 9 },
                    MigrationWish::Abort => migration::Command::Abort {
                        cause: AbortCause::Operator,
                    },
                    MigrationWish::EndAlone(without) => migration::Command::EndAlone { without },
                    MigrationWish::LetGo => migration::Command::LetGo,
                };
                let decided = self.plans.decide(edit.device(), command, self.wall());
                let result = decided.map(|decision| {
                    for change in &decision.changes {
                        self.plans.apply(change);
                    }
                });
                edit.answer(&self.plans, result)
            }
            Step::Issuance(edit) => {
                let result = self.issue(edit.deed());
                match result {
                    Ok(made) => edit.answer(&self.issued, Ok(made)),
                    Err(error) => edit.answer(&self.issued, Err(&error)),
                }
            }
            Step::Authority(edit) => {
                let (config, wall) = (authorities::Config::default(), self.wall());
                let command = edit.command().clone();
                let decided = self
                    .authorities
                    .decide(edit.ca(), command, &config, &Ring, wall);
                let result = decided.map(|decision| {
                    for change in &decision.changes {
                        self.authorities.apply(change);
                    }
                    decision.reply
                });
                edit.answer(&self.authorities, result, wall)
            }
        }
    }

    fn change_issued(&mut self, command: issuance::Command) -> Result<issuance::Reply, Error> {
        let (config, wall) = (issuance::Config::default(), self.wall());
        let decision = self.issued.decide(command, &config, &Ring, wall)?;
        decision
            .changes
            .iter()
            .for_each(|change| self.issued.apply(change));
        Ok(decision.reply)
    }

    fn issue(&mut self, deed: &IssuanceDeed) -> Result<Made, Error> {
        match deed {
            IssuanceDeed::Change(command) => {
                self.change_issued((**command).clone())?;
                Ok(Made::Done)
            }
            IssuanceDeed::AddIssuer { issuer, .. } => {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::default();
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                params
                    .distinguished_name
                    .push(DnType::CommonName, issuer.as_str());
                params.not_before = rcgen::date_time_ymd(2018, 1, 1);
                params.not_after = rcgen::date_time_ymd(2030, 1, 1);
                let certificate = params.self_signed(&key).unwrap();
                self.change_issued(issuance::Command::AddIssuer {
                    issuer: issuer.clone(),
                    certificate: Box::new(Certificate::from_der(certificate.der()).unwrap()),
                    key: SealedSecret::new(b"sealed".to_vec())?,
                    list_url: None,
                })?;
                self.keys.insert(issuer.clone(), key);
                Ok(Made::Done)
            }
            IssuanceDeed::Issue {
                id,
                profile,
                request,
            } => {
                let made = KeyPair::generate().unwrap();
                let subject = match request {
                    Some(request) => issuance::Subject::Request((**request).clone()),
                    None => {
                        let key = PublicKey::from_spki(&made.subject_public_key_info());
                        issuance::Subject::ServiceKey(key.unwrap())
                    }
                };
                let order = Order::new(id.clone(), profile.clone(), subject, [self.asked; 16]);
                let config = issuance::Config::default();
                let prepared = self.issued.prepare(&order, &config, &Ring, self.wall())?;
                let signature = self.keys[prepared.issuer()]
                    .sign(prepared.message())
                    .unwrap();
                let reply = self.change_issued(issuance::Command::Record {
                    prepared: Box::new(prepared),
                    signature,
                    entropy: [self.asked; 32],
                })?;
                let issuance::Reply::Issued {
                    certificate,
                    issuer,
                    token,
                } = reply
                else {
                    panic!("{reply:?}");
                };
                let private = request
                    .is_none()
                    .then(|| Secret::new(made.serialize_pem()).unwrap());
                Ok(Made::Certificate {
                    certificate,
                    issuer,
                    token,
                    private_key: private,
                })
            }
        }
    }

    fn ask_as(
        &mut self,
        tenant: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v5/iotps/{tenant}/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let response = self.send(tenant, &request.body(body).unwrap());
        let tag = response
            .headers()
            .get("etag")
            .map(|tag| tag.to_str().unwrap().to_owned());
        let mut value: Value = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        if let (Some(tag), Some(object)) = (tag, value.as_object_mut()) {
            object.insert("ETag".to_owned(), tag.into());
        }
        (response.status().as_u16(), value)
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask_as("t1", method, path, &[], body)
    }

    /// The authority that what a body makes names.
    fn named(&mut self, path: &str, body: &Value) -> Option<String> {
        let tenant: TenantId = "t1".parse().unwrap();
        let seal = |_: &str, _: &str, _: &Secret| {
            SealedSecret::new(b"sealed".to_vec()).map_err(|_| SealFailed::new())
        };
        let (directory, wall) = (self.machine.directory(), self.wall());
        let context = Context::new(directory, &tenant, &seal, [9; 32], wall);
        let request = Request::post(format!("/v5/iotps/t1/{path}"));
        match begin(&context, &request.body(body.to_string().into()).unwrap()) {
            Step::Edit(edit) => edit.authority().map(ToString::to_string),
            step => panic!("{step:?}"),
        }
    }

    fn get(&mut self, path: &str) -> Value {
        let (status, value) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    assert!(
        answer.1["error_msg"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{answer:?}"
    );
    (answer.0, answer.1["error_code"].as_str().unwrap())
}
