//! Aborts that are ended without the word of the other instance.

use provisioning_proto::ErrorKind;
use provisioning_proto::migration::{Alone, News, Output, Stage};
use provisioning_proto::roster::Registration;

use crate::mover::{DEVICE, Mover, SECRET};
use crate::transferred::{Event, Message, Run, transfer};

/// A device that both instances have, of which the old one has ended the abort alone.
fn ended_alone(seen: bool) -> Run {
    let mut run = Run::prepared();
    if seen {
        run.turned = true;
        run.step(&Event::Connect);
        run.new.settle();
        run.turned = false;
    }
    run.step(&Event::Abort);
    run.store();
    run.step(&Event::EndAlone);
    run.store();
    run.mover.waiting.clear();
    assert_eq!(run.mover.stage(), Some(Stage::Aborted));
    assert_eq!(run.mover.alone(), Some(Alone::Unheard));
    run
}

impl Run {
    /// What the machine wants to have stored is stored, and nothing else is done.
    fn store(&mut self) {
        while let Some(at) = self.mover.appends() {
            let append = self.mover.waiting.remove(at);
            self.do_move(append, true);
        }
    }

    /// The other instance is asked to give the device back, and its answer arrives.
    fn take_back(&mut self) {
        self.deliver(Message::Withdraw);
        self.new.settle();
        self.tell();
        while let Some(message) = self.wire.pop() {
            self.deliver(message);
            self.store();
        }
    }

    /// I45: it is let in here, with what it has.
    fn is_here(&self) -> bool {
        let known = self.old.registration(DEVICE);
        self.old.knows("a", DEVICE)
            && known.is_some_and(|known: &Registration| !known.retired && known.current.is_some())
            && self.old.by_secret(DEVICE, SECRET).is_some()
    }
}

#[test]
fn an_abort_that_nobody_answers_is_ended_by_an_operator_and_nobody_is_asked_any_more() {
    let mut run = ended_alone(false);
    assert!(run.is_here());
    assert_eq!(run.mover.machine.next_deadline(), None);
    run.step(&Event::Pass(7 * 86_400_000));
    assert!(run.mover.waiting.is_empty(), "{:?}", run.mover.waiting);
    assert_eq!(run.mover.done.last(), Some(&Ok(())));
    // It is still so when the program begins again.
    run.step(&Event::Restart(true));
    assert!(run.is_here() && run.mover.waiting.is_empty());
    assert_eq!(run.mover.alone(), Some(Alone::Unheard));
    // Another that did not ask: it is refused.
    run.mover.end_alone("old", &run.old);
    assert_eq!(run.mover.done.last(), Some(&Err(ErrorKind::InvalidValue)));
}

#[test]
fn an_instance_that_gives_the_device_back_after_all_is_heard() {
    let mut run = ended_alone(false);
    assert!(run.new.knows("b", DEVICE));
    run.take_back();
    assert_eq!(run.mover.alone(), Some(Alone::GivenBack));
    assert!(run.is_here() && !run.new.knows("b", DEVICE));
    assert_eq!(run.mover.stage(), Some(Stage::Aborted));
}

/// Nothing is retired by a word that comes late: the device may be in use here. The record says that both have it, and only an
/// operator lets it go.
#[test]
fn a_device_that_was_seen_there_all_the_same_stays_until_an_operator_lets_it_go() {
    let mut run = ended_alone(true);
    run.take_back();
    assert_eq!(run.mover.alone(), Some(Alone::Seen));
    assert_eq!(run.mover.stage(), Some(Stage::Aborted));
    run.step(&Event::Pass(7 * 86_400_000));
    run.step(&Event::Restart(true));
    assert!(run.is_here() && run.mover.waiting.is_empty());
    assert!(run.new.knows("b", DEVICE));
    run.mover.let_go(&run.old);
    while let Some(output) = run.mover.waiting.pop() {
        run.do_move(output, true);
        run.old.settle();
        run.mover.look(&run.old);
    }
    assert_eq!(run.mover.stage(), Some(Stage::Finished));
    assert_eq!(run.mover.alone(), Some(Alone::Seen));
    assert!(!run.old.knows("a", DEVICE) && run.new.knows("b", DEVICE));
}

#[test]
fn a_receipt_is_heard_to_its_end_and_one_of_another_transfer_is_refused() {
    let mut run = Run::prepared();
    let (tenant, id) = (Mover::tenant(), Mover::id());
    let (wall, now) = (run.old.wall(), run.old.now());
    let machine = &mut run.mover.machine;
    let other = "11".repeat(16).parse().unwrap();
    let refused = machine.hear(&tenant, &id, &other, News::Seen, wall, now);
    assert_eq!(refused, Err(ErrorKind::UnknownEntry));
    // What is known already needs no append.
    for (news, stage) in [
        (News::Accepted, Stage::Prepared),
        (News::Seen, Stage::Confirmed),
    ] {
        let machine = &mut run.mover.machine;
        let heard = machine.hear(&tenant, &id, &transfer(), news, wall, now);
        assert!(heard.is_ok());
        let ends = run.mover.done.len() + 1;
        run.mover.drain();
        run.store();
        assert_eq!(run.mover.done.len(), ends);
        assert_eq!(run.mover.done.last(), Some(&Ok(())));
        assert_eq!(run.mover.stage(), Some(stage));
    }
    let asks = |output: &Output| matches!(output, Output::Look { .. });
    assert!(run.mover.waiting.iter().any(asks));
}
