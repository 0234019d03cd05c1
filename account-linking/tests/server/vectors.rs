//! Values from the standards.

use account_linking::{PkceChallenge, PkceVerifier};

/// RFC 7636, appendix B.
#[test]
fn the_challenge_of_rfc_7636_appendix_b_comes_out() {
    let verifier = PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
    let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    assert_eq!(verifier.challenge().as_str(), expected);
    let challenge = PkceChallenge::try_from(expected.to_owned()).unwrap();
    assert!(challenge.is_met_by(&verifier));
    assert!(!challenge.is_met_by(&PkceVerifier::generate([0; 32])));
}

/// RFC 7636, appendix A: the octets of the verifier above.
#[test]
fn the_verifier_of_rfc_7636_appendix_a_comes_from_its_octets() {
    let octets = [
        116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37,
        77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
    ];
    let expected = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(PkceVerifier::generate(octets).expose(), expected);
}

/// RFC 6749, 2.3.1.
#[test]
fn the_basic_header_of_rfc_6749_is_read() {
    let header = b"Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3";
    let (id, secret) = account_linking::server::client_authentication::parse_basic(header).unwrap();
    assert_eq!(id, "s6BhdRkqt3");
    assert_eq!(secret.expose(), "7Fjfp0ZBr1KtDRbnfVdmIw");
}
