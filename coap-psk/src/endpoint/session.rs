//! What an endpoint keeps of one session.

use core::net::SocketAddr;

use crate::config::Config;
use crate::dtls::SessionId;
use crate::exchange::{Action, Exchanges};
use crate::identity::PskIdentity;
use crate::limit::Allowance;
use crate::output::{Event, ExchangeId, Output};
use crate::time::Instant;

/// How a session came about, which says what may happen on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// We are the device.
    Initiated,
    /// A device with its own secret.
    Accepted,
    /// A device with its product's secret.
    Activation,
}

pub(super) struct Session {
    pub(super) identity: PskIdentity,
    pub(super) role: Role,
    pub(super) peer: SocketAddr,
    pub(super) exchanges: Exchanges,
    /// How many messages it may still send.
    pub(super) allowance: Allowance,
    /// When the session is closed whatever happens.
    pub(super) closes: Option<Instant>,
    /// Its place in the endpoint's order of deadlines.
    pub(super) deadline: Option<Instant>,
    /// Since when its device is offline for its silence: its place among the sessions that may give way.
    pub(super) silent: Option<Instant>,
    /// Its place among the sessions that remember answered messages.
    pub(super) oldest_answered: Option<Instant>,
}

impl Session {
    pub(super) const fn new(
        identity: PskIdentity,
        role: Role,
        peer: SocketAddr,
        exchanges: Exchanges,
    ) -> Self {
        Self {
            identity,
            role,
            peer,
            exchanges,
            allowance: Allowance::WHOLE,
            closes: None,
            deadline: None,
            silent: None,
            oldest_answered: None,
        }
    }

    pub(super) fn next_deadline(&self, config: &Config) -> Option<Instant> {
        self.exchanges
            .next_deadline(config)
            .into_iter()
            .chain(self.closes)
            .min()
    }

    /// What the application learns of an action.
    pub(super) fn output_of(
        &mut self,
        id: SessionId,
        action: Action,
        now: Instant,
    ) -> Option<Output> {
        let exchange = |number| ExchangeId {
            session: id,
            number,
        };
        Some(match action {
            Action::Request { number, request } => Output::Request {
                exchange: exchange(number),
                identity: self.identity.clone(),
                request,
            },
            Action::Response { number, response } => Output::Event(Event::Response {
                exchange: exchange(number),
                response,
            }),
            Action::Notification { number, response } => Output::Event(Event::Notification {
                exchange: exchange(number),
                response,
            }),
            Action::Failed { number, failure } => Output::Event(Event::Failed {
                exchange: exchange(number),
                failure,
            }),
            Action::Undelivered { number } => Output::Event(Event::Undelivered {
                exchange: exchange(number),
            }),
            Action::Unobserved { number } => Output::Event(Event::Unobserved {
                exchange: exchange(number),
            }),
            Action::Delivered => {
                // The device has its secret, and nothing more to do here.
                if self.role == Role::Activation {
                    self.closes = Some(now);
                }
                return None;
            }
            // For the engine alone.
            Action::Reached => return None,
        })
    }
}
