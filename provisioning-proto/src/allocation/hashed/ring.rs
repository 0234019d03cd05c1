use super::{Draw, PLACES, accepts, nth};

/// The places of access points of similar weights on the circle of 64 bits, so that those behind any place are found at once.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// The greatest weight that has a place here.
    greatest: u16,
    places: Vec<Place>,
    /// For each value of the topmost bits, the first place that has it or a greater one.
    starts: Vec<u32>,
    /// By how much a place is shifted to leave those bits.
    shift: u32,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    at: u64,
    owner: u32,
}

impl Ring {
    /// A circle with the places of these: whose they are, a seed, a weight.
    pub(super) fn new(owners: impl Iterator<Item = (u32, u64, u16)>) -> Self {
        let mut greatest = 0;
        let mut places = Vec::new();
        for (owner, seed, weight) in owners {
            greatest = greatest.max(weight);
            places.extend((0..PLACES).map(|n| Place {
                at: nth(seed, n),
                owner,
            }));
        }
        places.sort_unstable();
        // As many buckets as places, or up to twice as many.
        let bits = places.len().next_power_of_two().trailing_zeros();
        let shift = 64_u32.saturating_sub(bits);
        let mut starts = Vec::with_capacity(places.len().next_power_of_two());
        for (index, place) in (0_u32..).zip(&places) {
            let bucket = bucket(place.at, shift);
            while starts.len() <= bucket {
                starts.push(index);
            }
        }
        Self {
            greatest,
            places,
            starts,
            shift,
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

    /// The distances behind a probe at which there are places that take part in it, and whose they are: the nearest first.
    pub(super) fn behind(&self, probe: u64) -> impl Iterator<Item = (u64, Option<u32>)> {
        let start = self.starts.get(bucket(probe, self.shift)).copied();
        let start = start.map_or(self.places.len(), |start| {
            usize::try_from(start).unwrap_or(usize::MAX)
        });
        let rest = self.places.get(start..).unwrap_or_default();
        let before = rest.iter().take_while(|place| place.at < probe).count();
        let (earlier, later) = self
            .places
            .split_at_checked(start.saturating_add(before))
            .unwrap_or((&self.places, &[]));
        later.iter().chain(earlier).map(move |place| {
            let distance = place.at.wrapping_sub(probe);
            (distance, accepts(probe, place.at).then_some(place.owner))
        })
    }
}

fn bucket(at: u64, shift: u32) -> usize {
    usize::try_from(at.checked_shr(shift).unwrap_or(0)).unwrap_or(usize::MAX)
}
