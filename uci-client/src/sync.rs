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
        if scope == Scope::All || self.wanted.len() >= MAX_WANTED {
            self.wanted.clear();
            self.wanted.insert(Scope::All);
        } else {
            self.wanted.insert(scope);
        }
    }

    /// Takes the next scope, which is then on its way, and its first part.
    pub(crate) fn start(&mut self) -> Option<(Scope, Part)> {
        if self.paused || self.open.is_some() {
            return None;
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

    /// Takes that the scope on its way is not there any more, so that nothing is left to fetch of it.
    pub(crate) fn settle(&mut self) {
        self.failures = 0;
        self.open = None;
    }

    /// Takes the failure of the scope on its way, which is wanted again; returns the number of failures in a row.
    pub(crate) fn fail(&mut self) -> u32 {
        if let Some((scope, _)) = self.open.take() {
            self.mark(scope);
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
    }
}
