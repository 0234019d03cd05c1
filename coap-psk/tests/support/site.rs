//! A cloud of several shards on loopback that knows every device, devices of one socket each, and a NAT.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{SessionId, ShardNumber};
use coap_psk::{
    Code, Config, DeviceName, Endpoint, Event, Method, OfflineReason, Output, PskIdentity, PskKey,
    Request, Response, driver,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const KEY: [u8; 16] = [7; 16];

type Driving = JoinHandle<std::io::Result<()>>;

pub(crate) fn name(number: usize) -> DeviceName {
    DeviceName::new(
        "product".parse().unwrap(),
        format!("device-{number}").parse().unwrap(),
    )
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    seed
}

/// An endpoint of this shard.
pub(crate) fn endpoint(shard: Option<ShardNumber>) -> Endpoint<PskEndpoint> {
    let mut config = PskConfig::default();
    config.shard = shard;
    Endpoint::new(Config::default(), PskEndpoint::new(config, seed()), seed())
}

/// The cloud. It answers every request with the session that it came on.
pub(crate) struct Site {
    pub(crate) all: driver::Shards<PskEndpoint>,
    pub(crate) address: SocketAddr,
    driving: Vec<Driving>,
    application: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Site {
    pub(crate) async fn open(count: NonZeroU8) -> Self {
        let sockets = driver::bind((Ipv4Addr::LOCALHOST, 0).into(), count).unwrap();
        let address = sockets[0].local_addr().unwrap();
        let (all, shards) = driver::shards(count, driver::Queues::default());
        let (sender, outputs) = mpsc::channel(1_024);
        let driving = sockets
            .into_iter()
            .zip(shards)
            .map(|(socket, mut shard)| {
                let outputs = sender.clone();
                tokio::spawn(async move {
                    let mut endpoint = endpoint(Some(shard.number()));
                    shard.run(&socket, &mut endpoint, &outputs).await
                })
            })
            .collect();
        let events = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let application = serve(outputs, all.clone(), stopped, Arc::clone(&events));
        let application = tokio::spawn(application);
        Self {
            all,
            address,
            driving,
            application,
            stop: Some(stop),
            events,
        }
    }

    /// What was said of devices until now.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// Ends one of the shards at once.
    pub(crate) async fn end(&mut self, shard: usize) {
        let driving = self.driving.remove(shard);
        driving.abort();
        assert!(driving.await.unwrap_err().is_cancelled());
    }

    /// Ends in good order.
    pub(crate) async fn close(&mut self) {
        timeout(SOON, self.all.close_all()).await.expect("in time");
        let each = self.all.call_all(|endpoint, _| endpoint.sessions()).await;
        assert_eq!(each, vec![0; each.len()]);
        // With the last handle the shards end, and with them the application.
        (self.all, _) = driver::shards(NonZeroU8::MIN, driver::Queues::default());
        drop(self.stop.take());
        for driving in self.driving.drain(..) {
            timeout(SOON, driving)
                .await
                .expect("in time")
                .unwrap()
                .unwrap();
        }
        timeout(SOON, &mut self.application)
            .await
            .expect("in time")
            .unwrap();
    }
}

async fn serve(
    mut outputs: mpsc::Receiver<Output>,
    all: driver::Shards<PskEndpoint>,
    mut stopped: oneshot::Receiver<()>,
    events: Arc<Mutex<Vec<Event>>>,
) {
    let mut all = Some(all);
    loop {
        let output = tokio::select! {
            output = outputs.recv() => output,
            _ = &mut stopped, if all.is_some() => {
                all = None;
                continue;
            }
        };
        match (output, all.clone()) {
            (Some(Output::KeyWanted { handshake, .. }), Some(all)) => {
                tokio::spawn(async move {
                    let key = Some(PskKey::new(KEY));
                    all.call(handshake, move |it, now| {
                        it.provide_key(handshake, key, now);
                    })
                    .await;
                });
            }
            (Some(Output::Request { exchange, .. }), Some(all)) => {
                tokio::spawn(async move {
                    let session = exchange.session().0.to_be_bytes().to_vec();
                    let answer = Response::new(Code::CONTENT).with_payload(0, session);
                    all.call(exchange, move |it, now| it.respond(exchange, answer, now))
                        .await
                });
            }
            (Some(Output::Event(event)), _) => events.lock().unwrap().push(event),
            (Some(_), _) => {}
            (None, _) => return,
        }
    }
}

/// A device on a socket of its own.
pub(crate) struct Device {
    handle: driver::Handle<PskEndpoint>,
    session: SessionId,
    outputs: mpsc::Receiver<Output>,
}

impl Device {
    /// One with a session, which speaks of connection ids or not.
    pub(crate) async fn connect(number: usize, to: SocketAddr, id_len: Option<usize>) -> Self {
        let (handle, mut calls) = driver::handle(4);
        let (sender, outputs) = mpsc::channel(16);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        tokio::spawn(async move {
            let mut config = PskConfig::default();
            config.connection_id_len = id_len;
            let dtls = PskEndpoint::new(config, seed());
            let mut endpoint = Endpoint::new(Config::default(), dtls, seed());
            driver::run(&socket, &mut endpoint, &mut calls, &sender).await
        });
        let identity: PskIdentity = format!("{},2,60", name(number)).parse().unwrap();
        let connecting = handle.call(move |it, now| {
            let key = PskKey::new(KEY);
            it.connect(to, &identity, key, now).unwrap()
        });
        let session = connecting.await.unwrap();
        let mut device = Self {
            handle,
            session,
            outputs,
        };
        match device.next().await {
            Event::Online { .. } => device,
            other => panic!("{other:?}"),
        }
    }

    /// The answer to a request.
    pub(crate) async fn ask(&mut self) -> Response {
        let (session, request) = (self.session, Request::new(Method::Get, "/").unwrap());
        let asking = self
            .handle
            .call(move |it, now| it.request(session, request, now).unwrap());
        asking.await.unwrap();
        match self.next().await {
            Event::Response { response, .. } => response,
            other => panic!("{other:?}"),
        }
    }

    /// How its session ends.
    pub(crate) async fn ends(&mut self) -> OfflineReason {
        match self.next().await {
            Event::Offline { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Event {
        let output = timeout(SOON, self.outputs.recv()).await.expect("in time");
        match output.expect("the driver runs") {
            Output::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }
}

/// What stands between one device and the cloud, and may get another port there.
pub(crate) struct Nat {
    pub(crate) address: SocketAddr,
    outsides: mpsc::Sender<UdpSocket>,
    cloud: SocketAddr,
}

impl Nat {
    pub(crate) async fn open(cloud: SocketAddr) -> Self {
        let inside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (outsides, sockets) = mpsc::channel(1);
        let address = inside.local_addr().unwrap();
        tokio::spawn(translate(inside, sockets));
        let mut nat = Self {
            address,
            outsides,
            cloud,
        };
        nat.rebind().await;
        nat
    }

    /// From now on the device comes from another port.
    pub(crate) async fn rebind(&mut self) {
        let outside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        outside.connect(self.cloud).await.unwrap();
        self.outsides.send(outside).await.unwrap();
        // What is sent next goes through it when the other end has taken it.
        while self.outsides.capacity() == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn translate(inside: UdpSocket, mut outsides: mpsc::Receiver<UdpSocket>) {
    let mut outside = outsides.recv().await.unwrap();
    let (mut up, mut down) = (vec![0; 2_048], vec![0; 2_048]);
    let mut device = None;
    loop {
        tokio::select! {
            biased;
            next = outsides.recv() => match next {
                Some(next) => outside = next,
                None => return,
            },
            Ok((len, from)) = inside.recv_from(&mut up) => {
                device = Some(from);
                outside.send(&up[..len]).await.unwrap();
            }
            Ok(len) = outside.recv(&mut down) => {
                if let Some(device) = device {
                    inside.send_to(&down[..len], device).await.unwrap();
                }
            }
        }
    }
}
