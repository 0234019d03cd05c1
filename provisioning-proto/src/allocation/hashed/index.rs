use std::sync::Arc;

use super::numbers::seed;
use super::sorted::Sorted;
use crate::AccessPointId;
use crate::allocation::AccessPoint;

/// Access points by a hash of their ids, so that one is found at the same cost however many there are.
#[derive(Clone, Debug, Default)]
pub(in crate::allocation) struct Index {
    by_seed: Sorted<Arc<AccessPoint>>,
}

impl Index {
    pub(in crate::allocation) fn new<'p>(
        points: impl Iterator<Item = &'p Arc<AccessPoint>>,
    ) -> Self {
        let seeded = points.map(|point| (seed(&point.id), point.clone()));
        let mut seeded: Vec<_> = seeded.collect();
        seeded.sort_unstable_by_key(|(seed, _)| *seed);
        Self {
            by_seed: Sorted::new(seeded),
        }
    }

    /// The access point of an id, whose [`seed`] is known.
    pub(in crate::allocation) fn get(&self, id: &AccessPointId, seed: u64) -> Option<&AccessPoint> {
        let first = self.by_seed.first(seed);
        let is_same = |slot: &usize| self.by_seed.number(*slot) == Some(seed);
        // Two ids of one hash are next to each other.
        let same = (first..self.by_seed.len()).take_while(is_same);
        let mut points = same.filter_map(|slot| self.by_seed.value(slot));
        points.find(|point| point.id == *id).map(|point| &**point)
    }
}
