//! What the shards of an address tell each other: datagrams that came to the wrong one, and devices that have a newer session
//! elsewhere.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::dtls::{DtlsEndpoint, SessionId, ShardNumber};
use crate::endpoint::Endpoint;
use crate::identity::DeviceName;
use crate::output::{Event, OfflineReason, Output};
use crate::time::Instant;

/// A datagram that another shard received.
pub(super) struct Forwarded {
    pub(super) from: SocketAddr,
    pub(super) datagram: Vec<u8>,
}

/// What comes to a shard from the others.
pub(super) enum News {
    Datagram(Forwarded),
    /// [`Desk::settle`] knows what.
    Notices,
}

/// What all shards share.
pub(super) struct Office {
    shards: Vec<Tray>,
    register: Mutex<Register>,
    forwarded: AtomicU64,
    dropped: AtomicU64,
}

/// Where one shard finds what is for it.
struct Tray {
    forwarded: mpsc::Sender<Forwarded>,
    /// Has room for one: who is called twice comes once.
    bell: mpsc::Sender<()>,
}

/// Who has which session. There is an entry for a session that an endpoint has or had, so there are no more than the
/// endpoints' limits allow.
#[derive(Default)]
struct Register {
    sessions: BTreeMap<DeviceName, SessionId>,
    /// What each shard does not know yet.
    notices: Vec<Notices>,
}

/// What a shard is to learn from others.
#[derive(Default)]
struct Notices {
    /// Sessions of its own that are to end, and those that have taken their places.
    displaced: BTreeMap<SessionId, SessionId>,
    /// Sessions of its own that take over what waited for their devices.
    heirs: BTreeMap<SessionId, Bytes>,
}

impl Register {
    /// What the shard of this session does not know yet.
    fn notices(&mut self, of: impl Into<ShardNumber>) -> Option<&mut Notices> {
        let ShardNumber(shard) = of.into();
        self.notices.get_mut(usize::from(shard))
    }

    /// Whether the session is to end, as its shard will learn.
    fn is_displaced(&mut self, session: SessionId) -> bool {
        self.notices(session)
            .is_some_and(|notices| notices.displaced.contains_key(&session))
    }
}

/// One shard's part of it.
pub(super) struct Desk {
    pub(super) number: ShardNumber,
    office: Arc<Office>,
    forwarded: mpsc::Receiver<Forwarded>,
    rung: mpsc::Receiver<()>,
}

impl Office {
    /// The office of `count` shards, with room for so many datagrams at each desk.
    pub(super) fn open(count: u8, capacity: usize) -> (Arc<Self>, Vec<Desk>) {
        let (trays, receivers): (Vec<_>, Vec<_>) = (0..count)
            .map(|_| {
                let (forwarded, forwarded_here) = mpsc::channel(capacity);
                let (bell, rung) = mpsc::channel(1);
                (Tray { forwarded, bell }, (forwarded_here, rung))
            })
            .unzip();
        let register = Register {
            notices: trays.iter().map(|_| Notices::default()).collect(),
            ..Register::default()
        };
        let office = Arc::new(Self {
            shards: trays,
            register: Mutex::new(register),
            forwarded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let desks = (0..count)
            .zip(receivers)
            .map(|(number, (forwarded, rung))| Desk {
                number: ShardNumber(number),
                office: Arc::clone(&office),
                forwarded,
                rung,
            })
            .collect();
        (office, desks)
    }

    pub(super) fn session_of(&self, device: &DeviceName) -> Option<SessionId> {
        self.lock().sessions.get(device).copied()
    }

    /// How many datagrams were handed on, and how many were dropped instead.
    pub(super) fn forwarded(&self) -> (u64, u64) {
        let [forwarded, dropped] =
            [&self.forwarded, &self.dropped].map(|count| count.load(Ordering::Relaxed));
        (forwarded, dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tray(&self, shard: ShardNumber) -> Option<&Tray> {
        self.shards.get(usize::from(shard.0))
    }

    fn ring(&self, shard: ShardNumber) {
        if let Some(tray) = self.tray(shard) {
            // One that is full is being rung already, and one that nobody hears concerns nobody.
            let _ = tray.bell.try_send(());
        }
    }
}

impl Desk {
    /// Hands a datagram on if it says that it is for another shard. One that finds no room is dropped: its sender repeats it.
    pub(super) fn forward<D: DtlsEndpoint>(
        &self,
        endpoint: &Endpoint<D>,
        from: SocketAddr,
        datagram: &[u8],
    ) -> bool {
        let to = endpoint
            .shard_of(datagram)
            .filter(|shard| *shard != self.number);
        // A shard that there is not, somebody made up.
        let Some(tray) = to.and_then(|shard| self.office.tray(shard)) else {
            return false;
        };
        let counter = match tray.forwarded.try_reserve() {
            Ok(place) => {
                let datagram = datagram.to_vec();
                place.send(Forwarded { from, datagram });
                &self.office.forwarded
            }
            Err(_) => &self.office.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The next thing from the others.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        if let Poll::Ready(Some(forwarded)) = self.forwarded.poll_recv(cx) {
            return Poll::Ready(News::Datagram(forwarded));
        }
        match self.rung.poll_recv(cx) {
            Poll::Ready(Some(())) => Poll::Ready(News::Notices),
            // The office has the other end, and the desk has the office.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// One more datagram, if there is one already.
    pub(super) fn try_next(&mut self) -> Option<Forwarded> {
        self.forwarded.try_recv().ok()
    }

    /// Carries out what the others have left for this shard.
    pub(super) fn settle<D: DtlsEndpoint>(&self, endpoint: &mut Endpoint<D>, now: Instant) {
        let notices = self.office.lock().notices(self.number).map(mem::take);
        let Notices { displaced, heirs } = notices.unwrap_or_default();
        for (session, command) in heirs {
            endpoint.inherit(session, command);
        }
        for (session, by) in displaced {
            if let Some(command) = endpoint.displace(session, now) {
                if let Some(notices) = self.office.lock().notices(by) {
                    notices.heirs.insert(by, command);
                }
                self.office.ring(by.into());
            }
        }
    }

    /// Lets an output of the endpoint out, and sees that a device counts as online once, wherever it is.
    ///
    /// What is said of a device must come out in the order in which it is noted, so it goes while nobody else can note anything.
    pub(super) fn publish(&self, mut output: Output, place: mpsc::Permit<'_, Output>) {
        let Output::Event(event) = &mut output else {
            return place.send(output);
        };
        let mut register = self.office.lock();
        match event {
            Event::Online {
                session,
                identity,
                replaced,
                ..
            } => {
                if register.is_displaced(*session) {
                    return;
                }
                let device = identity.device().clone();
                let before = register.sessions.insert(device, *session);
                let elsewhere = before.filter(|before| ShardNumber::from(*before) != self.number);
                if let Some(before) = elsewhere {
                    *replaced = Some(before);
                    if let Some(notices) = register.notices(before) {
                        notices.displaced.insert(before, *session);
                    }
                    self.office.ring(before.into());
                }
            }
            Event::Offline {
                session,
                identity,
                why,
            } => {
                if register.is_displaced(*session) {
                    return;
                }
                let device = identity.device();
                if *why != OfflineReason::Silent && register.sessions.get(device) == Some(session) {
                    register.sessions.remove(device);
                }
            }
            _ => {}
        }
        place.send(output);
    }
}

#[cfg(test)]
mod tests;
