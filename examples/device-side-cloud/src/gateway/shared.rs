//! What the gateway's task and those of the sessions have in common.

use std::fmt;
use std::time::Duration;

use coap_psk::dtls::SessionId;
use coap_psk::message::Code;
use coap_psk::{ExchangeId, Response};
use tokio::sync::mpsc;
use tracing::{info, warn};
use uci_model::DeviceId;
use uci_server_core::driver::Handle as Cloud;
use uci_server_core::{AccountId, DeviceReport, Occurrence};

use super::Calls;
use super::exchanges::Exchanges;
use crate::products::{Failure, Products};

/// After how many seconds what could not be made durable is tried again, and a device may ask again.
const AGAIN_SECONDS: u32 = 5;
/// The same as a duration.
pub(super) const AGAIN: Duration = Duration::from_secs(AGAIN_SECONDS as u64);

/// A device and in whose hands it is, in the words of the cloud core.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) generation: u64,
}

/// A part of everything that the gateway has.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) products: Products,
    pub(super) cloud: Cloud,
    pub(super) calls: Calls,
    pub(super) exchanges: Exchanges,
    /// Said by session tasks when they know which device they carry.
    pub(super) identified: mpsc::Sender<(SessionId, DeviceId)>,
    /// Devices that count as online and may not be.
    pub(super) overdue: mpsc::Sender<Known>,
    /// How long a device may take to publish a device id of its own.
    pub(super) registration_grace: Duration,
}

impl Shared {
    /// Tells the cloud core what a device did.
    pub(super) async fn tell(
        &self,
        known: &Known,
        occurrence: Occurrence,
    ) -> Result<(), uci_server_core::Error> {
        let account = known.account.clone();
        let report = DeviceReport::new(account, known.device, known.generation, occurrence);
        self.cloud.report(report).await
    }

    /// Has the gateway see after a while whether a device came back.
    pub(super) fn expect(&self, known: Known, after: Duration) {
        let overdue = self.overdue.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // The gateway may have ended.
            drop(overdue.send(known).await);
        });
    }

    /// Answers a device, without waiting for it.
    pub(super) fn respond(&self, exchange: ExchangeId, response: Response) {
        let calls = self.calls.clone();
        tokio::spawn(async move {
            let answered = calls
                .call(exchange, move |endpoint, now| {
                    endpoint.respond(exchange, response, now)
                })
                .await;
            if let Some(Err(error)) = answered {
                warn!(?exchange, %error, "an answer could not be sent");
            }
        });
    }

    /// Closes a session, without waiting for it.
    pub(super) fn close(&self, session: SessionId) {
        let calls = self.calls.clone();
        tokio::spawn(async move {
            calls
                .call(session, move |endpoint, now| endpoint.close(session, now))
                .await;
        });
    }
}

/// What a device is answered when nothing came of what it wanted.
pub(super) fn refusal(failure: Failure, wanted: impl fmt::Display) -> Response {
    match failure {
        Failure::Refused(error) => {
            info!(%wanted, error = error.chain(), "refused");
            Response::new(Code::FORBIDDEN)
        }
        Failure::Unavailable(error) => {
            warn!(%wanted, error = error.chain(), "not possible at the moment");
            unavailable()
        }
    }
}

/// The device is to come again.
pub(super) fn unavailable() -> Response {
    Response::new(Code::SERVICE_UNAVAILABLE).with_max_age(AGAIN_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_refusal_is_final_and_trouble_says_when_to_come_again() {
        let answer = |failure: fn(Error) -> Failure| {
            let response = refusal(failure(Error::plain("why")), "something");
            (response.code, response.max_age)
        };
        assert_eq!(answer(Failure::Refused), (Code::FORBIDDEN, None));
        let again = (Code::SERVICE_UNAVAILABLE, Some(AGAIN_SECONDS));
        assert_eq!(answer(Failure::Unavailable), again);
    }
}
