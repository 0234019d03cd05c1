use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use provisioning_proto::certificates::issuance::{
    Activation, Change, Command, Config, Fact, IssuedCertificates, Misnamed, Order, Profile,
    Reason, Reply, SNAPSHOT_FORMAT, State, Subject,
};
use provisioning_proto::certificates::{
    Certificate, CertificateError, CertificationRequest, KeyAlgorithm, PublicKey, Serial,
};
use provisioning_proto::{ErrorKind, RegistrationId, SealedSecret, Secret};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PublicKeyData as _, SanType,
    SigningKey as _,
};

use crate::authorities::{Kept, ca};
use crate::support::{Party, Ring, authority_params, days, params, request, today};

const HOUR: Duration = Duration::from_secs(3600);

fn id(name: &str) -> RegistrationId {
    name.parse().unwrap()
}

fn key_of(spki: &[u8]) -> PublicKey {
    PublicKey::from_spki(spki).unwrap()
}

/// A ledger with an issuer and a profile, and what it would have stored.
pub(crate) struct Issuing {
    pub(crate) ledger: IssuedCertificates,
    pub(crate) stored: Vec<Vec<u8>>,
    issuer: Party,
    drawn: u64,
}

pub(crate) type Refused = (ErrorKind, Option<CertificateError>);

fn why(error: &provisioning_proto::Error) -> Refused {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<CertificateError>());
    (error.kind(), source.copied())
}

fn refused<T>(error: CertificateError) -> Result<T, Refused> {
    Err((ErrorKind::Certificate, Some(error)))
}

/// What a device gets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Got {
    pub(crate) certificate: Certificate,
    pub(crate) token: Option<Secret>,
}

impl Issuing {
    pub(crate) fn new() -> Self {
        Self::by(Party::root("Issuing CA"), Profile::new(365).unwrap())
    }

    fn by(issuer: Party, profile: Profile) -> Self {
        let mut issuing = Self {
            ledger: IssuedCertificates::default(),
            stored: Vec::new(),
            issuer,
            drawn: 0,
        };
        issuing.add_issuer("issuer").unwrap();
        let settings = Command::SetProfile {
            profile: "devices".parse().unwrap(),
            settings: profile,
        };
        issuing.run(settings, today()).unwrap();
        issuing
    }

    fn add_issuer(&mut self, name: &str) -> Result<Reply, Refused> {
        let add = Command::AddIssuer {
            issuer: ca(name),
            certificate: Box::new(self.issuer.certificate.clone()),
            key: SealedSecret::new(b"sealed".to_vec()).unwrap(),
            list_url: Some("https://cloud.example/lists/issuer".to_owned()),
        };
        self.run(add, today())
    }

    pub(crate) fn run(&mut self, command: Command, at: SystemTime) -> Result<Reply, Refused> {
        let before = self.ledger.clone();
        let decision = self.ledger.decide(command, &Config::default(), &Ring, at);
        assert_eq!(self.ledger, before, "deciding touched the ledger");
        let decision = decision.map_err(|error| why(&error))?;
        for change in &decision.changes {
            let bytes = change.encode().unwrap();
            assert_eq!(Change::decode(&bytes).unwrap(), *change);
            self.ledger.apply(change);
            self.stored.push(bytes);
        }
        Ok(decision.reply)
    }

    fn order(&mut self, device: &str, subject: Subject, at: SystemTime) -> Result<Got, Refused> {
        self.drawn += 1;
        let mut entropy = [9; 16];
        entropy[8..].copy_from_slice(&self.drawn.to_be_bytes());
        let order = Order::new(id(device), "devices".parse().unwrap(), subject, entropy);
        let prepared = self
            .ledger
            .prepare(&order, &Config::default(), &Ring, at)
            .map_err(|error| why(&error))?;
        assert_eq!(prepared.key().as_bytes(), b"sealed");
        let signature = self.issuer.key.sign(prepared.message()).unwrap();
        let mut entropy = [3; 32];
        entropy[24..].copy_from_slice(&self.drawn.to_be_bytes());
        let record = Command::Record {
            prepared: Box::new(prepared),
            signature,
            entropy,
        };
        match self.run(record, at)? {
            Reply::Issued {
                certificate, token, ..
            } => Ok(Got {
                certificate: *certificate,
                token,
            }),
            other => panic!("not issued but {other:?}"),
        }
    }

    fn ask(
        &mut self,
        device: &str,
        key: &KeyPair,
        asked: &CertificateParams,
        at: SystemTime,
    ) -> Result<Got, Refused> {
        self.order(device, Subject::Request(request(asked, key)), at)
    }

    /// The device asks properly for a new key.
    pub(crate) fn issue(&mut self, device: &str, at: SystemTime) -> Got {
        let key = KeyPair::generate().unwrap();
        self.ask(device, &key, &params(device), at).unwrap()
    }

    pub(crate) fn activate(
        &mut self,
        device: &str,
        token: &Option<Secret>,
        at: SystemTime,
    ) -> Result<Reply, Refused> {
        let activate = Command::Activate {
            id: id(device),
            token: token.clone().unwrap(),
        };
        self.run(activate, at)
    }

    pub(crate) fn revoke(&mut self, serial: &Serial, at: SystemTime) -> Result<Reply, Refused> {
        let revoke = Command::Revoke {
            serial: serial.clone(),
            reason: Reason::KeyCompromise,
        };
        self.run(revoke, at)
    }

    fn judge(
        &self,
        leaf: &Certificate,
        at: SystemTime,
    ) -> Result<RegistrationId, CertificateError> {
        self.ledger.authenticate(leaf, at).cloned()
    }
}

#[test]
fn a_certificate_says_what_the_service_decided_and_only_the_key_is_the_devices() {
    let mut profile = Profile::new(30).unwrap();
    profile.misnamed = Misnamed::Overwrite;
    let mut issuing = Issuing::by(Party::root("Issuing CA"), profile);
    let key = KeyPair::generate().unwrap();
    let mut asked = authority_params("another", BasicConstraints::Unconstrained);
    asked.subject_alt_names = vec![SanType::DnsName("another.example".try_into().unwrap())];
    let got = issuing.ask("dev1", &key, &asked, today()).unwrap();
    let certificate = got.certificate;
    assert_eq!(certificate.common_name(), Some("dev1"));
    assert_eq!(certificate.alternative_names().count(), 0);
    assert!(!certificate.is_authority());
    assert_eq!(
        certificate.public_key(),
        &key_of(&key.subject_public_key_info())
    );
    let lifetime = certificate
        .not_after()
        .duration_since(certificate.not_before());
    assert_eq!(lifetime.unwrap(), days(30));
    certificate.check_validity(today()).unwrap();
    certificate
        .check_issued_by(&issuing.issuer.certificate, &Ring)
        .unwrap();
    // What it is for is for the chain to judge, with the issuer enrolled as an authority.
    let mut kept = Kept::default();
    kept.enroll(&ca("issuer"), &issuing.issuer);
    let path = kept
        .ledger
        .verify_chain(&[certificate], false, &Ring, today());
    assert_eq!(path.unwrap().ca, ca("issuer"));
}

#[test]
fn a_request_for_an_authority_or_another_name_is_refused() {
    let mut issuing = Issuing::new();
    let key = KeyPair::generate().unwrap();
    let authority = authority_params("dev1", BasicConstraints::Unconstrained);
    assert_eq!(
        issuing.ask("dev1", &key, &authority, today()),
        refused(CertificateError::AuthorityRequested)
    );
    let mut named = params("dev1");
    named.subject_alt_names = vec![SanType::DnsName("dev2".try_into().unwrap())];
    for foreign in [params("dev2"), named] {
        assert_eq!(
            issuing.ask("dev1", &key, &foreign, today()),
            refused(CertificateError::ForeignName)
        );
    }
    let mut plain = params("dev1");
    plain.is_ca = IsCa::ExplicitNoCa;
    plain.subject_alt_names = vec![SanType::DnsName("dev1".try_into().unwrap())];
    assert!(issuing.ask("dev1", &key, &plain, today()).is_ok());
    let mut anonymous = params("x");
    anonymous.distinguished_name = rcgen::DistinguishedName::new();
    assert!(issuing.ask("dev1", &key, &anonymous, today()).is_ok());
    let mut twice = params("dev1");
    twice
        .distinguished_name
        .push(DnType::OrganizationName, "Maker");
    assert!(issuing.ask("dev1", &key, &twice, today()).is_ok());
}

#[test]
fn a_request_whose_signature_is_wrong_is_refused() {
    let mut issuing = Issuing::new();
    let key = KeyPair::generate().unwrap();
    let mut der = params("dev1")
        .serialize_request(&key)
        .unwrap()
        .der()
        .to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let broken = CertificationRequest::from_der(&der).unwrap();
    assert_eq!(
        issuing.order("dev1", Subject::Request(broken), today()),
        refused(CertificateError::BadSignature)
    );
}

#[test]
fn a_key_stays_the_key_of_its_first_device() {
    let mut issuing = Issuing::new();
    let key = KeyPair::generate().unwrap();
    let taken = || refused(CertificateError::KeyTaken);
    let got = issuing.ask("dev1", &key, &params("dev1"), today()).unwrap();
    assert!(issuing.ask("dev1", &key, &params("dev1"), today()).is_ok());
    assert_eq!(issuing.ask("dev2", &key, &params("dev2"), today()), taken());
    let spki = key_of(&key.subject_public_key_info());
    let service = Subject::ServiceKey(spki);
    assert_eq!(issuing.order("dev2", service.clone(), today()), taken());
    // Also once its certificates are gone, until an operator gives the key free.
    let late = today() + days(400);
    let expire = || Command::Expire { most: 10 };
    issuing.run(expire(), late).unwrap();
    assert!(issuing.ledger.is_empty());
    assert_eq!(issuing.order("dev2", service.clone(), late), taken());
    let free = || Command::ReleaseKeys(id("dev1"));
    issuing.run(free(), late).unwrap();
    assert!(issuing.order("dev2", service, late).is_ok());
    assert_eq!(
        issuing.run(Command::ReleaseKeys(id("dev2")), late),
        Err((ErrorKind::InUse, None))
    );
    let issuers = key_of(&issuing.issuer.key.subject_public_key_info());
    assert_eq!(
        issuing.order("dev3", Subject::ServiceKey(issuers), late),
        taken()
    );
    assert!(got.token.is_some());
}

#[test]
fn the_key_must_be_of_a_kind_that_the_profile_allows() {
    let mut profile = Profile::new(30).unwrap();
    profile.keys = [KeyAlgorithm::Ed25519].into();
    let mut issuing = Issuing::by(Party::root("Issuing CA"), profile);
    let p256 = KeyPair::generate().unwrap();
    assert_eq!(
        issuing.ask("dev1", &p256, &params("dev1"), today()),
        refused(CertificateError::KeyNotAllowed)
    );
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert!(
        issuing
            .ask("dev1", &ed25519, &params("dev1"), today())
            .is_ok()
    );
}

#[test]
fn a_certificate_ends_with_its_issuer_at_the_latest() {
    let mut described = authority_params("Issuing CA", BasicConstraints::Constrained(0));
    described.not_after = rcgen::date_time_ymd(2027, 2, 1);
    let mut issuing = Issuing::by(Party::self_signed(described), Profile::new(365).unwrap());
    let end = issuing.issuer.certificate.not_after();
    assert_eq!(issuing.issue("dev1", today()).certificate.not_after(), end);
    let key = KeyPair::generate().unwrap();
    assert_eq!(
        issuing.ask("dev1", &key, &params("dev1"), end + days(1)),
        refused(CertificateError::Expired)
    );
}

#[test]
fn a_token_activates_once_for_its_device_and_in_its_hour() {
    let mut issuing = Issuing::new();
    let got = issuing.issue("dev1", today());
    assert_eq!(
        issuing.judge(&got.certificate, today()),
        Err(CertificateError::Denied)
    );
    let denied = || refused(CertificateError::Denied);
    assert_eq!(issuing.activate("dev2", &got.token, today()), denied());
    let wrong = Some(Secret::new("00".repeat(32)).unwrap());
    assert_eq!(issuing.activate("dev1", &wrong, today()), denied());
    let late = today() + HOUR;
    assert_eq!(issuing.activate("dev1", &got.token, late), denied());
    let activated = Ok(Reply::Activated(got.certificate.serial().clone()));
    let in_time = late - Duration::from_secs(1);
    assert_eq!(issuing.activate("dev1", &got.token, in_time), activated);
    assert_eq!(issuing.activate("dev1", &got.token, in_time), denied());
    assert_eq!(issuing.judge(&got.certificate, today()), Ok(id("dev1")));
    let shown = format!("{:?} {:?}", issuing.ledger, got.token);
    let token = String::from_utf8(got.token.unwrap().expose().to_vec()).unwrap();
    assert!(!shown.contains(&token) && token.len() == 64);
    let stored = issuing.stored.concat();
    assert!(!stored.windows(64).any(|bytes| bytes == token.as_bytes()));
}

#[test]
fn a_certificate_whose_token_was_not_used_is_removed_after_an_hour() {
    let mut issuing = Issuing::new();
    let got = issuing.issue("dev1", today());
    let due = issuing.ledger.next_due().unwrap();
    assert_eq!(due, today() + HOUR);
    let early = due - Duration::from_secs(1);
    issuing.run(Command::Expire { most: 10 }, early).unwrap();
    assert_eq!(issuing.ledger.len(), 1);
    issuing.run(Command::Expire { most: 10 }, due).unwrap();
    assert!(issuing.ledger.is_empty());
    assert_eq!(issuing.ledger.next_due(), None);
    assert_eq!(
        issuing.judge(&got.certificate, due),
        Err(CertificateError::UnknownAuthority)
    );
    assert_eq!(
        issuing.activate("dev1", &got.token, due),
        refused(CertificateError::Denied)
    );
}

#[test]
fn a_renewal_leaves_the_id_and_two_active_certificates() {
    let mut issuing = Issuing::new();
    let mut all = Vec::new();
    for number in 0..3 {
        let at = today() + days(number);
        let got = issuing.issue("dev1", at);
        issuing.activate("dev1", &got.token, at).unwrap();
        all.push(got.certificate);
    }
    let judged: Vec<_> = all
        .iter()
        .map(|certificate| issuing.judge(certificate, today() + days(3)))
        .collect();
    let taken = Ok(id("dev1"));
    assert_eq!(
        judged,
        [Err(CertificateError::Denied), taken.clone(), taken]
    );
    let first = issuing.ledger.certificate(all[0].serial()).unwrap();
    assert!(matches!(first.state, State::Superseded { .. }));
}

#[test]
fn a_revoked_certificate_never_comes_back() {
    let mut profile = Profile::new(365).unwrap();
    profile.activation = Activation::Immediate;
    let mut issuing = Issuing::by(Party::root("Issuing CA"), profile);
    let first = issuing.issue("dev1", today());
    let second = issuing.issue("dev1", today());
    assert_eq!(first.token, None);
    let serial = first.certificate.serial().clone();
    assert_eq!(issuing.judge(&first.certificate, today()), Ok(id("dev1")));
    assert_eq!(issuing.revoke(&serial, today()), Ok(Reply::Done));
    assert_eq!(issuing.revoke(&serial, today()), Ok(Reply::Done));
    let denied = Err(CertificateError::Denied);
    assert_eq!(issuing.judge(&first.certificate, today()), denied);
    assert_eq!(issuing.judge(&second.certificate, today()), Ok(id("dev1")));
    let all = Command::RevokeAll {
        id: id("dev1"),
        reason: Reason::CessationOfOperation,
    };
    issuing.run(all, today()).unwrap();
    assert_eq!(issuing.judge(&second.certificate, today()), denied);
    // Not even a change that says so brings it back.
    issuing
        .ledger
        .apply(&change(Fact::CertificateActivated { serial }));
    assert_eq!(issuing.judge(&first.certificate, today()), denied);
}

#[test]
fn another_certificate_with_the_same_number_is_not_the_one() {
    let mut issuing = Issuing::new();
    let got = issuing.issue("dev1", today());
    issuing.activate("dev1", &got.token, today()).unwrap();
    let mut forged = params("dev1");
    forged.serial_number = Some(rcgen::SerialNumber::from_slice(
        got.certificate.serial().as_bytes(),
    ));
    let forged = issuing.issuer.sign(forged).certificate;
    assert_eq!(forged.serial(), got.certificate.serial());
    assert_eq!(
        issuing.judge(&forged, today()),
        Err(CertificateError::UnknownAuthority)
    );
}

#[test]
fn what_was_prepared_is_judged_again_when_it_is_recorded() {
    let mut issuing = Issuing::new();
    let key = KeyPair::generate().unwrap();
    let prepare = |issuing: &Issuing, device: &str, drawn: u8| {
        let subject = Subject::ServiceKey(key_of(&key.subject_public_key_info()));
        let order = Order::new(id(device), "devices".parse().unwrap(), subject, [drawn; 16]);
        let prepared = issuing
            .ledger
            .prepare(&order, &Config::default(), &Ring, today());
        Box::new(prepared.unwrap())
    };
    let record = |issuing: &mut Issuing, prepared: Box<_>, signature: Vec<u8>| {
        let entropy = [1; 32];
        let record = Command::Record {
            prepared,
            signature,
            entropy,
        };
        issuing.run(record, today())
    };
    let one = prepare(&issuing, "dev1", 1);
    let other = prepare(&issuing, "dev2", 2);
    let by_another = key.sign(one.message()).unwrap();
    assert_eq!(
        record(&mut issuing, one.clone(), by_another),
        refused(CertificateError::BadSignature)
    );
    let signature = issuing.issuer.key.sign(one.message()).unwrap();
    assert!(record(&mut issuing, one.clone(), signature.clone()).is_ok());
    // The same again, and the same key for another device that was quicker to prepare.
    assert_eq!(
        record(&mut issuing, one, signature),
        Err((ErrorKind::Exists, None))
    );
    let signature = issuing.issuer.key.sign(other.message()).unwrap();
    assert_eq!(
        record(&mut issuing, other, signature),
        refused(CertificateError::KeyTaken)
    );
    let stale = prepare(&issuing, "dev1", 3);
    let signature = issuing.issuer.key.sign(stale.message()).unwrap();
    issuing.issuer = Party::root("Next CA");
    issuing.add_issuer("next").unwrap();
    assert_eq!(
        record(&mut issuing, stale, signature),
        Err((ErrorKind::Conflict, None))
    );
}

#[test]
fn an_issuer_is_an_authority_in_its_time_and_signs_by_curve() {
    let mut issuing = Issuing::new();
    assert_eq!(issuing.add_issuer("issuer"), Err((ErrorKind::Exists, None)));
    issuing.issuer = Party::self_signed(params("No authority"));
    assert_eq!(
        issuing.add_issuer("leaf"),
        refused(CertificateError::NotAuthority)
    );
    let mut ended = authority_params("Ended", BasicConstraints::Unconstrained);
    ended.not_after = rcgen::date_time_ymd(2027, 1, 1);
    issuing.issuer = Party::self_signed(ended);
    assert_eq!(
        issuing.add_issuer("ended"),
        refused(CertificateError::Expired)
    );
    assert!(Profile::new(0).is_err() && Profile::new(3654).is_err());
    assert!(Profile::new(3653).is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Issue(u8, usize),
    Activate(u8, usize),
    Revoke(usize),
    RevokeAll(u8),
    Expire,
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..4_usize).prop_map(|(device, key)| Step::Issue(device, key)),
        4 => (0..3_u8, 0..20_usize).prop_map(|(device, which)| Step::Activate(device, which)),
        1 => (0..20_usize).prop_map(Step::Revoke),
        1 => (0..3_u8).prop_map(Step::RevokeAll),
        1 => Just(Step::Expire),
        2 => (0..2_000_u32).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A subject is who was authenticated and a key one device's; a token works once, for its device, in time; at most two
    /// certificates of a device are active; what was revoked stays so; and the stored changes and the snapshot give the same
    /// ledger.
    #[test]
    fn the_ledger_keeps_its_promises(steps in prop::collection::vec(step(), 1..40)) {
        let mut issuing = Issuing::new();
        let keys: Vec<_> = (0..4).map(|_| KeyPair::generate().unwrap()).collect();
        let mut owners: [Option<u8>; 4] = [None; 4];
        let mut got: Vec<(u8, Got, SystemTime)> = Vec::new();
        let mut used = BTreeSet::new();
        let mut revoked = BTreeSet::new();
        let mut now = today();
        for step in steps {
            match step {
                Step::Issue(device, key) => {
                    let name = format!("dev{device}");
                    let answer = issuing.ask(&name, &keys[key], &params(&name), now);
                    if owners[key].is_some_and(|owner| owner != device) {
                        prop_assert_eq!(answer, refused(CertificateError::KeyTaken));
                        continue;
                    }
                    owners[key] = Some(device);
                    let answer = answer.unwrap();
                    prop_assert_eq!(answer.certificate.common_name(), Some(name.as_str()));
                    prop_assert!(!answer.certificate.is_authority());
                    let spki = key_of(&keys[key].subject_public_key_info());
                    prop_assert_eq!(answer.certificate.public_key(), &spki);
                    got.push((device, answer, now));
                }
                Step::Activate(device, which) if which < got.len() => {
                    let (owner, answer, at) = got[which].clone();
                    let done = issuing.activate(&format!("dev{device}"), &answer.token, now);
                    if done.is_ok() {
                        prop_assert_eq!(device, owner);
                        prop_assert!(now < at + HOUR);
                        prop_assert!(used.insert(which), "a token worked twice");
                    }
                }
                Step::Revoke(which) if which < got.len() => {
                    let serial = got[which].1.certificate.serial().clone();
                    if issuing.revoke(&serial, now).is_ok() {
                        revoked.insert(which);
                    }
                }
                Step::RevokeAll(device) => {
                    let reason = Reason::Unspecified;
                    issuing.run(Command::RevokeAll { id: id(&format!("dev{device}")), reason }, now).unwrap();
                    revoked.extend((0..got.len()).filter(|which| got[*which].0 == device));
                }
                Step::Expire => {
                    issuing.run(Command::Expire { most: 100 }, now).unwrap();
                    for (_, answer, at) in &got {
                        let held = issuing.ledger.certificate(answer.certificate.serial());
                        let pending = held.is_some_and(|held| matches!(held.state, State::PendingActivation { .. }));
                        prop_assert!(!pending || now < *at + HOUR);
                    }
                    prop_assert!(issuing.ledger.next_due().is_none_or(|due| due > now));
                }
                Step::Wait(seconds) => now += Duration::from_secs(u64::from(seconds)),
                Step::Activate(..) | Step::Revoke(_) => {}
            }
            for (which, (device, answer, _)) in got.iter().enumerate() {
                if let Ok(owner) = issuing.judge(&answer.certificate, now) {
                    prop_assert_eq!(owner, id(&format!("dev{device}")));
                    prop_assert!(used.contains(&which), "active without its token");
                    prop_assert!(!revoked.contains(&which), "revoked, and taken again");
                }
            }
            for device in ["dev0", "dev1", "dev2"].map(id) {
                let active = issuing.ledger.certificates_of(&device);
                prop_assert!(active.filter(|(_, issued)| issued.state == State::Active).count() <= 2);
            }
        }
        let replayed = IssuedCertificates::replay(issuing.stored.iter().map(Vec::as_slice)).unwrap();
        prop_assert_eq!(&replayed, &issuing.ledger);
        let snapshot = issuing.ledger.snapshot().unwrap();
        let restored = IssuedCertificates::restore(SNAPSHOT_FORMAT, &snapshot).unwrap();
        prop_assert_eq!(restored.snapshot().unwrap(), snapshot);
        prop_assert_eq!(restored, replayed);
    }
}

/// A list of revocations, read by another library.
pub(crate) fn listed(issuing: &mut Issuing, at: SystemTime) -> (u64, BTreeSet<Vec<u8>>) {
    let prepared = issuing
        .ledger
        .prepare_list(&ca("issuer"), &Config::default(), at)
        .unwrap();
    let signature = issuing.issuer.key.sign(prepared.message()).unwrap();
    let record = Command::RecordList {
        prepared: Box::new(prepared),
        signature,
    };
    let Ok(Reply::List(der)) = issuing.run(record, at) else {
        panic!("no list");
    };
    let (rest, list) = x509_parser::parse_x509_crl(&der).unwrap();
    assert!(rest.is_empty());
    let number = list.crl_number().unwrap().to_string().parse().unwrap();
    let serials = list
        .iter_revoked_certificates()
        .map(|entry| entry.raw_serial().to_vec())
        .collect();
    (number, serials)
}

#[test]
fn a_list_names_what_was_revoked_or_superseded_and_its_number_grows() {
    let mut issuing = Issuing::new();
    let mut serials = Vec::new();
    for number in 0..4 {
        let at = today() + days(number);
        let got = issuing.issue("dev1", at);
        issuing.activate("dev1", &got.token, at).unwrap();
        serials.push(got.certificate.serial().as_bytes().to_vec());
    }
    let pending = issuing.issue("dev2", today() + days(3));
    let at = today() + days(3);
    let superseded: BTreeSet<_> = serials[..2].iter().cloned().collect();
    assert_eq!(listed(&mut issuing, at), (1, superseded.clone()));
    let last = issuing
        .ledger
        .certificates_of(&id("dev1"))
        .find(|(serial, _)| serial.as_bytes() == serials[3])
        .map(|(serial, _)| serial.clone());
    issuing.revoke(&last.unwrap(), at).unwrap();
    issuing.revoke(pending.certificate.serial(), at).unwrap();
    let mut expected = superseded;
    expected.insert(serials[3].clone());
    assert_eq!(listed(&mut issuing, at), (2, expected));
    // What has ended needs no entry.
    let late = today() + days(500);
    issuing.run(Command::Expire { most: 100 }, late).unwrap();
    assert_eq!(listed(&mut issuing, late), (3, BTreeSet::new()));
}

#[test]
fn facts_of_other_states_have_no_effect() {
    let mut ledger = IssuedCertificates::default();
    let serial: Serial = "17".parse().unwrap();
    for fact in [
        Fact::CertificateActivated {
            serial: serial.clone(),
        },
        Fact::CertificateExpired {
            serial: serial.clone(),
        },
        Fact::ListIssued {
            issuer: ca("issuer"),
            number: 4,
        },
    ] {
        ledger.apply(&change(fact));
    }
    assert!(ledger.is_empty() && ledger.issuers().is_empty());
}

fn change(fact: Fact) -> Change {
    let mut ledger = Issuing::new();
    let set = Command::RemoveProfile("devices".parse().unwrap());
    ledger.run(set, today()).unwrap();
    let mut change = Change::decode(ledger.stored.last().unwrap()).unwrap();
    change.fact = fact;
    change
}
