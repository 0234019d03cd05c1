//! Those who write the addresses of good devices on what they send.

use coap_psk::dtls::DtlsEndpoint as _;
use device_fleet::Wire;

use super::Scene;
use super::attackers::flood;
use crate::engine::client;
use crate::peers::runtime;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// Every device gets one of each, again and again.
pub(super) fn in_the_name_of_others(scene: &Scene) -> u64 {
    let forged: Vec<_> = scene
        .good
        .iter()
        .enumerate()
        .flat_map(|(number, device)| forgeries(number).into_iter().map(|it| (*device, it)))
        .collect();
    let stolen = scene.stolen.try_clone().expect("a socket");
    runtime().block_on(async {
        let wire = Wire::on(stolen, scene.server).expect("a socket");
        flood(scene, &wire, &forged).await
    })
}

fn forgeries(number: usize) -> Vec<Vec<u8>> {
    let (_, mut client) = client(number);
    let hello = client.poll_transmit().expect("a hello").datagram;
    vec![
        hello,
        // Fatal, in clear: handshake_failure, and the warning that ends a session.
        record(ALERT, 0, 1, &[2, 40]),
        record(ALERT, 0, 2, &[1, 0]),
        record(CHANGE_CIPHER_SPEC, 0, 3, &[1]),
        // The middle of a Finished that claims 16 MiB, and a ClientKeyExchange out of nowhere.
        record(
            HANDSHAKE,
            0,
            4,
            &fragment(20, 0x00ff_ffff, 7, 1_000, &[7; 200]),
        ),
        record(HANDSHAKE, 0, 5, &fragment(16, 6, 2, 0, b"\0\x04pk,d")),
        // Under the epoch of the session, but not under its keys.
        record(ALERT, 1, 1 << 20, &[0x5a; 18]),
        record(HANDSHAKE, 1, 1 << 21, &[0x5a; 40]),
        record(DATA, 1, 1 << 22, &[0x5a; 64]),
        vec![0xff; 32],
    ]
}

fn record(kind: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short");
    let mut record = vec![kind, 0xfe, 0xfd];
    record.extend(epoch.to_be_bytes());
    record.extend(&sequence.to_be_bytes()[2..]);
    record.extend(length.to_be_bytes());
    record.extend(body);
    record
}

fn fragment(kind: u8, length: u32, number: u16, offset: u32, part: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(&length.to_be_bytes()[1..]);
    message.extend(number.to_be_bytes());
    message.extend(&offset.to_be_bytes()[1..]);
    message.extend(&u32::try_from(part.len()).expect("short").to_be_bytes()[1..]);
    message.extend(part);
    message
}
