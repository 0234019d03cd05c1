/// How many numbers share a bucket: as many as fit into a line of a cache.
const CROWD: usize = 8;

/// Numbers that are hashes, in their order, so that where one of them stands, or would, is found at once however many there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted {
    numbers: Vec<u64>,
    /// For each value of the topmost bits, the first number that has it or a greater one.
    starts: Vec<u32>,
    /// By how much a number is shifted to leave those bits.
    shift: u32,
}

impl Sorted {
    /// Of numbers in their order.
    pub(super) fn new(numbers: Vec<u64>) -> Self {
        let buckets = numbers.len().div_ceil(CROWD).next_power_of_two();
        let shift = 64_u32.saturating_sub(buckets.trailing_zeros());
        let mut starts = Vec::with_capacity(buckets);
        for (index, at) in (0_u32..).zip(&numbers) {
            let bucket = bucket(*at, shift);
            while starts.len() <= bucket {
                starts.push(index);
            }
        }
        Self {
            numbers,
            starts,
            shift,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number at a place.
    pub(super) fn get(&self, index: usize) -> Option<u64> {
        self.numbers.get(index).copied()
    }

    /// Where the first number that is not under this one is, or the end.
    ///
    /// Nothing is decided by what is read here, so that a processor reads for many numbers at a time.
    pub(super) fn first(&self, number: u64) -> usize {
        let bucket = bucket(number, self.shift);
        let start = |bucket| {
            let start = self.starts.get(bucket).copied().map(usize::try_from);
            start.and_then(Result::ok).unwrap_or(self.numbers.len())
        };
        let (from, to) = (start(bucket), start(bucket.saturating_add(1)));
        let crowd = self.numbers.get(from..to).unwrap_or_default();
        let before: usize = crowd.iter().map(|at| usize::from(*at < number)).sum();
        from.saturating_add(before)
    }
}

fn bucket(at: u64, shift: u32) -> usize {
    usize::try_from(at.checked_shr(shift).unwrap_or(0)).unwrap_or(usize::MAX)
}
