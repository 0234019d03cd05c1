//! What a migration asks for, by the stage that it has come to.

use std::time::{Duration, Instant, SystemTime};

use super::{Command, Key, Migrations, Output, Stage, Timer, Way};
use crate::time::unix_millis;

impl Migrations {
    /// Asks for what brings a migration on, and sees to it that it is asked for again.
    pub(super) fn drive(&mut self, key: &Key, wall: SystemTime, now: Instant) {
        let Some(migration) = self.migration(key) else {
            return self.rest(key);
        };
        if !migration.stage.is_open() {
            return self.rest(key);
        }
        let (stage, way, ends_at) = (migration.stage, migration.way.clone(), migration.ends_at);
        if stage.can_abort() {
            let left = ends_at.saturating_sub(unix_millis(wall)).max(1);
            let left = Duration::from_millis(left);
            self.timers.set(Timer::Ends(key.clone()), now, left);
        } else {
            self.timers.cancel(&Timer::Ends(key.clone()));
        }
        let attempts = self.attempts.entry(key.clone()).or_default();
        let before = *attempts;
        *attempts = before.saturating_add(1);
        let pause = self.config.retry.checked_mul(1 << before.min(20));
        let pause = pause.map_or(self.config.longest_retry, |pause| {
            pause.min(self.config.longest_retry)
        });
        self.timers.set(Timer::Again(key.clone()), now, pause);
        match way {
            Way::Direct { .. } => self.drive_directed(key, stage, before > 0),
            Way::Transfer { transfer, instance } => {
                let (tenant, id) = key.clone();
                let output = match stage {
                    // That it may be offered is durable before it is: who has to take it back knows of it.
                    Stage::Planned => return self.note(key, Command::Begin, wall),
                    Stage::Begun => Output::Offer {
                        tenant,
                        id,
                        transfer,
                        instance,
                    },
                    Stage::Prepared => Output::Ask {
                        tenant,
                        id,
                        transfer,
                        instance,
                    },
                    Stage::Aborting => Output::Withdraw {
                        tenant,
                        id,
                        transfer,
                        instance,
                    },
                    Stage::Confirmed | Stage::Finished | Stage::Aborted => {
                        Output::Look { tenant, id }
                    }
                };
                self.outputs.push_back(output);
            }
        }
    }

    fn drive_directed(&mut self, (tenant, id): &Key, stage: Stage, again: bool) {
        let triggers = match stage {
            Stage::Begun => true,
            // Its answer may have been lost, or it has not come back yet.
            Stage::Prepared | Stage::Aborting => again,
            _ => false,
        };
        if triggers {
            self.outputs.push_back(Output::Trigger {
                tenant: tenant.clone(),
                id: id.clone(),
            });
        }
        self.outputs.push_back(Output::Look {
            tenant: tenant.clone(),
            id: id.clone(),
        });
    }

    /// A migration has come further.
    pub(super) fn moved(&mut self, key: &Key, wall: SystemTime, now: Instant) {
        let Some(stage) = self.migration(key).map(|migration| migration.stage) else {
            return self.rest(key);
        };
        self.attempts.remove(key);
        self.outputs.push_back(Output::Moved {
            tenant: key.0.clone(),
            id: key.1.clone(),
            stage,
        });
        self.drive(key, wall, now);
    }

    /// Nothing is to be done any more.
    fn rest(&mut self, key: &Key) {
        self.attempts.remove(key);
        self.timers.cancel(&Timer::Again(key.clone()));
        self.timers.cancel(&Timer::Ends(key.clone()));
    }
}
