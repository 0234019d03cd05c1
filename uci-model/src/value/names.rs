//! That no name of a map comes twice.

use alloc::collections::BTreeSet;

/// Up to so many names are compared each with each.
const FEW: usize = 16;

/// Whether no name comes twice. Many names cost no more than sorting them.
#[inline]
pub(super) fn are_unique<T: Copy + Ord>(names: impl ExactSizeIterator<Item = T> + Clone) -> bool {
    if names.len() > FEW {
        return names.clone().collect::<BTreeSet<_>>().len() == names.len();
    }
    let mut earlier = names.clone().enumerate();
    earlier.all(|(index, name)| names.clone().take(index).all(|other| other != name))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_name_that_comes_twice_is_found_among_few_and_many() {
        for count in [0, 1, FEW, FEW * 2] {
            let mut names: Vec<usize> = (0..count).collect();
            assert!(are_unique(names.iter()), "{count}");
            names.extend(names.first().copied());
            assert_eq!(are_unique(names.iter()), count == 0, "{count}");
        }
    }
}
