//! What becomes of datagrams when more come than an endpoint can take.
//!
//! The system drops what its buffer has no room for, whoever sent it. So that it seldom comes to that, a socket that has had much
//! to read for a while is read as quickly as can be: what is for a session or a handshake here is taken, and of what is expendable
//! only so much that reading it does not wait for it. Nearly all of that anybody can send, in anybody's name; a device whose
//! ClientHello is dropped repeats it.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::desk::Desk;
use super::handle_datagram;
use crate::dtls::DtlsEndpoint;
use crate::endpoint::Endpoint;
use crate::time::Instant;

/// How many batches may be full one after another: a burst, such as of devices that all come back at the same time.
const BURST: u32 = 8;
/// How many expendable datagrams are taken of a batch after that.
const EXPENDABLE: usize = 12;

/// How much there was to read lately.
#[derive(Default)]
pub(super) struct Pressure {
    full_batches: u32,
}

impl Pressure {
    /// Notes a batch; whether the endpoint is behind.
    pub(super) const fn note(&mut self, is_full: bool) -> bool {
        self.full_batches = if is_full {
            self.full_batches.saturating_add(1)
        } else {
            0
        };
        self.full_batches > BURST
    }
}

/// Takes a batch of an endpoint that is behind.
pub(super) fn handle_datagrams<'a, D: DtlsEndpoint>(
    endpoint: &mut Endpoint<D>,
    desk: Option<&Desk>,
    datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
    now: Instant,
) {
    let mut expendable = Vec::with_capacity(EXPENDABLE);
    for (from, datagram) in datagrams {
        if !endpoint.is_expendable(from, datagram, now) {
            handle_datagram(endpoint, desk, from, datagram, now);
        } else if expendable.len() < EXPENDABLE {
            expendable.push((from, datagram));
        } else {
            endpoint.handle_overload();
        }
    }
    for (from, datagram) in expendable {
        handle_datagram(endpoint, desk, from, datagram, now);
    }
}

#[cfg(test)]
#[cfg(feature = "psk-dtls")]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::dtls::psk::{PskConfig, PskEndpoint};
    use crate::output::Output;
    use crate::secret::PskKey;

    const NOW: Instant = Instant::ZERO;
    const CLOUD: ([u8; 4], u16) = ([192, 0, 2, 1], 5684);
    const DEVICE: ([u8; 4], u16) = ([192, 0, 2, 2], 40_000);

    fn endpoint(seed: u8) -> Endpoint<PskEndpoint> {
        let dtls = PskEndpoint::new(PskConfig::default(), [seed; 32]);
        Endpoint::new(Config::default(), dtls, [seed; 32])
    }

    /// A device that begins a handshake, and what it says.
    fn device() -> (Endpoint<PskEndpoint>, Vec<u8>) {
        let mut device = endpoint(2);
        let identity = "product,device,2,60".parse().unwrap();
        device
            .connect(CLOUD.into(), &identity, PskKey::new([7; 16]), NOW)
            .unwrap();
        let said = sent(&mut device).remove(0);
        (device, said)
    }

    /// What an endpoint sends; a key that it asks for it gets.
    fn sent(endpoint: &mut Endpoint<PskEndpoint>) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(transmit.datagram),
                Output::KeyWanted { handshake, .. } => {
                    endpoint.provide_key(handshake, Some(PskKey::new([7; 16])), NOW);
                }
                Output::Request { .. } | Output::Event(_) => {}
            }
        }
        sent
    }

    #[test]
    fn a_burst_is_no_pressure() {
        let mut pressure = Pressure::default();
        let noted = [true; 10].map(|is_full| pressure.note(is_full));
        assert_eq!(noted, core::array::from_fn(|at| at >= 8));
        assert!(!pressure.note(false) && !pressure.note(true));
    }

    /// A device with a session at the cloud, and what it said first.
    fn session(cloud: &mut Endpoint<PskEndpoint>) -> (Endpoint<PskEndpoint>, Vec<u8>) {
        let (mut device, hello) = device();
        let mut said = hello.clone();
        // Hello, hello with a cookie, the rest: of each flight the cloud sees one datagram.
        for _ in 0..3 {
            cloud.handle_datagram(DEVICE.into(), &said, NOW);
            for answer in sent(cloud) {
                device.handle_datagram(CLOUD.into(), &answer, NOW);
            }
            said = sent(&mut device).pop().unwrap_or_default();
        }
        assert_eq!(cloud.sessions(), 1);
        (device, hello)
    }

    #[test]
    fn of_a_batch_so_many_strangers_are_taken_and_everybody_who_is_known() {
        let mut cloud = endpoint(1);
        let (mut device, hello) = session(&mut cloud);
        device.close_all(NOW);
        let farewell = sent(&mut device).remove(0);
        let at = DEVICE.into();
        assert!(!cloud.is_expendable(at, &farewell, NOW));
        assert!(cloud.is_expendable(at, &hello, NOW), "anybody can say that");

        let strangers = (0..40).map(|port| (([198, 51, 100, 1], port).into(), &hello[..]));
        let elsewhere = core::iter::once((([198, 51, 100, 2], 1).into(), &farewell[..]));
        let batch = strangers.chain(elsewhere).chain([(at, &farewell[..])]);
        handle_datagrams(&mut cloud, None, batch, NOW);
        assert_eq!(cloud.sessions(), 0, "it was heard behind all strangers");
        assert_eq!(
            sent(&mut cloud).len(),
            EXPENDABLE + 1,
            "and its alert answered"
        );
        let dropped = u64::try_from(41 - EXPENDABLE).unwrap();
        assert_eq!(cloud.counters().overload_dropped, dropped);
    }

    #[test]
    fn a_session_that_has_sent_as_much_as_it_may_is_expendable() {
        let mut config = Config::default();
        config.limits.messages = crate::limit::Rate::new(1, core::time::Duration::from_secs(1));
        let dtls = PskEndpoint::new(PskConfig::default(), [1; 32]);
        let mut cloud = Endpoint::new(config, dtls, [1; 32]);
        let (mut device, _) = session(&mut cloud);
        // An Empty message in a record of its own.
        let mut ping = || {
            let ids = crate::dtls::SessionId(0);
            let said = device.with_engine(|engine| engine.send(ids, &[0x40, 0, 0, 1], NOW), NOW);
            said.unwrap();
            sent(&mut device).remove(0)
        };
        let (first, second) = (ping(), ping());
        let at = DEVICE.into();
        assert!(!cloud.is_expendable(at, &first, NOW));
        cloud.handle_datagram(at, &first, NOW);
        assert!(cloud.is_expendable(at, &second, NOW));
        let later = NOW.saturating_add(core::time::Duration::from_secs(1));
        assert!(!cloud.is_expendable(at, &second, later));
    }
}
