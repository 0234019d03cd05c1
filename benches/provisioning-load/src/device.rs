//! One device and one try.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use example_support::Error;
use provisioning_proto::RegistrationId;
use provisioning_proto::mqtt::{
    ClientId, ClientIdForm, Derivation, Mac, SignatureType, Timestamp, Topics,
};
use provisioning_proto::{ScopeId, Secret};
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::arguments::Group;
use crate::packet::{self, Packet};

/// How long the vendor's program waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may take to be made: the server holds back who comes too often.
const CONNECTING: Duration = Duration::from_secs(30);

/// Where devices ask.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) name: ServerName<'static>,
    pub(crate) tls: TlsConnector,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It was told where it belongs.
    Assigned,
    /// It was told that it cannot be told.
    Refused,
    /// CONNACK with this return code.
    NotConnected(u8),
    /// No connection, or one that broke, or no answer.
    Nothing,
}

/// A device.
pub(crate) struct Device {
    id: RegistrationId,
    scope: ScopeId,
    secret: Secret,
    address: Ipv4Addr,
}

impl Device {
    /// The device of this number in its group; `good` has the secret that follows from the group's.
    ///
    /// # Errors
    /// None is expected: ids are letters, digits and a hyphen.
    pub(crate) fn new(
        group: &Group,
        kind: &str,
        number: u32,
        place: u32,
        good: bool,
    ) -> Result<Self, Error> {
        let id: RegistrationId = format!("{kind}-{number:06}")
            .parse()
            .map_err(|cause| Error::new("a device's id", cause))?;
        let secret = if good {
            Derivation::default().derive(&group.secret, &id)
        } else {
            Secret::new(b"not the secret of any device here".to_vec())
                .map_err(|cause| Error::new("a device's secret", cause))?
        };
        let [_, b, c, d] = place.to_be_bytes();
        Ok(Self {
            id,
            scope: group.scope.clone(),
            secret,
            // 127.0.0.0 and its neighbors are left out.
            address: Ipv4Addr::new(127, b.saturating_add(1), c, d.max(1)),
        })
    }

    /// Asks once.
    pub(crate) async fn ask(&self, server: &Arc<Server>) -> Outcome {
        self.connected(server).await.unwrap_or(Outcome::Nothing)
    }

    async fn connected(&self, server: &Server) -> io::Result<Outcome> {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(IpAddr::V4(self.address), 0))?;
            let stream = socket.connect(server.address).await?;
            stream.set_nodelay(true)?;
            server.tls.connect(server.name.clone(), stream).await
        };
        let mut stream = timeout(CONNECTING, connect).await??;
        let answer = timeout(CONNECTING, self.log_in(&mut stream)).await??;
        if answer != 0 {
            return Ok(Outcome::NotConnected(answer));
        }
        let topics = Topics::new(&self.id);
        stream.write_all(&packet::subscribe(&topics.down())).await?;
        stream.write_all(&packet::publish(&topics.up())).await?;
        let answer = timeout(PATIENCE, async {
            loop {
                match packet::read(&mut stream).await? {
                    Packet::Published(payload) => return io::Result::Ok(payload),
                    Packet::Subscribed(0x80) => return Err(io::ErrorKind::PermissionDenied.into()),
                    _ => {}
                }
            }
        });
        let payload = answer.await??;
        stream.write_all(&packet::DISCONNECT).await?;
        let named = payload.windows(9).any(|part| part == b"\"address\"");
        Ok(if named {
            Outcome::Assigned
        } else {
            Outcome::Refused
        })
    }

    async fn log_in(
        &self,
        stream: &mut tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
    ) -> io::Result<u8> {
        #[allow(clippy::disallowed_methods, reason = "a program has a clock")]
        let wall = std::time::SystemTime::now();
        let timestamp = Timestamp::at(wall).ok_or(io::ErrorKind::InvalidInput)?;
        let signature = SignatureType::Sha256Timed;
        let mac = Mac::sign(signature, &timestamp, &self.secret);
        let form = ClientIdForm::Signed {
            scope: Some(self.scope.clone()),
            signature,
            timestamp,
        };
        let client_id = ClientId::new(self.id.clone(), form).map_err(io::Error::other)?;
        let connect = packet::connect(&client_id.to_string(), self.id.as_str(), &mac.to_hex());
        stream.write_all(&connect).await?;
        match packet::read(stream).await? {
            Packet::Connected(code) => Ok(code),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
