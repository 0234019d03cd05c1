//! What the door asks of provisioning.

use std::future::Future;
use std::net::IpAddr;

use provisioning_proto::mqtt::DownPayload;
use provisioning_proto::mqtt::session::Credentials;

/// Why a device is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// It is not who it says; unknown and disabled look the same.
    Credentials,
    /// It could not be judged.
    Unavailable,
}

/// Provisioning, as devices that speak MQTT need it.
pub(crate) trait Port: Clone + Send + Sync + 'static {
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
pub(crate) enum Outcome {
    Assigned,
    Refused,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Refused => "refused",
        }
    }
}
