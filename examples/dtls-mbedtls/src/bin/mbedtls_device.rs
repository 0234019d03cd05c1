//! A device on Mbed TLS that asks a CoAP server something, and asks again from another port, as if a NAT had forgotten it.
//!
//! ```sh
//! cargo run -- 127.0.0.1:5684 pk,dk,2,60 30313233343536373839616263646566 c0a8 40010001b36f69630164 40010002b36f69630164
//! ```
//!
//! The key, the number of the cipher suite and the requests are in hexadecimal digits. It prints the port
//! before each answer, and whether the request went with a connection id.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program to look at"
)]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant as Clock};

use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent, SessionId};
use coap_psk::{CipherSuite, Instant, PskKey};
use dtls_mbedtls::{Limits, Mbedtls, MbedtlsEndpoint};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long a handshake and each answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(20);
/// The content type of records with a connection id. (RFC 9146, 4)
const TLS12_CID: u8 = 25;

struct Device {
    endpoint: MbedtlsEndpoint,
    socket: UdpSocket,
    start: Clock,
    /// The content type of what was sent last.
    content: u8,
}

impl Device {
    fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.start.elapsed())
    }

    /// Sends and receives until an event is the one.
    fn until<T>(&mut self, wanted: impl Fn(&DtlsEvent) -> Option<T>) -> Result<T> {
        let began = Clock::now();
        let mut buffer = [0; 2_048];
        while began.elapsed() < PATIENCE {
            while let Some(out) = self.endpoint.poll_transmit() {
                self.content = out.datagram.first().copied().unwrap_or_default();
                self.socket.send_to(&out.datagram, out.to)?;
            }
            while let Some(event) = self.endpoint.poll_event() {
                if let Some(found) = wanted(&event) {
                    return Ok(found);
                }
                if let DtlsEvent::Closed { reason, .. } = event {
                    return Err(format!("closed: {reason:?}").into());
                }
            }
            if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
                let now = self.now();
                let datagram = buffer.get(..len).unwrap_or_default();
                self.endpoint.handle_datagram(from, datagram, now);
            }
            let now = self.now();
            self.endpoint.handle_timeout(now);
        }
        Err("no answer".into())
    }

    /// The acknowledgement of a request.
    fn ask(&mut self, session: SessionId, request: &[u8]) -> Result<Vec<u8>> {
        let now = self.now();
        self.endpoint.send(session, request, now)?;
        let message_id = request.get(2..4);
        self.until(|event| match event {
            DtlsEvent::Data { data, .. } if data.get(2..4) == message_id => Some(data.clone()),
            _ => None,
        })
    }
}

fn socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(GLANCE))?;
    Ok(socket)
}

fn bytes(digits: &str) -> Result<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let texts = pairs.map(std::str::from_utf8);
    texts
        .map(|text| Ok(u8::from_str_radix(text?, 16)?))
        .collect()
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, identity, key, suite, requests @ ..] = arguments.as_slice() else {
        return Err("the arguments are: ADDRESS IDENTITY KEY SUITE REQUEST..".into());
    };
    let to: SocketAddr = address.parse()?;
    let key = PskKey::new(u128::from_str_radix(key, 16)?.to_be_bytes());
    let suite = CipherSuite::try_from(u16::from_str_radix(suite, 16)?)?;
    // The server's id goes with what it is sent; what comes from the server needs none.
    let engine = Mbedtls::new(&[suite], Some(b""))?;
    let mut device = Device {
        endpoint: MbedtlsEndpoint::new(Limits::default(), engine),
        socket: socket()?,
        start: Clock::now(),
        content: 0,
    };
    let now = device.now();
    let session = device.endpoint.connect(to, identity.as_bytes(), key, now)?;
    device.until(|event| matches!(event, DtlsEvent::Established { .. }).then_some(()))?;
    for (nth, request) in requests.iter().enumerate() {
        if nth > 0 {
            device.socket = socket()?;
        }
        let answer = device.ask(session, &bytes(request)?)?;
        let port = device.socket.local_addr()?.port();
        let digits: String = answer.iter().map(|byte| format!("{byte:02x}")).collect();
        let with = if device.content == TLS12_CID {
            "with"
        } else {
            "without"
        };
        println!("port {port}, {with} an id: {digits}");
    }
    let now = device.now();
    device.endpoint.close(session, now);
    while let Some(out) = device.endpoint.poll_transmit() {
        device.socket.send_to(&out.datagram, out.to)?;
    }
    Ok(())
}
