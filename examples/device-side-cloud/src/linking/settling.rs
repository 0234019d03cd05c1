//! Every end of a grant ends the grant's subscriptions, too: at once, after a restart, and in the end in any case.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use account_linking::UserId;
use account_linking::server::GrantId;
use account_linking::server::driver::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{error, warn};
use uci_server_core::driver::Handle as Cloud;

use super::GRANTS;
use crate::clock;
use crate::store::Store;

/// How often streams that owe something are looked after.
const ROUND: Duration = Duration::from_secs(60);
/// How many streams and ends are under way at a time.
const MANY: usize = 64;
/// How many ends may wait: those of many users at once.
const WAITING: usize = 8192;

/// Whose ended links could not be ended everywhere.
pub(crate) type Unsettled = BTreeSet<String>;
/// Where the answer to whoever waits for all ends goes; `None`: what is owed cannot be read.
pub(super) type Reply = oneshot::Sender<Option<Unsettled>>;

/// Where account linking tells of ends.
pub(super) struct Ends {
    queue: mpsc::Sender<(UserId, GrantId)>,
    lost: Arc<AtomicBool>,
}

/// Where they come out.
pub(super) struct Ended {
    queue: mpsc::Receiver<(UserId, GrantId)>,
    /// There was no room for one, of which the next look at its stream tells again.
    lost: Arc<AtomicBool>,
}

pub(super) fn ends() -> (Ends, Ended) {
    let (sender, queue) = mpsc::channel(WAITING);
    let lost = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&lost);
    (
        Ends {
            queue: sender,
            lost: told,
        },
        Ended { queue, lost },
    )
}

impl Ends {
    /// Does not wait for anything.
    pub(super) fn tell(&self, account: UserId, grant: GrantId) {
        if self.queue.try_send((account, grant)).is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
    }
}

/// Ends everywhere what has ended in account linking.
pub(super) struct Settling {
    pub(super) linking: Handle,
    pub(super) cloud: Cloud,
    pub(super) store: Store,
    pub(super) ends: Ended,
}

impl Settling {
    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<Reply>) {
        let mut rounds = tokio::time::interval(ROUND);
        let mut ended = Vec::new();
        loop {
            tokio::select! {
                asked = asked.recv() => match asked {
                    Some(to) => {
                        let unsettled = self.look_around().await;
                        // Who waited may have gone.
                        drop(to.send(unsettled));
                    }
                    None => return,
                },
                _ = self.ends.queue.recv_many(&mut ended, MANY) => {
                    drop(self.end_all(ended.drain(..)).await);
                }
                _ = rounds.tick() => drop(self.look_around().await),
            }
        }
    }

    /// Looks for grants that expired, or whose end was not settled when the cloud was killed; `None`: what is owed cannot be read.
    async fn look_around(&mut self) -> Option<Unsettled> {
        let mut unsettled = Unsettled::new();
        self.ends.lost.store(false, Ordering::Relaxed);
        let owing = self
            .owing()
            .await
            .inspect_err(|cause| warn!(%cause, "cannot list what is owed"))
            .ok()?;
        for streams in owing.chunks(MANY) {
            let streams = streams.iter().cloned();
            unsettled.extend(all(streams.map(|stream| self.wake(stream))).await);
            // What has ended was told before the commands were answered.
            while let Ok(first) = self.ends.queue.try_recv() {
                let more = core::iter::from_fn(|| self.ends.queue.try_recv().ok());
                let ended: Vec<_> = core::iter::once(first).chain(more.take(MANY)).collect();
                unsettled.extend(self.end_all(ended.into_iter()).await);
            }
        }
        if self.ends.lost.load(Ordering::Relaxed) {
            // Nobody knows whose: none of them can be relied on.
            let users = owing
                .iter()
                .filter_map(|stream| stream.strip_prefix(GRANTS));
            unsettled.extend(users.map(str::to_owned));
        }
        Some(unsettled)
    }

    async fn owing(&self) -> Result<Vec<String>, journal::Error> {
        let owing = self
            .store
            .owing(clock::unix_millis().saturating_add(1))
            .await?;
        let streams = owing.into_iter().map(|due| due.stream);
        Ok(streams
            .filter(|stream| stream.starts_with(GRANTS))
            .collect())
    }

    /// Has account linking look after one stream; whose it is, when it could not.
    fn wake(&self, stream: String) -> impl Future<Output = Option<String>> + use<> {
        let linking = self.linking.clone();
        async move {
            let named = stream.clone();
            let woken = linking
                .command(move |server, _, wall, now| server.wake(&named, wall, now))
                .await;
            let cause = woken.err()?;
            warn!(stream, %cause, "it is looked after later");
            stream.strip_prefix(GRANTS).map(str::to_owned)
        }
    }

    async fn end_all(&self, ended: impl Iterator<Item = (UserId, GrantId)>) -> Unsettled {
        all(ended.map(|(account, grant)| self.end(account, grant))).await
    }

    /// Ends a grant's subscriptions; whose it is, when that is not durable. Until it is, account linking tells of the end again.
    fn end(&self, account: UserId, grant: GrantId) -> impl Future<Output = Option<String>> + use<> {
        let (cloud, linking) = (self.cloud.clone(), self.linking.clone());
        async move {
            let ids = (account.as_str().parse(), grant.to_string().parse());
            let (Ok(core_account), Ok(core_grant)) = ids else {
                error!(%account, "the cloud core cannot use the ids of a grant");
                return None;
            };
            if let Err(cause) = cloud.end_grant(core_account, core_grant).await {
                warn!(%account, %cause, "the end of a grant is not durable yet");
                return Some(account.to_string());
            }
            let settled = linking
                .command(move |server, _, wall, now| {
                    server.settle_grant_end(account, grant, wall, now)
                })
                .await;
            if let Err(cause) = settled {
                warn!(%cause, "the end of a grant is settled later");
            }
            None
        }
    }
}

/// Does all of it at the same time; whom it failed for.
async fn all<F>(work: impl Iterator<Item = F>) -> Unsettled
where
    F: Future<Output = Option<String>> + Send + 'static,
{
    let mut under_way: JoinSet<_> = work.collect();
    let mut failed = Unsettled::new();
    while let Some(done) = under_way.join_next().await {
        failed.extend(done.ok().flatten());
    }
    failed
}
