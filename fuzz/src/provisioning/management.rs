//! The operator's interface: any requests, one after another, at a cloud with entries of every kind.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response};
use provisioning_proto::certificates::authorities::{self, CertificateAuthorities};
use provisioning_proto::certificates::issuance::{self, IssuedCertificates};
use provisioning_proto::certificates::{PublicKey, SignatureAlgorithm, Signatures};
use provisioning_proto::directory::Evidence;
use provisioning_proto::management::{
    Context, IssuanceDeed, Made, MigrationWish, SealFailed, Step, begin, tenant_of,
};
use provisioning_proto::migration::{self, AbortCause, Plans};
use provisioning_proto::mqtt::{Mac, SignatureType, TimedMac, Window};
use provisioning_proto::registration::{
    Command, Config, Output, RegistrationRequest, Registrations, Reply, Stored,
};
use provisioning_proto::roster::Registration;
use provisioning_proto::tenant::{self, Tenant};
use provisioning_proto::{Code, Error, ErrorKind, RegistrationId, SealedSecret, Secret, TenantId};
use serde_json::Value;

use crate::text::Parts;

/// What stands between two requests.
const BETWEEN: &[u8] = b"\n---\n";
/// How many requests are made at most.
const MOST: usize = 8;
/// The longest story that is played, in bytes.
const LONGEST: usize = 8192;
/// The secret that the device `meter-1` of [`SETTING`] has.
const SECRET: &str = "0f1e2d3c4b5a6978";
/// Two tenants.
const OWN: &str = "t1";
const OTHER: &str = "t2";

/// What there is, so that requests find what they are about.
const SETTING: [(&str, &str, &str, &str); 7] = [
    (
        OWN,
        "PUT",
        "access-points/east",
        r#"{"name": "East", "endpoints": {"mqtt": "10.0.0.1:8883"}}"#,
    ),
    (
        OWN,
        "PUT",
        "access-points/west",
        r#"{"name": "West", "endpoints": {"mqtt": "10.0.0.2:8883"}}"#,
    ),
    (
        OTHER,
        "PUT",
        "access-points/theirs",
        r#"{"name": "Theirs", "endpoints": {"mqtt": "10.0.0.3:8883"}}"#,
    ),
    (OWN, "POST", "allocation-strategies/weighted", "{}"),
    (
        OWN,
        "POST",
        "registration-groups",
        r#"{"registration_group_name": "G", "provision_info": {"auth_type": "SECRET"}}"#,
    ),
    (
        OWN,
        "POST",
        "devices",
        r#"{"device_id": "meter-1", "auth_info": {"auth_type": "SECRET", "secret": "0f1e2d3c4b5a6978"}}"#,
    ),
    (
        OWN,
        "POST",
        "devices/meter-1/allocation",
        r#"{"access_point_id": "east"}"#,
    ),
];

/// Nobody's signature: it is in the certificates that keys are proved, and this is about requests.
struct Nobody;

impl Signatures for Nobody {
    fn verify(&self, _: SignatureAlgorithm, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        false
    }
}

/// What a tenant has, to be compared.
type Belongings = (Option<Tenant>, Vec<(RegistrationId, Registration)>);

struct Cloud {
    machine: Registrations,
    authorities: CertificateAuthorities,
    plans: Plans,
    issued: IssuedCertificates,
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
            start: Instant::now(),
            asked: 0,
        };
        for tenant in [OWN, OTHER] {
            let (tenant, name) = (tenant_id(tenant), "A tenant".to_owned());
            let command = tenant::Command::Create { name };
            let created = cloud.carry_out(Command::Settings { tenant, command });
            assert!(created.is_ok());
        }
        for (tenant, method, path, body) in SETTING {
            let request = Request::builder().method(method);
            let request = request.uri(format!("/v5/iotps/{tenant}/{path}"));
            let request = request.body(Bytes::from_static(body.as_bytes()));
            let answer = cloud.send(&tenant_id(tenant), &request.expect("a request"));
            assert!(answer.status().is_success(), "{path}: {answer:?}");
        }
        cloud.assign();
        cloud
    }

    /// The device registers, and is assigned to where its allocation leads.
    fn assign(&mut self) {
        let (wall, now) = (self.wall(), self.start);
        let secret = Secret::new(SECRET.as_bytes()).expect("a secret");
        let timestamp = "2027011508".parse().expect("an hour");
        let signature = SignatureType::Sha256;
        let mac = Mac::sign(signature, &timestamp, &secret);
        let evidence = Evidence::TimedMac {
            scope: None,
            id: "meter-1".parse().expect("an id"),
            mac: TimedMac::new(signature, timestamp, mac),
        };
        let candidates = self.machine.directory().candidates(&evidence, wall);
        let principal = candidates
            .iter()
            .find_map(|one| {
                let secret = Secret::new(SECRET.as_bytes()).expect("a secret");
                one.check(&evidence, &[secret], Window::default(), wall)
            })
            .expect("the device proves itself");
        let request = RegistrationRequest::new(principal);
        self.machine.handle_request(request, wall, now);
        self.run();
        let east = "east".parse().expect("an access point");
        assert_eq!(self.machine.directory().devices_at(&east), 1);
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + u64::from(self.asked))
    }

    fn carry_out(&mut self, command: Command) -> Result<Reply, ErrorKind> {
        let (wall, now) = (self.wall(), self.start);
        self.machine.command(command, wall, now)?;
        self.run().expect("a command has an end")
    }

    /// Does everything that the machine wants done; what the last command came to.
    fn run(&mut self) -> Option<Result<Reply, ErrorKind>> {
        let (wall, now) = (self.wall(), self.start);
        let mut done = None;
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Append(append) => {
                    let version = append.expected_version + append.changes.len() as u64;
                    let stored = Stored::Done { version };
                    self.machine.handle_stored(append.id, stored, wall, now);
                }
                Output::UpsertDevice { exchange, .. } | Output::RetireDevice { exchange, .. } => {
                    self.machine.handle_target_reply(exchange, true, wall, now);
                }
                Output::Done { result, .. } => done = Some(result),
                _ => {}
            }
        }
        done
    }

    fn send(&mut self, tenant: &TenantId, request: &Request<Bytes>) -> Response<Bytes> {
        self.asked = self.asked.wrapping_add(1);
        let wall = self.wall();
        let step = {
            let directory = self.machine.directory();
            let context = Context::new(directory, tenant, &seal, [self.asked; 32], wall);
            let instances = ["production".to_owned()];
            let context = context
                .with_authorities(&self.authorities)
                .with_migrations(&self.plans, &instances)
                .with_issued(&self.issued);
            begin(&context, request)
        };
        if request.method() == Method::GET {
            assert!(
                matches!(step, Step::Answer(_)),
                "a question changes nothing"
            );
        }
        match step {
            Step::Answer(answer) => answer,
            Step::Edit(edit) => {
                let before = self.belongings(tenant);
                let prepared = !edit.preparations().is_empty();
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
                let refused = result.is_err();
                let answer = edit.answer(self.machine.directory(), result);
                if refused {
                    assert!(!answer.status().is_success());
                    assert!(prepared || self.belongings(tenant) == before, "{answer:?}");
                }
                answer
            }
            Step::Migration(edit) => {
                let command = match edit.wish().clone() {
                    MigrationWish::Plan(plan) => migration::Command::Plan { plan, most: 2 },
                    MigrationWish::Abort => migration::Command::Abort {
                        cause: AbortCause::Operator,
                    },
                    MigrationWish::Seen(_) => migration::Command::Confirm,
                    MigrationWish::EndAlone(without) => migration::Command::EndAlone { without },
                    MigrationWish::LetGo => migration::Command::LetGo,
                };
                let decided = self.plans.decide(edit.device(), command, wall);
                let result = decided.map(|decision| {
                    let changes = decision.changes.iter();
                    changes.for_each(|change| self.plans.apply(change));
                });
                edit.answer(&self.plans, result)
            }
            Step::Authority(edit) => {
                let config = authorities::Config::default();
                let command = edit.command().clone();
                let decided = self
                    .authorities
                    .decide(edit.ca(), command, &config, &Nobody, wall);
                let result = decided.map(|decision| {
                    let changes = decision.changes.iter();
                    changes.for_each(|change| self.authorities.apply(change));
                    decision.reply
                });
                edit.answer(&self.authorities, result, wall)
            }
            Step::Issuance(edit) => {
                let result = match edit.deed() {
                    IssuanceDeed::Change(command) => self.change_issued((**command).clone()),
                    // Nobody here can sign.
                    IssuanceDeed::AddIssuer { .. } | IssuanceDeed::Issue { .. } => {
                        Err(ErrorKind::Unavailable.into())
                    }
                };
                edit.answer(&self.issued, result.as_ref().map(|()| Made::Done))
            }
        }
    }

    fn change_issued(&mut self, command: issuance::Command) -> Result<(), Error> {
        let (config, wall) = (issuance::Config::default(), self.wall());
        let decision = self.issued.decide(command, &config, &Nobody, wall)?;
        let changes = decision.changes.iter();
        changes.for_each(|change| self.issued.apply(change));
        Ok(())
    }

    fn belongings(&self, tenant: &TenantId) -> Belongings {
        let directory = self.machine.directory();
        let devices = directory.registrations(tenant, None);
        let devices = devices.map(|(id, registration)| (id.clone(), registration.clone()));
        (directory.tenant(tenant).cloned(), devices.collect())
    }
}

fn tenant_id(text: &str) -> TenantId {
    text.parse().expect("a tenant")
}

fn seal(_: &str, _: &str, secret: &Secret) -> Result<SealedSecret, SealFailed> {
    let mirrored: Vec<u8> = secret.expose().iter().map(|byte| !byte).collect();
    SealedSecret::new(mirrored).map_err(|_| SealFailed::new())
}

/// What is answered is a success that says what it has to say, or a failure with a code and its status.
fn check(answer: &Response<Bytes>) {
    let status = answer.status().as_u16();
    if status == 204 {
        assert!(answer.body().is_empty());
        return;
    }
    let body: Value = serde_json::from_slice(answer.body()).expect("JSON");
    if answer.status().is_success() {
        assert!(matches!(status, 200 | 201), "{answer:?}");
        return;
    }
    let named = body["error_code"].as_str().unwrap_or_default();
    let mut codes = Code::ALL.iter().filter(|code| code.to_string() == named);
    assert!(codes.any(|code| code.status() == status), "{answer:?}");
    assert!(
        body["error_msg"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
}

/// Requests as `METHOD target`, lines of `name: value`, an empty line and a body, with [`BETWEEN`] between them: each is answered
/// with a declared status, what is refused changes nothing, nothing changes what another tenant has, and no answer shows a secret
/// that was set before.
pub fn requests(bytes: &[u8]) {
    if bytes.len() > LONGEST {
        return;
    }
    let mut cloud = Cloud::new();
    let known = bytes
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes());
    for request in split(bytes).take(MOST) {
        let Some(request) = Parts::read(request).and_then(|parts| parts.request()) else {
            continue;
        };
        let Some(tenant) = tenant_of(request.uri().path()) else {
            continue;
        };
        let other = if tenant.as_str() == OTHER { OWN } else { OTHER };
        let theirs = cloud.belongings(&tenant_id(other));
        let answer = cloud.send(&tenant, &request);
        check(&answer);
        assert_eq!(cloud.belongings(&tenant_id(other)), theirs, "{request:?}");
        let mut windows = answer.body().windows(SECRET.len());
        assert!(known || !windows.any(|window| window == SECRET.as_bytes()));
    }
}

fn split(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let mut windows = bytes.windows(BETWEEN.len());
        let Some(at) = windows.position(|window| window == BETWEEN) else {
            over = true;
            return Some(bytes);
        };
        let first = &bytes[..at];
        bytes = &bytes[at + BETWEEN.len()..];
        Some(first)
    })
}
