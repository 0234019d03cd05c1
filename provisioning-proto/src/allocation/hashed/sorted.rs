/// How many slots there are for three numbers.
const SLOTS: u64 = 4;
const NUMBERS: u64 = 3;
/// How many slots are read at a time.
const FEW: usize = 4;

/// Numbers that are hashes, in their order, each with what belongs to it, so that where one of them stands, or would, is found at
/// once however many there are.
///
/// Each number has the slot that its value says, or one soon behind where that is taken. A slot that nobody has repeats the next
/// number. So a search begins where it most often ends, and among many numbers, which are in no near cache, it waits for one line of memory
/// and not for a table that says where to look.
#[derive(Clone, Debug)]
pub(super) struct Sorted<T> {
    slots: Vec<(u64, T)>,
    /// How many slots numbers are mapped to.
    homes: u64,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            homes: 0,
        }
    }
}

impl<T: Clone> Sorted<T> {
    /// Of numbers in their order.
    pub(super) fn new(sorted: Vec<(u64, T)>) -> Self {
        let count = sorted.len() as u64;
        let homes = count.saturating_mul(SLOTS).div_ceil(NUMBERS);
        let mut slots = Vec::new();
        for entry in sorted {
            // Its own slot, or the next one that is free, and all that nobody has before it.
            let slot = home(entry.0, homes).max(slots.len());
            slots.resize(slot.saturating_add(1), entry);
        }
        Self { slots, homes }
    }
}

impl<T> Sorted<T> {
    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The number in a slot.
    pub(super) fn number(&self, slot: usize) -> Option<u64> {
        Some(self.slots.get(slot)?.0)
    }

    /// What belongs to the number in a slot.
    pub(super) fn value(&self, slot: usize) -> Option<&T> {
        Some(&self.slots.get(slot)?.1)
    }

    /// A slot of the first number that is not under this one, or the end.
    pub(super) fn first(&self, number: u64) -> usize {
        // A number that is not under it has its slot there or behind.
        let mut slot = home(number, self.homes).min(self.slots.len());
        // Most often it is among the next few, and then nothing is decided by what is read, so that a processor goes on to read
        // for other numbers.
        while let Some(few) = self.slots.get(slot..).and_then(<[_]>::first_chunk::<FEW>) {
            let before: usize = few.iter().map(|(at, _)| usize::from(*at < number)).sum();
            slot = slot.saturating_add(before);
            if before < FEW {
                return slot;
            }
        }
        let rest = self.slots.get(slot..).unwrap_or_default();
        slot.saturating_add(rest.partition_point(|(at, _)| *at < number))
    }
}

/// The slot of a number: as far among all slots as the number is among all numbers.
fn home(number: u64, homes: u64) -> usize {
    let home = u128::from(number).wrapping_mul(u128::from(homes)) >> 64;
    usize::try_from(home).unwrap_or(usize::MAX)
}
