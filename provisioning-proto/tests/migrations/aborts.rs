//! Aborts that come late, that nobody answers, and that overtake what they take back.

use provisioning_proto::migration::{AbortCause, Output, Stage};
use provisioning_proto::model::AssignmentState;

use crate::harness::*;
use crate::mover::{DEVICE, SECRET};
use crate::transferred::{Event, Run};

#[test]
fn an_abort_that_comes_after_the_device_was_seen_ends_the_migration_instead() {
    let mut run = Run::prepared();
    run.turned = true;
    run.step(&Event::Connect);
    run.new.settle();
    run.step(&Event::Abort);
    run.end_as(Stage::Finished);
}

/// I45: the abort takes effect here at once. Only the word of the other instance is waited for, which is asked for with pauses
/// that grow up to the longest, and the record shows that.
#[test]
fn an_abort_leaves_the_device_where_it_was_while_the_other_instance_is_silent() {
    let mut run = Run::prepared();
    run.step(&Event::Abort);
    let (mut asked, mut seconds) = (Vec::new(), 0_u64);
    while seconds < 3600 {
        for output in std::mem::take(&mut run.mover.waiting) {
            if matches!(output, Output::Withdraw { .. }) {
                asked.push(seconds);
            }
            run.do_move(output, true);
        }
        run.wire.clear();
        run.step(&Event::Connect);
        let known = run.old.registration(DEVICE).unwrap();
        let current = known.current.as_ref().unwrap();
        assert_eq!((run.old.knows("a", DEVICE), known.retired), (true, false));
        assert_eq!(current.target, target("a"));
        assert_eq!(current.state, AssignmentState::Confirmed);
        assert!(run.old.by_secret(DEVICE, SECRET).is_some());
        let migration = run.mover.migration().unwrap();
        assert_eq!(migration.stage, Stage::Aborting);
        assert_eq!(migration.cause, Some(AbortCause::Operator));
        run.step(&Event::Pass(1000));
        seconds += 1;
    }
    // At once (an append came first), after 30 seconds, and then each minute, which is the longest pause here.
    let pauses = asked.windows(2).map(|two| two[1] - two[0]);
    let pauses: Vec<u64> = pauses.collect();
    assert!(asked[0] <= 1 && (29..=30).contains(&pauses[0]), "{asked:?}");
    assert!(pauses.len() > 50 && pauses[1..].iter().all(|pause| *pause == 60));
    // The address was never turned, and the other instance is there again.
    run.end_as(Stage::Aborted);
}

#[test]
fn an_offer_that_comes_after_its_withdrawal_is_refused() {
    let mut run = Run::new(false);
    while run.wire.is_empty() {
        let output = run.mover.waiting.remove(0);
        run.do_move(output, true);
    }
    let late = run.wire.remove(0);
    run.step(&Event::Abort);
    run.reach(Stage::Aborted);
    run.deliver(late);
    run.new.settle();
    assert!(!run.new.knows("b", DEVICE) && run.old.knows("a", DEVICE));
    let known = run.new.registration(DEVICE).unwrap();
    assert!(known.current.is_none() && known.enrollment.is_none());
}
