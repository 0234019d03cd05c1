//! What an account's machine has told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use account_linking::UserId;
use serde::Serialize;
use tokio::sync::watch;
use uci_client::{CallId, Event, Standing, SubscribeId, Target};
use uci_model::EventType;

use super::{Answered, Events, Shared};

/// What was told, for those who ask.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    calls: Mutex<BTreeMap<CallId, Answered>>,
    subscriptions: Mutex<BTreeMap<SubscribeId, SubscriptionState>>,
    loaded: watch::Sender<bool>,
}

/// How a subscription stands.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SubscriptionState {
    /// What it is about.
    pub(crate) target: Option<Target>,
    /// `wanted`, `accepted`, `confirmed`, `retrying`, `ended`, or `kept` for one that an earlier run made.
    pub(crate) state: &'static str,
    /// The event types that the device-side cloud does not support or tells nothing of, which are polled.
    pub(crate) polled: Vec<EventType>,
    /// The id that the device-side cloud gave.
    pub(crate) subscription: Option<String>,
    /// Why it is tried again, or over.
    pub(crate) reason: Option<String>,
}

impl SubscriptionState {
    /// The state of one that is over.
    pub(crate) const ENDED: &'static str = "ended";

    /// Takes what the machine knows and no event of this run has told.
    pub(crate) fn complete(&mut self, standing: &Standing<'_>) {
        if self.state.is_empty() {
            self.state = "kept";
        }
        self.target.get_or_insert_with(|| standing.target.clone());
        if self.subscription.is_none() {
            self.subscription = standing.subscription.map(|id| id.to_string());
        }
    }
}

impl Seen {
    /// Gives the end of a call to `answer`.
    pub(crate) fn wait_for(&self, call: CallId, answer: Answered) {
        lock(&self.calls).insert(call, answer);
    }

    /// Notes a subscription that was just asked for.
    pub(crate) fn begun(&self, id: SubscribeId, target: &Target) {
        let begun = SubscriptionState {
            target: Some(target.clone()),
            state: "wanted",
            ..SubscriptionState::default()
        };
        lock(&self.subscriptions).insert(id, begun);
    }

    /// How the subscriptions stand.
    pub(crate) fn subscriptions(&self) -> BTreeMap<SubscribeId, SubscriptionState> {
        lock(&self.subscriptions).clone()
    }

    /// Turns true when the subscriptions are loaded.
    pub(crate) fn loaded(&self) -> watch::Receiver<bool> {
        self.loaded.subscribe()
    }

    fn note(&self, id: SubscribeId, change: impl FnOnce(&mut SubscriptionState)) {
        change(lock(&self.subscriptions).entry(id).or_default());
    }
}

/// Follows the events of an account until it is closed.
pub(crate) async fn follow(seen: Arc<Seen>, shared: Arc<Shared>, user: UserId, mut events: Events) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Notified(notification) => {
                tracing::info!(%user, id = %notification.id, sequence = notification.sequence, event = %notification.event.event_type(), "notified");
                shared.notifications.add(&user, &notification);
                let confirmed = notification.subscription.to_string();
                seen.note(notification.id, |state| {
                    state.subscription = Some(confirmed);
                });
            }
            Event::Answered { call, result } => {
                if let Some(answer) = lock(&seen.calls).remove(&call) {
                    // Who made the call may have hung up.
                    let _ = answer.send(result);
                }
            }
            Event::Loaded { subscriptions } => {
                for id in subscriptions {
                    seen.note(id, |state| state.state = "kept");
                }
                seen.loaded.send_replace(true);
            }
            Event::Subscribed { id, subscription } => seen.note(id, |state| {
                state.state = "accepted";
                state.subscription = Some(subscription.to_string());
            }),
            Event::Confirmed { id } => seen.note(id, |state| state.state = "confirmed"),
            Event::Retrying { id, reason, after } => {
                tracing::warn!(%user, %id, ?reason, ?after, "a subscription is tried again");
                seen.note(id, |state| {
                    state.state = "retrying";
                    state.reason = Some(format!("{reason:?}"));
                });
            }
            Event::Polling { id, event_types } => {
                tracing::info!(%user, %id, ?event_types, "polled");
                seen.note(id, |state| state.polled = event_types);
            }
            Event::Ended { id, reason } => seen.note(id, |state| {
                state.state = SubscriptionState::ENDED;
                state.reason = Some(format!("{reason:?}"));
            }),
            Event::Refused { refusal, .. } => {
                tracing::warn!(%user, %refusal, "a notification was refused");
            }
            Event::Stopped { reason } => {
                tracing::error!(%user, ?reason, "subscriptions are no longer kept");
            }
            other => tracing::debug!(%user, event = ?other, "told"),
        }
    }
}

/// The lock of a map that no panic leaves half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
