//! Requests to authorization servers, and what their answers mean.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::output::{Event, ExchangeId, Output, Refusal};
use super::work::{Subject, Work};
use super::{Links, Timer};
use crate::client::callback::ErrorCode;
use crate::client::cloud::{Cloud, CloudId, Identity};
use crate::client::identity::subject_of;
use crate::client::oauth::{self, Answer, Question};
use crate::client::token::{Lifetime, TokenSet};
use crate::client::user_links::{Outcome, Received, RelinkReason};
use crate::error::Error;
use crate::user_id::UserId;

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) user: UserId,
    pub(super) cloud: CloudId,
    pub(super) kind: Kind,
    /// When it was sent, in Unix milliseconds: tokens are taken to live from then on.
    sent: u64,
}

/// What a request is for.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Code { attempt: String },
    Introspect { attempt: String },
    Refresh { generation: u64 },
    Revoke { revocation: u64 },
}

impl Links {
    /// Sends a request; `None` when it cannot be made, or too many are under way.
    pub(super) fn ask(
        &mut self,
        user: &UserId,
        cloud: &CloudId,
        kind: Kind,
        question: &Question<'_>,
        now: Instant,
    ) -> Option<()> {
        if self.exchanges.len() >= self.config.max_exchanges {
            return None;
        }
        let request = oauth::request(self.clouds.get(cloud)?, question).ok()?;
        let patience = match kind {
            Kind::Refresh { .. } => self.refresh_patience(user, cloud),
            _ => self.config.exchange_timeout,
        };
        let exchange = ExchangeId(self.draw());
        let sent = self.clock.wall;
        self.exchanges.insert(
            exchange,
            Exchange {
                user: user.clone(),
                cloud: cloud.clone(),
                kind,
                sent,
            },
        );
        self.set_timer(Timer::Exchange(exchange), now, patience);
        self.outputs.push_back(Output::Send { exchange, request });
        Some(())
    }

    pub(super) fn end_exchange(&mut self, exchange: ExchangeId) -> Option<Exchange> {
        self.deadlines.cancel(&Timer::Exchange(exchange));
        self.exchanges.remove(&exchange)
    }

    /// Takes in the end of a request, with or without a response.
    pub(super) fn answered(
        &mut self,
        ended: Exchange,
        response: Option<&http::Response<Bytes>>,
        now: Instant,
    ) {
        let response = response.filter(|response| response.body().len() <= self.config.max_body);
        let Some(cloud) = self.clouds.get(&ended.cloud).cloned() else {
            return;
        };
        let Exchange {
            user, kind, sent, ..
        } = ended;
        match kind {
            Kind::Code { attempt } => {
                let answer =
                    response.map_or(Answer::Unclear, |response| oauth::tokens(&cloud, response));
                self.code_answered(&user, &cloud, attempt, answer, sent, now);
            }
            Kind::Introspect { attempt } => {
                let answer =
                    response.map_or(Answer::Unclear, |response| oauth::subject(&cloud, response));
                self.introspected(
                    &user,
                    &cloud,
                    attempt,
                    answer,
                    response.and_then(oauth::retry_after),
                    now,
                );
            }
            Kind::Refresh { generation } => {
                let answer =
                    response.map_or(Answer::Unclear, |response| oauth::tokens(&cloud, response));
                let asked_to_wait = response.and_then(oauth::retry_after);
                self.refresh_answered(&user, &cloud, generation, answer, sent, asked_to_wait, now);
            }
            Kind::Revoke { revocation } => {
                let answer =
                    response.map_or(Answer::Unclear, |response| oauth::revoked(&cloud, response));
                if matches!(answer, Answer::Given(())) {
                    self.enqueue(&user, Work::Revoked { revocation }, now);
                } else {
                    if let Answer::Refused(error) = answer {
                        self.tell(Event::CloudMisconfigured {
                            cloud: cloud.id,
                            error,
                        });
                    }
                    self.revocation_failed(
                        &user,
                        revocation,
                        response.and_then(oauth::retry_after),
                        now,
                    );
                }
            }
        }
        self.arm(&user, now);
    }

    fn code_answered(
        &mut self,
        user: &UserId,
        cloud: &Cloud,
        attempt: String,
        answer: Answer<TokenSet>,
        sent: u64,
        now: Instant,
    ) {
        let work = match answer {
            Answer::Given(tokens) => {
                let subject = match cloud.identity {
                    Identity::TokenSubject => subject_of(&tokens.access_token, &cloud.issuer)
                        .map_or(Subject::Unreadable, Subject::Known),
                    Identity::Introspection => Subject::ToAsk,
                };
                let usable = tokens.is_bearer;
                match self.seal_tokens(user, &tokens, sent) {
                    Ok(received) => Work::Receive {
                        attempt,
                        cloud: cloud.id.clone(),
                        received: Box::new(received),
                        subject,
                        usable,
                    },
                    Err(_) => {
                        self.tell(Event::TokensLost {
                            user: user.clone(),
                            cloud: cloud.id.clone(),
                        });
                        Work::Fail {
                            attempt,
                            outcome: Outcome::Unusable,
                            refusal: Refusal::Unavailable,
                        }
                    }
                }
            }
            Answer::Refused(error) => {
                self.report(cloud, &error);
                Work::Fail {
                    attempt,
                    outcome: Outcome::Failed,
                    refusal: Refusal::Error(error),
                }
            }
            // The code may have been taken. A second use could revoke what the first one gave (RFC 6749, 4.1.2).
            Answer::Unclear => Work::Fail {
                attempt,
                outcome: Outcome::Lost,
                refusal: Refusal::Lost,
            },
        };
        self.enqueue(user, work, now);
    }

    fn introspected(
        &mut self,
        user: &UserId,
        cloud: &Cloud,
        attempt: String,
        answer: Answer<Option<String>>,
        asked_to_wait: Option<Duration>,
        now: Instant,
    ) {
        let unknown = |attempt| Work::Fail {
            attempt,
            outcome: Outcome::Unusable,
            refusal: Refusal::NoIdentity,
        };
        let work = match answer {
            Answer::Given(Some(remote_user)) => Work::Identify {
                attempt,
                remote_user,
            },
            Answer::Given(None) => unknown(attempt),
            Answer::Refused(error) => {
                self.report(cloud, &error);
                unknown(attempt)
            }
            Answer::Unclear => {
                self.identification_failed(user, &attempt, asked_to_wait, now);
                return;
            }
        };
        self.enqueue(user, work, now);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call site, and a struct for it would only rename the arguments"
    )]
    fn refresh_answered(
        &mut self,
        user: &UserId,
        cloud: &Cloud,
        generation: u64,
        answer: Answer<TokenSet>,
        sent: u64,
        asked_to_wait: Option<Duration>,
        now: Instant,
    ) {
        let id = cloud.id.clone();
        match answer {
            Answer::Given(tokens) if tokens.is_bearer => {
                match self.seal_tokens(user, &tokens, sent) {
                    Ok(received) => {
                        let refreshed = Work::Refreshed {
                            cloud: id,
                            generation,
                            received: Box::new(received),
                        };
                        self.enqueue(user, refreshed, now);
                    }
                    Err(_) => {
                        self.tell(Event::TokensLost {
                            user: user.clone(),
                            cloud: id.clone(),
                        });
                        self.refresh_failed(user, &id, None, now);
                    }
                }
            }
            Answer::Refused(error) if error.as_str() == "invalid_grant" => {
                let reason = RelinkReason::GrantEnded;
                self.enqueue(
                    user,
                    Work::Relink {
                        cloud: id,
                        generation,
                        reason,
                    },
                    now,
                );
            }
            Answer::Refused(error) => {
                self.tell(Event::CloudMisconfigured {
                    cloud: id.clone(),
                    error,
                });
                self.refresh_failed(user, &id, asked_to_wait, now);
            }
            Answer::Given(_) | Answer::Unclear => {
                self.refresh_failed(user, &id, asked_to_wait, now);
            }
        }
    }

    /// Tells the operator of errors that are about this client and not about a user.
    fn report(&mut self, cloud: &Cloud, error: &ErrorCode) {
        if error.as_str() != "invalid_grant" {
            self.tell(Event::CloudMisconfigured {
                cloud: cloud.id.clone(),
                error: error.clone(),
            });
        }
    }

    fn seal_tokens(
        &mut self,
        user: &UserId,
        tokens: &TokenSet,
        sent: u64,
    ) -> Result<Received, Error> {
        let access = self.seal(user, "access", tokens.access_token.expose())?;
        let refresh = match &tokens.refresh_token {
            Some(token) => Some(self.seal(user, "refresh", token.expose())?),
            None => None,
        };
        let lifetime = tokens.expires_in.map(|lasts| Lifetime::new(sent, lasts));
        Ok(Received {
            access,
            refresh,
            expires: lifetime.map(|lifetime| lifetime.expires),
            refresh_at: lifetime.map(|lifetime| lifetime.refresh_at),
            scopes: tokens.scopes.clone(),
        })
    }
}
