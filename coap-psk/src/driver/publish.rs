//! The way of an endpoint's outputs: datagrams to the socket, all else to the application.

use alloc::collections::{BTreeSet, VecDeque};
use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::pin;
use core::task::Poll;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{SendError, TrySendError};

use super::clock::Clock;
use super::datagrams::Outbox;
use super::desk::Desk;
use super::handle::{Call, Calls};
use crate::dtls::DtlsEndpoint;
use crate::endpoint::Endpoint;
use crate::output::{Event, Output};

/// Where outputs go.
pub(super) struct Ways<'a, D> {
    pub(super) socket: &'a UdpSocket,
    pub(super) clock: Clock,
    pub(super) calls: &'a mut Calls<D>,
    pub(super) outputs: &'a mpsc::Sender<Output>,
    pub(super) desk: Option<&'a Desk>,
    pub(super) outbox: &'a mut Outbox,
    pub(super) backlog: &'a mut Backlog,
}

/// What the application has no room for yet; empty in the end.
#[derive(Default)]
pub(super) struct Backlog {
    outputs: VecDeque<Output>,
    /// Peers whose coming online is in there. What goes to them is in there, too, so that they do not know of their sessions
    /// before the other shards do: a device that went on to another one would have the newer session there, and lose it to this one.
    unannounced: BTreeSet<SocketAddr>,
}

/// What came first.
enum Next<'a, D> {
    Place(Result<mpsc::Permit<'a, Output>, SendError<()>>),
    Call(Call<D>),
}

impl<'a, D: DtlsEndpoint> Ways<'a, D> {
    /// Lets out what the endpoint says; `None` when nobody reads it any more.
    ///
    /// While the application takes nothing, calls are carried out: it may be waiting for one. What that brings about is
    /// sent before the next one is taken.
    pub(super) async fn publish(&mut self, endpoint: &mut Endpoint<D>) -> Option<()> {
        loop {
            self.let_out(endpoint).await?;
            if self.backlog.outputs.is_empty() {
                return Some(());
            }
            match self.next().await {
                Next::Place(place) => self.hand_over(place.ok()?),
                Next::Call(call) => call(endpoint, self.clock.now()),
            }
        }
    }

    /// Hands over what there is room for, and sends what is to be sent. The datagrams of a batch go out behind the events that the
    /// endpoint put before them: a peer that learns of its session can rely on it that the register has it.
    async fn let_out(&mut self, endpoint: &mut Endpoint<D>) -> Option<()> {
        let mut read = self.hand_over_all();
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) if !self.backlog.unannounced.contains(&transmit.to) => {
                    self.outbox.push(transmit);
                }
                other => {
                    self.enqueue(other);
                    read = self.hand_over_all();
                }
            }
            if self.outbox.is_full() {
                self.outbox.send(self.socket).await;
            }
        }
        // Even if nobody reads any more: the peers may be told of that here.
        self.outbox.send(self.socket).await;
        read
    }

    /// Puts an output behind what waits already.
    fn enqueue(&mut self, output: Output) {
        // An endpoint that is alone has nobody to be in step with.
        if self.desk.is_some()
            && let Output::Event(Event::Online { peer, .. }) = &output
        {
            self.backlog.unannounced.insert(*peer);
        }
        self.backlog.outputs.push_back(output);
    }

    /// Hands over of what waits as much as there is room for; `None` when nobody reads it any more.
    fn hand_over_all(&mut self) -> Option<()> {
        while let Some(first) = self.backlog.outputs.pop_front() {
            if let Output::Transmit(transmit) = first {
                self.outbox.push(transmit);
                continue;
            }
            match self.outputs.try_reserve() {
                Ok(place) => self.publish_one(first, place),
                Err(error) => {
                    self.backlog.outputs.push_front(first);
                    return matches!(error, TrySendError::Full(())).then_some(());
                }
            }
        }
        self.backlog.unannounced.clear();
        Some(())
    }

    /// Gives the place to the first that waits, which is no datagram.
    fn hand_over(&mut self, place: mpsc::Permit<'_, Output>) {
        if let Some(output) = self.backlog.outputs.pop_front() {
            self.publish_one(output, place);
        }
    }

    fn publish_one(&self, output: Output, place: mpsc::Permit<'_, Output>) {
        match self.desk {
            Some(desk) => desk.publish(output, place),
            None => place.send(output),
        }
    }

    /// A place for what the application is to get, or a call.
    async fn next(&mut self) -> Next<'a, D> {
        let mut reserve = pin!(self.outputs.reserve());
        poll_fn(|cx| {
            if let Poll::Ready(place) = reserve.as_mut().poll(cx) {
                return Poll::Ready(Next::Place(place));
            }
            match self.calls.calls.poll_recv(cx) {
                Poll::Ready(Some(call)) => Poll::Ready(Next::Call(call)),
                // Nobody can call any more; whoever reads still gets what there is.
                Poll::Ready(None) | Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
