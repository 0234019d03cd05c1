use super::sorted::Sorted;
use super::{Draw, PLACES, accepts, nth};

/// The places of access points of similar weights on the circle of 64 bits, so that those behind any place are found at once.
///
/// What a search looks at is kept short, because among many access points it is in no near cache: whose a place is stands apart, and
/// is looked up for the few that take part.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// The greatest weight that has a place here.
    greatest: u16,
    places: Sorted,
    /// Whose they are.
    owners: Vec<u32>,
}

impl Ring {
    /// A circle with the places of these: whose they are, a seed, a weight.
    pub(super) fn new(owners: impl Iterator<Item = (u32, u64, u16)>) -> Self {
        let mut greatest = 0;
        let mut places = Vec::new();
        for (owner, seed, weight) in owners {
            greatest = greatest.max(weight);
            places.extend((0..PLACES).map(|n| (nth(seed, n), owner)));
        }
        places.sort_unstable();
        let (places, owners): (Vec<_>, _) = places.into_iter().unzip();
        Self {
            greatest,
            places: Sorted::new(places),
            owners,
        }
    }

    /// Whether a draw at this distance or a greater one can win against `best`.
    pub(super) fn can_win(&self, distance: u64, best: &Draw) -> bool {
        let least = Draw {
            distance,
            weight: self.greatest,
        };
        least <= *best
    }

    /// Where the first place behind a probe is, or the end.
    pub(super) fn first(&self, probe: u64) -> usize {
        self.places.first(probe)
    }

    /// The distances behind a probe at which there are places, whose they are if they take part in it: the nearest first.
    pub(super) fn behind(
        &self,
        probe: u64,
        first: usize,
    ) -> impl Iterator<Item = (u64, Option<u32>)> {
        let order = (first..self.places.len()).chain(0..first);
        order.map_while(move |index| {
            let at = self.places.get(index)?;
            let takes_part = accepts(probe, at);
            let owner = takes_part.then(|| self.owners.get(index).copied());
            Some((at.wrapping_sub(probe), owner.flatten()))
        })
    }
}
