//! Which event types the peer supports for a subscription, as far as its answers tell.
//!
//! A peer that refuses several event types at once does not say which it means, so each is asked for alone. Peers refuse
//! for the sake of a device or a resource too, so what is learned about one subscription says nothing of another. Peers also
//! accept what they do not support, and drop it; that is known only by the notifications, which the ledger has.

use std::collections::BTreeSet;

use uci_model::EventType;

/// What was learned about one subscription. It is made anew after a restart, from what the last try asked for.
#[derive(Debug, Default)]
pub(crate) struct Support {
    /// Refused.
    missing: BTreeSet<EventType>,
    /// Refused together with others: it may be another that was meant.
    doubted: BTreeSet<EventType>,
    /// Accepted.
    proven: BTreeSet<EventType>,
}

impl Support {
    /// What of `wanted` to ask for next: one that is in doubt alone, otherwise all that is not refused.
    pub(crate) fn ask(&self, wanted: &[EventType]) -> Vec<EventType> {
        let open = || wanted.iter().filter(|one| !self.missing.contains(*one));
        let doubted = open().find(|one| self.doubted.contains(*one));
        doubted.map_or_else(|| open().cloned().collect(), |one| vec![one.clone()])
    }

    /// Takes that the peer has accepted `asked`.
    pub(crate) fn accept(&mut self, asked: &[EventType]) {
        for one in asked {
            self.missing.remove(one);
            self.doubted.remove(one);
            self.proven.insert(one.clone());
        }
    }

    /// Takes that the peer has refused `asked`, for the sake of at least one of them.
    pub(crate) fn refuse(&mut self, asked: &[EventType]) {
        let unproven: Vec<&EventType> = asked
            .iter()
            .filter(|one| !self.proven.contains(*one))
            .collect();
        match unproven.as_slice() {
            // What was accepted once and is refused now, alone or together, is not asked for in other combinations.
            [] => self.refuse_all(asked),
            [one] if asked.len() == 1 => {
                self.doubted.remove(*one);
                self.missing.insert((*one).clone());
            }
            doubted => self
                .doubted
                .extend(doubted.iter().map(|one| (*one).clone())),
        }
    }

    /// Takes that the peer supports none of `types`.
    pub(crate) fn refuse_all(&mut self, types: &[EventType]) {
        for one in types {
            self.doubted.remove(one);
            self.proven.remove(one);
            self.missing.insert(one.clone());
        }
    }

    /// Whether there is something to ask for again later.
    pub(crate) fn is_partial(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Forgets what was refused, so that it is asked for again.
    pub(crate) fn forget_refusals(&mut self) {
        self.missing.clear();
        self.doubted.clear();
    }
}

#[cfg(test)]
mod tests {
    use uci_model::{EventType, SubscriptionLevel};

    use super::Support;

    /// Asks until the peer, who supports `supported` in subscriptions of at most `most` types, has accepted; what it was
    /// asked for, in order. The last is what it accepted, or nothing.
    fn settle(support: &mut Support, supported: &[EventType], most: usize) -> Vec<Vec<EventType>> {
        let wanted = SubscriptionLevel::Devices.event_types();
        let mut tries: Vec<Vec<EventType>> = Vec::new();
        while tries.len() < 20 {
            let asked = support.ask(wanted);
            tries.push(asked.clone());
            if asked.is_empty() {
                return tries;
            }
            if asked.len() <= most && asked.iter().all(|one| supported.contains(one)) {
                support.accept(&asked);
                if support.ask(wanted) == asked {
                    return tries;
                }
            } else {
                support.refuse(&asked);
            }
        }
        panic!("it never settles: {tries:?}");
    }

    #[test]
    fn every_set_of_supported_types_is_found_out_in_a_few_tries() {
        let all = SubscriptionLevel::Devices.event_types();
        for bits in 0..16_u8 {
            let supported: Vec<EventType> = (0_u8..)
                .zip(all)
                .filter(|(bit, _)| bits & (1 << bit) != 0)
                .map(|(_, one)| one.clone())
                .collect();
            let mut support = Support::default();
            // Once for all, once for each, once for what is left; and once more after the refusals are forgotten.
            for _ in 0..2 {
                let tries = settle(&mut support, &supported, 4);
                assert_eq!(tries.last(), Some(&supported));
                assert!(tries.len() <= 6, "{tries:?}");
                assert_eq!(support.is_partial(), supported.len() < 4);
                support.forget_refusals();
            }
        }
    }

    #[test]
    fn a_peer_that_refuses_only_combinations_is_not_asked_for_ever() {
        let all = SubscriptionLevel::Devices.event_types();
        let mut support = Support::default();
        let tries = settle(&mut support, all, 2);
        assert_eq!(tries.last(), Some(&Vec::new()));
        assert_eq!(tries.len(), 7, "all, each, all again, and then nothing");
    }
}
