use provisioning_proto::certificates::authorities::{Command, Denial, Reply};
use provisioning_proto::certificates::{Certificate, CertificateError, Path};
use rcgen::{BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use crate::authorities::{Kept, ca};
use crate::support::{Party, Ring, authority_params, days, device_params, params, today};

fn enrolled(root: &Party) -> Kept {
    let mut kept = Kept::default();
    kept.enroll(&ca("root"), root);
    kept
}

fn follow(kept: &Kept, shown: &[&Certificate]) -> Result<Path, CertificateError> {
    let shown: Vec<_> = shown.iter().copied().cloned().collect();
    kept.ledger.verify_chain(&shown, false, &Ring, today())
}

#[test]
fn a_device_below_the_enrolled_authority_is_taken_with_the_chain_that_leads_there() {
    let root = Party::root("Root");
    let kept = enrolled(&root);
    let direct = root.device("dev1");
    let path = follow(&kept, &[&direct]).unwrap();
    assert_eq!((path.ca, path.certificates), (ca("root"), vec![direct]));
    let upper = root.intermediate("Upper");
    let lower = upper.intermediate("Lower");
    let device = lower.device("dev2");
    let (up, low) = (&upper.certificate, &lower.certificate);
    for shown in [
        vec![&device, low, up],
        // In any order, with the root itself, and with something that does not belong there.
        vec![&device, up, low],
        vec![&device, low, up, &root.certificate],
        vec![&device, &device, low, up],
    ] {
        let path = follow(&kept, &shown).unwrap();
        assert_eq!(path.ca, ca("root"));
        assert_eq!(path.certificates, [device.clone(), low.clone(), up.clone()]);
    }
}

#[test]
fn a_chain_with_a_piece_missing_is_refused() {
    let root = Party::root("Root");
    let kept = enrolled(&root);
    let upper = root.intermediate("Upper");
    let lower = upper.intermediate("Lower");
    let device = lower.device("dev1");
    let unknown = Err(CertificateError::UnknownAuthority);
    assert_eq!(follow(&kept, &[&device]), unknown);
    assert_eq!(follow(&kept, &[&device, &lower.certificate]), unknown);
    assert_eq!(follow(&kept, &[&device, &upper.certificate]), unknown);
    assert_eq!(follow(&kept, &[]), Err(CertificateError::Malformed));
    let foreign = Party::root("Root").device("dev1");
    assert_eq!(follow(&kept, &[&foreign]), unknown);
}

#[test]
fn an_unverified_or_revoked_authority_takes_no_device_and_the_nearest_one_decides() {
    let root = Party::root("Root");
    let mut kept = enrolled(&root);
    let sub = root.intermediate("Sub");
    let device = sub.device("dev1");
    let shown = [&device, &sub.certificate];
    assert_eq!(follow(&kept, &shown).unwrap().ca, ca("root"));
    kept.upload(&ca("sub"), &sub);
    // Enrolled itself now, but not proved: its parent does not save the device.
    let unusable = Err(CertificateError::UnusableAuthority);
    assert_eq!(follow(&kept, &shown), unusable);
    let code = kept.code(&ca("sub"), today()).code;
    let proof = Command::Verify(sub.device(&code));
    assert_eq!(kept.run(&ca("sub"), proof, today()), Ok(Reply::Verified));
    assert_eq!(follow(&kept, &shown).unwrap().ca, ca("sub"));
    assert_eq!(follow(&kept, &[&device]).unwrap().ca, ca("sub"));
    kept.run(&ca("sub"), Command::Revoke, today()).unwrap();
    assert_eq!(follow(&kept, &shown), unusable);
}

#[test]
fn the_rules_of_authorities_and_devices_are_kept() {
    let root = Party::root("Root");
    let kept = enrolled(&root);
    let narrow = root.sign(authority_params("Narrow", BasicConstraints::Constrained(0)));
    let below = narrow.intermediate("Below");
    assert_eq!(
        follow(
            &kept,
            &[&below.device("d"), &below.certificate, &narrow.certificate]
        ),
        Err(CertificateError::PathTooLong)
    );
    assert!(follow(&kept, &[&narrow.device("d"), &narrow.certificate]).is_ok());
    let mut no_signing = authority_params("No signing", BasicConstraints::Unconstrained);
    no_signing.key_usages = vec![KeyUsagePurpose::CrlSign];
    for issuer in [
        root.sign(no_signing),
        root.sign(params("No authority")),
        root.sign(device_params("A device")),
    ] {
        assert_eq!(
            follow(&kept, &[&issuer.device("d"), &issuer.certificate]),
            Err(CertificateError::NotAuthority)
        );
    }
    let refused = |described: rcgen::CertificateParams| {
        follow(&kept, &[&root.sign(described).certificate]).unwrap_err()
    };
    let mut authority = device_params("d");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(refused(authority), CertificateError::NotDevice);
    let mut server = device_params("d");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(refused(server), CertificateError::WrongUsage);
    let mut agreement = device_params("d");
    agreement.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    assert_eq!(refused(agreement), CertificateError::WrongUsage);
    let mut critical = device_params("d");
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 1], vec![5, 0]);
    unknown.set_criticality(true);
    critical.custom_extensions = vec![unknown];
    assert_eq!(refused(critical), CertificateError::CriticalExtension);
}

#[test]
fn every_certificate_on_the_path_is_valid_now_and_an_ended_authority_only_where_accepted() {
    let mut described = authority_params("Root", BasicConstraints::Unconstrained);
    described.not_after = rcgen::date_time_ymd(2027, 6, 1);
    let root = Party::self_signed(described);
    let kept = enrolled(&root);
    let mut short = device_params("d");
    short.not_before = rcgen::date_time_ymd(2027, 1, 10);
    short.not_after = rcgen::date_time_ymd(2027, 1, 20);
    let shown = [root.sign(short).certificate];
    let at = |shown: &[Certificate], at, accept| {
        let path = kept.ledger.verify_chain(shown, accept, &Ring, at);
        path.map(|path| path.ca)
    };
    assert_eq!(at(&shown, today(), false), Ok(ca("root")));
    assert_eq!(
        at(&shown, today() - days(30), false),
        Err(CertificateError::NotYetValid)
    );
    assert_eq!(
        at(&shown, today() + days(30), true),
        Err(CertificateError::Expired)
    );
    let mut brief = authority_params("Brief", BasicConstraints::Unconstrained);
    brief.not_after = rcgen::date_time_ymd(2027, 1, 20);
    let brief = root.sign(brief);
    let shown = [brief.device("d"), brief.certificate];
    assert_eq!(at(&shown, today(), false), Ok(ca("root")));
    assert_eq!(
        at(&shown, today() + days(30), true),
        Err(CertificateError::Expired)
    );
    let long = [root.device("d")];
    let ended = root.certificate.not_after() + days(1);
    assert_eq!(
        at(&long, ended, false),
        Err(CertificateError::UnusableAuthority)
    );
    assert_eq!(at(&long, ended, true), Ok(ca("root")));
}

#[test]
fn a_denied_serial_number_or_certificate_is_refused() {
    let root = Party::root("Root");
    let mut kept = enrolled(&root);
    let (bad, good) = (
        root.device_numbered("d1", 17),
        root.device_numbered("d2", 18),
    );
    let sub = root.intermediate("Sub");
    // Another issuer may use the same number.
    let same_number = sub.device_numbered("d3", 17);
    let deny = Command::Deny(Denial::Serial(bad.serial().clone()));
    kept.run(&ca("root"), deny.clone(), today()).unwrap();
    kept.run(&ca("root"), deny, today()).unwrap();
    let denied = Err(CertificateError::Denied);
    assert_eq!(follow(&kept, &[&bad]), denied);
    assert!(follow(&kept, &[&good]).is_ok());
    assert!(follow(&kept, &[&same_number, &sub.certificate]).is_ok());
    for certificate in [&same_number, &sub.certificate] {
        let denial = Denial::Certificate(certificate.fingerprint().parse().unwrap());
        kept.run(&ca("root"), Command::Deny(denial.clone()), today())
            .unwrap();
        assert_eq!(follow(&kept, &[&same_number, &sub.certificate]), denied);
        kept.run(&ca("root"), Command::Allow(denial), today())
            .unwrap();
        assert!(follow(&kept, &[&same_number, &sub.certificate]).is_ok());
    }
    let sha1 = Denial::Certificate(good.fingerprint_sha1().parse().unwrap());
    kept.run(&ca("root"), Command::Deny(sha1), today()).unwrap();
    assert_eq!(follow(&kept, &[&good]), denied);
}

#[test]
fn a_circle_or_a_long_chain_ends() {
    let root = Party::root("Root");
    let kept = enrolled(&root);
    let one = Party::root("One");
    let two = one.intermediate("Two");
    let device = two.device("d");
    assert_eq!(
        follow(&kept, &[&device, &two.certificate, &one.certificate]),
        Err(CertificateError::UnknownAuthority)
    );
    let many = vec![&device; 9];
    assert_eq!(follow(&kept, &many), Err(CertificateError::TooLong));
}
