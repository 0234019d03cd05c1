//! One UDP socket with as many addresses as there are devices.

use std::future;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use coap_psk::Instant;
use coap_psk::dtls::Transmit;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant as Moment, sleep, sleep_until};

use crate::fleet::Fleet;

/// What the system may put together from several datagrams is not longer.
const BUFFER_LEN: usize = 65_536;
/// What the socket may hold for a process that is busy; the system may allow less.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// How many sessions are ended at a time, and the pause until the next ones are: a server's socket holds some hundred datagrams.
const LEAVING: (usize, Duration) = (64, Duration::from_millis(2));

/// A UDP socket that sends from any address of 127.0.0.0/8, and knows which of them a datagram came to.
#[derive(Debug)]
pub struct Wire {
    socket: UdpSocket,
    state: UdpSocketState,
    cloud: SocketAddr,
    port: u16,
    start: Moment,
    buffer: Vec<u8>,
}

impl Wire {
    /// Opens a socket towards a cloud on loopback.
    ///
    /// # Errors
    /// The cloud is not on 127.0.0.0/8, or the system gives no socket.
    pub async fn open(cloud: SocketAddr) -> io::Result<Self> {
        if !matches!(cloud.ip(), IpAddr::V4(address) if address.is_loopback()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only within 127.0.0.0/8 has one machine an address for each device",
            ));
        }
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let options = SockRef::from(&socket);
        options.set_recv_buffer_size(SOCKET_BUFFER)?;
        options.set_send_buffer_size(SOCKET_BUFFER)?;
        Self::over(socket, cloud)
    }

    /// The socket once more, for somebody else who sends from the addresses of these devices.
    ///
    /// # Errors
    /// The system gives none.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    /// A wire over such a [`duplicate`](Self::duplicate), in another runtime. What arrives goes to either.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn on(duplicate: OwnedFd, cloud: SocketAddr) -> io::Result<Self> {
        Self::over(UdpSocket::from_std(duplicate.into())?, cloud)
    }

    fn over(socket: UdpSocket, cloud: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            state: UdpSocketState::new((&socket).into())?,
            port: socket.local_addr()?.port(),
            socket,
            cloud,
            start: Moment::now(),
            buffer: vec![0; BUFFER_LEN.saturating_mul(BATCH_SIZE)],
        })
    }

    /// The port that all devices send from.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The time since the socket was opened, on the clock that its fleet goes by.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.start.elapsed())
    }

    /// Carries the datagrams of a fleet until it is settled, or until this moment.
    ///
    /// # Errors
    /// The socket cannot be read. What cannot be sent is as good as lost on the way.
    pub async fn drive(&mut self, fleet: &mut Fleet, until: Instant) -> io::Result<()> {
        loop {
            let now = self.now();
            fleet.handle_timeout(now);
            self.send_all(fleet).await;
            if fleet.is_settled() || now >= until {
                return Ok(());
            }
            let wake = fleet.next_deadline().map_or(until, |at| at.min(until));
            let wake = self
                .start
                .checked_add(Duration::from_micros(wake.as_micros()));
            let asleep = async {
                match wake {
                    Some(wake) => sleep_until(wake).await,
                    None => future::pending().await,
                }
            };
            let start = self.start;
            tokio::select! {
                biased;
                received = self.receive(|device, datagram| {
                    let now = Instant::ZERO.saturating_add(start.elapsed());
                    fleet.handle_datagram(device, datagram, now);
                }) => received?,
                () = asleep => {}
            }
        }
    }

    /// Ends the sessions of a fleet, not all at a stroke.
    pub async fn leave(&mut self, fleet: &mut Fleet) {
        let (at_a_time, pause) = LEAVING;
        loop {
            let left = fleet.leave(at_a_time, self.now());
            self.send_all(fleet).await;
            if left == 0 {
                return;
            }
            sleep(pause).await;
        }
    }

    /// Sends a datagram to the cloud from the address of a device; one that cannot be sent is lost.
    pub async fn send(&self, device: SocketAddr, datagram: &[u8]) {
        let transmit = quinn_udp::Transmit {
            destination: self.cloud,
            ecn: None,
            contents: datagram,
            segment_size: None,
            src_ip: Some(device.ip()),
        };
        let send = || self.state.try_send((&self.socket).into(), &transmit);
        let _ = self.socket.async_io(Interest::WRITABLE, send).await;
    }

    /// Waits for datagrams of the cloud, and hands over each with the address of the device that it came to.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub async fn receive(&mut self, mut each: impl FnMut(SocketAddr, &[u8])) -> io::Result<()> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let count = {
            let mut rest = self.buffer.chunks_mut(BUFFER_LEN);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(rest.next().unwrap_or_default()));
            let receive = || {
                self.state
                    .recv((&self.socket).into(), &mut slices, &mut metas)
            };
            self.socket.async_io(Interest::READABLE, receive).await?
        };
        let received = metas.iter().zip(self.buffer.chunks(BUFFER_LEN)).take(count);
        for (meta, buffer) in received {
            let (Some(device), Some(bytes)) = (meta.dst_ip, buffer.get(..meta.len)) else {
                continue;
            };
            for datagram in bytes.chunks(meta.stride.max(1)) {
                each((device, self.port).into(), datagram);
            }
        }
        Ok(())
    }

    async fn send_all(&self, fleet: &mut Fleet) {
        while let Some(Transmit { to, datagram }) = fleet.poll_transmit() {
            self.send(to, &datagram).await;
        }
    }
}
