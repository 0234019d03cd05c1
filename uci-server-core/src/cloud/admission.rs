//! From an HTTP request to what it wants, if its client may ask for anything now.

use std::time::Instant;

use bytes::Bytes;
use http::{Request, StatusCode};

use super::DeviceCloud;
use crate::authorization::Authentication;
use crate::config::Config;
use crate::ids::ClientId;
use crate::quota::Exceeded;
use crate::request::{self, Wanted};
use crate::response::Problem;

impl DeviceCloud {
    /// What a request wants, and the client in whose quota it counts until it is answered.
    pub(super) fn admit(
        &mut self,
        request: &Request<Bytes>,
        authentication: Authentication,
        now: Instant,
    ) -> (Option<ClientId>, Result<Wanted, Problem>) {
        if self.requests.len() >= self.config.max_pending {
            return (None, Err(self.busy()));
        }
        let mut counted = None;
        let wanted = request::read(&self.config, request, authentication, self.wall, |client| {
            let (quota, body) = (&self.config.client, request.body().len());
            let exceeded = self.quotas.admit(client, quota, body, now);
            exceeded.map_err(|exceeded| too_many(exceeded, &self.config))?;
            counted = Some(client.clone());
            Ok(())
        });
        (counted, wanted)
    }

    pub(super) fn busy(&self) -> Problem {
        let detail = "the service is busy or its storage does not answer";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::try_again(status, detail, self.config.retry_after)
    }
}

fn too_many(exceeded: Exceeded, config: &Config) -> Problem {
    let (detail, after) = match exceeded {
        Exceeded::InFlight => (
            "too many requests of this client are without an answer",
            // One is free as soon as a device has answered or had its time.
            config.ask_timeout,
        ),
        Exceeded::Rate { wait } => ("this client asks too often", wait),
        Exceeded::Volume { wait } => ("this client sends too much", wait),
    };
    Problem::try_again(StatusCode::TOO_MANY_REQUESTS, detail, after)
}
