//! A way to the task that owns the machine.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::client::Client;

/// The task behind a [`Handle`] has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the task of the client has ended")]
#[non_exhaustive]
pub struct Gone;

/// Something to do at the machine.
pub(super) type Visit = Box<dyn FnOnce(&mut Client, Instant) + Send>;

/// What comes in for the machine.
pub(super) enum Input {
    Visit(Visit),
    Request(
        Box<http::Request<Bytes>>,
        oneshot::Sender<http::Response<Bytes>>,
    ),
}

/// A way to the task: commands by [`Handle::visit`], requests to the events URL as a `tower_service::Service`.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Input>);

impl Handle {
    pub(super) const fn new(inputs: mpsc::Sender<Input>) -> Self {
        Self(inputs)
    }

    /// Lets `visit` give commands to the machine or read its mirror.
    ///
    /// # Errors
    ///
    /// [`Gone`] when the task has ended.
    pub async fn visit<R: Send + 'static>(
        &self,
        visit: impl FnOnce(&mut Client, Instant) -> R + Send + 'static,
    ) -> Result<R, Gone> {
        let (answer, result) = oneshot::channel();
        let visit: Visit = Box::new(move |client, now| drop(answer.send(visit(client, now))));
        self.0.send(Input::Visit(visit)).await.map_err(|_| Gone)?;
        result.await.map_err(|_| Gone)
    }
}

impl tower_service::Service<http::Request<Bytes>> for Handle {
    type Response = http::Response<Bytes>;
    type Error = Gone;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Gone>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        Poll::Ready(if self.0.is_closed() {
            Err(Gone)
        } else {
            Ok(())
        })
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        let inputs = self.0.clone();
        Box::pin(async move {
            let (answer, response) = oneshot::channel();
            inputs
                .send(Input::Request(Box::new(request), answer))
                .await
                .map_err(|_| Gone)?;
            response.await.map_err(|_| Gone)
        })
    }
}
