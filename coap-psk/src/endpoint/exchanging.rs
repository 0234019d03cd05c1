//! Exchanges with a peer as the application begins, answers and ends them.

use super::Endpoint;
use super::session::Role;
use crate::dtls::{DtlsEndpoint, SessionId};
use crate::error::{Error, ErrorKind};
use crate::identity::{DeviceName, SecureMode};
use crate::mailbox;
use crate::output::ExchangeId;
use crate::request::{Request, Response};
use crate::time::Instant;

impl<D: DtlsEndpoint> Endpoint<D> {
    /// Sends a request, in blocks when it needs them. [`Response`](crate::Event::Response) or
    /// [`Failed`](crate::Event::Failed) follows, once.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSession`] without an established session; [`ErrorKind::Refused`] on one that is there for
    /// activation only; [`ErrorKind::Full`] when too many requests are under way; [`ErrorKind::TooLarge`] when the body is
    /// over the limit; [`ErrorKind::Path`] when CoAP cannot carry the path, the query or an option.
    pub fn request(
        &mut self,
        session: SessionId,
        request: Request,
        now: Instant,
    ) -> Result<ExchangeId, Error> {
        self.begin(session, request, false, now)
    }

    /// Observes a resource: [`Notification`](crate::Event::Notification) with its state now and whenever it changes, until
    /// [`Response`](crate::Event::Response) or [`Failed`](crate::Event::Failed) says that this is over. (RFC 7641)
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn observe(
        &mut self,
        session: SessionId,
        request: Request,
        now: Instant,
    ) -> Result<ExchangeId, Error> {
        self.begin(session, request, true, now)
    }

    fn begin(
        &mut self,
        id: SessionId,
        request: Request,
        observe: bool,
        now: Instant,
    ) -> Result<ExchangeId, Error> {
        if self
            .sessions
            .get(&id)
            .is_some_and(|session| session.role == Role::Activation)
        {
            return Err(ErrorKind::Refused.into());
        }
        let now = self.advance(now);
        let number = self.with_session(id, now, |exchanges, cx| {
            exchanges.begin(request, observe, cx)
        });
        self.pump(None, now);
        Ok(ExchangeId {
            session: id,
            number: number.ok_or(ErrorKind::UnknownSession)??,
        })
    }

    /// Gives a request or an observation of ours up; [`Failed`](crate::Event::Failed) follows. An unknown one is ignored.
    pub fn cancel(&mut self, exchange: ExchangeId, now: Instant) {
        let now = self.advance(now);
        self.with_session(exchange.session, now, |exchanges, cx| {
            exchanges.cancel(exchange.number, cx);
        });
        self.pump(None, now);
    }

    /// Answers a request of the peer, in blocks when it needs them. A request that is answered already, or was given up, is
    /// ignored. An error below `/topic`, in EnOS access, goes out without its payload.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the body is over the limit, [`ErrorKind::Path`] when CoAP cannot carry an option; the
    /// request waits on.
    pub fn respond(
        &mut self,
        exchange: ExchangeId,
        response: Response,
        now: Instant,
    ) -> Result<(), Error> {
        let now = self.advance(now);
        let ExchangeId { session, number } = exchange;
        let result = self.with_session(session, now, |exchanges, cx| {
            exchanges.respond(number, response, cx)
        });
        self.pump(None, now);
        result.unwrap_or(Ok(()))
    }

    /// Sends the new state of a resource of ours to those on this session who observe `target`, its path and query as
    /// [`Request::target`] writes them; tells how many they are. An error is their last notification.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the body is over the limit; [`ErrorKind::Path`] when CoAP cannot carry an option.
    pub fn notify(
        &mut self,
        session: SessionId,
        target: &str,
        response: &Response,
        now: Instant,
    ) -> Result<usize, Error> {
        let now = self.advance(now);
        let result = self.with_session(session, now, |exchanges, cx| {
            exchanges.notify(target, response, cx)
        });
        self.pump(None, now);
        result.unwrap_or(Ok(0))
    }

    /// Names the command that waits for a device in the responses to it from now on, by the path that the device asks for
    /// it: option 2100 of EnOS access. `None` when nothing waits any more. A new session of the device takes this over; one
    /// that comes when there was none begins without.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSession`] when the device has no session; [`ErrorKind::Path`] when the path is not of the form
    /// `/topic/..` or does not name the device.
    pub fn announce(&mut self, device: &DeviceName, command: Option<&str>) -> Result<(), Error> {
        let command = command
            .map(|command| mailbox::value_for(device, command))
            .transpose()?;
        let session = self
            .accepted
            .get(&(SecureMode::DeviceSecret, device.clone()))
            .ok_or(ErrorKind::UnknownSession)?;
        self.mailboxes.remove(session);
        self.mailboxes
            .extend(command.map(|command| (*session, command)));
        Ok(())
    }
}
