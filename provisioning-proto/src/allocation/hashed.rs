//! Weighted hashing where every access point draws for every device, as in rendezvous hashing (Thaler and Ravishankar 1998), and the best
//! draw is found without asking all of them, as in multi-probe consistent hashing (Appleton and O'Reilly 2015).
//!
//! An access point has 16 places on a circle of 64 bits, a device has 16 probes. A place takes part in a probe where a hash of both
//! says so, which is one time in 16: thus neighbors on the circle share what is before them, instead of one taking it from the other.
//! The draw of an access point is the least distance from a probe to a place of its that takes part, divided by its weight; the least draw
//! wins. A draw depends on the device and on that access point alone, so that whatever is added, removed or changed in weight moves
//! only devices to it or from it. Distances are as good as exponentially distributed, so each access point gets its share of the weights.
//! Every step is exact in integers: every machine and every release gives the same answer.
//!
//! The places of similar weights are on one [`Ring`], so that a search can stop where nothing there can win any more.

mod index;
mod ring;
mod sorted;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::allocation::{AccessPoint, Weight};
use crate::{AccessPointId, RegistrationId};
pub(super) use index::Index;
use ring::Ring;

/// How many places an access point has, and how many probes a device.
const PLACES: u64 = 16;
/// A place takes part in a probe where this many bits of a hash are nought.
const ACCEPTING_BITS: u32 = 4;

/// The access points that take a share.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    /// By their ids.
    shares: Vec<Share>,
    /// A ring for each power of two among the weights, the heaviest first.
    rings: Vec<Ring>,
}

/// The share of an access point.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Share {
    id: AccessPointId,
    weight: u16,
    seed: u64,
}

/// A distance, and the weight by which it counts less.
#[derive(Clone, Copy, Debug)]
struct Draw {
    distance: u64,
    weight: u16,
}

impl Spread {
    pub(super) fn new<'p>(points: impl Iterator<Item = &'p AccessPoint>) -> Self {
        let taking = points.filter(|point| point.is_granted() && point.accepts_new);
        Self::weighted(taking.map(|point| (&point.id, point.weight)))
    }

    pub(super) fn weighted<'p>(list: impl Iterator<Item = (&'p AccessPointId, Weight)>) -> Self {
        let taking = list.filter(|(_, weight)| *weight > Weight::ZERO);
        let mut shares: Vec<Share> = taking
            .map(|(id, weight)| Share {
                id: id.clone(),
                weight: weight.value(),
                seed: hash("access point", id.as_str()),
            })
            .collect();
        shares.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let mut classes: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for (owner, share) in (0_u32..).zip(&shares) {
            let class = classes.entry(share.weight.leading_zeros()).or_default();
            class.push((owner, share.seed, share.weight));
        }
        let rings = classes.into_values();
        Self {
            rings: rings.map(|class| Ring::new(class.into_iter())).collect(),
            shares,
        }
    }

    /// The share that takes a device, of those that are `usable`, all of them `allowed` where something is.
    pub(super) fn choose(
        &self,
        device: &RegistrationId,
        allowed: Option<&BTreeSet<AccessPointId>>,
        usable: impl Fn(&Share) -> bool,
    ) -> Option<&Share> {
        let device = hash("registration", device.as_str());
        let probes: Vec<u64> = (0..PLACES).map(|n| nth(device, n)).collect();
        // Searching costs as much more as fewer of them may be found.
        let few = allowed.filter(|few| few.len().saturating_mul(few.len()) <= self.shares.len());
        if let Some(few) = few {
            let few = few.iter().filter_map(|id| self.share(id));
            return each(few.filter(|share| usable(share)), &probes);
        }
        // Most often the best of all can be used, and is the only one that must be asked about.
        let steps = self.shares.len().saturating_mul(16).saturating_add(1024);
        let best = self.search(&probes, steps, |_, _| true);
        if let Some(best) = best.filter(|best| usable(best)) {
            return Some(best);
        }
        let known: RefCell<BTreeMap<u32, bool>> = RefCell::default();
        let found = self.search(&probes, steps, |owner, share| {
            let mut known = known.borrow_mut();
            *known.entry(owner).or_insert_with(|| usable(share))
        });
        match found {
            Some(best) => Some(best),
            // Nearly all are full, or nobody takes part: then asking each costs no more than what has been spent.
            None => each(self.shares.iter().filter(|share| usable(share)), &probes),
        }
    }

    /// The least draw, unless nobody draws or the search takes more than `steps`.
    fn search(
        &self,
        probes: &[u64],
        mut steps: usize,
        usable: impl Fn(u32, &Share) -> bool,
    ) -> Option<&Share> {
        let mut best: Option<(Draw, u32)> = None;
        for ring in &self.rings {
            let firsts: Vec<usize> = probes.iter().map(|probe| ring.first(*probe)).collect();
            for (probe, first) in probes.iter().zip(firsts) {
                for (distance, owner) in ring.behind(*probe, first) {
                    if best.is_some_and(|(best, _)| !ring.can_win(distance, &best)) {
                        break;
                    }
                    steps = steps.checked_sub(1)?;
                    let Some(owner) = owner else { continue };
                    let Some(share) = self.at(owner) else {
                        continue;
                    };
                    let draw = Draw {
                        distance,
                        weight: share.weight,
                    };
                    if best.is_none_or(|best| (draw, owner) < best) && usable(owner, share) {
                        best = Some((draw, owner));
                    }
                }
            }
        }
        best.and_then(|(_, owner)| self.at(owner))
    }

    fn at(&self, owner: u32) -> Option<&Share> {
        self.shares.get(usize::try_from(owner).ok()?)
    }

    fn share(&self, id: &AccessPointId) -> Option<&Share> {
        let found = self.shares.binary_search_by(|share| share.id.cmp(id));
        self.shares.get(found.ok()?)
    }
}

/// The one of the least draw of these, by going through all. The order is the same as that of a search, and goes on to those that do not
/// take part in any probe: they come behind all that do.
fn each<'s>(shares: impl Iterator<Item = &'s Share>, probes: &[u64]) -> Option<&'s Share> {
    let least = |share: &Share| {
        let mut least = (true, Draw::farthest(share.weight));
        for place in (0..PLACES).map(|n| nth(share.seed, n)) {
            for probe in probes {
                let draw = Draw {
                    distance: place.wrapping_sub(*probe),
                    weight: share.weight,
                };
                let stands_by = !accepts(*probe, place);
                least = least.min((stands_by, draw));
            }
        }
        least
    };
    shares.min_by_key(|share| (least(share), &share.id))
}

impl Draw {
    fn farthest(weight: u16) -> Self {
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

/// Whether a place takes part in a probe: both folded by a product of 128 bits.
fn accepts(probe: u64, place: u64) -> bool {
    let product = u128::from(probe).wrapping_mul(u128::from(place));
    let (high, low) = (product >> 64, product & u128::from(u64::MAX));
    (high ^ low) >> 64_u32.saturating_sub(ACCEPTING_BITS) == 0
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

/// The number `n` of the sequence of SplitMix64 (Steele, Lea and Flood 2014) from a seed.
fn nth(seed: u64, n: u64) -> u64 {
    let steps = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = seed.wrapping_add(steps);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
