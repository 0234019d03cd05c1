//! coap-psk's own engine against OpenSSL, many times over.

use coap_psk::CipherSuite::PskAes128CbcSha256;

use crate::agreement::{Party, agree};
use crate::clock;
use crate::kind::Kind;

#[test]
fn own_engine_and_openssl_agree() {
    let own = Party {
        name: "own",
        endpoint: |suites, seed| Kind::Own.endpoint(suites, seed),
        gives_up: |_| false,
    };
    let openssl = Party {
        name: "OpenSSL",
        endpoint: |suites, seed| Kind::Openssl.endpoint(suites, seed),
        gives_up: |suite| suite == PskAes128CbcSha256,
    };
    agree([own, openssl], clock::set);
}
