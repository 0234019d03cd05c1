//! A device that asks over MQTT 3.1.1 and TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use coap_psk::DeviceKey;
use mqtt_proto::v3::{Connect, ConnectReturnCode, Packet, Publish, Subscribe};
use mqtt_proto::{Pid, QoS, QosPid, TopicFilter, TopicName};
use provisioning_proto::mqtt::{ClientId, ClientIdForm, Mac, SignatureType, Timestamp, Topics};
use provisioning_proto::{RegistrationId, ScopeId, Secret};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::Told;
use crate::error::Error;

const KEEP_ALIVE: u16 = 120;
/// The longest answer that is read, with an initial configuration of the greatest length that is escaped.
const MAX_PACKET: usize = 512 * 1024;

/// The answer on `bootstrap/down`.
#[derive(Deserialize)]
struct Down {
    address: Option<String>,
    #[serde(rename = "deviceSecret")]
    device_secret: Option<Zeroizing<String>>,
    #[serde(rename = "initConfig")]
    init_config: Option<String>,
    error_code: Option<String>,
}

/// What this maker's devices find in the initial configuration.
#[derive(Deserialize)]
struct InitConfig {
    product_key: String,
}

/// A connection to the server.
#[derive(Debug)]
pub(super) struct Session {
    stream: TlsStream<TcpStream>,
    /// What is read holds a secret.
    read: Zeroizing<Vec<u8>>,
}

/// Connects, and lets only a server pass that has a certificate of this authority.
pub(super) async fn open(host: &str, port: u16, ca: &Path) -> Result<Session, Error> {
    let unusable = |cause| Error::new(format!("cannot use {}", ca.display()), cause);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(unusable)? {
        let added = roots.add(certificate.map_err(unusable)?);
        added.map_err(|cause| Error::new(format!("{} is no usable root", ca.display()), cause))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new("TLS cannot be set up", cause))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|cause| Error::new(format!("{host} is no name of a server"), cause))?;
    let failed = |cause| Error::new(format!("cannot connect to {host}:{port}"), cause);
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream);
    Ok(Session {
        stream: stream.await.map_err(failed)?,
        read: Zeroizing::new(Vec::new()),
    })
}

/// Asks as the vendor's clients do: CONNECT, SUBSCRIBE, PUBLISH of nothing, and the answer comes as a message.
pub(super) async fn ask(
    mut session: Session,
    device: &DeviceKey,
    scope: Option<ScopeId>,
    secret: &str,
) -> Result<Told, Error> {
    let id: RegistrationId = device
        .as_str()
        .parse()
        .map_err(|cause| Error::new("the device has no usable id", cause))?;
    session.connect(&id, scope, secret).await?;
    let topics = Topics::new(&id);
    let unusable = |cause| Error::new("not a topic", cause);
    let filter = TopicFilter::try_from(topics.down().as_str()).map_err(unusable)?;
    let subscribe = Subscribe::new(Pid::default(), vec![(filter, QoS::Level0)]);
    session.send(&Packet::Subscribe(subscribe)).await?;
    let up = TopicName::try_from(topics.up().as_str()).map_err(unusable)?;
    let publish = Publish::new(QosPid::Level1(Pid::default()), up, Vec::new().into());
    session.send(&Packet::Publish(publish)).await?;
    loop {
        if let Packet::Publish(message) = session.receive().await? {
            session.send(&Packet::Disconnect).await?;
            return told(device, secret, &message.payload);
        }
    }
}

fn told(device: &DeviceKey, secret: &str, payload: &[u8]) -> Result<Told, Error> {
    // The causes would quote the answer, which holds a secret.
    let down: Down = serde_json::from_slice(payload)
        .map_err(|_| Error::plain("the device was told something that it does not understand"))?;
    let Some(address) = down.address else {
        let code = down.error_code.unwrap_or_default();
        return Err(Error::plain(format!("the device belongs nowhere: {code}")));
    };
    let config = down.init_config.as_deref().unwrap_or_default();
    let config: InitConfig = serde_json::from_str(config)
        .map_err(|_| Error::plain("the initial configuration names no product_key"))?;
    Ok(Told {
        cloud: address
            .parse()
            .map_err(|cause| Error::new(format!("{address} is no address"), cause))?,
        product_key: config.product_key,
        device_key: device.to_string(),
        lifetime: None,
        // A device that was registered with a secret of its own keeps that.
        device_secret: Some(
            down.device_secret
                .unwrap_or_else(|| secret.to_owned().into()),
        ),
        key: None,
        initial_config: down.init_config,
    })
}

impl Session {
    async fn connect(
        &mut self,
        id: &RegistrationId,
        scope: Option<ScopeId>,
        secret: &str,
    ) -> Result<(), Error> {
        let timestamp = Timestamp::at(now()).ok_or_else(|| Error::plain("it is no time yet"))?;
        let signature = SignatureType::Sha256Timed;
        let secret = Secret::new(secret).map_err(|cause| Error::new("no usable secret", cause))?;
        let password = Mac::sign(signature, &timestamp, &secret).to_hex();
        let form = ClientIdForm::Signed {
            scope,
            signature,
            timestamp,
        };
        let client_id = ClientId::new(id.clone(), form)
            .map_err(|cause| Error::new("the device has no usable id", cause))?;
        let mut connect = Connect::new(client_id.to_string().into(), KEEP_ALIVE);
        connect.username = Some(id.as_str().into());
        connect.password = Some(password.as_bytes().to_vec().into());
        self.send(&Packet::Connect(connect)).await?;
        match self.receive().await? {
            Packet::Connack(answer) if answer.code == ConnectReturnCode::Accepted => Ok(()),
            Packet::Connack(answer) => {
                let code = answer.code as u8;
                Err(Error::plain(format!(
                    "the device is refused with CONNACK {code}"
                )))
            }
            _ => Err(Error::plain("the server does not speak MQTT")),
        }
    }

    async fn send(&mut self, packet: &Packet) -> Result<(), Error> {
        let failed = |cause| Error::new("the server ended the connection", cause);
        let bytes = packet
            .encode()
            .map_err(|cause| Error::new("a packet cannot be written", cause))?;
        self.stream
            .write_all(bytes.as_ref())
            .await
            .map_err(failed)?;
        self.stream.flush().await.map_err(failed)
    }

    async fn receive(&mut self) -> Result<Packet, Error> {
        loop {
            let packet = mqtt_bootstrap::packet::read(&self.read, MAX_PACKET)
                .map_err(|_| Error::plain("the server does not speak MQTT 3.1.1"))?;
            if let Some((packet, length)) = packet {
                self.read.drain(..length);
                return Ok(packet);
            }
            let read = self.stream.read_buf(&mut *self.read).await;
            match read {
                Ok(0) => return Err(Error::plain("the server ended the connection")),
                Ok(_) => {}
                Err(cause) => return Err(Error::new("the connection broke", cause)),
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a password is signed with the hour"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
