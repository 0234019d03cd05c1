use super::{Alone, Change, Fact, Migration, Plans, Stage};

impl Plans {
    /// Takes in a change. Cannot fail: what does not fit has no effect.
    pub fn apply(&mut self, change: &Change) {
        self.latest = self.latest.max(change.at);
        match &change.fact {
            Fact::Planned { from, way, ends_at } => {
                self.planned = self.planned.saturating_add(1);
                let migration = Migration {
                    number: self.planned,
                    from: from.clone(),
                    way: way.clone(),
                    stage: Stage::Planned,
                    cause: None,
                    alone: None,
                    planned_at: change.at,
                    moved_at: change.at,
                    ends_at: *ends_at,
                };
                self.migrations.insert(change.id.clone(), migration);
            }
            Fact::Forgotten => {
                self.migrations.remove(&change.id);
            }
            fact => {
                if let Some(migration) = self.migrations.get_mut(&change.id) {
                    migration.apply(fact, change.at);
                }
            }
        }
    }
}

impl Migration {
    fn apply(&mut self, fact: &Fact, at: u64) {
        let stage = match fact {
            Fact::Planned { .. } | Fact::Forgotten => return,
            Fact::Begun => Stage::Begun,
            Fact::Prepared => Stage::Prepared,
            Fact::Confirmed => {
                // An abort that came too late is none.
                self.cause = None;
                Stage::Confirmed
            }
            Fact::Finished => Stage::Finished,
            Fact::AbortBegun { cause } => {
                self.cause = Some(*cause);
                Stage::Aborting
            }
            Fact::Aborted => Stage::Aborted,
            Fact::AbortedAlone => {
                self.alone = Some(Alone::Unheard);
                Stage::Aborted
            }
            // What is heard after the end is kept, and moves nothing.
            Fact::GivenBackLate => {
                self.alone = Some(Alone::GivenBack);
                return;
            }
            Fact::SeenLate => {
                self.alone = Some(Alone::Seen);
                return;
            }
        };
        self.stage = stage;
        self.moved_at = at;
    }
}
