use std::cmp::Ordering;

/// A distance, and the weight by which it counts less.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    pub(super) distance: u64,
    pub(super) weight: u16,
}

impl Draw {
    pub(super) fn farthest(weight: u16) -> Self {
        Self {
            distance: u64::MAX,
            weight,
        }
    }
}

impl Ord for Draw {
    /// distance / weight against distance / weight; a product is under 2^74.
    fn cmp(&self, other: &Self) -> Ordering {
        let product =
            |one: &Self, other: &Self| u128::from(one.distance).wrapping_mul(other.weight.into());
        product(self, other).cmp(&product(other, self))
    }
}

impl PartialOrd for Draw {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Draw {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Draw {}
