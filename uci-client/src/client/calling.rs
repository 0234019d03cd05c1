//! Calls: one request, one answer.

use std::time::Instant;

use super::Client;
use super::exchanging::Answer;
use crate::calls::{Call, Order};
use crate::error::{Error, ErrorKind};
use crate::exchange::Purpose;
use crate::output::{CallId, Event, Output};

impl Client {
    /// Makes a call; exactly one [`Event::Answered`] with the id follows.
    ///
    /// A call that does not say which media type it wants asks for that of the configuration. A call is sent again only after
    /// a 401: whether another failure is worth another try, an update above all, is for the caller to say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too many calls are open.
    pub fn call(&mut self, call: impl Into<Call>, now: Instant) -> Result<CallId, Error> {
        let now = self.advance(now);
        if self.calls.len() >= self.config.max_calls {
            return Err(ErrorKind::Full.into());
        }
        self.last_call = self.last_call.wrapping_add(1);
        let id = CallId(self.last_call);
        self.calls.insert(id);
        let order = Order::Call(call.into().accepting(self.config.format));
        self.exchanges.add(Purpose::Call(id), order);
        self.settle(now);
        Ok(id)
    }

    pub(super) fn call_ended(&mut self, call: CallId, order: &Order, answer: Answer<'_>) {
        self.calls.remove(&call);
        if let Order::Call(request) = order {
            let result = answer.and_then(|response| request.decode(response).map_err(Into::into));
            self.outputs
                .push_back(Output::Event(Event::Answered { call, result }));
        }
    }
}
