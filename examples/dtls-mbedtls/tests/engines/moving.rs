//! A device on Mbed TLS whose address changes, and our own engine, which follows it by its connection id (RFC 9146).

use std::net::SocketAddr;

use coap_psk::CipherSuite;
use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, SessionId};
use coap_psk::{Instant, PskKey};

use crate::kind::{own, with_id};
use crate::wire::{IDENTITY, KEY};

const NOW: Instant = Instant::ZERO;

struct Device {
    engine: Box<dyn DtlsEndpoint>,
    session: SessionId,
    at: SocketAddr,
}

struct Scene {
    device: Device,
    cloud: Box<dyn DtlsEndpoint>,
    cloud_at: SocketAddr,
    /// What the cloud's engine reported.
    seen: Vec<DtlsEvent>,
}

impl Scene {
    /// With a session.
    fn new(suite: CipherSuite, id: Option<&[u8]>) -> Self {
        let (cloud_at, at) = (address(5684), address(40_000));
        let mut engine = with_id(&[suite], id);
        let key = PskKey::new(KEY);
        let session = engine.connect(cloud_at, IDENTITY, key, NOW).unwrap();
        let mut scene = Self {
            device: Device {
                engine,
                session,
                at,
            },
            cloud: own(&CipherSuite::ALL, 1),
            cloud_at,
            seen: Vec::new(),
        };
        scene.settle();
        assert!(matches!(
            scene.seen.last(),
            Some(DtlsEvent::Established { .. })
        ));
        scene
    }

    /// Passes datagrams on, those to where the device is not getting lost; the plaintexts that arrived at the device.
    fn settle(&mut self) -> Vec<Vec<u8>> {
        loop {
            let mut silent = true;
            while let Some(out) = self.device.engine.poll_transmit() {
                silent = false;
                self.cloud
                    .handle_datagram(self.device.at, &out.datagram, NOW);
            }
            while let Some(event) = self.cloud.poll_event() {
                if let DtlsEvent::NeedKey { handshake, .. } = &event {
                    let key = Some(PskKey::new(KEY));
                    self.cloud.provide_key(*handshake, key, NOW);
                }
                self.seen.push(event);
            }
            while let Some(out) = self.cloud.poll_transmit() {
                silent = false;
                if out.to == self.device.at {
                    self.device
                        .engine
                        .handle_datagram(self.cloud_at, &out.datagram, NOW);
                }
            }
            if silent {
                break;
            }
        }
        let events = std::iter::from_fn(|| self.device.engine.poll_event());
        events
            .filter_map(|event| match event {
                DtlsEvent::Data { data, .. } => Some(data),
                _ => None,
            })
            .collect()
    }

    fn cloud_session(&self) -> SessionId {
        let established = self.seen.iter().find_map(|event| match event {
            DtlsEvent::Established { session, .. } => Some(*session),
            _ => None,
        });
        established.unwrap()
    }
}

fn address(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

#[test]
fn a_device_that_moves_keeps_its_session_by_its_connection_id() {
    for suite in CipherSuite::ALL {
        for id in [&b""[..], b"device"] {
            let mut scene = Scene::new(suite, Some(id));
            let session = scene.cloud_session();
            for port in [40_001, 40_002] {
                let (from, to) = (scene.device.at, address(port));
                scene.device.at = to;
                scene.seen.clear();
                let Device {
                    engine,
                    session: ours,
                    ..
                } = &mut scene.device;
                engine.send(*ours, b"21.5", NOW).unwrap();
                scene.settle();
                let moved = DtlsEvent::Moved { session, from, to };
                let data = DtlsEvent::Data {
                    session,
                    data: b"21.5".to_vec(),
                };
                assert_eq!(scene.seen, [moved, data], "{suite} {id:?}");

                scene.cloud.send(session, b"seen", NOW).unwrap();
                assert_eq!(scene.settle(), [b"seen"], "{suite} {id:?}");
                scene.cloud.confirm_path(session, NOW);
                let long = vec![b'x'; 4_000];
                scene.cloud.send(session, &long, NOW).unwrap();
                assert_eq!(scene.settle(), [long], "{suite} {id:?}");
            }
        }
    }
}

#[test]
fn a_record_that_is_full_before_its_type_and_padding_arrives() {
    for suite in CipherSuite::ALL {
        let mut scene = Scene::new(suite, Some(b""));
        let session = scene.cloud_session();
        scene.seen.clear();
        let data = vec![b'x'; 1 << 14];
        let Device {
            engine,
            session: ours,
            ..
        } = &mut scene.device;
        engine.send(*ours, &data, NOW).unwrap();
        scene.settle();
        assert_eq!(scene.seen, [DtlsEvent::Data { session, data }], "{suite}");
    }
}

#[test]
fn a_device_without_connection_ids_is_not_followed() {
    for suite in CipherSuite::ALL {
        let mut scene = Scene::new(suite, None);
        scene.device.at = address(40_001);
        scene.seen.clear();
        let Device {
            engine, session, ..
        } = &mut scene.device;
        engine.send(*session, b"21.5", NOW).unwrap();
        scene.settle();
        assert_eq!(scene.seen, [], "{suite}");
    }
}
