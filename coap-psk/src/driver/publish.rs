//! The way of an endpoint's outputs: datagrams to the socket, all else to the application.

use alloc::collections::VecDeque;
use core::future::poll_fn;
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
use crate::output::Output;

/// Where outputs go.
pub(super) struct Ways<'a, D> {
    pub(super) socket: &'a UdpSocket,
    pub(super) clock: Clock,
    pub(super) calls: &'a mut Calls<D>,
    pub(super) outputs: &'a mpsc::Sender<Output>,
    pub(super) desk: Option<&'a Desk>,
    pub(super) outbox: &'a mut Outbox,
    /// What the application has no room for yet; empty in the end.
    pub(super) backlog: &'a mut VecDeque<Output>,
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
            self.send(endpoint).await;
            while !self.backlog.is_empty() {
                match self.outputs.try_reserve() {
                    Ok(place) => self.hand_over(place),
                    Err(TrySendError::Full(())) => break,
                    Err(TrySendError::Closed(())) => return None,
                }
            }
            if self.backlog.is_empty() {
                return Some(());
            }
            match self.next().await {
                Next::Place(place) => self.hand_over(place.ok()?),
                Next::Call(call) => call(endpoint, self.clock.now()),
            }
        }
    }

    /// Sends what is to be sent, and puts all else behind what waits already.
    async fn send(&mut self, endpoint: &mut Endpoint<D>) {
        while let Some(output) = endpoint.poll_output() {
            let Output::Transmit(transmit) = output else {
                self.backlog.push_back(output);
                continue;
            };
            self.outbox.push(transmit);
            if self.outbox.is_full() {
                self.outbox.send(self.socket).await;
            }
        }
        self.outbox.send(self.socket).await;
    }

    fn hand_over(&mut self, place: mpsc::Permit<'_, Output>) {
        let Some(output) = self.backlog.pop_front() else {
            return;
        };
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
