//! What the machine asks for and tells.

use crate::lwm2m::check::Unfit;
use crate::lwm2m::message::{Code, Request, Response};
use crate::lwm2m::plan::{Placed, PlanError};
use crate::{RegistrationId, TenantId};

/// A peer on its carrier, a DTLS session for instance; the carrier's number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a number of the carrier's")]
pub struct PeerId(pub u64);

/// A request of a client; the carrier's number, the same for a request that is repeated.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a number of the carrier's")]
pub struct RequestId(pub u64);

/// A bootstrap of one client.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BootstrapId(pub(super) u64);

/// A request of ours to a client.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId(pub(super) u64);

/// A client: two tenants may have clients of the same endpoint name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "what names a client")]
pub struct Client {
    /// The tenant, found from the credential.
    pub tenant: TenantId,
    /// The endpoint name that the credential is bound to.
    pub endpoint: RegistrationId,
}

/// What [`Bootstraps`](super::Bootstraps) puts out.
#[derive(Debug)]
#[must_use = "an output left undone stalls its bootstrap"]
#[expect(
    clippy::exhaustive_enums,
    reason = "an output that is not handled would stall"
)]
pub enum Output {
    /// Find out what a client is to have; [`handle_configuration`](super::Bootstraps::handle_configuration) takes it.
    Configure {
        /// The bootstrap.
        bootstrap: BootstrapId,
        /// Whose it is.
        client: Client,
    },
    /// Answer a request of a client.
    Respond {
        /// The peer.
        peer: PeerId,
        /// The request.
        request: RequestId,
        /// The answer.
        response: Response,
    },
    /// Send a request to a client; [`handle_response`](super::Bootstraps::handle_response) or
    /// [`handle_failure`](super::Bootstraps::handle_failure) takes what comes of it.
    Send {
        /// The exchange.
        exchange: ExchangeId,
        /// The peer.
        peer: PeerId,
        /// The request.
        request: Request,
    },
    /// What comes of this exchange is of no interest any more.
    Cancel {
        /// The exchange.
        exchange: ExchangeId,
    },
    /// Something that needs no answer.
    Event(Event),
}

/// Something that happened. A bootstrap ends with exactly one of these.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The client took everything and accepted the end. That it is well is known only when it registers at its server.
    Finished {
        /// The bootstrap.
        bootstrap: BootstrapId,
        /// Whose it was.
        client: Client,
        /// Where the accounts are.
        placed: Vec<Placed>,
        /// The writes and deletes that it refused: none, unless the configuration is lenient.
        refused: Vec<(String, Code)>,
    },
    /// The client was given a pack. Whether it takes it is known only when it registers at its server; otherwise it comes again.
    Packed {
        /// The bootstrap.
        bootstrap: BootstrapId,
        /// Whose it was.
        client: Client,
        /// Where the accounts are.
        placed: Vec<Placed>,
    },
    /// It came to nothing.
    Failed {
        /// The bootstrap.
        bootstrap: BootstrapId,
        /// Whose it was.
        client: Client,
        /// Why.
        cause: Failure,
    },
    /// A client asked under an endpoint name that its credential is not bound to, and was refused.
    WrongEndpoint {
        /// Whose credential it was.
        client: Client,
        /// The name that it used.
        claimed: RegistrationId,
    },
}

/// Why a bootstrap came to nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// There is nothing that the client is to have, or it may not have it now.
    #[error("no configuration")]
    NoConfiguration,
    /// What the client is to have cannot be found out now.
    #[error("the configuration cannot be found out now")]
    Unavailable,
    /// What the client is to have is not fit to be sent.
    #[error("the configuration is not fit to be sent")]
    Unfit(#[from] Unfit),
    /// The accounts cannot be put where the client has room.
    #[error("no plan for what the client has")]
    Plan(#[from] PlanError),
    /// The client did not say what it has.
    #[error("the client answered {0} to Discover")]
    Discover(Code),
    /// What the client said was not to be understood.
    #[error("the client's answer is malformed")]
    Malformed,
    /// The client refused a write or a delete.
    #[error("the client answered {code} to {path}")]
    Refused {
        /// What was written or deleted.
        path: String,
        /// Its answer.
        code: Code,
    },
    /// The client does not have what was written.
    #[error("the client does not have what was written")]
    Unverified,
    /// The client does not accept its configuration.
    #[error("the client answered {0} to Finish")]
    Finish(Code),
    /// The client asked anew, which ends what was under way.
    #[error("the client began anew")]
    Cancelled,
    /// The client did not answer.
    #[error("no answer in time")]
    TimedOut,
    /// The client rejected a message, or cannot be reached.
    #[error("the client cannot be reached")]
    Unreachable,
}

/// Why there is no configuration for a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each of them has its answer")]
pub enum Missing {
    /// There is nothing that it is to have, or it may not have it. It is answered with 4.00, as one that nobody knows.
    Nothing,
    /// Not now: whoever knows is overloaded or cannot be asked. It is answered with 5.03 and when to come again.
    NotNow,
}

/// What became of a request that has no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TransportFailure {
    /// It was repeated as often as it may be.
    TimedOut,
    /// The peer sent a Reset, its session ended, or it cannot be reached.
    Unreachable,
}
