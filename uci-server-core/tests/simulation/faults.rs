//! What goes wrong, and how often: every seed has rates of its own, so that some runs are calm enough to go deep.

use super::dice::Dice;

/// Each number is "one in so many", and 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A process dies before it carries out an output.
    pub crash: u64,
    /// A message is lost, doubled or slow, or something on the way answers in the peer's place.
    pub network: u64,
    /// An append or a load fails, is not answered, or is slow.
    pub journal: u64,
    /// A wall clock jumps, at each action.
    pub clock: u64,
    /// Nobody gives out a token.
    pub token: u64,
}

impl Faults {
    pub fn of(dice: &mut Dice) -> Self {
        Self {
            crash: dice.pick(&[0, 60, 250, 1_000]),
            network: dice.pick(&[0, 4, 12, 40]),
            journal: dice.pick(&[0, 5, 15, 60]),
            clock: dice.pick(&[0, 40, 10]),
            token: dice.pick(&[0, 3, 10]),
        }
    }
}
