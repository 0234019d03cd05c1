//! Values that many have in common, in memory once.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::stored;

/// Fewest entries before it is looked for those that nobody holds any more.
const MIN_SWEEP: usize = 64;

/// Finds the value that equals another. It keeps nothing alive.
#[derive(Debug)]
pub(crate) struct Pool<T: ?Sized> {
    /// By the hash of the written form.
    values: BTreeMap<[u8; 32], Weak<T>>,
    /// At how many entries the dead ones are removed: twice as many as were alive the last time.
    sweep_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            sweep_at: MIN_SWEEP,
        }
    }
}

impl<T: ?Sized + PartialEq + Serialize> Pool<T> {
    /// Replaces `value` by the equal one that others hold, or offers it to them.
    pub(crate) fn share(&mut self, value: &mut Arc<T>) {
        // What cannot be written is not shared; nothing else depends on it.
        let Ok(written) = stored::encode(&**value) else {
            return;
        };
        let key = Sha256::digest(&written).into();
        match self.values.get(&key).and_then(Weak::upgrade) {
            Some(known) if *known == **value => *value = known,
            _ => {
                self.values.insert(key, Arc::downgrade(value));
                self.sweep();
            }
        }
    }

    fn sweep(&mut self) {
        if self.values.len() >= self.sweep_at {
            self.values.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = self.values.len().saturating_mul(2).max(MIN_SWEEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_become_one() {
        let mut pool = Pool::<str>::default();
        let mut values = ["a", "b", "a"].map(Arc::from);
        for value in &mut values {
            pool.share(value);
        }
        assert!(Arc::ptr_eq(&values[0], &values[2]));
        assert!(!Arc::ptr_eq(&values[0], &values[1]));
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let mut pool = Pool::<str>::default();
        let mut held = Arc::from("held");
        pool.share(&mut held);
        for number in 0..10 * MIN_SWEEP {
            pool.share(&mut Arc::from(number.to_string()));
        }
        assert!(pool.values.len() <= 2 * MIN_SWEEP);
        let mut again = Arc::from("held");
        pool.share(&mut again);
        assert!(Arc::ptr_eq(&held, &again));
    }
}
