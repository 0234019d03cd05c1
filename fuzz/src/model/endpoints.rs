//! Every endpoint: requests and answers as they come in, read, written and read again.

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use uci_model::api::{
    AccessToken, BearerToken, Endpoint, IncomingRequest, IncomingResponse, OutgoingRequest,
    OutgoingResponse, Representation, Subscribed, Unsubscribed, decode_response, match_path,
    notify, retrieve_device, retrieve_devices, retrieve_resource, subscribe_to_device,
    subscribe_to_devices, subscribe_to_resource, unsubscribe_from_device, unsubscribe_from_devices,
    unsubscribe_from_resource, update_resource,
};
use uci_model::event::SigningKey;
use uci_model::{Content, ContentFormat, Error, Limits};

use crate::text::Parts;

const ROOT: &str = "/api/v1";

/// A request as `METHOD target`, or an answer as a status; then lines of `name: value`, an empty line and a body.
pub fn endpoints(bytes: &[u8]) {
    let Some(parts) = Parts::read(bytes) else {
        return;
    };
    if let Some(request) = parts.request() {
        request_of::<retrieve_devices::Request>(&request);
        request_of::<retrieve_device::Request>(&request);
        request_of::<retrieve_resource::Request>(&request);
        request_of::<update_resource::Request>(&request);
        request_of::<subscribe_to_devices::Request>(&request);
        request_of::<subscribe_to_device::Request>(&request);
        request_of::<subscribe_to_resource::Request>(&request);
        request_of::<unsubscribe_from_devices::Request>(&request);
        request_of::<unsubscribe_from_device::Request>(&request);
        request_of::<unsubscribe_from_resource::Request>(&request);
        notification(&request);
    } else if let Some(response) = parts.response() {
        devices(&response);
        device(&response);
        representation(&response);
        answer_of::<Subscribed>(&response);
        answer_of::<Unsubscribed>(&response);
    }
}

/// What reads as a request of `R` is sent as one that reads and is sent the same.
fn request_of<R>(request: &Request<Bytes>)
where
    R: IncomingRequest + OutgoingRequest + Endpoint<Authentication = BearerToken>,
    R::Response: IncomingResponse + OutgoingResponse,
{
    if let Some(request) = read::<R>(request) {
        let sent = send(request);
        let again = read::<R>(&sent).expect("what was sent can be read");
        assert_same(&sent, &send(again));
    }
}

/// The request, where its method and path are those of `R`.
fn read<R: IncomingRequest>(request: &Request<Bytes>) -> Option<R>
where
    R::Response: OutgoingResponse,
{
    if request.method() != R::METHOD {
        return None;
    }
    let path = request.uri().path().strip_prefix(ROOT)?;
    let path_args = match_path(R::PATH, path)?;
    R::try_from_http_request(request, &path_args).ok()
}

fn send<R>(request: R) -> Request<Bytes>
where
    R: OutgoingRequest + Endpoint<Authentication = BearerToken>,
    R::Response: IncomingResponse,
{
    let base: Uri = format!("https://cloud.example{ROOT}")
        .parse()
        .expect("a URI");
    let token: AccessToken = "a-token".to_owned().try_into().expect("a token");
    request
        .try_into_http_request(&base, &token)
        .expect("what was read can be sent")
}

fn assert_same(one: &Request<Bytes>, other: &Request<Bytes>) {
    assert_eq!(one.method(), other.method());
    assert_eq!(one.uri(), other.uri());
    assert_eq!(one.headers(), other.headers());
    assert_eq!(one.body(), other.body());
}

/// A notification, whose headers are bound by its signature.
fn notification(request: &Request<Bytes>) {
    let read = |request: &Request<Bytes>| notify::Request::try_from_http_request(request, &[]).ok();
    let secret = "0123456789abcdef0123456789abcdef".to_owned();
    let key = SigningKey::new(&secret.try_into().expect("a secret of 32 characters"));
    let url: Uri = "https://client.example/events".parse().expect("a URI");
    let send = |notification: notify::Request| {
        notification
            .try_into_http_request(&url, &key)
            .expect("what was read can be sent")
    };
    if let Some(notification) = read(request).filter(|_| request.method() == Method::POST) {
        let sent = send(notification);
        let again = read(&sent).expect("what was sent can be read");
        assert_same(&sent, &send(again));
    }
}

/// What reads as an answer is sent as one that reads and is sent the same.
fn answer_of<A: IncomingResponse + OutgoingResponse>(response: &Response<Bytes>) -> Option<A> {
    let sent = answer(decode_response::<A>(response).ok()?);
    let again: A = decode_response(&sent).expect("what was sent can be read");
    assert_same_answer(&sent, &answer(again));
    decode_response(response).ok()
}

/// What reads as the body of an answer is sent as one that reads and is sent the same.
fn body_of<A: IncomingResponse + OutgoingResponse, T>(
    read: &A,
    decode: impl Fn(&A) -> Result<T, Error>,
    encode: impl Fn(&T) -> Result<A, Error>,
) {
    let send = |body: &T| answer(encode(body).expect("what was read can be written"));
    if let Ok(body) = decode(read) {
        let sent = send(&body);
        let again: A = decode_response(&sent).expect("what was sent can be read");
        let again = decode(&again).expect("what was written can be read");
        assert_same_answer(&sent, &send(&again));
    }
}

fn answer(answer: impl OutgoingResponse) -> Response<Bytes> {
    answer
        .try_into_http_response()
        .expect("what was read can be sent")
}

fn assert_same_answer(one: &Response<Bytes>, other: &Response<Bytes>) {
    assert_eq!(one.status(), other.status());
    assert_eq!(one.headers(), other.headers());
    assert_eq!(one.body(), other.body());
}

/// A list of devices: its body is read only when it is asked for, with links or with representations.
fn devices(response: &Response<Bytes>) {
    type Answer = retrieve_devices::Response;
    let Some(read) = answer_of::<Answer>(response) else {
        return;
    };
    let (limits, format) = (Limits::default(), read.content.format());
    body_of(
        &read,
        |read| read.decode_base(&limits),
        |devices| Answer::base(format, devices),
    );
    body_of(
        &read,
        |read| read.decode_all(&limits),
        |devices| Answer::all(format, devices),
    );
}

/// One device, with links or with representations.
fn device(response: &Response<Bytes>) {
    type Answer = retrieve_device::Response;
    let Some(read) = answer_of::<Answer>(response) else {
        return;
    };
    let (limits, format) = (Limits::default(), read.content.format());
    body_of(
        &read,
        |read| read.decode_base(&limits),
        |device| Answer::base(format, device),
    );
    body_of(
        &read,
        |read| read.decode_all(&limits),
        |device| Answer::all(format, device),
    );
}

/// A resource: what its representation says can be said again in its format. One without a representation says nothing.
fn representation(response: &Response<Bytes>) {
    let limits = Limits::default();
    let Some(read) = answer_of::<Representation>(response) else {
        return;
    };
    let Some(format) = read.content.as_ref().map(Content::format) else {
        return;
    };
    body_of(
        &read,
        |read| {
            let content = read
                .content
                .as_ref()
                .expect("an answer with content keeps it");
            content.decode(&limits)
        },
        |value| {
            let body = match format {
                ContentFormat::Json => value.to_json()?,
                _ => value.to_cbor(),
            };
            let content = Content::new(format, body.into());
            Ok(Representation::new(Some(content)))
        },
    );
}
