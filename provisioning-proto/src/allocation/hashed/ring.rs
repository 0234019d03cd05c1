use super::{Draw, PLACES, accepts, nth};

/// How many places share a bucket: as many as fit into a line of a cache.
const CROWD: usize = 8;

/// The places of access points of similar weights on the circle of 64 bits, so that those behind any place are found at once.
///
/// What a search looks at is kept short, because among many access points it is in no near cache: whose a place is stands apart, and
/// is looked up for the few that take part.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// The greatest weight that has a place here.
    greatest: u16,
    /// In their order.
    places: Vec<u64>,
    /// Whose they are.
    owners: Vec<u32>,
    /// For each value of the topmost bits, the first place that has it or a greater one.
    starts: Vec<u32>,
    /// By how much a place is shifted to leave those bits.
    shift: u32,
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
        let buckets = places.len().div_ceil(CROWD).next_power_of_two();
        let shift = 64_u32.saturating_sub(buckets.trailing_zeros());
        let mut starts = Vec::with_capacity(buckets);
        for (index, (at, _)) in (0_u32..).zip(&places) {
            let bucket = bucket(*at, shift);
            while starts.len() <= bucket {
                starts.push(index);
            }
        }
        let (places, owners) = places.into_iter().unzip();
        Self {
            greatest,
            places,
            owners,
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

    /// Where the first place behind a probe is, or the end.
    ///
    /// Nothing is decided by what is read here, so that a processor reads for many probes at a time.
    pub(super) fn first(&self, probe: u64) -> usize {
        let bucket = bucket(probe, self.shift);
        let start = |bucket| {
            let start = self.starts.get(bucket).copied().map(usize::try_from);
            start.and_then(Result::ok).unwrap_or(self.places.len())
        };
        let (from, to) = (start(bucket), start(bucket.saturating_add(1)));
        let crowd = self.places.get(from..to).unwrap_or_default();
        let before: usize = crowd.iter().map(|at| usize::from(*at < probe)).sum();
        from.saturating_add(before)
    }

    /// The distances behind a probe at which there are places, whose they are if they take part in it: the nearest first.
    pub(super) fn behind(
        &self,
        probe: u64,
        first: usize,
    ) -> impl Iterator<Item = (u64, Option<u32>)> {
        let order = (first..self.places.len()).chain(0..first);
        order.map_while(move |index| {
            let at = *self.places.get(index)?;
            let takes_part = accepts(probe, at);
            let owner = takes_part.then(|| self.owners.get(index).copied());
            Some((at.wrapping_sub(probe), owner.flatten()))
        })
    }
}

fn bucket(at: u64, shift: u32) -> usize {
    usize::try_from(at.checked_shr(shift).unwrap_or(0)).unwrap_or(usize::MAX)
}
