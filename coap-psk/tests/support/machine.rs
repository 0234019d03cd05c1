//! The parts of the contract of machines that can be said once, for whatever a machine does.

use coap_psk::Instant;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// A machine, what is done to it, and what came of that.
pub(crate) trait Machine {
    type Step;

    fn take(&mut self, step: &Self::Step);
    /// Takes all outputs and notes them.
    fn drain(&mut self);
    /// Whether there is no output.
    fn is_drained(&mut self) -> bool;
    fn outputs(&self) -> &[String];
    fn now(&self) -> Instant;
    fn next_deadline(&self) -> Option<Instant>;
    /// Lets it be `now`, for the machine alone.
    fn handle_timeout(&mut self, now: Instant);
    /// Goes on to a moment that is not earlier than any before.
    fn go_on_to(&mut self, now: Instant);
}

/// C2: the same inputs give the same outputs. C4: asking more often changes nothing.
pub(crate) fn same_steps_same_outputs<M: Machine>(
    new: impl Fn() -> M,
    steps: &[M::Step],
) -> Result<(), TestCaseError> {
    let (mut one, mut two) = (new(), new());
    for step in steps {
        one.take(step);
        one.drain();
        two.take(step);
        two.drain();
        prop_assert!(two.is_drained());
        prop_assert_eq!(one.next_deadline(), two.next_deadline());
        prop_assert_eq!(two.next_deadline(), two.next_deadline());
    }
    prop_assert_eq!(one.outputs(), two.outputs());
    Ok(())
}

/// C5: after a timeout the next deadline lies ahead; repeating it does nothing, and neither does going back.
pub(crate) fn timeouts_make_progress<M: Machine>(
    mut machine: M,
    steps: &[M::Step],
) -> Result<(), TestCaseError> {
    for step in steps {
        machine.take(step);
        let now = machine.now();
        machine.handle_timeout(now);
        prop_assert!(
            machine
                .next_deadline()
                .is_none_or(|deadline| deadline > now)
        );
        machine.drain();
        machine.handle_timeout(now);
        machine.handle_timeout(Instant::ZERO);
        prop_assert!(machine.is_drained());
    }
    Ok(())
}

/// Does the steps, taking the outputs of each.
pub(crate) fn take_all<M: Machine>(mut machine: M, steps: &[M::Step]) -> M {
    for step in steps {
        machine.take(step);
        machine.drain();
    }
    machine
}

/// Lets time pass, from deadline to deadline, until there is none any more, or so many were reached.
pub(crate) fn run_out<M: Machine>(machine: &mut M, most: u32) {
    for _ in 0..most {
        machine.drain();
        let Some(deadline) = machine.next_deadline() else {
            return;
        };
        let now = machine.now().max(deadline);
        machine.go_on_to(now);
        machine.handle_timeout(now);
    }
}
