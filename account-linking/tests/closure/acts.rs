//! What happens in a life, and how often.

use proptest::prelude::*;

/// How the client is registered, and how it learns whose tokens it has.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Its refresh token stays.
    Stable,
    /// The same, and it asks whose the tokens are.
    Asking,
    /// Its refresh tokens rotate; a replay is refused and ends nothing.
    Rotating,
    /// It has no secret, its tokens rotate, and a replay ends the grant.
    Public,
    /// The same, with a window that is longer than a message can be on its way.
    Patient,
}

/// What a user, an operator or the weather does.
#[derive(Clone, Debug)]
pub enum Act {
    /// A user links an account, the own one mostly.
    Link(usize, bool),
    /// A user goes away in the middle of it.
    WalkAway(usize),
    Token(usize),
    /// The cloud is said to have refused the token.
    Rejected(usize),
    Unlink(usize),
    /// The grant is ended at the server.
    EndGrant(usize),
    Weather(bool),
    Pass(u64),
    RestartClient,
    RestartServer,
    DieSoon(u64),
}

pub const USERS: [(&str, &str); 2] = [("ann", "u-1"), ("bob", "u-2")];

pub fn act() -> impl Strategy<Value = Act> {
    let who = || 0..USERS.len();
    prop_oneof![
        6 => (who(), prop::bool::weighted(0.85)).prop_map(|(who, own)| Act::Link(who, own)),
        1 => who().prop_map(Act::WalkAway),
        4 => who().prop_map(Act::Token),
        3 => who().prop_map(Act::Rejected),
        2 => who().prop_map(Act::Unlink),
        1 => who().prop_map(Act::EndGrant),
        4 => any::<bool>().prop_map(Act::Weather),
        6 => (100..30_000_u64).prop_map(Act::Pass),
        4 => (3_400_000..3_700_000_u64).prop_map(Act::Pass),
        2 => Just(Act::RestartClient),
        1 => Just(Act::RestartServer),
        2 => (0..6_u64).prop_map(Act::DieSoon),
    ]
}

pub fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Stable),
        Just(Kind::Asking),
        Just(Kind::Rotating),
        Just(Kind::Public),
        Just(Kind::Patient)
    ]
}
