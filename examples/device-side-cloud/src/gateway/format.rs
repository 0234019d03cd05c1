//! Content-Formats of CoAP as formats of OCF.

use uci_model::ContentFormat;

/// Plain CBOR. (RFC 7252, 12.3)
const CBOR: u16 = 60;

/// The format of a CoAP number; plain CBOR is read as that of OCF, which it is the syntax of.
pub(crate) fn format_of(number: u16) -> Option<ContentFormat> {
    match number {
        CBOR => Some(ContentFormat::OcfCbor),
        _ => ContentFormat::from_coap_number(number),
    }
}
