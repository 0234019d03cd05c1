use proptest::prelude::*;

use super::*;
use crate::client::links::Refusal;
use crate::client::seal::{OpenedSecret, SealError, Sealer};

struct Plain;

impl Sealer for Plain {
    fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(secret.to_vec())
    }

    fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<OpenedSecret, SealError> {
        Ok(OpenedSecret::new(sealed.to_vec()))
    }
}

fn sealed(text: &str) -> Sealed {
    Sealed::new(&Plain, "links/ann", format!("field/{text}"), [0; 32], text).unwrap()
}

fn cloud() -> CloudId {
    "devices".parse().unwrap()
}

fn tokens(number: u8, refresh: bool) -> Tokens {
    Tokens {
        access: sealed(&format!("access-{number}")),
        refresh: refresh.then(|| sealed(&format!("refresh-{number}"))),
        expires: Some(1_000_000),
        refresh_at: Some(900_000),
        scopes: "r:*".parse().unwrap(),
    }
}

/// A change of any kind, over few names so that they meet.
fn change(kind: u8, number: u8, at: u64) -> Change {
    let attempt = format!("attempt-{}", number % 3);
    let revocation = u64::from(number % 4);
    match kind % 12 {
        0 => Change::Started {
            attempt,
            cloud: cloud(),
            issuer: "https://as.example".to_owned(),
            redirect_uri: "https://me.example/callback".parse().unwrap(),
            browser: [number; 32],
            scopes: "r:*".parse().unwrap(),
            verifier: Some(sealed("verifier")),
            return_page: "home".to_owned(),
            replace: number.is_multiple_of(2),
            at,
            ends: at.saturating_add(600),
        },
        1 => Change::Spent {
            attempt,
            at,
            ends: at.saturating_add(20),
        },
        2 => Change::Received {
            attempt,
            tokens: tokens(number, number.is_multiple_of(2)),
            at,
            ends: at.saturating_add(60),
        },
        3 => Change::Closed {
            attempt,
            outcome: Outcome::Failed,
            at,
        },
        4 => Change::Linked {
            attempt,
            link: format!("link-{number}"),
            remote_user: format!("u-{}", number % 2),
            at,
        },
        5 => Change::Refreshed {
            cloud: cloud(),
            tokens: tokens(number, number.is_multiple_of(2)),
            at,
        },
        6 => Change::RelinkNeeded {
            cloud: cloud(),
            reason: RelinkReason::GrantEnded,
            at,
        },
        7 => Change::Unlinked { cloud: cloud(), at },
        8 => Change::Orphaned {
            cloud: cloud(),
            tokens: tokens(number, true),
            at,
        },
        9 => Change::Revoked { revocation, at },
        10 => Change::RevocationDeferred {
            revocation,
            next_try: at.saturating_add(5),
            at,
        },
        _ => Change::RevocationAbandoned { revocation, at },
    }
}

fn written<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn a_snapshot_and_the_rest_give_what_all_changes_give(
        script in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u64>()), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let changes: Vec<_> = script.into_iter().map(|(kind, number, at)| change(kind, number, at)).collect();
        let mut whole = UserLinks::default();
        changes.iter().for_each(|change| whole.apply(change));
        let (before, after) = changes.split_at(cut.index(changes.len().saturating_add(1)));
        let mut first = UserLinks::default();
        before.iter().for_each(|change| first.apply(change));
        let mut second: UserLinks = ciborium::from_reader(written(&first).as_slice()).unwrap();
        for change in after {
            let read: Change = ciborium::from_reader(written(change).as_slice()).unwrap();
            second.apply(&read);
        }
        prop_assert_eq!(written(&whole), written(&second));
    }

    #[test]
    fn tokens_never_leave_without_being_replaced_or_set_down_for_revocation(
        script in prop::collection::vec((any::<u8>(), any::<u8>()), 0..60),
    ) {
        let mut links = UserLinks::default();
        for (at, (kind, number)) in script.into_iter().enumerate() {
            let change = change(kind, number, u64::try_from(at).unwrap());
            let before = refresh_tokens(&links);
            links.apply(&change);
            let after = refresh_tokens(&links);
            // These say themselves that the token is dead, or that it cannot be helped; a refresh names its successor.
            let ends = matches!(
                change,
                Change::Revoked { .. } | Change::RevocationAbandoned { .. } | Change::RelinkNeeded { .. }
                    | Change::Refreshed { .. } | Change::Started { .. } | Change::Spent { .. } | Change::Received { .. }
            );
            prop_assert!(ends || before.iter().all(|token| after.contains(token)), "{change:?}");
        }
    }
}

/// Every refresh token that the ledger knows of, wherever it is.
fn refresh_tokens(links: &UserLinks) -> Vec<Sealed> {
    let attempts = links
        .attempts
        .values()
        .filter_map(|attempt| match &attempt.stage {
            Stage::Identifying(tokens) => tokens.refresh.clone(),
            _ => None,
        });
    let linked = links
        .links
        .keys()
        .filter_map(|cloud| links.tokens(cloud)?.1.refresh.clone());
    let revoked = links
        .revocations
        .values()
        .flat_map(|revocation| &revocation.tokens);
    let revoked = revoked.filter_map(|token| match token {
        Revocable::Refresh(sealed) => Some(sealed.clone()),
        Revocable::Access(_) => None,
    });
    attempts.chain(linked).chain(revoked).collect()
}

#[test]
fn a_decision_touches_nothing_and_is_the_same_every_time() {
    let mut links = UserLinks::default();
    for (kind, at) in [(0, 1), (1, 2), (2, 3)] {
        links.apply(&change(kind, 0, at));
    }
    let before = links.clone();
    let decide = |links: &UserLinks| {
        let verdict = links.identify("attempt-0", "u-1", None, &"ann".parse().unwrap(), "link", 4);
        (verdict.changes, verdict.refusal)
    };
    assert_eq!(decide(&links), decide(&links));
    assert_eq!(links, before);
    assert!(matches!(decide(&links), (changes, None) if changes.len() == 1));
}

#[test]
fn an_attempt_that_is_over_is_not_identified() {
    let links = UserLinks::default();
    let verdict = links.identify("gone", "u-1", None, &"ann".parse().unwrap(), "link", 4);
    assert_eq!(
        (verdict.changes.len(), verdict.refusal),
        (0, Some(Refusal::Expired))
    );
}

#[test]
fn time_in_the_ledger_does_not_go_back() {
    let mut links = UserLinks::default();
    links.apply(&change(0, 0, 5_000));
    assert_eq!((links.moment(4_000), links.moment(6_000)), (5_000, 6_000));
}
