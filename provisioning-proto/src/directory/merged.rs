use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound::{Excluded, Unbounded};

use crate::RegistrationId;
use crate::roster::{Registration, Roster};

/// The registrations of several rosters in the order of their ids. An id is in one roster only.
pub(super) struct Merged<'d> {
    ranges: Vec<Range<'d, RegistrationId, Registration>>,
    /// The first of each range that is left, and which range that is.
    first: BTreeMap<&'d RegistrationId, (usize, &'d Registration)>,
}

impl<'d> Merged<'d> {
    pub(super) fn new(
        rosters: impl Iterator<Item = &'d Roster>,
        after: Option<&RegistrationId>,
    ) -> Self {
        let from = after.map_or(Unbounded, Excluded);
        let ranges = rosters.map(|roster| {
            let all = roster.registrations();
            all.range::<RegistrationId, _>((from, Unbounded))
        });
        let mut merged = Self {
            ranges: ranges.collect(),
            first: BTreeMap::new(),
        };
        for place in 0..merged.ranges.len() {
            merged.refill(place);
        }
        merged
    }

    fn refill(&mut self, place: usize) {
        if let Some((id, registration)) = self.ranges.get_mut(place).and_then(Range::next) {
            self.first.insert(id, (place, registration));
        }
    }
}

impl<'d> Iterator for Merged<'d> {
    type Item = (&'d RegistrationId, &'d Registration);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, (place, registration)) = self.first.pop_first()?;
        self.refill(place);
        Some((id, registration))
    }
}
