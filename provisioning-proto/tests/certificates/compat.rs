//! What releases wrote of certificates still loads. Keys are new in every run, so what is lived through now is compared in its kinds.

use provisioning_proto::certificates::authorities::{
    self, CertificateAuthorities, Command, Denial, Reference,
};
use provisioning_proto::certificates::issuance::{
    self, Command as Order, IssuedCertificates, Profile, Reason,
};
use rcgen::BasicConstraints;

use crate::authorities::{Kept, ca};
use crate::issuance::{Issuing, listed};
use crate::stored::{Stored, kinds};
use crate::support::{Party, authority_params, days, today};

#[test]
fn what_release_0_1_0_wrote_of_authorities_still_loads() {
    let root = Party::root("Root");
    let (id, mut kept) = (ca("root"), Kept::default());
    kept.upload(&id, &root);
    kept.code(&id, today());
    kept.run(&id, Command::Verify(root.device("wrong")), today())
        .unwrap();
    let code = kept.code(&id, today()).code;
    let reference = || Reference::Group("g".parse().unwrap());
    let denial = || Denial::Serial("2a".parse().unwrap());
    let later = root.reissued(authority_params("Root", BasicConstraints::Constrained(1)));
    for command in [
        Command::Verify(root.device(&code)),
        Command::SetAcceptExpired(true),
        Command::Refer(reference()),
        Command::Unrefer(reference()),
        Command::Deny(denial()),
        Command::Allow(denial()),
        Command::Deny(denial()),
        Command::ReplaceCertificate(later.certificate),
        Command::Revoke,
    ] {
        kept.run(&id, command, today()).unwrap();
    }
    kept.upload(&ca("gone"), &Party::root("Gone"));
    kept.run(&ca("gone"), Command::Delete, today()).unwrap();
    kept.enroll(&ca("other"), &Party::root("Other"));
    let lived = Stored {
        snapshot: kept.ledger.snapshot().unwrap(),
        changes: kept.stored,
    };
    let written = Stored::by_0_1_0("authorities", &lived);
    let restored = CertificateAuthorities::restore(1, &written.snapshot).unwrap();
    let replayed = CertificateAuthorities::replay(written.slices()).unwrap();
    assert_eq!(replayed, restored);
    let read = |stored: &Stored| {
        let changes = stored.slices().map(authorities::Change::decode);
        changes.map(Result::unwrap).collect::<Vec<_>>()
    };
    let changes = read(&written);
    assert_eq!(kinds(changes.iter().map(|change| change.fact.clone())), 12);
    assert_eq!(
        kinds(read(&lived).into_iter().map(|change| change.fact)),
        12
    );
    // As long as 0.1.0 is the present release, it also writes them the same.
    assert_eq!(restored.snapshot().unwrap(), written.snapshot);
    let again: Vec<_> = changes
        .iter()
        .map(|change| change.encode().unwrap())
        .collect();
    assert_eq!(again, written.changes);
}

#[test]
fn what_release_0_1_0_wrote_of_issued_certificates_still_loads() {
    let mut issuing = Issuing::new();
    let gone = || "gone".parse().unwrap();
    let settings = Order::SetProfile {
        profile: gone(),
        settings: Profile::new(30).unwrap(),
    };
    issuing.run(settings, today()).unwrap();
    issuing.run(Order::RemoveProfile(gone()), today()).unwrap();
    for _ in 0..3 {
        let got = issuing.issue("dev1", today());
        issuing.activate("dev1", &got.token, today()).unwrap();
    }
    let got = issuing.issue("dev2", today());
    issuing.activate("dev2", &got.token, today()).unwrap();
    issuing.revoke(got.certificate.serial(), today()).unwrap();
    listed(&mut issuing, today());
    issuing.issue("dev3", today());
    let late = today() + days(400);
    issuing.run(Order::Expire { most: 100 }, late).unwrap();
    let release = Order::ReleaseKeys("dev1".parse().unwrap());
    issuing.run(release, late).unwrap();
    for device in ["dev4", "dev5"] {
        let got = issuing.issue(device, late);
        issuing.activate(device, &got.token, late).unwrap();
    }
    let revoke = Order::RevokeAll {
        id: "dev5".parse().unwrap(),
        reason: Reason::CessationOfOperation,
    };
    issuing.run(revoke, late).unwrap();
    let lived = Stored {
        snapshot: issuing.ledger.snapshot().unwrap(),
        changes: issuing.stored,
    };
    let written = Stored::by_0_1_0("certificates", &lived);
    let restored = IssuedCertificates::restore(1, &written.snapshot).unwrap();
    let replayed = IssuedCertificates::replay(written.slices()).unwrap();
    assert_eq!(replayed, restored);
    let read = |stored: &Stored| {
        let changes = stored.slices().map(issuance::Change::decode);
        changes.map(Result::unwrap).collect::<Vec<_>>()
    };
    let changes = read(&written);
    assert_eq!(kinds(changes.iter().map(|change| change.fact.clone())), 11);
    assert_eq!(
        kinds(read(&lived).into_iter().map(|change| change.fact)),
        11
    );
    assert_eq!(restored.snapshot().unwrap(), written.snapshot);
    let again: Vec<_> = changes
        .iter()
        .map(|change| change.encode().unwrap())
        .collect();
    assert_eq!(again, written.changes);
}
