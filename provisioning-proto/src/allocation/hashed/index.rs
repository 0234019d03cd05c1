use std::sync::Arc;

use super::sorted::Sorted;
use super::{Share, hash};
use crate::allocation::AccessPoint;

/// Access points by a hash of their ids, so that the one of a share is found at the same cost however many there are.
#[derive(Clone, Debug, Default)]
pub(in crate::allocation) struct Index {
    seeds: Sorted,
    /// In the same order.
    points: Vec<Arc<AccessPoint>>,
}

impl Index {
    pub(in crate::allocation) fn new<'p>(
        points: impl Iterator<Item = &'p Arc<AccessPoint>>,
    ) -> Self {
        let seeded = points.map(|point| (hash("access point", point.id.as_str()), point.clone()));
        let mut seeded: Vec<_> = seeded.collect();
        seeded.sort_unstable_by_key(|(seed, _)| *seed);
        let (seeds, points): (Vec<_>, _) = seeded.into_iter().unzip();
        Self {
            seeds: Sorted::new(seeds),
            points,
        }
    }

    /// The access point of a share.
    pub(in crate::allocation) fn get(&self, share: &Share) -> Option<&AccessPoint> {
        let first = self.seeds.first(share.seed);
        let same = (first..self.seeds.len()).map_while(|index| {
            let seed = self.seeds.get(index)?;
            (seed == share.seed).then_some(index)
        });
        // Two ids of one hash are next to each other.
        let mut points = same.filter_map(|index| self.points.get(index));
        points
            .find(|point| point.id == share.id)
            .map(|point| &**point)
    }
}
