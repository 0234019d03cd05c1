//! The dimpl crate behind `coap_psk`'s `DtlsEndpoint`.
