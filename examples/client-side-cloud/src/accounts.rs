//! The linked accounts: for each, the machine of `uci_client` that calls, subscribes and keeps in step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use account_linking::UserId;
use account_linking::client::CloudId;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uci_client::driver::{Handle, drive};
use uci_client::{Call, CallId, Client, Config, Event, Reply, SubscribeId, Target};
use uci_model::{EventTypes, EventsUrl};

use crate::linking::Linking;
use crate::notifications::Notifications;
use crate::outside::Outside;
use crate::sender::Sender;
use crate::store::{Keys, Store};
use crate::{Failure, clock};

mod events;

/// Longer than the machine gives a call.
const LONGEST_CALL: Duration = Duration::from_secs(90);
/// How long a command waits for the subscriptions to be loaded.
const LONGEST_LOAD: Duration = Duration::from_secs(10);
/// How long unlinking waits for the ends of the subscriptions.
const LONGEST_LEAVE: Duration = Duration::from_secs(3);

use events::Seen;
pub(crate) use events::SubscriptionState;

/// What every account needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) keys: Keys,
    pub(crate) sender: Sender,
    pub(crate) linking: Linking,
    pub(crate) notifications: Notifications,
    pub(crate) api: http::Uri,
    /// The origin under which notifications come in.
    pub(crate) origin: String,
}

/// The accounts by local user.
#[derive(Debug)]
pub(crate) struct Accounts {
    shared: Arc<Shared>,
    open: Mutex<BTreeMap<UserId, Arc<Account>>>,
}

/// One linked account.
#[derive(Debug)]
pub(crate) struct Account {
    /// Which access it has.
    pub(crate) cloud: CloudId,
    /// The name of the link.
    pub(crate) link: String,
    handle: Handle,
    seen: Arc<Seen>,
    tasks: Vec<JoinHandle<()>>,
}

impl Accounts {
    /// No accounts yet.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            open: Mutex::default(),
        }
    }

    /// What every account needs.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Opens the accounts of all users who have a link.
    pub(crate) async fn open_all(&self) -> Result<(), Failure> {
        for stream in self.shared.store.list("links/").await {
            let Some(user) = stream
                .strip_prefix("links/")
                .and_then(|user| user.parse::<UserId>().ok())
            else {
                continue;
            };
            if let Some((cloud, link)) = self.shared.linking.link(user.clone()).await? {
                self.open(&user, cloud, link.id)?;
            }
        }
        Ok(())
    }

    /// Opens the account of a link, in place of an older one; the same link again changes nothing.
    pub(crate) fn open(&self, user: &UserId, cloud: CloudId, link: String) -> Result<(), Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open
            .get(user)
            .is_some_and(|account| account.link == link && account.cloud == cloud)
        {
            return Ok(());
        }
        let account = Account::open(&self.shared, user, cloud, link)?;
        if let Some(old) = open.insert(user.clone(), Arc::new(account)) {
            old.abort();
        }
        Ok(())
    }

    /// The account of `user`.
    pub(crate) fn get(&self, user: &UserId) -> Option<Arc<Account>> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(user)
            .cloned()
    }

    /// Closes the account of `user` and erases what was kept of its subscriptions.
    pub(crate) async fn close(&self, user: &UserId) {
        let closed = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(user);
        if let Some(account) = closed {
            account.stop().await;
            let stream = stream(user, &account.link);
            self.shared.store.erase(stream.clone()).await;
            if let Err(error) = self.shared.keys.0.destroy(&stream) {
                tracing::error!(stream, %error, "a data key is still there");
            }
        }
    }
}

impl Account {
    fn open(
        shared: &Arc<Shared>,
        user: &UserId,
        cloud: CloudId,
        link: String,
    ) -> Result<Self, Failure> {
        let events_url: EventsUrl = format!("{}/events/{user}", shared.origin)
            .parse()
            .map_err(|error| Failure::of("the events URL is not one", error))?;
        let config = Config::new(&shared.api, events_url).map_err(|error| {
            Failure::of(
                "the device-side cloud's interface is not described well",
                error,
            )
        })?;
        let entropy =
            || clock::entropy().map_err(|error| Failure::of("the system has no entropy", error));
        let (seed, secrets) = (entropy()?, entropy()?);
        let client = Client::new(
            config,
            stream(user, &link),
            seed,
            secrets,
            Arc::new(shared.keys.clone()),
            clock::now(),
        );
        let (events, received) = tokio::sync::mpsc::channel(1_024);
        let outside = Outside::new(Arc::clone(shared), user.clone(), cloud.clone());
        let (handle, driven) = drive(client, outside, events, 1_024);
        let seen = Arc::new(Seen::default());
        let tasks = vec![
            tokio::spawn(async { drop(driven.await) }),
            tokio::spawn(events::follow(
                Arc::clone(&seen),
                Arc::clone(shared),
                user.clone(),
                received,
            )),
        ];
        Ok(Self {
            cloud,
            link,
            handle,
            seen,
            tasks,
        })
    }

    fn abort(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    /// Ends the tasks, and returns when they are gone: a machine that still runs could seal under a key that is to go.
    async fn stop(&self) {
        self.abort();
        while !self.tasks.iter().all(JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Tells the other side, while the token is still good, that no notification is wanted any more. What does not
    /// arrive in time it learns from a 410.
    pub(crate) async fn leave(&self) -> Result<(), Failure> {
        self.unsubscribe(None).await?;
        let ended = async {
            while self
                .seen
                .subscriptions()
                .values()
                .any(|one| one.state != SubscriptionState::ENDED)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        drop(tokio::time::timeout(LONGEST_LEAVE, ended).await);
        Ok(())
    }

    /// Makes a call and waits for its answer.
    pub(crate) async fn call(
        &self,
        call: Call,
    ) -> Result<Result<Reply, uci_client::Failure>, Failure> {
        let (answer, result) = tokio::sync::oneshot::channel();
        let seen = Arc::clone(&self.seen);
        let made = self.visit(move |client, now| {
            let made: Result<CallId, _> = client.call(call, now);
            // The answer cannot come before the machine has been left, so it cannot be missed.
            made.map(|id| seen.wait_for(id, answer))
        });
        made.await?
            .map_err(|error| Failure::of("the call was not made", error))?;
        match tokio::time::timeout(LONGEST_CALL, result).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => Err(Failure::new(
                "the call was not answered: the account was closed meanwhile",
            )),
        }
    }

    /// Keeps a subscription to `target` from now on.
    pub(crate) async fn subscribe(&self, target: Target) -> Result<SubscribeId, Failure> {
        self.ready().await?;
        let types = EventTypes::all(target.level());
        let seen = Arc::clone(&self.seen);
        let made = self.visit(move |client, now| {
            let id = client.subscribe(target.clone(), &types, now)?;
            seen.begun(id, &target);
            Ok(id)
        });
        made.await?
            .map_err(|error: uci_client::Error| Failure::of("the subscription was not made", error))
    }

    /// Ends a subscription, or all.
    pub(crate) async fn unsubscribe(&self, id: Option<SubscribeId>) -> Result<(), Failure> {
        self.ready().await?;
        let ended = self.visit(move |client, now| match id {
            Some(id) => client.unsubscribe(id, now),
            None => client.unsubscribe_all(now),
        });
        ended
            .await?
            .map_err(|error| Failure::of("not unsubscribed", error))
    }

    /// What is known of the subscriptions, those that an earlier run made included.
    pub(crate) async fn subscriptions(
        &self,
    ) -> Result<BTreeMap<SubscribeId, SubscriptionState>, Failure> {
        let mut all = self.seen.subscriptions();
        let complete = self.visit(move |client, _| {
            for standing in client.subscriptions() {
                all.entry(standing.id).or_default().complete(&standing);
            }
            all
        });
        complete.await
    }

    /// Lets `visit` at the machine.
    pub(crate) async fn visit<R: Send + 'static>(
        &self,
        visit: impl FnOnce(&mut Client, Instant) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        self.handle
            .visit(visit)
            .await
            .map_err(|error| Failure::of("the account was closed", error))
    }

    /// Hands a notification to the machine.
    pub(crate) async fn notify(
        &self,
        request: http::Request<Bytes>,
    ) -> Option<http::Response<Bytes>> {
        tower_service::Service::call(&mut self.handle.clone(), request)
            .await
            .ok()
    }

    /// Waits until the subscriptions are loaded.
    async fn ready(&self) -> Result<(), Failure> {
        let mut loaded: watch::Receiver<bool> = self.seen.loaded();
        let wait = loaded.wait_for(|loaded| *loaded);
        match tokio::time::timeout(LONGEST_LOAD, wait).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::new("the subscriptions are not loaded yet")),
        }
    }
}

/// Where an account keeps its subscriptions. A new link is a new stream: what is left of an old one is not taken up.
fn stream(user: &UserId, link: &str) -> String {
    format!("subscriptions/{user}/{link}")
}

/// An event that ends a call goes to who made the call.
pub(crate) type Answered = tokio::sync::oneshot::Sender<Result<Reply, uci_client::Failure>>;

/// The events of an account.
pub(crate) type Events = tokio::sync::mpsc::Receiver<Event>;
