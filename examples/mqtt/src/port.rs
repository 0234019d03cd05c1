//! What the door asks of provisioning.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use provisioning_proto::mqtt::DownPayload;
use provisioning_proto::mqtt::session::Credentials;

/// Why a device is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a device can be told no more")]
pub enum Refused {
    /// It is not who it says; unknown and disabled look the same.
    Credentials,
    /// It could not be judged.
    Unavailable,
}

/// Provisioning, as devices that speak MQTT need it.
pub trait Port: Clone + Send + Sync + 'static {
    /// A device that proved who it is.
    type Principal: Clone + Send + Sync + 'static;

    /// Judges credentials; `chain` is the client certificate and those above it, whose key the device has shown to hold.
    fn authenticate(
        &self,
        credentials: Credentials,
        chain: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<Self::Principal, Refused>> + Send;

    /// Names a device among those of all tenants.
    fn name(principal: &Self::Principal) -> String;

    /// Finds out where a device belongs, or says why it is not told.
    fn register(
        &self,
        principal: Self::Principal,
        payload: Vec<u8>,
        peer: IpAddr,
    ) -> impl Future<Output = (Outcome, DownPayload)> + Send;
}

/// What a device was told, as a word for figures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a device can be told no more")]
pub enum Outcome {
    /// Its address.
    Assigned,
    /// That there is none for it.
    Refused,
}

impl Outcome {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Refused => "refused",
        }
    }
}

/// Where a door says what it counts; every text is a word of this crate.
pub trait Figures: Send + Sync + 'static {
    /// A connection ended, or was not taken.
    fn ended(&self, cause: &'static str);

    /// A device that asked where it belongs was answered.
    fn answered(&self, outcome: &'static str, took: Duration);
}
