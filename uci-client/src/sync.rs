//! What of the mirror must be fetched and what is being fetched.

use std::collections::BTreeSet;

use uci_model::{DeviceId, Href};

use crate::ledger::Target;

/// How many scopes may wait before all devices are fetched instead.
const MAX_WANTED: usize = 64;

/// What is fetched together.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Scope {
    /// All devices, their links and their representations.
    All,
    /// One device, its links and its representations.
    Device(DeviceId),
    /// One representation.
    Resource(DeviceId, Href),
}

impl Scope {
    /// What a subscription tells of.
    pub(crate) fn of(target: &Target) -> Self {
        match target {
            Target::Devices => Self::All,
            Target::Device { device } => Self::Device(*device),
            Target::Resource { device, href } => Self::Resource(*device, href.clone()),
        }
    }

    /// The fetches that it takes, in order.
    pub(crate) const fn parts(&self) -> &'static [Part] {
        match self {
            Self::All | Self::Device(_) => &[Part::Links, Part::Contents],
            Self::Resource(..) => &[Part::Contents],
        }
    }
}

/// One fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// `content=base`: devices and links.
    Links,
    /// `content=all`, or the resource itself: representations.
    Contents,
}

/// The state of all fetches. One scope is fetched at a time, so that an older answer cannot overtake a newer one.
#[derive(Debug, Default)]
pub(crate) struct Sync {
    wanted: BTreeSet<Scope>,
    /// What failed. It is tried again after all that is wanted, so that it holds nothing else up.
    failed: BTreeSet<Scope>,
    /// The scope on its way and how many of its parts are done.
    open: Option<(Scope, usize)>,
    /// Tries that failed since one last succeeded.
    failures: u32,
    /// Whether the time of the next try has not come yet.
    paused: bool,
}

impl Sync {
    /// Wants a scope fetched; one that is on its way is fetched again after that.
    pub(crate) fn mark(&mut self, scope: Scope) {
        if self.wanted.contains(&Scope::All) {
            return;
        }
        let waiting = self.wanted.len().saturating_add(self.failed.len());
        if scope == Scope::All || waiting >= MAX_WANTED {
            self.clear();
            self.wanted.insert(Scope::All);
        } else {
            self.failed.remove(&scope);
            self.wanted.insert(scope);
        }
    }

    /// Takes the next scope, which is then on its way, and its first part.
    pub(crate) fn start(&mut self) -> Option<(Scope, Part)> {
        if self.paused || self.open.is_some() {
            return None;
        }
        if self.wanted.is_empty() {
            core::mem::swap(&mut self.wanted, &mut self.failed);
        }
        let scope = self.wanted.pop_first()?;
        let part = *scope.parts().first()?;
        self.open = Some((scope.clone(), 0));
        Some((scope, part))
    }

    /// Takes the success of a part and returns the next; `None` when the scope is complete.
    pub(crate) fn succeed(&mut self) -> Option<Part> {
        self.failures = 0;
        let (scope, done) = self.open.as_mut()?;
        *done = done.saturating_add(1);
        let next = scope.parts().get(*done).copied();
        if next.is_none() {
            self.open = None;
        }
        next
    }

    /// Takes that the scope on its way is not there any more, or is refused for good: nothing is left to fetch of it.
    pub(crate) fn settle(&mut self) {
        self.failures = 0;
        self.open = None;
    }

    /// Takes the failure of the scope on its way, which is wanted again; returns the number of failures in a row.
    pub(crate) fn fail(&mut self) -> u32 {
        if let Some((scope, _)) = self.open.take()
            && !self.wanted.contains(&Scope::All)
        {
            self.failed.insert(scope);
        }
        self.paused = true;
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Takes that the time of the next try has come.
    pub(crate) fn go_on(&mut self) {
        self.paused = false;
    }

    /// Forgets what is wanted.
    pub(crate) fn clear(&mut self) {
        self.wanted.clear();
        self.failed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_WANTED, Scope, Sync};
    use uci_model::DeviceId;

    fn device(number: u8) -> Scope {
        Scope::Device(DeviceId::from_bytes([number; 16]))
    }

    /// Starts one fetch after another, of which those of `failing` fail; the order in which they were tried.
    fn tried(sync: &mut Sync, failing: &[Scope], rounds: usize) -> Vec<Scope> {
        let mut tried = Vec::new();
        for _ in 0..rounds {
            sync.go_on();
            let Some((scope, _)) = sync.start() else {
                break;
            };
            if failing.contains(&scope) {
                sync.fail();
            } else {
                while sync.succeed().is_some() {}
            }
            tried.push(scope);
        }
        tried
    }

    #[test]
    fn what_fails_holds_nothing_else_up() {
        let mut sync = Sync::default();
        (1..=3).for_each(|number| sync.mark(device(number)));
        let failing = [device(1), device(2)];
        let order = [1, 2, 3, 1, 2, 1, 2].map(device);
        assert_eq!(tried(&mut sync, &failing, 7), order);
        assert_eq!(tried(&mut sync, &[], 7), [device(1), device(2)]);
    }

    #[test]
    fn too_much_at_once_becomes_everything() {
        let mut sync = Sync::default();
        sync.mark(device(0));
        tried(&mut sync, &[device(0)], 1);
        let most = u8::try_from(MAX_WANTED).unwrap();
        (1..=most).for_each(|number| sync.mark(device(number)));
        assert_eq!(tried(&mut sync, &[], 9), [Scope::All]);
    }

    #[test]
    fn a_failed_fetch_of_everything_is_tried_again() {
        let mut sync = Sync::default();
        sync.mark(Scope::All);
        let failing = [Scope::All];
        assert_eq!(tried(&mut sync, &failing, 2), [Scope::All, Scope::All]);
        assert_eq!(tried(&mut sync, &[], 9), [Scope::All]);
    }
}
