//! What this cloud has asked of devices, and what it wanted it for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coap_psk::dtls::SessionId;
use coap_psk::message::{Code, Method};
use coap_psk::{ExchangeId, Request, Response};
use tokio::sync::oneshot;
use uci_model::{Content, Href};
use uci_server_core::{DeviceAnswer, DeviceRequest, Operation};

use super::Calls;
use super::format::format_of;

/// A question to a device and where the answer goes.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) request: DeviceRequest,
    pub(crate) answer: oneshot::Sender<DeviceAnswer>,
}

/// Why something was asked.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A client-side cloud waits for it.
    Ask(oneshot::Sender<DeviceAnswer>),
    /// The cloud keeps the representation of this resource.
    Observe(Href),
    /// The cloud wants to know what the device is.
    Describe,
}

/// The exchanges under way. An entry is made inside the call that begins the exchange, so that it is there before anything
/// can come of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchanges(Arc<Mutex<BTreeMap<ExchangeId, Purpose>>>);

impl Exchanges {
    pub(super) fn begin(&self, exchange: ExchangeId, purpose: Purpose) {
        self.lock().insert(exchange, purpose);
    }

    pub(super) fn take(&self, exchange: ExchangeId) -> Option<Purpose> {
        self.lock().remove(&exchange)
    }

    /// The resource that an observation is about.
    pub(super) fn observed(&self, exchange: ExchangeId) -> Option<Href> {
        match self.lock().get(&exchange) {
            Some(Purpose::Observe(href)) => Some(href.clone()),
            _ => None,
        }
    }

    /// Forgets what was asked on a session; who waits gets no answer, which is an answer.
    pub(super) fn forget(&self, session: SessionId) {
        self.lock()
            .retain(|exchange, _| exchange.session() != session);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ExchangeId, Purpose>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a device for the core.
pub(super) fn ask(session: SessionId, ask: Ask, calls: &Calls, exchanges: &Exchanges) {
    let Ask { request, answer } = ask;
    let Some(question) = question(&request) else {
        // A name that CoAP cannot carry is a resource that no device can have.
        return drop(answer.send(DeviceAnswer::answered(
            Code::NOT_FOUND.as_byte(),
            None,
            None,
        )));
    };
    let (calls, exchanges) = (calls.clone(), exchanges.clone());
    tokio::spawn(async move {
        calls
            .call(session, move |endpoint, now| {
                match endpoint.request(session, question, now) {
                    Ok(exchange) => exchanges.begin(exchange, Purpose::Ask(answer)),
                    Err(_) => drop(answer.send(DeviceAnswer::Unreachable)),
                }
            })
            .await;
    });
}

fn question(request: &DeviceRequest) -> Option<Request> {
    let mut target = request.href.as_str().to_owned();
    if let Some(interface) = &request.interface {
        target.push_str("?if=");
        target.push_str(interface.as_str());
    }
    let question = match &request.operation {
        Operation::Retrieve => Request::new(Method::Get, &target).ok()?,
        Operation::Update(content) => Request::new(Method::Post, &target)
            .ok()?
            .with_payload(content.format().coap_number(), content.body().clone()),
        // A new operation needs code of its own here.
        _ => return None,
    };
    Some(match request.accept {
        Some(format) => question.with_accept(format.coap_number()),
        None => question,
    })
}

/// Hands a device's answer to who waits for it.
pub(super) fn answer(to: oneshot::Sender<DeviceAnswer>, response: &Response) {
    // Who waited may have given up.
    drop(to.send(answered(response)));
}

fn answered(response: &Response) -> DeviceAnswer {
    let content = content_of(response);
    // An error may carry a text for people, which has no format (RFC 7252, 5.5.2).
    if content.is_none() && response.code.is_success() && !response.payload.is_empty() {
        return DeviceAnswer::Unreadable;
    }
    let max_age = response
        .max_age
        .map(|secs| Duration::from_secs(secs.into()));
    DeviceAnswer::answered(response.code.as_byte(), content, max_age)
}

/// The content of a message, when it is in a format that this cloud reads.
pub(super) fn content_of(response: &Response) -> Option<Content> {
    content(response.content_format, &response.payload)
}

/// Content with its CoAP number.
pub(super) fn content(format: Option<u16>, payload: &bytes::Bytes) -> Option<Content> {
    if payload.is_empty() {
        return None;
    }
    let format = format_of(format?)?;
    Some(Content::new(format, payload.clone()))
}

#[cfg(test)]
mod tests {
    use uci_model::ContentFormat;

    use super::*;

    fn response(code: Code, format: Option<u16>, payload: &'static [u8]) -> Response {
        let mut response = Response::new(code);
        response.content_format = format;
        response.payload = payload.into();
        response
    }

    #[test]
    fn content_is_handed_on_in_the_formats_that_are_read() {
        for (number, format) in [
            (50, ContentFormat::Json),
            (60, ContentFormat::OcfCbor),
            (10_000, ContentFormat::OcfCbor),
        ] {
            let answer = answered(&response(Code::CONTENT, Some(number), b"\xa0"));
            let content = Content::new(format, b"\xa0".as_slice().into());
            let expected = DeviceAnswer::answered(Code::CONTENT.as_byte(), Some(content), None);
            assert_eq!(answer, expected, "{number}");
        }
    }

    #[test]
    fn content_that_cannot_be_read_is_not_passed_over() {
        for format in [None, Some(0), Some(41), Some(11_542)] {
            let answer = answered(&response(Code::CONTENT, format, b"21.5"));
            assert_eq!(answer, DeviceAnswer::Unreadable, "{format:?}");
        }
        for (code, payload) in [
            (Code::CHANGED, &b""[..]),
            (Code::NOT_FOUND, b"no such thing"),
        ] {
            let answer = answered(&response(code, None, payload));
            let expected = DeviceAnswer::answered(code.as_byte(), None, None);
            assert_eq!(answer, expected, "{code}");
        }
    }
}
