use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::PolicyId;
use crate::allocation::hashed::seed;
use crate::allocation::{AllocationPolicy, KeywordSource, Rule, Target};

/// The static policies, so that the best that matches is found in one pass over a text, however many there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Keywords {
    /// Best first: highest priority, longest keyword, oldest, smallest id.
    ranked: Vec<Ranked>,
    of_name: Words,
    of_payload: Words,
}

/// A static policy: its id, where it sends devices, and the [`seed`] of that access point.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    pub(super) policy: PolicyId,
    pub(super) target: Target,
    pub(super) seed: u64,
}

/// The words that are looked for in one source, and under each the ranks of its policies, best first.
#[derive(Clone, Debug, Default)]
struct Words {
    finder: Option<Finder>,
    ranks: Vec<Vec<usize>>,
}

/// What finds words in a text.
#[derive(Clone, Debug)]
enum Finder {
    Automaton(AhoCorasick),
    /// One after another: more words than an automaton takes.
    EachWord(Vec<String>),
}

impl Keywords {
    pub(super) fn new<'p>(policies: impl Iterator<Item = &'p AllocationPolicy>) -> Self {
        let mut all = Vec::new();
        for policy in policies {
            if let Rule::Static {
                keyword,
                priority,
                source,
                target,
            } = &policy.rule
            {
                let word = keyword.as_str();
                let rank = (
                    std::cmp::Reverse((*priority, word.len())),
                    policy.created_at,
                    &policy.id,
                );
                all.push((rank, *source, word, target));
            }
        }
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let words = |wanted: KeywordSource| {
            let mut ranks: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (rank, (_, source, word, _)) in all.iter().enumerate() {
                if *source == wanted {
                    ranks.entry(word).or_default().push(rank);
                }
            }
            Words::new(ranks)
        };
        Self {
            of_name: words(KeywordSource::DeviceName),
            of_payload: words(KeywordSource::Payload),
            ranked: all
                .iter()
                .map(|((_, _, id), _, _, target)| Ranked {
                    policy: (*id).clone(),
                    target: (*target).clone(),
                    seed: seed(&target.access_point),
                })
                .collect(),
        }
    }

    /// The best policy whose keyword is in the text of its source and which is `usable`.
    pub(super) fn best(
        &self,
        name: &str,
        payload: Option<&str>,
        mut usable: impl FnMut(&Ranked) -> bool,
    ) -> Option<&Ranked> {
        let mut best = self.ranked.len();
        let texts = [(&self.of_name, Some(name)), (&self.of_payload, payload)];
        for (words, text) in texts {
            let Some(text) = text else { continue };
            words.each(text, |ranks| {
                let mut better = ranks.iter().take_while(|rank| **rank < best);
                let better = better.find(|rank| self.ranked.get(**rank).is_some_and(&mut usable));
                if let Some(rank) = better {
                    best = *rank;
                }
            });
        }
        self.ranked.get(best)
    }
}

impl Words {
    fn new(ranks: BTreeMap<&str, Vec<usize>>) -> Self {
        if ranks.is_empty() {
            return Self::default();
        }
        // Of the forms an automaton can have, the one that stays small with thousands of words.
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(ranks.keys());
        let finder = automaton.map_or_else(
            |_| Finder::EachWord(ranks.keys().map(|word| (*word).to_owned()).collect()),
            Finder::Automaton,
        );
        Self {
            finder: Some(finder),
            ranks: ranks.into_values().collect(),
        }
    }

    fn each<'w>(&'w self, text: &str, mut found: impl FnMut(&'w [usize])) {
        let mut tell = |word: usize| {
            if let Some(ranks) = self.ranks.get(word) {
                found(ranks);
            }
        };
        match &self.finder {
            None => {}
            Some(Finder::Automaton(automaton)) => {
                let matches = automaton.try_find_overlapping_iter(text);
                for word in matches.into_iter().flatten() {
                    tell(word.pattern().as_usize());
                }
            }
            Some(Finder::EachWord(words)) => {
                for (place, word) in words.iter().enumerate() {
                    if text.contains(word) {
                        tell(place);
                    }
                }
            }
        }
    }
}
