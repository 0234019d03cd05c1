use std::time::SystemTime;

use proptest::prelude::*;
use provisioning_proto::certificates::authorities::{
    CertificateAuthorities, Challenge, Change, Command, Config, Denial, Reference, Reply,
    SNAPSHOT_FORMAT, State,
};
use provisioning_proto::certificates::{Certificate, CertificateError};
use provisioning_proto::{CaId, ErrorKind};
use rcgen::BasicConstraints;

use crate::support::{Party, Ring, authority_params, days, params, today};

pub(crate) fn ca(name: &str) -> CaId {
    name.parse().unwrap()
}

/// A ledger, and what it would have stored.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) ledger: CertificateAuthorities,
    pub(crate) stored: Vec<Vec<u8>>,
}

impl Kept {
    pub(crate) fn run(
        &mut self,
        id: &CaId,
        command: Command,
        at: SystemTime,
    ) -> Result<Reply, ErrorKind> {
        let before = self.ledger.clone();
        let decision = self
            .ledger
            .decide(id, command, &Config::default(), &Ring, at);
        assert_eq!(self.ledger, before, "deciding touched the ledger");
        let decision = decision.map_err(|error| error.kind())?;
        for change in &decision.changes {
            let bytes = change.encode().unwrap();
            assert_eq!(Change::decode(&bytes).unwrap(), *change);
            self.ledger.apply(change);
            self.stored.push(bytes);
        }
        Ok(decision.reply)
    }

    pub(crate) fn upload(&mut self, id: &CaId, party: &Party) {
        let command = Command::Upload {
            name: id.to_string(),
            certificate: party.certificate.clone(),
        };
        assert_eq!(self.run(id, command, today()), Ok(Reply::Done));
    }

    pub(crate) fn code(&mut self, id: &CaId, at: SystemTime) -> Challenge {
        match self.run(id, Command::GenerateCode { entropy: [7; 20] }, at) {
            Ok(Reply::Code(challenge)) => challenge,
            other => panic!("no code but {other:?}"),
        }
    }

    pub(crate) fn enroll(&mut self, id: &CaId, party: &Party) {
        self.upload(id, party);
        let code = self.code(id, today()).code;
        let reply = self.run(id, Command::Verify(party.device(&code)), today());
        assert_eq!(reply, Ok(Reply::Verified));
    }

    fn state(&self, id: &CaId, at: SystemTime) -> State {
        self.ledger.authority(id).unwrap().state(at)
    }

    fn usable(&self, id: &CaId, at: SystemTime) -> bool {
        self.ledger.authority(id).unwrap().is_usable(at, false)
    }
}

fn not_verified(error: CertificateError) -> Result<Reply, ErrorKind> {
    Ok(Reply::NotVerified(error))
}

#[test]
fn an_authority_is_of_use_only_once_its_key_is_proved() {
    let (root, other, id) = (Party::root("Root"), Party::root("Other"), ca("root"));
    let mut kept = Kept::default();
    kept.upload(&id, &root);
    assert_eq!(kept.state(&id, today()), State::Unverified);
    assert!(!kept.usable(&id, today()));
    let early = kept.run(&id, Command::Verify(root.device("x")), today());
    assert_eq!(early, Err(ErrorKind::NoCode));
    let code = kept.code(&id, today()).code;
    assert_eq!(kept.state(&id, today()), State::Challenged);
    let wrong_name = kept.run(&id, Command::Verify(root.device("wrong")), today());
    assert_eq!(wrong_name, not_verified(CertificateError::ForeignName));
    let wrong_key = kept.run(&id, Command::Verify(other.device(&code)), today());
    assert_eq!(wrong_key, not_verified(CertificateError::BadSignature));
    assert!(!kept.usable(&id, today()));
    let right = root.device(&code);
    assert_eq!(
        kept.run(&id, Command::Verify(right.clone()), today()),
        Ok(Reply::Verified)
    );
    assert!(kept.usable(&id, today()));
    // The code is used up.
    assert_eq!(
        kept.run(&id, Command::Verify(right), today()),
        Err(ErrorKind::NoCode)
    );
    let another = kept.run(&id, Command::GenerateCode { entropy: [1; 20] }, today());
    assert_eq!(another, Err(ErrorKind::NoCode));
}

#[test]
fn a_signature_in_the_authoritys_name_by_another_key_proves_nothing() {
    let (root, id) = (Party::root("Root"), ca("root"));
    let impostor = Party::root("Root");
    let mut kept = Kept::default();
    kept.upload(&id, &root);
    let code = kept.code(&id, today()).code;
    let reply = kept.run(&id, Command::Verify(impostor.device(&code)), today());
    assert_eq!(reply, not_verified(CertificateError::BadSignature));
}

#[test]
fn a_code_ends_with_its_time_and_with_its_tries() {
    let (root, id) = (Party::root("Root"), ca("root"));
    let mut kept = Kept::default();
    kept.upload(&id, &root);
    let code = kept.code(&id, today()).code;
    let late = kept.run(&id, Command::Verify(root.device(&code)), today() + days(1));
    assert_eq!(late, Err(ErrorKind::NoCode));
    assert_eq!(kept.state(&id, today() + days(1)), State::Unverified);
    let code = kept.code(&id, today() + days(1)).code;
    for _ in 0..5 {
        let wrong = kept.run(&id, Command::Verify(root.device("wrong")), today());
        assert_eq!(wrong, not_verified(CertificateError::ForeignName));
    }
    let right = kept.run(&id, Command::Verify(root.device(&code)), today());
    assert_eq!(right, Err(ErrorKind::NoCode));
    assert_eq!(kept.state(&id, today() + days(1)), State::Unverified);
}

#[test]
fn another_certificate_has_to_be_proved_again() {
    let (root, id) = (Party::root("Root"), ca("root"));
    let mut kept = Kept::default();
    kept.enroll(&id, &root);
    let same = Command::ReplaceCertificate(root.certificate.clone());
    assert_eq!(kept.run(&id, same, today()), Ok(Reply::Done));
    assert!(kept.usable(&id, today()));
    let next = Party::root("Root 2");
    let replace = Command::ReplaceCertificate(next.certificate.clone());
    assert_eq!(kept.run(&id, replace, today()), Ok(Reply::Done));
    assert_eq!(kept.state(&id, today()), State::Unverified);
    assert_eq!(
        kept.ledger.authority(&id).unwrap().certificate,
        next.certificate
    );
}

#[test]
fn an_authority_near_its_end_is_expiring_and_past_it_of_use_only_where_that_is_accepted() {
    let mut described = authority_params("Root", BasicConstraints::Unconstrained);
    described.not_after = rcgen::date_time_ymd(2027, 6, 1);
    let (root, id) = (Party::self_signed(described), ca("root"));
    let end = root.certificate.not_after();
    let mut kept = Kept::default();
    kept.enroll(&id, &root);
    let at = |kept: &Kept, at: SystemTime| {
        let state = kept.state(&id, at);
        (state, state.expired_value(), kept.usable(&id, at))
    };
    assert_eq!(at(&kept, end - days(30)), (State::Verified, 0, true));
    let second = std::time::Duration::from_secs(1);
    assert_eq!(
        at(&kept, end - days(30) + second),
        (State::Expiring, 1, true)
    );
    assert_eq!(at(&kept, end), (State::Expiring, 1, true));
    assert_eq!(at(&kept, end + second), (State::Expired, 2, false));
    let authority = kept.ledger.authority(&id).unwrap();
    assert!(authority.is_usable(end + second, true));
    assert_eq!(
        kept.run(&id, Command::SetAcceptExpired(true), today()),
        Ok(Reply::Done)
    );
    assert_eq!(at(&kept, end + second), (State::Expired, 2, true));
}

#[test]
fn a_revoked_authority_stays_out_until_another_certificate_is_proved() {
    let (root, id) = (Party::root("Root"), ca("root"));
    let mut kept = Kept::default();
    kept.enroll(&id, &root);
    assert_eq!(kept.run(&id, Command::Revoke, today()), Ok(Reply::Done));
    assert_eq!(kept.state(&id, today()), State::Revoked);
    let authority = kept.ledger.authority(&id).unwrap();
    assert!(!authority.is_usable(today(), true));
    let again = kept.run(&id, Command::GenerateCode { entropy: [1; 20] }, today());
    assert_eq!(again, Err(ErrorKind::NoCode));
}

#[test]
fn what_is_referred_to_is_not_deleted_and_one_group_is_the_most() {
    let (root, id) = (Party::root("Root"), ca("root"));
    let mut kept = Kept::default();
    kept.enroll(&id, &root);
    let group = |name: &str| Reference::Group(name.parse().unwrap());
    let references = [
        group("g1"),
        Reference::Device("dev1".parse().unwrap()),
        Reference::Policy("p1".parse().unwrap()),
        Reference::Policy("p2".parse().unwrap()),
    ];
    for reference in &references {
        let refer = Command::Refer(reference.clone());
        assert_eq!(kept.run(&id, refer, today()), Ok(Reply::Done));
    }
    let second = kept.run(&id, Command::Refer(group("g2")), today());
    assert_eq!(second, Err(ErrorKind::CaTaken));
    for reference in references {
        assert_eq!(
            kept.run(&id, Command::Delete, today()),
            Err(ErrorKind::InUse)
        );
        let unrefer = Command::Unrefer(reference);
        assert_eq!(kept.run(&id, unrefer, today()), Ok(Reply::Done));
    }
    assert_eq!(kept.run(&id, Command::Delete, today()), Ok(Reply::Done));
    assert_eq!(kept.ledger.authority(&id), None);
    assert_eq!(
        kept.run(&id, Command::Delete, today()),
        Err(ErrorKind::UnknownAuthority)
    );
}

#[test]
fn only_an_authority_is_uploaded_once_and_no_more_than_the_limit() {
    let mut kept = Kept::default();
    let root = Party::root("Root");
    let upload = |certificate: &Certificate| Command::Upload {
        name: "ca".to_owned(),
        certificate: certificate.clone(),
    };
    let leaf = upload(&Party::self_signed(params("leaf")).certificate);
    assert_eq!(
        kept.run(&ca("leaf"), leaf, today()),
        Err(ErrorKind::Certificate)
    );
    kept.upload(&ca("root"), &root);
    // The same key in the same name is the same authority.
    let renewed = root.reissued(authority_params("Root", BasicConstraints::Constrained(3)));
    let again = upload(&renewed.certificate);
    assert_eq!(
        kept.run(&ca("again"), again, today()),
        Err(ErrorKind::Exists)
    );
    let mut ended = authority_params("Ended", BasicConstraints::Unconstrained);
    ended.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let ended = upload(&Party::self_signed(ended).certificate);
    assert_eq!(
        kept.run(&ca("ended"), ended, today()),
        Err(ErrorKind::Certificate)
    );
    for number in 1..100 {
        kept.upload(
            &ca(&format!("ca{number}")),
            &Party::root(&format!("{number}")),
        );
    }
    let more = upload(&Party::root("more").certificate);
    assert_eq!(kept.run(&ca("more"), more, today()), Err(ErrorKind::Full));
}

#[derive(Clone, Debug)]
enum Step {
    Upload,
    Replace(usize),
    Generate(u8),
    /// Signed by this party, for the code that is open if there is one, or another.
    Verify(usize, bool),
    Revoke,
    Accept(bool),
    Refer(u8),
    Unrefer(u8),
    Deny(u8),
    Delete,
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Upload),
        1 => (0..3_usize).prop_map(Step::Replace),
        3 => any::<u8>().prop_map(Step::Generate),
        4 => (0..3_usize, any::<bool>()).prop_map(|(by, right)| Step::Verify(by, right)),
        1 => Just(Step::Revoke),
        1 => any::<bool>().prop_map(Step::Accept),
        1 => any::<u8>().prop_map(Step::Refer),
        1 => any::<u8>().prop_map(Step::Unrefer),
        1 => any::<u8>().prop_map(Step::Deny),
        1 => Just(Step::Delete),
        2 => (0..200_000_u32).prop_map(Step::Wait),
    ]
}

fn reference(number: u8) -> Reference {
    match number % 3 {
        0 => Reference::Group(format!("g{}", number % 5).parse().unwrap()),
        1 => Reference::Device(format!("d{number}").parse().unwrap()),
        _ => Reference::Policy(format!("p{number}").parse().unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// From Unverified to usable there is no way but the right code, in time, once, by the right key; nothing that is
    /// referred to goes; one group is the most; and the stored changes and the snapshot give the same ledger.
    #[test]
    fn only_a_proof_makes_an_authority_usable(steps in prop::collection::vec(step(), 1..40)) {
        let parties = [Party::root("A"), Party::root("B"), Party::root("C")];
        let id = ca("ca");
        let mut kept = Kept::default();
        let mut now = today();
        let mut spent: Option<String> = None;
        for step in steps {
            let before = kept.ledger.authority(&id).cloned();
            let was_usable = before.as_ref().is_some_and(|a| a.is_usable(now, true));
            let open = before.as_ref().and_then(|a| a.challenge.clone());
            let mut proof = false;
            let command = match step.clone() {
                Step::Upload => Command::Upload { name: "n".to_owned(), certificate: parties[0].certificate.clone() },
                Step::Replace(by) => Command::ReplaceCertificate(parties[by].certificate.clone()),
                Step::Generate(byte) => Command::GenerateCode { entropy: [byte; 20] },
                Step::Verify(by, right) => {
                    let code = open.as_ref().filter(|_| right).map(|c| c.code.clone());
                    let code = code.or_else(|| spent.clone()).unwrap_or_else(|| "wrong".to_owned());
                    proof = open.as_ref().is_some_and(|c| c.code == code && SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(c.expires_at) > now)
                        && before.as_ref().is_some_and(|a| a.certificate == parties[by].certificate);
                    Command::Verify(parties[by].device(&code))
                }
                Step::Revoke => Command::Revoke,
                Step::Accept(accept) => Command::SetAcceptExpired(accept),
                Step::Refer(number) => Command::Refer(reference(number)),
                Step::Unrefer(number) => Command::Unrefer(reference(number)),
                Step::Deny(number) => Command::Deny(Denial::Serial(format!("{:02x}", number | 1).parse().unwrap())),
                Step::Delete => Command::Delete,
                Step::Wait(seconds) => {
                    now += std::time::Duration::from_secs(u64::from(seconds));
                    continue;
                }
            };
            let reply = kept.run(&id, command, now);
            let after = kept.ledger.authority(&id);
            let usable = after.is_some_and(|a| a.is_usable(now, true));
            prop_assert_eq!(reply == Ok(Reply::Verified), proof);
            if usable && !was_usable {
                prop_assert!(proof, "usable after {step:?}");
            }
            if proof {
                spent = open.map(|c| c.code);
            }
            if let Some(before) = before.filter(|a| !a.references.is_empty()) {
                prop_assert!(after.is_some(), "gone with {:?}", before.references);
            }
            let groups = after.map_or(0, |a| {
                a.references.iter().filter(|r| matches!(r, Reference::Group(_))).count()
            });
            prop_assert!(groups <= 1);
        }
        let replayed = CertificateAuthorities::replay(kept.stored.iter().map(Vec::as_slice)).unwrap();
        prop_assert_eq!(&replayed, &kept.ledger);
        let snapshot = kept.ledger.snapshot().unwrap();
        let restored = CertificateAuthorities::restore(SNAPSHOT_FORMAT, &snapshot).unwrap();
        prop_assert_eq!(restored.snapshot().unwrap(), snapshot);
        prop_assert_eq!(restored, replayed);
    }
}
