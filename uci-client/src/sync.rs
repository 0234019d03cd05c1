//! What of the mirror must be fetched and what is being fetched.

use std::collections::BTreeMap;

use uci_model::{DeviceId, Href};

use crate::ledger::Target;

/// How many scopes may wait before all devices are fetched instead.
const MAX_WANTED: usize = 64;

/// What is fetched together.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Scope {
    /// All devices.
    All,
    /// One device.
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
}

/// One fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// `content=base`: devices and links.
    Links,
    /// `content=all`, or the resource itself: representations.
    Contents,
}

/// The fetches that a scope takes, links first. A resource has no links.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Parts {
    pub(crate) links: bool,
    pub(crate) contents: bool,
}

impl Parts {
    /// Everything.
    pub(crate) const ALL: Self = Self {
        links: true,
        contents: true,
    };
    /// Representations alone.
    pub(crate) const CONTENTS: Self = Self {
        links: false,
        contents: true,
    };

    const fn and(self, other: Self) -> Self {
        Self {
            links: self.links || other.links,
            contents: self.contents || other.contents,
        }
    }

    const fn without(self, other: Self) -> Self {
        Self {
            links: self.links && !other.links,
            contents: self.contents && !other.contents,
        }
    }

    fn is_nothing(self) -> bool {
        self == Self::default()
    }

    const fn first(self) -> Part {
        if self.links {
            Part::Links
        } else {
            Part::Contents
        }
    }
}

/// A scope on its way.
#[derive(Debug)]
struct Open {
    scope: Scope,
    /// What was wanted of it.
    parts: Parts,
    /// What is not fetched yet.
    left: Parts,
}

/// The state of all fetches. One scope is fetched at a time, so that an older answer cannot overtake a newer one.
#[derive(Debug, Default)]
pub(crate) struct Sync {
    wanted: BTreeMap<Scope, Parts>,
    /// What failed. It is tried again after all that is wanted, so that it holds nothing else up.
    failed: BTreeMap<Scope, Parts>,
    open: Option<Open>,
    /// Tries that failed since one last succeeded.
    failures: u32,
    /// Whether the time of the next try has not come yet.
    paused: bool,
}

impl Sync {
    /// Wants a scope fetched whole; one that is on its way is fetched again after that.
    pub(crate) fn mark(&mut self, scope: Scope) {
        self.mark_parts(scope, Parts::ALL);
    }

    /// Wants parts of a scope fetched.
    pub(crate) fn mark_parts(&mut self, scope: Scope, parts: Parts) {
        let parts = match scope {
            Scope::Resource(..) => parts.without(Parts {
                links: true,
                contents: false,
            }),
            Scope::All | Scope::Device(_) => parts,
        };
        let covered = self.wanted.get(&Scope::All).copied().unwrap_or_default();
        if parts.without(covered).is_nothing() {
            return;
        }
        let waiting = self.wanted.len().saturating_add(self.failed.len());
        let (scope, parts) = if waiting < MAX_WANTED {
            (scope, parts)
        } else {
            (Scope::All, Parts::ALL)
        };
        let failed = self.failed.remove(&scope).unwrap_or_default();
        let all = self.wanted.entry(scope.clone()).or_default();
        *all = all.and(parts).and(failed);
        if scope == Scope::All {
            let all = *all;
            let remains = |scope: &Scope, parts: &mut Parts| {
                *scope == Scope::All || !parts.without(all).is_nothing()
            };
            self.wanted.retain(remains);
            self.failed.retain(remains);
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
        let (scope, parts) = self.wanted.pop_first()?;
        let open = self.open.insert(Open {
            scope,
            parts,
            left: parts,
        });
        Some((open.scope.clone(), parts.first()))
    }

    /// Takes the success of a part and returns the next; `None` when the scope is complete.
    pub(crate) fn succeed(&mut self) -> Option<Part> {
        self.failures = 0;
        let open = self.open.as_mut()?;
        match open.left.first() {
            Part::Links => open.left.links = false,
            Part::Contents => open.left.contents = false,
        }
        if open.left.is_nothing() {
            self.open = None;
            return None;
        }
        Some(open.left.first())
    }

    /// What is wanted of the scope on its way.
    pub(crate) fn open_parts(&self) -> Parts {
        self.open
            .as_ref()
            .map(|open| open.parts)
            .unwrap_or_default()
    }

    /// Takes that the scope on its way is not there any more, or is refused for good: nothing is left to fetch of it.
    pub(crate) fn settle(&mut self) {
        self.failures = 0;
        self.open = None;
    }

    /// Takes the failure of the scope on its way, which is wanted again; returns the number of failures in a row.
    pub(crate) fn fail(&mut self) -> u32 {
        if let Some(open) = self.open.take() {
            let covered = self.wanted.get(&Scope::All).copied().unwrap_or_default();
            if !open.parts.without(covered).is_nothing() {
                self.failed.insert(open.scope, open.parts);
            }
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
    use super::{MAX_WANTED, Part, Parts, Scope, Sync};
    use uci_model::DeviceId;

    const LINKS: Parts = Parts {
        links: true,
        contents: false,
    };

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

    #[test]
    fn only_the_parts_that_are_wanted_are_fetched() {
        let mut sync = Sync::default();
        sync.mark_parts(device(1), Parts::CONTENTS);
        assert_eq!(sync.start(), Some((device(1), Part::Contents)));
        assert_eq!(sync.succeed(), None);
        sync.mark_parts(device(1), Parts::CONTENTS);
        sync.mark_parts(device(1), LINKS);
        assert_eq!(sync.start(), Some((device(1), Part::Links)));
        assert_eq!(sync.succeed(), Some(Part::Contents));
        assert_eq!(sync.succeed(), None);
        assert_eq!(sync.start(), None);
    }

    #[test]
    fn a_part_of_everything_stands_for_that_part_of_each() {
        let mut sync = Sync::default();
        sync.mark_parts(device(1), LINKS);
        sync.mark_parts(device(2), Parts::CONTENTS);
        sync.mark_parts(Scope::All, LINKS);
        sync.mark_parts(device(3), LINKS);
        assert_eq!(tried(&mut sync, &[], 9), [Scope::All, device(2)]);
    }
}
