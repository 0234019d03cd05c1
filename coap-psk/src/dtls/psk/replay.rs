//! Which of the last 64 records arrived. (RFC 6347, 4.1.2.6)

/// How far back a record may come late.
const WIDTH: u64 = 64;

#[derive(Debug, Default)]
pub(super) struct Window {
    /// One more than the highest number that arrived.
    pub(super) next: u64,
    /// Bit n: the record n below the highest one arrived.
    pub(super) arrived: u64,
}

impl Window {
    /// Whether a record of this number may be opened: it did not arrive yet and is not too old to know.
    pub(super) fn admits(&self, sequence: u64) -> bool {
        self.age(sequence)
            .is_none_or(|age| age < WIDTH && self.arrived >> age & 1 == 0)
    }

    /// Notes a record, and tells whether its number is the highest so far. Only one that is authentic: others could move the
    /// window away from the peer's.
    pub(super) fn note(&mut self, sequence: u64) -> bool {
        let age = self.age(sequence);
        match age {
            None => {
                let step = sequence.saturating_sub(self.next).saturating_add(1);
                let kept = if step < WIDTH {
                    self.arrived << step
                } else {
                    0
                };
                self.arrived = kept | 1;
                self.next = sequence.saturating_add(1);
            }
            Some(age) if age < WIDTH => self.arrived |= 1 << age,
            Some(_) => {}
        }
        age.is_none()
    }

    /// How far below the highest number this one is; `None` when it is above.
    fn age(&self, sequence: u64) -> Option<u64> {
        self.next.checked_sub(1)?.checked_sub(sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn sixty_four_numbers_are_remembered_and_older_ones_refused() {
        let mut window = Window::default();
        for sequence in [100, 164] {
            assert!(window.admits(sequence));
            assert!(window.note(sequence));
            assert!(!window.admits(sequence));
        }
        assert!(!window.admits(100), "64 below the highest");
        assert!(window.admits(101));
        assert!(!window.note(101), "not the newest");
        assert!(!window.admits(101));
        assert!(window.admits(165));
    }

    proptest! {
        #[test]
        fn no_number_is_admitted_twice_and_a_recent_one_is_once(
            numbers in proptest::collection::vec(0..200_u64, 0..300)
        ) {
            let (mut window, mut seen, mut highest) = (Window::default(), BTreeSet::new(), 0);
            for number in numbers {
                let admitted = window.admits(number);
                if admitted {
                    prop_assert!(seen.insert(number));
                    prop_assert_eq!(window.note(number), number > highest || seen.len() == 1);
                    highest = highest.max(number);
                } else {
                    prop_assert!(seen.contains(&number) || highest.saturating_sub(number) >= WIDTH);
                }
            }
        }
    }
}
