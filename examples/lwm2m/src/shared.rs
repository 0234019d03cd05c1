//! What the listener's tasks share: calls in order, exchanges under way, names from handshakes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coap_psk::dtls::DtlsEndpoint;
use coap_psk::{Endpoint, Response, driver};
use provisioning_proto::lwm2m::{Client, Event, ExchangeId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

/// Calls to the endpoint: one after the other, so that an answer is sent before the request that follows it. No more can wait than
/// the machine has bootstraps, and requests of clients that wait for their answer.
pub(crate) type Order<D> = Box<dyn FnOnce(&mut Endpoint<D>, coap_psk::Instant) + Send>;

pub(crate) async fn carry_out<D: DtlsEndpoint + 'static>(
    handle: driver::Handle<D>,
    mut orders: mpsc::UnboundedReceiver<Order<D>>,
) {
    while let Some(order) = orders.recv().await {
        if handle
            .call(move |endpoint, now| order(endpoint, now))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// The exchanges of CoAP that carry exchanges of the machine.
pub(crate) type Exchanges = Arc<Mutex<BTreeMap<coap_psk::ExchangeId, ExchangeId>>>;

/// Whose the identities in handshakes are, and since when.
pub(crate) type Names = Arc<Mutex<BTreeMap<Vec<u8>, (Instant, Client)>>>;

/// How many handshakes are known by name, and for how long: after that the oldest gives way.
const NAMES: usize = 4096;
const HANDSHAKE: Duration = Duration::from_secs(120);

pub(crate) fn remember(names: &Names, identity: Vec<u8>, client: Client) {
    let (now, mut names) = (Instant::now(), locked(names));
    if names.len() >= NAMES {
        names.retain(|_, (since, _)| now.duration_since(*since) < HANDSHAKE);
        let oldest = names.iter().min_by_key(|(_, (since, _))| *since);
        let oldest = oldest
            .filter(|_| names.len() >= NAMES)
            .map(|(identity, _)| identity.clone());
        if let Some(oldest) = oldest {
            names.remove(&oldest);
        }
    }
    names.insert(identity, (now, client));
}

pub(crate) fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is in there is whole at every moment.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn respond<D: DtlsEndpoint>(
    exchange: coap_psk::ExchangeId,
    response: Response,
) -> Order<D> {
    Box::new(move |endpoint, now| {
        if let Err(error) = endpoint.respond(exchange, response, now) {
            warn!(%error, "a client cannot be answered");
        }
    })
}

/// Says what became of a bootstrap, without anything of its contents.
pub(crate) fn tell(event: &Event) {
    let (client, what) = match event {
        Event::Finished {
            client, refused, ..
        } if refused.is_empty() => (client, "bootstrapped".to_owned()),
        Event::Finished {
            client, refused, ..
        } => (
            client,
            format!("bootstrapped, but for {} writes or deletes", refused.len()),
        ),
        Event::Packed { client, .. } => (client, "given a pack".to_owned()),
        Event::Failed { client, cause, .. } => (client, format!("not bootstrapped: {cause}")),
        Event::WrongEndpoint { client, claimed } => (
            client,
            format!("not bootstrapped: it claims to be {claimed}"),
        ),
        _ => return,
    };
    info!(tenant = %client.tenant, endpoint = %client.endpoint, "{what}");
}
