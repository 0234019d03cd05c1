//! The engines that are compared.

use coap_psk::CipherSuite;
use coap_psk::dtls::DtlsEndpoint;
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use dtls_mbedtls::{Limits, Mbedtls, MbedtlsEndpoint};

/// Our own engine, with the connection ids that it has by default.
pub fn own(suites: &[CipherSuite], seed: u8) -> Box<dyn DtlsEndpoint> {
    let mut config = PskConfig::default();
    config.suites = suites.to_vec();
    Box::new(PskEndpoint::new(config, [seed; 32]))
}

/// Mbed TLS: depending on the seed without connection ids, with one of the peer's only, or with one of its own, too.
pub fn mbedtls(suites: &[CipherSuite], seed: u8) -> Box<dyn DtlsEndpoint> {
    let id = [seed; 4];
    with_id(
        suites,
        [None, Some(&[][..]), Some(&id)][usize::from(seed) % 3],
    )
}

/// Mbed TLS that wants to be sent records with this connection id.
pub fn with_id(suites: &[CipherSuite], id: Option<&[u8]>) -> Box<dyn DtlsEndpoint> {
    let engine = Mbedtls::new(suites, id).unwrap();
    Box::new(MbedtlsEndpoint::new(Limits::default(), engine))
}
