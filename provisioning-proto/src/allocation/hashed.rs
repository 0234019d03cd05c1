//! Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005).
//!
//! An access point of weight w draws for each device a number u in (0, 1] from a hash of both ids, and the least -log2(u) / w wins:
//! each gets its share of the weights, and whatever is added or removed, the draws of the others stay as they are. Every step is
//! exact in integers, so that every machine and every release gives the same answer.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::allocation::{AccessPoint, Weight};
use crate::{AccessPointId, RegistrationId};

/// The access points that take a share, with what of the hash does not depend on the device.
///
/// Grouped by weight: among equal weights the largest draw wins, and a logarithm is needed only for the best of each weight.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread(BTreeMap<Weight, Vec<(u64, AccessPointId)>>);

impl Spread {
    pub(super) fn new<'p>(points: impl Iterator<Item = &'p AccessPoint>) -> Self {
        let taking = points.filter(|point| point.is_granted() && point.accepts_new);
        Self::weighted(taking.map(|point| (&point.id, point.weight)))
    }

    pub(super) fn weighted<'p>(shares: impl Iterator<Item = (&'p AccessPointId, Weight)>) -> Self {
        let mut groups: BTreeMap<Weight, Vec<_>> = BTreeMap::new();
        for (id, weight) in shares.filter(|(_, weight)| *weight > Weight::ZERO) {
            let seed = hash("access point", id.as_str());
            groups.entry(weight).or_default().push((seed, id.clone()));
        }
        Self(groups)
    }

    /// The access point of a device among those that are `usable`.
    pub(super) fn choose(
        &self,
        device: &RegistrationId,
        usable: impl Fn(&AccessPointId) -> bool,
    ) -> Option<&AccessPointId> {
        let device = hash("registration", device.as_str());
        let mut best: Option<(u64, u64, &AccessPointId)> = None;
        for (weight, group) in &self.0 {
            let drawn = group
                .iter()
                .map(|(seed, id)| (draw(device, *seed), id))
                .filter(|(_, id)| usable(id))
                .max_by(|(one, first), (other, second)| {
                    one.cmp(other).then_with(|| second.cmp(first))
                });
            let Some((drawn, id)) = drawn else { continue };
            let (cost, weight) = (minus_log2(drawn), u64::from(weight.value()));
            let wins = best.is_none_or(|(least, of, other)| {
                // cost / weight against least / of; a cost is under 2^39, a weight under 2^10.
                let (one, two) = (cost.wrapping_mul(of), least.wrapping_mul(weight));
                (one, id) < (two, other)
            });
            if wins {
                best = Some((cost, weight, id));
            }
        }
        best.map(|(_, _, id)| id)
    }
}

/// The first 64 bits of SHA-256 over what is hashed, a zero byte, and the text.
fn hash(what: &str, text: &str) -> u64 {
    let mut sha = Sha256::new();
    sha.update(what.as_bytes());
    sha.update([0]);
    sha.update(text.as_bytes());
    let digest: [u8; 32] = sha.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(digest.first_chunk::<8>().unwrap_or(&[0; 8]));
    u64::from_be_bytes(first)
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014) over both halves: every bit of either moves every bit of the draw.
fn draw(device: u64, seed: u64) -> u64 {
    let mixed = device ^ seed;
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// -log2(x / 2^64) with 32 bits behind the point, rounded up: a bit at a time, by squaring.
fn minus_log2(x: u64) -> u64 {
    let x = x.max(1);
    let zeros = x.leading_zeros();
    // 1.0 is 2^63.
    let mut mantissa = x.wrapping_shl(zeros);
    let mut fraction = 0_u64;
    for _ in 0..32 {
        let square = u128::from(mantissa).wrapping_mul(u128::from(mantissa));
        let twice = square >> 127;
        mantissa = u64::try_from(square >> (if twice == 1 { 64 } else { 63 })).unwrap_or(u64::MAX);
        fraction = (fraction << 1) | u64::try_from(twice).unwrap_or(1);
    }
    let log2 = (u64::from(63_u32.saturating_sub(zeros)) << 32) | fraction;
    (64_u64 << 32).saturating_sub(log2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_exact_where_it_can_be_and_close_elsewhere() {
        for power in 0..64 {
            assert_eq!(minus_log2(1 << power), (64 - power) << 32);
        }
        assert_eq!(minus_log2(0), 64 << 32);
        // log2(3) = 1.5849625007211561814...; its first 32 bits behind the point are 0x95c01a39.
        assert_eq!(minus_log2(3), (64 << 32) - ((1 << 32) | 0x95c0_1a39));
        assert!(minus_log2(u64::MAX) >= 1);
        assert!(
            (0..1000_u64)
                .map(|n| minus_log2(n << 40))
                .is_sorted_by(|a, b| a >= b)
        );
    }

    #[test]
    fn a_choice_never_changes_between_releases() {
        let ids: Vec<AccessPointId> = ["a", "b", "c"]
            .iter()
            .map(|id| id.parse().unwrap())
            .collect();
        let weights = [1, 10, 1000].map(|weight| Weight::new(weight).unwrap());
        let spread = Spread::weighted(ids.iter().zip(weights));
        let chosen: String = (0..400)
            .filter_map(|n| spread.choose(&format!("sn-{n}").parse().unwrap(), |_| true))
            .map(AccessPointId::as_str)
            .collect();
        let places =
            |of: char| -> Vec<usize> { chosen.match_indices(of).map(|(at, _)| at).collect() };
        // By another implementation, in Python with decimals of 60 digits.
        assert_eq!((places('a'), places('b')), (vec![], vec![76, 112, 200]));
    }
}
