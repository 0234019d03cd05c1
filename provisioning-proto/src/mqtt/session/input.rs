use std::fmt;

/// What of a CONNECT packet (MQTT 3.1.1, 3.1) is looked at.
#[derive(Clone)]
#[non_exhaustive]
pub struct Connect<'a> {
    /// The protocol level; 4 for MQTT 3.1.1.
    pub level: u8,
    /// The client id.
    pub client_id: &'a str,
    /// The user name.
    pub user_name: Option<&'a str>,
    /// The password.
    pub password: Option<&'a [u8]>,
    /// Keep alive, in seconds.
    pub keep_alive: u16,
    /// Whether there is a will.
    pub has_will: bool,
    /// Whether the TLS connection below it has a client certificate.
    pub has_certificate: bool,
}

impl<'a> Connect<'a> {
    /// A CONNECT of MQTT 3.1.1 without user name, password, keep-alive, will and certificate.
    #[must_use]
    pub fn new(client_id: &'a str) -> Self {
        Self {
            level: 4,
            client_id,
            user_name: None,
            password: None,
            keep_alive: 0,
            has_will: false,
            has_certificate: false,
        }
    }
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("level", &self.level)
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("password", &self.password.map(|_| ".."))
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}

/// A PUBLISH packet (MQTT 3.1.1, 3.3).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Publish<'a> {
    /// The topic name.
    pub topic: &'a str,
    /// How it is acknowledged.
    pub qos: QoS,
    /// Whether the device says that it sent the packet before.
    pub duplicate: bool,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// A PUBLISH that was not sent before.
    #[must_use]
    pub fn new(topic: &'a str, qos: QoS, payload: &'a [u8]) -> Self {
        Self {
            topic,
            qos,
            duplicate: false,
            payload,
        }
    }
}

/// The quality of service of a [`Publish`], with the packet id where there is one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "MQTT 3.1.1 has these three")]
pub enum QoS {
    /// 0.
    AtMostOnce,
    /// 1.
    AtLeastOnce(u16),
    /// 2.
    ExactlyOnce(u16),
}

/// What came of judging credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the device cannot be told anything else"
)]
pub enum Authentication {
    /// The device is who it says.
    Accepted,
    /// It is not, or it is unknown or disabled: to the device, all the same.
    Refused,
    /// It could not be judged.
    Unavailable,
}
