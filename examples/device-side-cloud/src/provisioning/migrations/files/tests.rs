use provisioning_proto::migration::{AbortCause, Command, Plan, Plans, Stage, Way};

use super::next::{Next, next};
use super::*;

/// How far a transfer to `new` is after these commands, and what an export then does for `name`.
fn after(commands: &[Command], name: &str) -> (Option<Stage>, Result<Next, String>) {
    let id: RegistrationId = "lamp-1".parse().expect("id");
    let way = Way::Transfer {
        transfer: "0".repeat(32).parse().expect("id"),
        instance: "new".to_owned(),
    };
    let plan = Plan::new("here".parse().expect("id"), way);
    let mut plans = Plans::default();
    let first = Command::Plan { plan, most: 9 };
    for command in [&[first], commands].concat() {
        let decided = plans.decide(&id, command, clock::wall()).expect("decided");
        decided.changes.iter().for_each(|one| plans.apply(one));
    }
    let present = plans.migration(&id);
    let next = next(present, name).map_err(|error| error.chain());
    (present.map(|one| one.stage), next)
}

#[test]
fn an_export_writes_what_the_other_instance_is_to_know_next() {
    use Command::{Begin, Confirm, EndAbort, Finish, Prepare};
    let abort = Command::Abort {
        cause: AbortCause::Operator,
    };
    let alone = Command::EndAlone {
        without: "new".to_owned(),
    };
    let (registration, withdrawal) = (
        Next::Write(Purpose::Registration),
        Next::Write(Purpose::Withdrawal),
    );
    let stories: [(&[Command], Stage, Next); 9] = [
        (&[], Stage::Planned, Next::Wait),
        (&[Begin], Stage::Begun, registration),
        (&[Begin, Prepare], Stage::Prepared, registration),
        (&[Begin, Confirm, Finish], Stage::Finished, Next::Plan),
        (std::slice::from_ref(&abort), Stage::Aborting, withdrawal),
        (&[abort.clone(), EndAbort], Stage::Aborted, Next::Plan),
        (&[abort.clone(), alone.clone()], Stage::Aborted, withdrawal),
        (
            &[abort.clone(), alone.clone(), EndAbort],
            Stage::Aborted,
            Next::Plan,
        ),
        (&[Begin, abort.clone()], Stage::Aborting, withdrawal),
    ];
    for (commands, stage, expected) in stories {
        assert_eq!(after(commands, "new"), (Some(stage), Ok(expected)));
    }
    for (commands, name, text) in [
        (&[Begin, Confirm][..], "new", "nothing is to be carried"),
        (&[Begin], "other", "on its way to \"new\""),
        (&[abort.clone(), alone, Confirm], "new", "let-go"),
    ] {
        let (_, refused) = after(commands, name);
        assert!(refused.is_err_and(|error| error.contains(text)), "{text}");
    }
    assert_eq!(next(None, "new").ok(), Some(Next::Plan));
}
