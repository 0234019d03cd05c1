//! Message ids of our own messages to one peer.

use core::time::Duration;

use crate::random::Random;
use crate::time::Instant;

/// Hands out message ids, none twice within an exchange lifetime. (RFC 7252, 4.4)
///
/// Within any span of one lifetime at most half of the ids are handed out, so that two spans in a row share none.
#[derive(Debug)]
pub(crate) struct MessageIds {
    next: u16,
    handed_out: u16,
    span_began: Instant,
}

impl MessageIds {
    const PER_SPAN: u16 = 1 << 15;

    pub(crate) fn new(random: &mut Random, now: Instant) -> Self {
        Self {
            next: random.next_u16(),
            handed_out: 0,
            span_began: now,
        }
    }

    /// The next id; `None` while all that may be used are used.
    pub(crate) fn next(&mut self, lifetime: Duration, now: Instant) -> Option<u16> {
        if now >= self.span_began.saturating_add(lifetime) {
            self.span_began = now;
            self.handed_out = 0;
        }
        if self.handed_out >= Self::PER_SPAN {
            return None;
        }
        self.handed_out = self.handed_out.saturating_add(1);
        let id = self.next;
        self.next = id.wrapping_add(1);
        Some(id)
    }

    /// An id that the peer cannot foresee, out of the half of all ids whose turn is farthest from now.
    pub(crate) fn unforeseen(&self, random: &mut Random) -> u16 {
        let offset = random.next_u16() >> 1;
        self.next.wrapping_add(1 << 14).wrapping_add(offset)
    }

    /// When ids are free again; `None` when some are.
    pub(crate) fn available_at(&self, lifetime: Duration) -> Option<Instant> {
        (self.handed_out >= Self::PER_SPAN).then(|| self.span_began.saturating_add(lifetime))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn no_id_comes_back_within_a_lifetime() {
        let lifetime = Duration::from_secs(247);
        let mut ids = MessageIds::new(&mut Random::new([1; 32]), Instant::ZERO);
        let mut last_use = BTreeMap::new();
        for step in 0..200_000_u64 {
            let now = Instant::from_micros(step * 4_000);
            let Some(id) = ids.next(lifetime, now) else {
                assert!(ids.available_at(lifetime).unwrap() > now);
                continue;
            };
            if let Some(earlier) = last_use.insert(id, now) {
                assert!(
                    now.saturating_duration_since(earlier) >= lifetime,
                    "id {id} again after {earlier:?} at {now:?}"
                );
            }
        }
        assert!(last_use.len() > 60_000);
    }
}
