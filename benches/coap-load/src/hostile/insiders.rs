//! Those who have a key, and a session.

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent, SessionId};
use device_fleet::Wire;

use super::Scene;
use super::attackers::{address, flood};
use crate::peers::{key, name, runtime};

/// The number of the insider among the devices: none of the good ones.
const NUMBER: usize = 99_999;

/// One good request, again and again in the same record.
pub(super) fn replayed(scene: &Scene) -> u64 {
    runtime().block_on(async {
        let mut insider = Insider::enter(scene).await;
        let record = insider.seal(b"\x40\x01\x00\x01");
        flood(
            scene,
            &insider.wire,
            &[(address(0, insider.wire.port()), record)],
        )
        .await
    })
}

/// Requests that are good records and bad messages, or hard work: a thousand options, and one of a thousand bytes.
pub(super) fn oversized(scene: &Scene) -> u64 {
    runtime().block_on(async {
        let mut insider = Insider::enter(scene).await;
        let many = [0x10; 1_000];
        let mut long = [b'.'; 1_004];
        // Number 60 past 13, 1,000 bytes past 269.
        long[..4].copy_from_slice(&[0xde, 60 - 13, 0x02, 0xdb]);
        let at = address(0, insider.wire.port());
        let mut sent = 0_u64;
        while !scene.is_over() {
            let [.., high, low] = sent.to_be_bytes();
            let options = if sent.is_multiple_of(2) {
                &many[..]
            } else {
                &long[..]
            };
            let message = [&[0x40, 0x01, high, low], options].concat();
            let record = insider.seal(&message);
            insider.wire.send(at, &record).await;
            sent += 1;
        }
        sent
    })
}

struct Insider {
    engine: PskEndpoint,
    session: SessionId,
    wire: Wire,
}

impl Insider {
    async fn enter(scene: &Scene) -> Self {
        let mut wire = Wire::open(scene.server).await.expect("a socket");
        let mut config = PskConfig::default();
        config.accept = false;
        let mut engine = PskEndpoint::new(config, [8; 32]);
        let identity = format!("{},2,3600", name(NUMBER));
        let at = address(0, wire.port());
        let session = engine
            .connect(at, identity.as_bytes(), key(), wire.now())
            .expect("a place");
        loop {
            while let Some(transmit) = engine.poll_transmit() {
                wire.send(transmit.to, &transmit.datagram).await;
            }
            let now = wire.now();
            wire.receive(|to, datagram| engine.handle_datagram(to, datagram, now))
                .await
                .expect("a socket");
            while let Some(event) = engine.poll_event() {
                if let DtlsEvent::Established { .. } = event {
                    return Self {
                        engine,
                        session,
                        wire,
                    };
                }
            }
        }
    }

    fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        self.engine
            .send(self.session, message, self.wire.now())
            .expect("a session");
        self.engine.poll_transmit().expect("a record").datagram
    }
}
