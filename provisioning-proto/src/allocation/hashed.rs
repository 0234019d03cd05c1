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

mod draw;
mod index;
mod numbers;
mod ring;
mod sorted;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::allocation::{AccessPoint, Weight};
use crate::{AccessPointId, RegistrationId};
use draw::Draw;
pub(super) use index::Index;
pub(super) use numbers::seed;
use numbers::{PLACES, accepts, places, probes};
use ring::{Place, Ring};

/// The access points that take a share.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    /// By their ids.
    shares: Vec<Share>,
    /// In the same order, where the shares are those of the access points themselves and not of a policy. Apart, so that those among which
    /// the one of a device is looked up stay in a near cache.
    points: Vec<Arc<AccessPoint>>,
    /// A ring for each power of two among the weights, the heaviest first.
    rings: Vec<Ring>,
}

/// The share of an access point.
#[derive(Clone, Debug)]
struct Share {
    id: AccessPointId,
    weight: u16,
    seed: u64,
}

/// One of the shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'s> {
    spread: &'s Spread,
    number: u32,
}

/// A draw, and the place that has it.
#[derive(Clone, Copy, Debug)]
struct Best<'r> {
    draw: Draw,
    ring: &'r Ring,
    slot: usize,
}

impl Spread {
    /// By the weights that access points have.
    pub(super) fn new<'p>(points: impl Iterator<Item = &'p Arc<AccessPoint>>) -> Self {
        let takes = |point: &&Arc<AccessPoint>| {
            point.is_granted() && point.accepts_new && point.weight > Weight::ZERO
        };
        let mut points: Vec<_> = points.filter(takes).cloned().collect();
        points.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let spread = Self::weighted(points.iter().map(|point| (&point.id, point.weight)));
        Self { points, ..spread }
    }

    /// By weights of a policy's own.
    pub(super) fn weighted<'p>(list: impl Iterator<Item = (&'p AccessPointId, Weight)>) -> Self {
        let taking = list.filter(|(_, weight)| *weight > Weight::ZERO);
        let mut shares: Vec<_> = taking
            .map(|(id, weight)| Share {
                id: id.clone(),
                weight: weight.value(),
                seed: seed(id),
            })
            .collect();
        shares.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let mut classes: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for (owner, share) in (0_u32..).zip(&shares) {
            let class = classes.entry(share.weight.leading_zeros()).or_default();
            let weight = share.weight;
            class.push((share.seed, Place { owner, weight }));
        }
        let rings = classes.into_values();
        Self {
            rings: rings.map(|class| Ring::new(class.into_iter())).collect(),
            points: Vec::new(),
            shares,
        }
    }

    /// The share that takes a device, of those that are `usable`, all of them `allowed` where something is.
    pub(super) fn choose<'s>(
        &'s self,
        device: &RegistrationId,
        allowed: Option<&BTreeSet<AccessPointId>>,
        usable: impl Fn(Owner<'s>) -> bool,
    ) -> Option<Owner<'s>> {
        let probes = probes(device);
        // Searching costs as much more as fewer of them may be found.
        let few = allowed.filter(|few| few.len().saturating_mul(few.len()) <= self.shares.len());
        if let Some(few) = few {
            let few = few.iter().filter_map(|id| self.owner(id));
            return each(few.filter(|owner| usable(*owner)), &probes);
        }
        // Most often the best of all can be used, and is the only one that must be asked about.
        let steps: usize = self.rings.iter().map(Ring::len).sum();
        let steps = steps.saturating_add(1024);
        let best = self.search(&probes, steps, |_| true);
        if let Some(best) = best.filter(|best| usable(*best)) {
            return Some(best);
        }
        let known: RefCell<BTreeMap<u32, bool>> = RefCell::default();
        let found = self.search(&probes, steps, |owner| {
            let mut known = known.borrow_mut();
            *known.entry(owner.number).or_insert_with(|| usable(owner))
        });
        match found {
            Some(best) => Some(best),
            // Nearly all are full, or nobody takes part: then asking each costs no more than what has been spent.
            None => each(self.owners().filter(|owner| usable(*owner)), &probes),
        }
    }

    /// Who has the least draw, unless nobody draws or the search takes more than `steps`.
    fn search<'s>(
        &'s self,
        probes: &[u64; PLACES],
        mut steps: usize,
        usable: impl Fn(Owner<'s>) -> bool,
    ) -> Option<Owner<'s>> {
        let owner = |best: Best<'_>| {
            let number = best.owner()?;
            let spread = self;
            Some(Owner { spread, number })
        };
        let mut best: Option<Best<'_>> = None;
        for ring in &self.rings {
            // All of them before the first is gone on from, so that a processor waits for their memory once.
            let firsts = probes.map(|probe| ring.first(probe));
            for (probe, first) in probes.iter().zip(firsts) {
                for (distance, slot) in ring.behind(*probe, first) {
                    if best.is_some_and(|best| !ring.can_win(distance, &best.draw)) {
                        break;
                    }
                    steps = steps.checked_sub(1)?;
                    let Some(slot) = slot else { continue };
                    let weight = ring.weight(slot);
                    let draw = Draw { distance, weight };
                    let found = Best { draw, ring, slot };
                    if best.is_none_or(|best| found.wins(&best))
                        && owner(found).is_some_and(&usable)
                    {
                        best = Some(found);
                    }
                }
            }
        }
        best.and_then(owner)
    }

    fn owners(&self) -> impl Iterator<Item = Owner<'_>> {
        let numbers = (0_u32..).zip(&self.shares);
        let spread = self;
        numbers.map(move |(number, _)| Owner { spread, number })
    }

    fn owner(&self, id: &AccessPointId) -> Option<Owner<'_>> {
        let found = self.shares.binary_search_by(|share| share.id.cmp(id));
        let number = u32::try_from(found.ok()?).ok()?;
        let spread = self;
        Some(Owner { spread, number })
    }
}

impl<'s> Owner<'s> {
    /// The access point, of those that `index` knows where the shares are a policy's.
    pub(super) fn point(self, index: impl FnOnce() -> &'s Index) -> Option<&'s AccessPoint> {
        let number = usize::try_from(self.number).ok()?;
        if let Some(point) = self.spread.points.get(number) {
            return Some(point);
        }
        let share = self.share()?;
        index().get(&share.id, share.seed)
    }

    fn share(self) -> Option<&'s Share> {
        self.spread.shares.get(usize::try_from(self.number).ok()?)
    }
}

impl Best<'_> {
    fn owner(&self) -> Option<u32> {
        Some(self.ring.place(self.slot)?.owner)
    }

    /// Whether it is less than the other, or of the smaller id.
    fn wins(&self, other: &Self) -> bool {
        let by_draw = self.draw.cmp(&other.draw);
        let in_order = || self.owner().cmp(&other.owner());
        by_draw.then_with(in_order).is_lt()
    }
}

/// The one of the least draw of these, by going through all. The order is the same as that of a search, and goes on to those that do not
/// take part in any probe: they come behind all that do.
fn each<'s>(owners: impl Iterator<Item = Owner<'s>>, probes: &[u64]) -> Option<Owner<'s>> {
    let least = |share: &Share| {
        let mut least = (true, Draw::farthest(share.weight));
        for place in places(share.seed) {
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
    // Their numbers are in the order of their ids.
    owners.min_by_key(|owner| (owner.share().map(least), owner.number))
}

#[cfg(test)]
mod tests;
