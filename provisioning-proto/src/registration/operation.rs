use std::net::IpAddr;

use bytes::Bytes;

use crate::SealedSecret;
use crate::allocation::HookCall;
use crate::directory::Principal;
use crate::roster::Proposal;

use super::{ExchangeId, OperationId};

/// One registration of one device, and everybody who waits for it.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) principal: Principal,
    pub(super) peer: Option<IpAddr>,
    pub(super) keyword: Option<String>,
    pub(super) fresh_secret: Option<SealedSecret>,
    pub(super) csr: Option<Bytes>,
    pub(super) certificate: Option<Bytes>,
    pub(super) waiters: Vec<Waiter>,
    /// How often it was decided anew because something had changed.
    pub(super) attempts: u8,
    /// What was asked for it.
    pub(super) exchanges: Vec<ExchangeId>,
    pub(super) stage: Stage,
}

/// One request that waits for the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) id: OperationId,
    pub(super) subscribed: bool,
}

/// How far an operation has come.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Nothing was asked yet.
    New,
    /// A function is asked.
    Deciding {
        exchange: ExchangeId,
        call: HookCall,
    },
    /// The decision is being stored.
    Proposing { proposal: Box<Proposal> },
    /// The target is told, and the issuer asked.
    Preparing {
        /// The generation that the device is told.
        generation: u64,
        /// Whether the device has the assignment already, so that there is nothing to commit.
        returning: bool,
        waiting: Waiting,
    },
    /// What the device will be told is being stored.
    Storing { generation: u64, returning: bool },
}

/// Whose answer is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) target: bool,
    pub(super) issuer: bool,
}

impl Operation {
    /// The generation of the assignment that was proposed and has not become the device's.
    pub(super) fn proposed(&self) -> Option<u64> {
        match &self.stage {
            Stage::New | Stage::Deciding { .. } => None,
            Stage::Proposing { proposal } => Some(proposal.based_on.saturating_add(1)),
            Stage::Preparing {
                generation,
                returning,
                ..
            }
            | Stage::Storing {
                generation,
                returning,
            } => (!returning).then_some(*generation),
        }
    }
}
