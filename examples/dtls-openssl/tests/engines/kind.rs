//! The engines that are compared.

use coap_psk::CipherSuite;
use coap_psk::dtls::DtlsEndpoint;
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use dtls_dimpl::DimplEndpoint;
use dtls_openssl::{Limits, OpensslEndpoint};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Own,
    Dimpl,
    Openssl,
}

impl Kind {
    /// An endpoint that offers and takes these suites, if the engine can choose.
    #[allow(clippy::disallowed_methods)]
    pub fn endpoint(self, suites: &[CipherSuite], seed: u8) -> Box<dyn DtlsEndpoint> {
        match self {
            Self::Own => {
                let mut config = PskConfig::default();
                config.suites = suites.to_vec();
                Box::new(PskEndpoint::new(config, [seed; 32]))
            }
            Self::Dimpl => {
                let origin = std::time::Instant::now();
                Box::new(DimplEndpoint::new(Limits::default(), origin))
            }
            Self::Openssl => {
                let engine = dtls_openssl::Openssl::new(suites).unwrap();
                Box::new(OpensslEndpoint::new(Limits::default(), engine))
            }
        }
    }
}
