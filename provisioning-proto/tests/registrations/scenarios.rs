//! One scenario for each documented rule.

use std::collections::BTreeSet;
use std::time::Duration;

use provisioning_proto::allocation::{
    AllocationPolicy, FunctionUrn, Keyword, KeywordSource, Priority, Rule,
};
use provisioning_proto::directory::{CertificateNames, Evidence, Issuer};
use provisioning_proto::model::*;
use provisioning_proto::mqtt::{ClientId, ClientIdForm};
use provisioning_proto::registration::*;
use provisioning_proto::roster;
use provisioning_proto::tenant;
use provisioning_proto::{ErrorKind, ScopeId};

use crate::harness::*;

fn place(answer: &Result<Box<Answer>, Cause>) -> &str {
    let answer = answer.as_ref().expect("an assignment");
    answer.assignment.target.access_point.as_str()
}

/// For how long a device may ask again with its group's credential.
const TEN_MINUTES: Duration = Duration::from_secs(600);

#[test]
fn a_device_of_a_group_is_known_at_its_target_before_it_is_told() {
    let mut world = World::furnished();
    let principal = world.by_group("sn-1").unwrap();
    let answer = world.register(principal);
    assert_eq!(place(&answer), "a");
    let answer = answer.unwrap();
    assert_eq!(
        answer.device_secret.unwrap().sealed,
        sealed(b"a secret of its own")
    );
    assert_eq!(world.log, ["upsert sn-1 a", "answer sn-1 a"]);
    assert_eq!(answer.assignment.state, AssignmentState::Committed);
    world.seen("sn-1", answer.assignment.generation);
    let current = world.registration("sn-1").unwrap().current.clone().unwrap();
    assert_eq!(current.state, AssignmentState::Confirmed);
    let steps: Vec<_> = world
        .records
        .iter()
        .map(|(_, record)| record.step)
        .collect();
    assert_eq!(steps, [Step::Proposed, Step::Committed, Step::Confirmed]);
}

#[test]
fn a_wrong_secret_an_unknown_id_and_an_unknown_scope_prove_nothing() {
    let mut world = World::furnished();
    world.enroll("dev-1", "12345678", |_| {}).unwrap();
    assert!(world.by_secret("dev-1", "12345678").is_some());
    assert!(world.by_secret("dev-1", "12345679").is_none());
    assert!(world.by_secret("dev-2", "12345678").is_none());
    // An enrolled device does not come in by the group's key.
    assert!(world.by_group("dev-1").is_none());
}

/// {never, reset, migrate, on trigger} x {same target, another one}.
#[test]
fn what_happens_on_registering_again_is_the_policys_to_say() {
    use ReprovisioningPolicy::*;
    for (policy, moved, expected, config) in [
        (Never, false, "a", "old"),
        (Never, true, "a", "old"),
        (Reset, false, "a", "new"),
        (Reset, true, "b", "new"),
        (Migrate, false, "a", "old"),
        (Migrate, true, "b", "old"),
        (OnTrigger, true, "a", "old"),
    ] {
        let mut world = World::furnished();
        let set = |config: &'static str| {
            move |entry: &mut Entry| {
                entry.reprovisioning = policy;
                entry.initial_config = Some(InitialConfig::new(config.as_bytes()).unwrap());
            }
        };
        world.enroll("dev-1", "12345678", set("old")).unwrap();
        let first = world.by_secret("dev-1", "12345678").unwrap();
        let first = world.register(first).unwrap();
        assert_eq!(first.initial_config().unwrap().as_bytes(), b"old");
        world.enroll("dev-1", "12345678", set("new")).unwrap();
        if moved {
            world.lead_to("b");
        }
        let again = world.by_secret("dev-1", "12345678").unwrap();
        let again = world.register(again).unwrap();
        let case = format!("{policy:?} {moved}");
        assert_eq!(
            again.assignment.target.access_point.as_str(),
            expected,
            "{case}"
        );
        assert_eq!(
            again.initial_config().unwrap().as_bytes(),
            config.as_bytes(),
            "{case}"
        );
        let same = again.assignment.generation == first.assignment.generation;
        assert_eq!(same, expected == "a" && config == "old", "{case}");
    }
}

#[test]
fn on_trigger_moves_a_device_once_an_operator_asked_for_it() {
    let mut world = World::furnished();
    let on_trigger = |entry: &mut Entry| entry.reprovisioning = ReprovisioningPolicy::OnTrigger;
    world.enroll("dev-1", "12345678", on_trigger).unwrap();
    let prove = |world: &World| world.by_secret("dev-1", "12345678").unwrap();
    let principal = prove(&world);
    world.register(principal).unwrap();
    world.lead_to("b");
    let principal = prove(&world);
    assert_eq!(place(&world.register(principal)), "a");
    world.of_device("dev-1", roster::Command::Trigger).unwrap();
    assert!(world.registration("dev-1").unwrap().triggered);
    let principal = prove(&world);
    assert_eq!(place(&world.register(principal)), "b");
    assert!(!world.registration("dev-1").unwrap().triggered);
}

#[test]
fn the_former_target_forgets_the_device_only_when_it_was_seen_at_the_new_one() {
    let mut world = World::furnished();
    world.enroll("dev-1", "12345678", |_| {}).unwrap();
    let principal = world.by_secret("dev-1", "12345678").unwrap();
    world.register(principal.clone()).unwrap();
    world.lead_to("b");
    let answer = world.register(principal).unwrap();
    assert!(world.knows("a", "dev-1") && world.knows("b", "dev-1"));
    world.seen("dev-1", answer.assignment.generation - 1);
    assert!(
        world.knows("a", "dev-1"),
        "a late message of the past moved it"
    );
    world.seen("dev-1", answer.assignment.generation);
    assert!(!world.knows("a", "dev-1") && world.knows("b", "dev-1"));
    assert!(world.registration("dev-1").unwrap().previous.is_empty());
}

#[test]
fn the_former_target_forgets_a_device_that_is_never_seen_after_the_grace_also_across_a_restart() {
    let mut world = World::furnished();
    world.enroll("dev-1", "12345678", |_| {}).unwrap();
    let principal = world.by_secret("dev-1", "12345678").unwrap();
    world.register(principal.clone()).unwrap();
    world.lead_to("b");
    world.register(principal).unwrap();
    world.pass(Duration::from_secs(86_000));
    world.restart();
    world.settle();
    assert!(world.knows("a", "dev-1"));
    world.pass(Duration::from_secs(500));
    // It does not hear it the first time.
    let retire = world.waiting.remove(0);
    world.perform(retire, false);
    world.settle();
    assert!(world.knows("a", "dev-1"));
    world.pass(Duration::from_secs(31));
    world.settle();
    assert!(!world.knows("a", "dev-1"));
}

#[test]
fn a_disabled_entry_keeps_a_device_out_although_its_group_is_open() {
    let mut world = World::furnished();
    let principal = world.by_group("sn-1").unwrap();
    world
        .enroll("sn-1", "12345678", |entry| entry.enabled = false)
        .unwrap();
    // It had proved itself before the entry was made.
    assert_eq!(world.register(principal), Err(Cause::Disabled));
    assert!(world.by_group("sn-1").is_none());
    let principal = world.by_secret("sn-1", "12345678").unwrap();
    assert_eq!(world.register(principal), Err(Cause::Disabled));
    assert!(world.log.iter().all(|line| line.starts_with("refusal")));
}

#[test]
fn a_device_taken_out_of_service_stays_out_and_its_target_forgets_it() {
    let mut world = World::furnished();
    let principal = world.by_group("sn-1").unwrap();
    world.register(principal.clone()).unwrap();
    world.of_device("sn-1", roster::Command::Retire).unwrap();
    assert!(!world.knows("a", "sn-1"));
    assert_eq!(world.register(principal), Err(Cause::Retired));
    world.of_device("sn-1", roster::Command::Reset).unwrap();
    let principal = world.by_group("sn-1").unwrap();
    assert_eq!(place(&world.register(principal)), "a");
}

#[test]
fn a_device_with_a_credential_of_its_own_does_not_come_in_by_its_groups() {
    let mut world = World::furnished();
    world
        .set_group(|group| group.rebind = Rebind::Deny)
        .unwrap();
    let principal = world.by_group("sn-1").unwrap();
    world.register(principal.clone()).unwrap();
    world.pass(TEN_MINUTES);
    assert_eq!(world.register(principal.clone()), Err(Cause::RebindRefused));
    // With its own it does, and gets the same answer.
    let own = world.by_secret("sn-1", "a secret of its own").unwrap();
    assert_eq!(own.class(), EvidenceClass::OwnSecret);
    assert_eq!(place(&world.register(own)), "a");
    // An operator may approve it once.
    world
        .set_group(|group| group.rebind = Rebind::Approve)
        .unwrap();
    world
        .of_device("sn-1", roster::Command::ApproveRebind)
        .unwrap();
    assert_eq!(place(&world.register(principal.clone())), "a");
    assert_eq!(world.register(principal), Err(Cause::RebindRefused));
}

#[test]
fn a_device_that_did_not_hear_its_answer_is_told_the_same_again_until_it_was_seen() {
    let mut world = World::furnished();
    world
        .set_group(|group| group.rebind = Rebind::Deny)
        .unwrap();
    let [lost, seen] = ["sn-1", "sn-2"].map(|id| world.by_group(id).unwrap());
    let first = world.register(lost.clone()).unwrap();
    world.pass(TEN_MINUTES - Duration::from_millis(1));
    let again = world.register(lost.clone()).unwrap();
    assert_eq!(again.device_secret, first.device_secret);
    assert_eq!(again.assignment.generation, first.assignment.generation);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.register(lost), Err(Cause::RebindRefused));
    // Whoever was seen has heard it.
    let answer = world.register(seen.clone()).unwrap();
    world.seen("sn-2", answer.assignment.generation);
    assert_eq!(world.register(seen), Err(Cause::RebindRefused));
}

#[test]
fn a_group_lets_in_the_ids_of_its_rule_and_no_more_than_its_quota() {
    let mut world = World::furnished();
    let rule = |group: &mut EnrollmentGroup| {
        group.ids = IdRule::default();
        group.ids.patterns.push(IdPattern::new("sn-*").unwrap());
        group.ids.max_devices = Some(2);
    };
    world.set_group(rule).unwrap();
    assert!(world.by_group("other").is_none());
    let three: Vec<_> = ["sn-1", "sn-2", "sn-3"]
        .map(|id| world.by_group(id).unwrap())
        .into_iter()
        .collect();
    // All at once: none is stored when the next is decided.
    let operations: Vec<_> = three.iter().map(|one| world.request(one.clone())).collect();
    world.settle();
    let results: Vec<_> = operations
        .iter()
        .map(|id| world.answers.remove(id).unwrap())
        .collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    assert!(
        results
            .iter()
            .any(|result| *result == Err(Cause::GroupFull))
    );
    // Who is in stays in.
    for (principal, result) in three.into_iter().zip(results) {
        assert_eq!(world.register(principal).is_ok(), result.is_ok());
    }
}

#[test]
fn a_group_takes_no_more_new_ids_within_an_hour_than_it_says() {
    let mut world = World::furnished();
    world
        .set_group(|group| group.ids.max_new_per_hour = Some(1))
        .unwrap();
    let [one, two] = ["sn-1", "sn-2"].map(|id| world.by_group(id).unwrap());
    assert!(world.register(one).is_ok());
    assert_eq!(world.register(two.clone()), Err(Cause::GroupFull));
    world.pass(Duration::from_secs(3601));
    assert!(world.register(two).is_ok());
}

#[test]
fn an_access_point_of_another_tenant_is_used_only_when_it_is_granted() {
    let mut world = World::furnished();
    let create = tenant::Command::Create {
        name: "Other".to_owned(),
    };
    world.settings("u", create).unwrap();
    let theirs = provisioning_proto::allocation::AccessPoint::new(point("c"), "c");
    let set = |point| tenant::Command::SetAccessPoint {
        point,
        expected: Expected::Any,
    };
    world.settings("u", set(theirs.clone())).unwrap();
    assert_eq!(world.settings("t", set(theirs)), Err(ErrorKind::Exists));
    world.enroll("dev-1", "12345678", |_| {}).unwrap();
    world.lead_to("c");
    let principal = world.by_secret("dev-1", "12345678").unwrap();
    assert_eq!(world.register(principal.clone()), Err(Cause::NoMatch));
    let grant = tenant::Command::Grant {
        access_point: point("c"),
        to: tenant_id("t"),
    };
    world.settings("u", grant).unwrap();
    assert_eq!(place(&world.register(principal.clone())), "c");
    let end = tenant::Command::EndGrant {
        access_point: point("c"),
        to: tenant_id("t"),
    };
    world.settings("u", end).unwrap();
    assert!(world.register(principal).is_err());
}

#[test]
fn a_scope_belongs_to_one_tenant() {
    let mut world = World::furnished();
    world
        .settings(
            "u",
            tenant::Command::Create {
                name: "Other".to_owned(),
            },
        )
        .unwrap();
    let scope: ScopeId = "s".parse().unwrap();
    let taken = world.settings("u", tenant::Command::AddScope(scope));
    assert_eq!(taken, Err(ErrorKind::Exists));
}

#[test]
fn a_stale_change_of_an_entry_changes_nothing() {
    let mut world = World::furnished();
    let Ok(Reply::Version(version)) = world.enroll("dev-1", "12345678", |_| {}) else {
        panic!("no version");
    };
    let change = |version, secret: &str| roster::Command::Enroll {
        enrollment: Enrollment::new(
            Attestation::SymmetricKey {
                primary: sealed(secret.as_bytes()),
                secondary: None,
            },
            Entry::enabled(),
        ),
        expected: Expected::Version(version),
    };
    assert_eq!(
        world.of_device("dev-1", change(version, "abcdefgh")),
        Ok(Reply::Version(version + 1))
    );
    assert_eq!(
        world.of_device("dev-1", change(version, "ijklmnop")),
        Err(ErrorKind::Conflict)
    );
    assert!(world.by_secret("dev-1", "abcdefgh").is_some());
}

#[test]
fn a_groups_attestation_cannot_be_changed() {
    let mut world = World::furnished();
    let other = world.set_group(|group| {
        group.attestation = GroupAttestation::X509Ca {
            ca: "ca".parse().unwrap(),
            accept_expired: false,
        };
    });
    assert_eq!(other, Err(ErrorKind::Immutable));
    let secret = world.set_group(|group| {
        if let GroupAttestation::GroupKey { primary, .. } = &mut group.attestation {
            *primary = sealed(&[8; 32]);
        }
    });
    assert_eq!(secret, Err(ErrorKind::Immutable));
    assert!(
        world
            .set_group(|group| group.name = "Other".to_owned())
            .is_ok()
    );
}

#[test]
fn a_slow_function_does_not_keep_a_device_waiting_beyond_four_seconds() {
    let mut world = World::furnished();
    let rule = Rule::Custom {
        function: FunctionUrn::new("urn:choose").unwrap(),
        name: "choose".to_owned(),
        access_points: [point("a"), point("b")].into(),
    };
    let policy = AllocationPolicy::new("p".parse().unwrap(), 0, rule);
    let set = tenant::Command::SetPolicy {
        policy,
        expected: Expected::Any,
    };
    world.settings("t", set).unwrap();
    let principal = world.by_group("sn-1").unwrap();
    let operation = world.request(principal.clone());
    let hook = world.waiting.remove(0);
    assert!(matches!(hook, Output::InvokeHook { .. }));
    world.pass(Duration::from_millis(3999));
    assert!(!world.answers.contains_key(&operation));
    world.pass(Duration::from_millis(1));
    assert_eq!(world.answers.remove(&operation), Some(Err(Cause::TimedOut)));
    // The late answer changes nothing.
    let Output::InvokeHook {
        exchange, question, ..
    } = hook
    else {
        panic!()
    };
    assert!(question.contains("sn-1") && !question.contains("secret"));
    let reply = br#"{"statusCode":200,"body":"{\"status\":\"allow\",\"context\":{\"allocationResult\":\"b\"}}"}"#;
    let (wall, now) = (world.wall(), world.now());
    world
        .machine
        .handle_hook_reply(exchange, Some(reply), wall, now);
    world.settle();
    assert!(world.registration("sn-1").is_none());
    // In time it does.
    let operation = world.request(principal);
    let Output::InvokeHook { exchange, .. } = world.waiting.remove(0) else {
        panic!()
    };
    world
        .machine
        .handle_hook_reply(exchange, Some(reply), wall, now);
    world.settle();
    assert_eq!(place(&world.answers[&operation]), "b");
}

#[test]
fn what_a_function_gives_a_device_counts_more_than_what_its_group_has_and_what_it_had() {
    let mut world = World::furnished();
    world
        .set_group(|group| {
            let config = InitialConfig::new(&b"of the group"[..]).unwrap();
            group.entry.initial_config = Some(config);
        })
        .unwrap();
    let rule = Rule::Custom {
        function: FunctionUrn::new("urn:choose").unwrap(),
        name: "choose".to_owned(),
        access_points: [point("a"), point("b")].into(),
    };
    let policy = AllocationPolicy::new("p".parse().unwrap(), 0, rule);
    let expected = Expected::Any;
    let set = tenant::Command::SetPolicy { policy, expected };
    world.settings("t", set).unwrap();
    let principal = world.by_group("sn-1").unwrap();
    let mut told = |given: &str| {
        let operation = world.request(principal.clone());
        let Output::InvokeHook { exchange, .. } = world.waiting.remove(0) else {
            panic!()
        };
        let result = serde_json::json!({"access_point_id": "b", "init_config": given});
        let result = match given {
            "" => "b".to_owned(),
            _ => result.to_string(),
        };
        let context = serde_json::json!({"allocationResult": result});
        let body = serde_json::json!({"status": "allow", "context": context}).to_string();
        let reply = serde_json::json!({"statusCode": 200, "body": body}).to_string();
        let (wall, now) = (world.wall(), world.now());
        let machine = &mut world.machine;
        machine.handle_hook_reply(exchange, Some(reply.as_bytes()), wall, now);
        world.settle();
        let answer = world.answers.remove(&operation).unwrap().unwrap();
        let config = answer.initial_config().unwrap();
        String::from_utf8(config.as_bytes().to_vec()).unwrap()
    };
    assert_eq!(told(""), "of the group");
    // At the same place, and although what it had is carried over.
    assert_eq!(told("of the function"), "of the function");
    assert_eq!(told("another"), "another");
    // A function that gives nothing leaves it what it has.
    assert_eq!(told(""), "another");
}

#[test]
fn a_target_that_cannot_be_told_leaves_everything_as_it_was() {
    let mut world = World::furnished();
    let principal = world.by_group("sn-1").unwrap();
    let first = world.register(principal.clone()).unwrap();
    world.lead_to("b");
    let operation = world.request(principal);
    let append = world.waiting.remove(0);
    world.perform(append, true);
    let upsert = world.waiting.remove(0);
    world.perform(upsert, false);
    assert_eq!(
        world.answers.remove(&operation),
        Some(Err(Cause::TargetFailed))
    );
    world.settle();
    let known = world.registration("sn-1").unwrap();
    let current = known.current.as_ref().unwrap();
    assert_eq!(current.target, first.assignment.target);
    assert_eq!(current.generation, first.assignment.generation);
    assert!(known.pending.is_none() && known.previous.is_empty());
    assert!(
        world.log.contains(&"retire sn-1 b".to_owned()),
        "it may have been told"
    );
}

#[test]
fn a_target_is_not_told_to_forget_a_device_whose_commit_there_may_have_been_stored() {
    let mut world = World::furnished();
    let principal = world.by_group("sn-1").unwrap();
    // A proposal comes to nothing, and its target does not hear that it did.
    world.request(principal.clone());
    for well in [true, false, true, false] {
        let output = world.waiting.remove(0);
        world.perform(output, well);
    }
    assert_eq!(world.registration("sn-1").unwrap().previous.len(), 1);
    // The next one is for the same target. Its commit is stored, but nobody hears of that in time.
    let operation = world.request(principal.clone());
    for well in [true, true, false] {
        let output = world.waiting.remove(0);
        world.perform(output, well);
    }
    world.pass(world.config.retire_retry);
    assert_eq!(world.answers.remove(&operation), Some(Err(Cause::TimedOut)));
    world.settle();
    let known = world.registration("sn-1").unwrap();
    assert_eq!(known.current_generation(), Some(2));
    assert!(known.previous.is_empty());
    world.pass(world.config.retire_retry);
    world.settle();
    assert!(world.knows("a", "sn-1"));
    // Not even for a moment: who reads the ledger between the two would find a target that does not know its device.
    assert!(!world.log.contains(&"retire sn-1 a".to_owned()));
    let own = world.by_secret("sn-1", "a secret of its own").unwrap();
    assert_eq!(place(&world.register(own)), "a");
}

#[test]
fn a_repeated_request_shares_the_operation_and_its_answer() {
    let mut world = World::furnished();
    let principal = world.by_group("sn-1").unwrap();
    let one = world.request(principal.clone());
    let two = world.request(principal);
    world.settle();
    assert_eq!(world.answers[&one], world.answers[&two]);
    assert_eq!(world.registration("sn-1").unwrap().generation, 1);
}

#[test]
fn an_answer_is_held_until_the_device_has_subscribed_and_not_for_ever() {
    let mut world = World::furnished();
    for late in [false, true] {
        let mut request = RegistrationRequest::new(world.by_group("sn-1").unwrap());
        request.hold = true;
        let (wall, now) = (world.wall(), world.now());
        let operation = world.machine.handle_request(request, wall, now);
        world.settle();
        assert!(!world.answers.contains_key(&operation));
        if late {
            world.pass(Duration::from_secs(5));
        } else {
            world.pass(Duration::from_secs(3));
        }
        world.machine.handle_subscribed(operation);
        world.drain();
        assert_eq!(world.answers[&operation].is_ok(), !late);
    }
}

#[test]
fn what_was_interrupted_by_a_restart_is_given_up_and_its_target_told() {
    let mut world = World::furnished();
    let principal = world.by_group("sn-1").unwrap();
    world.request(principal.clone());
    let append = world.waiting.remove(0);
    world.perform(append, true);
    let upsert = world.waiting.remove(0);
    // The target was told, and the program ends before it hears of it.
    world.perform(upsert, true);
    world.restart();
    world.settle();
    assert!(!world.knows("a", "sn-1"));
    assert!(world.registration("sn-1").unwrap().pending.is_none());
    let again = world.by_group("sn-1").unwrap();
    assert_eq!(place(&world.register(again)), "a");
}

#[test]
fn an_append_of_unknown_outcome_is_repeated_and_one_that_lost_is_decided_again() {
    let mut world = World::furnished();
    let principal = world.by_group("sn-1").unwrap();
    let operation = world.request(principal);
    let append = world.waiting.remove(0);
    // It was stored, and nobody heard of it.
    world.perform(append, false);
    assert!(world.waiting.is_empty());
    world.pass(Duration::from_secs(1));
    world.settle();
    assert_eq!(place(&world.answers[&operation]), "a");
    // Another writes the stream behind the machine's back.
    let stream = StreamId::Roster(tenant_id("t"), roster::Roster::shard_of(&device("sn-1")));
    let mut roster = roster::Roster::default();
    roster
        .replay_after(world.journal[&stream].iter().map(|change| &change[..]))
        .unwrap();
    let trigger = roster
        .decide(&device("sn-1"), roster::Command::Trigger, world.wall())
        .unwrap();
    let change = trigger.changes[0].encode().unwrap();
    world.journal.get_mut(&stream).unwrap().push(change.into());
    let principal = world.by_group("sn-1").unwrap();
    assert!(world.register(principal).is_ok());
    let version = world.journal[&stream].len();
    assert_eq!(version, 4, "proposed, committed, triggered, returned");
}

/// What the device shows that has the certificate with this fingerprint.
fn shows(id: &str, digit: &str) -> Evidence {
    Evidence::Certificate {
        scope: None,
        id: device(id),
        issuers: Vec::new(),
        fingerprints: vec![digit.repeat(64).parse().unwrap()],
        names: CertificateNames::default(),
    }
}

#[test]
fn the_first_certificate_is_pinned_before_the_device_is_told_and_no_other_comes_in() {
    let mut world = World::furnished();
    let enroll = || roster::Command::Enroll {
        enrollment: Enrollment::new(
            Attestation::X509Leaf {
                fingerprints: BTreeSet::new(),
                first_use_until: 1_900_000_000_000,
            },
            Entry::enabled(),
        ),
        expected: Expected::Any,
    };
    world.of_device("dev-1", enroll()).unwrap();
    let (first, second) = (shows("dev-1", "a"), shows("dev-1", "b"));
    // Both were let in before either is pinned.
    let principals = [&first, &second].map(|one| world.prove(one).unwrap());
    let [pinned, late] = principals;
    assert!(pinned.pin().is_some());
    world.register(pinned).unwrap();
    let steps: Vec<_> = world
        .records
        .iter()
        .map(|(_, record)| record.step)
        .collect();
    let place = |step| steps.iter().position(|one| *one == step).unwrap();
    assert!(place(Step::CertificatePinned) < place(Step::Proposed));
    assert_eq!(world.register(late), Err(Cause::Unauthenticated));
    assert!(world.prove(&second).is_none());
    let again = world.prove(&first).unwrap();
    assert_eq!(again.pin(), None);
    world.register(again).unwrap();
    // An operator clears it, and whoever comes first is the device again.
    world.of_device("dev-1", enroll()).unwrap();
    let other = world.prove(&second).unwrap();
    world.register(other).unwrap();
    assert!(world.prove(&first).is_none());
}

#[test]
fn a_tenant_has_so_many_policies_of_a_kind_and_no_more() {
    let mut world = World::furnished();
    let target = || target("a");
    let points = || [point("a")].into();
    type Make<'m> = &'m dyn Fn() -> Rule;
    let custom: Make<'_> = &|| Rule::Custom {
        function: FunctionUrn::new("urn:f").unwrap(),
        name: "F".to_owned(),
        access_points: points(),
    };
    let by_keyword: Make<'_> = &|| Rule::Static {
        keyword: Keyword::new("lamp").unwrap(),
        priority: Priority::LOWEST,
        source: KeywordSource::DeviceName,
        target: target(),
    };
    let certified: Make<'_> = &|| Rule::Certificate {
        authority: "ca".parse().unwrap(),
        target: target(),
    };
    for (kind, most, rule) in [
        ("f", 10, custom),
        ("s", 20, by_keyword),
        ("c", 20, certified),
    ] {
        let mut set = |number: usize| {
            let id = format!("{kind}{number}").parse().unwrap();
            let policy = AllocationPolicy::new(id, 0, rule());
            let expected = Expected::Any;
            world.settings("t", tenant::Command::SetPolicy { policy, expected })
        };
        for number in 0..most {
            assert!(set(number).is_ok(), "{kind}{number}");
        }
        assert_eq!(set(most), Err(ErrorKind::Full), "{kind}");
        // One that is there can be changed all the same.
        assert!(set(0).is_ok(), "{kind}");
    }
}

#[test]
fn without_a_scope_the_tenant_follows_from_the_authority_of_the_certificate() {
    let mut world = World::furnished();
    for tenant in ["t", "t2"] {
        if tenant == "t2" {
            let create = tenant::Command::Create {
                name: "Other".to_owned(),
            };
            world.settings(tenant, create).unwrap();
            let scope = tenant::Command::AddScope("s2".parse().unwrap());
            world.settings(tenant, scope).unwrap();
        }
        let attestation = GroupAttestation::X509Ca {
            ca: format!("ca-of-{tenant}").parse().unwrap(),
            accept_expired: false,
        };
        let scope = if tenant == "t" { "s" } else { "s2" };
        let scope = scope.parse().unwrap();
        let mut group =
            EnrollmentGroup::new("Cloud".to_owned(), scope, attestation, Entry::enabled());
        group.ids = IdRule::any();
        let set = tenant::Command::SetGroup {
            group: "cloud".parse().unwrap(),
            value: group,
            expected: Expected::Any,
        };
        world.settings(tenant, set).unwrap();
    }
    let client_id = ClientId::parse("sn-7_0_1_2027011508", "sn-7").unwrap();
    let ClientIdForm::Signed { scope, .. } = client_id.form() else {
        panic!("{client_id:?}");
    };
    let shows = |tenant: &str, ca: &str| {
        let issuer = Issuer::new(tenant_id(tenant), ca.parse().unwrap(), false);
        let evidence = Evidence::Certificate {
            scope: scope.clone(),
            id: client_id.device().clone(),
            issuers: vec![issuer],
            fingerprints: Vec::new(),
            names: CertificateNames::default(),
        };
        world.prove(&evidence).map(|one| one.tenant().to_string())
    };
    assert_eq!(shows("t", "ca-of-t").as_deref(), Some("t"));
    assert_eq!(shows("t2", "ca-of-t2").as_deref(), Some("t2"));
    // An authority of one tenant vouches for nobody of another.
    assert_eq!(shows("t2", "ca-of-t"), None);
}
