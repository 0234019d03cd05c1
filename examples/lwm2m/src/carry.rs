//! The values of the machine and those of CoAP.

use coap_psk::option::CoapOption;
use coap_psk::{Code, Method};
use provisioning_proto::lwm2m;

/// A request of a client, as the machine knows them; nothing for a method that LwM2M does not use here.
pub(crate) fn request_in(request: &coap_psk::Request) -> Option<lwm2m::Request> {
    let method = match request.method {
        Method::Get => lwm2m::Method::Get,
        Method::Post => lwm2m::Method::Post,
        Method::Put => lwm2m::Method::Put,
        Method::Delete => lwm2m::Method::Delete,
        _ => return None,
    };
    let mut carried = lwm2m::Request::new(method, &[]);
    carried.path.clone_from(&request.path);
    carried.query.clone_from(&request.query);
    carried.content_format = request.content_format;
    carried.accept = request.accept;
    carried.payload = request.payload.as_ref().into();
    Some(carried)
}

/// Whether a request has an option that must be understood and is not. (RFC 7252, 5.4.1)
pub(crate) fn is_understood(request: &coap_psk::Request) -> bool {
    request
        .options
        .iter()
        .all(|option: &CoapOption| option.number.is_multiple_of(2))
}

/// A request to a client.
pub(crate) fn request_out(request: &lwm2m::Request) -> Result<coap_psk::Request, coap_psk::Error> {
    let method = match request.method {
        lwm2m::Method::Get => Method::Get,
        lwm2m::Method::Post => Method::Post,
        lwm2m::Method::Put => Method::Put,
        lwm2m::Method::Delete => Method::Delete,
    };
    let mut carried = coap_psk::Request::new(method, "/")?;
    carried.path.clone_from(&request.path);
    carried.query.clone_from(&request.query);
    carried.accept = request.accept;
    carried.content_format = request.content_format;
    carried.payload = request.payload.expose().to_vec().into();
    Ok(carried)
}

pub(crate) fn response_in(response: &coap_psk::Response) -> lwm2m::Response {
    let code = lwm2m::Code::from_byte(response.code.as_byte());
    let mut carried = lwm2m::Response::new(code);
    carried.content_format = response.content_format;
    carried.payload = response.payload.as_ref().into();
    carried
}

pub(crate) fn response_out(response: &lwm2m::Response) -> coap_psk::Response {
    let mut carried = coap_psk::Response::new(Code::from_byte(response.code.as_byte()));
    carried.max_age = response.max_age;
    match response.content_format {
        Some(format) => carried.with_payload(format, response.payload.expose().to_vec()),
        None => carried,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_again_is_told_to_the_client() {
        let refusal = lwm2m::Response::new(lwm2m::Code::SERVICE_UNAVAILABLE).with_max_age(30);
        let carried = response_out(&refusal);
        assert_eq!(carried.code, Code::SERVICE_UNAVAILABLE);
        assert_eq!(carried.max_age, Some(30));
        let other = response_out(&lwm2m::Response::new(lwm2m::Code::CHANGED));
        assert_eq!(other.max_age, None);
    }
}
