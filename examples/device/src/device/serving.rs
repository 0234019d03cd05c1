//! The device as a server: it answers the cloud, and tells observers what changed.

use std::collections::BTreeMap;

use coap_psk::{ExchangeId, Request};
use serde_json::{Value as Json, json};
use uci_model::Value;

use super::Device;
use crate::appliance::Effect;
use crate::control::report;
use crate::error::Error;

/// What the cloud observes on the present session: targets, and the href and query behind each.
#[derive(Debug, Default)]
pub(super) struct Observed {
    targets: BTreeMap<String, (&'static str, Vec<String>)>,
}

impl Observed {
    pub(super) fn clear(&mut self) {
        self.targets.clear();
    }
}

impl Device {
    /// Answers a request of the cloud.
    pub(super) async fn serve(
        &mut self,
        exchange: ExchangeId,
        request: Request,
    ) -> Result<(), Error> {
        let (response, effect) = self.appliance.answer(&request);
        let code = response.code.to_string();
        self.call(move |endpoint, now| endpoint.respond(exchange, response, now))
            .await?
            .map_err(|cause| Error::new("an answer does not fit", cause))?;
        match effect {
            Effect::Retrieved {
                href,
                observe: true,
            } => {
                let target = request.target();
                self.observed.targets.insert(target, (href, request.query));
                report("observed", &[("href", Json::from(href))]);
            }
            Effect::Retrieved {
                href,
                observe: false,
            } => {
                report("retrieved", &[("href", Json::from(href))]);
            }
            Effect::Updated { href, value } => {
                report(
                    "updated",
                    &[
                        ("href", Json::from(href)),
                        ("value", json!(value)),
                        ("code", Json::from(code)),
                    ],
                );
                self.notify(href).await?;
            }
            Effect::Refused => {
                let target = Json::from(request.target());
                report("refused", &[("target", target), ("code", Json::from(code))]);
            }
        }
        Ok(())
    }

    /// Changes the state as somebody at the device does.
    pub(super) async fn change(&mut self, href: &str, value: &Value) -> Result<(), Error> {
        match self.appliance.set(href, value) {
            Ok(value) => {
                report(
                    "changed",
                    &[("href", Json::from(href)), ("value", json!(value))],
                );
                self.notify(href).await
            }
            Err(refusal) => {
                report("error", &[("problem", Json::from(refusal.reason()))]);
                Ok(())
            }
        }
    }

    /// Tells everyone who observes a resource its new state.
    async fn notify(&mut self, href: &str) -> Result<(), Error> {
        let Some(session) = self.phase.session() else {
            return Ok(());
        };
        let targets = self.observed.targets.iter();
        let observing: Vec<_> = targets
            .filter(|(_, (observed, _))| *observed == href)
            .map(|(target, (_, query))| (target.clone(), query.clone()))
            .collect();
        for (target, query) in observing {
            let Some(state) = self.appliance.representation(href, &query) else {
                continue;
            };
            let told = target.clone();
            let observers = self
                .call(move |endpoint, now| endpoint.notify(session, &told, &state, now))
                .await?
                .map_err(|cause| Error::new("a notification does not fit", cause))?;
            if observers == 0 {
                self.observed.targets.remove(&target);
            }
        }
        Ok(())
    }
}
