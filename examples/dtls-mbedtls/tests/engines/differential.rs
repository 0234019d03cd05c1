//! coap-psk's own engine against Mbed TLS, many times over, with connection ids in two of three sessions.

use crate::agreement::{Party, agree};
use crate::kind::{mbedtls, own};

#[test]
fn own_engine_and_mbedtls_agree() {
    let own = Party {
        name: "own",
        endpoint: own,
        gives_up: |_| false,
    };
    let mbedtls = Party {
        name: "Mbed TLS",
        endpoint: mbedtls,
        gives_up: |_| false,
    };
    agree([own, mbedtls], |_| {});
}
