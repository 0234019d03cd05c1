use super::draw::Draw;
use super::numbers::{accepts, places};
use super::sorted::Sorted;

/// The places of access points of similar weights on the circle of 64 bits, so that those behind any place are found at once.
///
/// Among many access points they are in no near cache, and so whose a place is stands beside it.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    greatest: u16,
    least: u16,
    places: Sorted<Place>,
}

/// Whose a place is, and the weight of that.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    pub(super) owner: u32,
    pub(super) weight: u16,
}

impl Ring {
    /// A circle with the places of these, each with a seed.
    pub(super) fn new(owners: impl Iterator<Item = (u64, Place)>) -> Self {
        let (mut greatest, mut least) = (0, u16::MAX);
        let mut all = Vec::new();
        for (seed, place) in owners {
            greatest = greatest.max(place.weight);
            least = least.min(place.weight);
            all.extend(places(seed).map(|number| (number, place)));
        }
        all.sort_unstable();
        Self {
            greatest,
            least,
            places: Sorted::new(all),
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

    /// How many steps going through all of it takes.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where the first place behind a probe is, or the end.
    pub(super) fn first(&self, probe: u64) -> usize {
        self.places.first(probe)
    }

    /// The distances behind a probe at which there are places, and where they are if they take part in it: the nearest first, some of
    /// them more than once.
    pub(super) fn behind(
        &self,
        probe: u64,
        first: usize,
    ) -> impl Iterator<Item = (u64, Option<usize>)> {
        let order = (first..self.places.len()).chain(0..first);
        order.map_while(move |slot| {
            let at = self.places.number(slot)?;
            let takes_part = accepts(probe, at);
            Some((at.wrapping_sub(probe), takes_part.then_some(slot)))
        })
    }

    /// The weight of a place.
    pub(super) fn weight(&self, slot: usize) -> u16 {
        if self.least == self.greatest {
            return self.greatest;
        }
        self.place(slot).map_or(self.greatest, |place| place.weight)
    }

    /// Whose a place is.
    pub(super) fn place(&self, slot: usize) -> Option<&Place> {
        self.places.value(slot)
    }
}
