//! A device that asks as an LwM2M client: it is written its accounts by a bootstrap server, over CoAP and DTLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use coap_psk::driver::{self, Handle};
use coap_psk::dtls::SessionId;
use coap_psk::{
    Code, DeviceKey, Endpoint, Event, Instant, Method, Output, PskIdentity, PskKey, Request,
    Response,
};
use provisioning_proto::lwm2m::objects::Security;
use provisioning_proto::lwm2m::{ContentFormat, Instance, LINK_FORMAT, Path, Value};
use tokio::sync::mpsc;

use super::Told;
use crate::device::{Dtls, drive, socket_to};
use crate::entropy::entropy;
use crate::error::Error;

const SECURITY: u16 = 0;
const SERVER: u16 = 1;
/// Where the account of the bootstrap server itself is, which was burnt in and is never written.
const BOOTSTRAP_ACCOUNT: (u16, u16) = (SECURITY, 0);
const SHORT_SERVER_ID: u16 = 0;
/// TLV, which every server writes.
const FORMAT: ContentFormat = ContentFormat::Tlv;
const TLV: u16 = 11_542;

/// Asks, answers until the server is done, and gives the account that was written.
pub(super) async fn ask(
    server: SocketAddr,
    identity: PskIdentity,
    key: PskKey,
    device: &DeviceKey,
) -> Result<Told, Error> {
    let (outputs, arriving) = mpsc::channel(64);
    let (handle, calls) = driver::handle(16);
    let socket = socket_to(server).await?;
    let mut client = Client {
        handle,
        arriving,
        written: BTreeMap::new(),
    };
    let driving = drive(socket, calls, outputs, entropy()?);
    tokio::pin!(driving);
    let asked = client.bootstrap(server, identity, key, device);
    tokio::select! {
        told = asked => told,
        driven = &mut driving => match driven {
            Ok(()) => Err(Error::plain("the driver ended")),
            Err(cause) => Err(Error::new("the socket cannot be read", cause)),
        },
    }
}

struct Client {
    handle: Handle<Dtls>,
    arriving: mpsc::Receiver<Output>,
    /// The instances of objects, by object and instance.
    written: BTreeMap<(u16, u16), Instance>,
}

impl Client {
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Endpoint<Dtls>, Instant) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let result = self.handle.call(call).await;
        result.ok_or_else(|| Error::plain("the driver ended"))
    }

    async fn bootstrap(
        &mut self,
        server: SocketAddr,
        identity: PskIdentity,
        key: PskKey,
        device: &DeviceKey,
    ) -> Result<Told, Error> {
        let failed = |cause| Error::new("the bootstrap server cannot be asked", cause);
        let begun = self.call(move |it, now| it.connect(server, &identity, key, now));
        let session = begun.await?.map_err(failed)?;
        // OMA LwM2M 1.1 Core, 6.1.7.1.
        let mut asked = Request::new(Method::Post, "/bs").map_err(failed)?;
        asked.query = vec![format!("ep={device}"), format!("pct={TLV}")];
        let mut asked = Some(asked);
        while let Some(output) = self.arriving.recv().await {
            match output {
                Output::Event(Event::Online { .. }) => {
                    if let Some(asked) = asked.take() {
                        let begun = self.call(move |it, now| it.request(session, asked, now));
                        begun.await?.map_err(failed)?;
                    }
                }
                Output::Event(Event::Response { response, .. }) if !response.code.is_success() => {
                    let code = response.code;
                    return Err(Error::plain(format!("the device is refused with {code}")));
                }
                Output::Event(Event::Offline { why, .. }) => {
                    return Err(Error::plain(format!(
                        "the bootstrap server is gone: {why:?}"
                    )));
                }
                Output::Event(Event::Failed { failure, .. }) => {
                    return Err(Error::plain(format!(
                        "the bootstrap server is silent: {failure:?}"
                    )));
                }
                Output::Request {
                    exchange, request, ..
                } => {
                    let (response, done) = self.answer(&request);
                    let answered = self.call(move |it, now| it.respond(exchange, response, now));
                    answered.await?.map_err(failed)?;
                    if done {
                        return self.finish(session, device).await;
                    }
                }
                _ => {}
            }
        }
        Err(Error::plain("the driver ended"))
    }

    /// The answer to a request of the server, and whether it was the last one.
    fn answer(&mut self, request: &Request) -> (Response, bool) {
        if request.method == Method::Post && request.path == ["bs"] {
            return match self.account() {
                Some(_) => (Response::new(Code::CHANGED), true),
                None => (Response::new(Code::NOT_ACCEPTABLE), false),
            };
        }
        let segments = request.path.iter().map(String::as_str);
        let answer = match (request.method, Path::from_segments(segments)) {
            (Method::Get, Ok(Path::Root)) => {
                Response::new(Code::CONTENT).with_payload(LINK_FORMAT, self.links())
            }
            (Method::Put, Ok(Path::Instance(object, instance))) => {
                Response::new(self.write(object, instance, request))
            }
            (Method::Delete, Ok(path)) => {
                self.written.retain(|at, _| !is_below(*at, path));
                Response::new(Code::DELETED)
            }
            // What a client of LwM2M 1.0 says to a Read, too.
            _ => Response::new(Code::BAD_REQUEST),
        };
        (answer, false)
    }

    fn write(&mut self, object: u16, instance: u16, request: &Request) -> Code {
        if (object, instance) == BOOTSTRAP_ACCOUNT {
            return Code::BAD_REQUEST;
        }
        if request.content_format != Some(TLV) {
            return Code::UNSUPPORTED_CONTENT_FORMAT;
        }
        let read = FORMAT.decode(Path::Instance(object, instance), &request.payload);
        match read.ok().and_then(|mut instances| instances.pop()) {
            Some(value) => {
                self.written.insert((object, instance), value);
                Code::CHANGED
            }
            None => Code::BAD_REQUEST,
        }
    }

    /// What is there: the bootstrap account is the one without a short server id. (6.1.7.3)
    fn links(&self) -> Vec<u8> {
        let mut links = "</>;lwm2m=1.1,</0/0>".to_owned();
        for ((object, instance), value) in &self.written {
            links.push_str(&format!(",</{object}/{instance}>"));
            let id = match *object {
                SECURITY => Security::from_instance(value)
                    .ok()
                    .and_then(|security| security.short_server_id),
                _ => short_server_id(value),
            };
            if let Some(id) = id {
                links.push_str(&format!(";ssid={id}"));
            }
        }
        links.push_str(",</3/0>");
        links.into_bytes()
    }

    /// The first account of a server: both of its instances must be there.
    fn account(&self) -> Option<Security> {
        self.written.iter().find_map(|((object, _), value)| {
            let security = (*object == SECURITY).then(|| Security::from_instance(value).ok());
            let security = security.flatten().filter(|one| !one.bootstrap_server)?;
            let has_server = self.written.iter().any(|((object, _), value)| {
                *object == SERVER && short_server_id(value) == security.short_server_id
            });
            has_server.then_some(security)
        })
    }

    async fn finish(&self, session: SessionId, device: &DeviceKey) -> Result<Told, Error> {
        // The driver sends what one call made before it takes the next.
        self.call(move |it, now| it.close(session, now)).await?;
        self.call(|_, _| ()).await?;
        let account = self.account();
        let account = account.ok_or_else(|| Error::plain("the device has no account"))?;
        let uri = &account.server_uri;
        let address = uri.strip_prefix("coaps://").and_then(|it| it.parse().ok());
        let identity = PskIdentity::parse(account.public_key_or_identity.expose());
        let identity =
            identity.map_err(|cause| Error::new("the device has an identity of no use", cause))?;
        let key: Result<[u8; 16], _> = account.secret_key.expose().try_into();
        let key = key.map_err(|_| Error::plain("the device's key has not 16 bytes"))?;
        Ok(Told {
            cloud: address.ok_or_else(|| Error::plain(format!("{uri} is of no use")))?,
            product_key: identity.device().product_key().to_string(),
            device_key: device.to_string(),
            lifetime: Some(identity.lifetime().as_secs()),
            device_secret: None,
            key: Some(format!("{:032x}", u128::from_be_bytes(key)).into()),
            initial_config: None,
        })
    }
}

fn short_server_id(server: &Instance) -> Option<u16> {
    match server.single(SHORT_SERVER_ID) {
        Some(Value::Integer(id)) => (*id).try_into().ok(),
        _ => None,
    }
}

/// Whether an instance goes with what is deleted.
fn is_below(at: (u16, u16), path: Path) -> bool {
    match path {
        Path::Root => true,
        Path::Object(object) => at.0 == object,
        Path::Instance(object, instance) => at == (object, instance),
        Path::Resource(..) | Path::ResourceInstance(..) => false,
    }
}
