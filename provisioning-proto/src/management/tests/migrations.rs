use super::*;
use crate::model::{Assignment, AssignmentState, EvidenceClass, Migration, Target};
use crate::roster;

/// A device that is assigned to `east`.
fn with_an_assigned_device() -> Cloud {
    let mut cloud = Cloud::new();
    let body = json!({"device_id": "sn-1", "access_point_id": "east", "auth_info": {"auth_type": "SECRET"}});
    assert_eq!(cloud.ask("POST", "devices", &body).0, 201);
    let body = json!({"name": "west", "endpoints": {"mqtt": "10.0.0.2:8883"}});
    assert_eq!(cloud.ask("PUT", "access-points/west", &body).0, 200);
    let refused = cloud.ask("POST", "migrations", &west());
    assert_eq!(code(&refused), (404, "IoTDP.100201"), "it is nowhere yet");
    let assignment = Assignment {
        generation: 1,
        state: AssignmentState::Committed,
        target: Target::new("east".parse().unwrap(), None),
        policy: None,
        group: None,
        entry_version: 1,
        class: EvidenceClass::Certificate,
        migration: Migration::Reset,
        initial_config: None,
        decided_at: 0,
    };
    let command = roster::Command::Import {
        assignment,
        own_secret: None,
        transfer: None,
        enrollment: None,
    };
    let (tenant, id) = ("t1".parse().unwrap(), "sn-1".parse().unwrap());
    let command = Command::Registration {
        tenant,
        id,
        command,
    };
    cloud.carry_out(command).unwrap();
    cloud
}

fn west() -> Value {
    json!({"device_id": "sn-1", "access_point_id": "west"})
}

#[test]
fn a_migration_is_planned_shown_listed_and_aborted() {
    let mut cloud = with_an_assigned_device();
    assert_eq!(cloud.ask("GET", "migrations/sn-1", &Value::Null).0, 404);
    let (status, shown) = cloud.ask("POST", "migrations", &west());
    assert_eq!((status, &shown["stage"]), (201, &json!("planned")));
    assert_eq!(
        (&shown["from"], &shown["access_point_id"]),
        (&json!("east"), &json!("west"))
    );
    assert_eq!(
        code(&cloud.ask("POST", "migrations", &west())),
        (409, "IoTDP.199005")
    );
    assert_eq!(cloud.get("migrations/sn-1"), shown);
    let early = cloud.ask("POST", "migrations/sn-1/seen", &json!({}));
    assert_eq!(
        code(&early),
        (409, "IoTDP.199006"),
        "it is at the old place"
    );
    let listed = cloud.get("migrations?open=true");
    assert_eq!(listed["migrations"], json!([shown]));
    let (status, shown) = cloud.ask("DELETE", "migrations/sn-1", &Value::Null);
    assert_eq!((status, &shown["stage"]), (200, &json!("aborting")));
    assert_eq!(
        (&shown["cause"], shown.get("abort_time")),
        (&json!("operator"), None)
    );
}

#[test]
fn a_transfer_goes_to_an_instance_of_the_configuration_under_an_id_of_its_own() {
    let mut cloud = with_an_assigned_device();
    let to = |instance| json!({"device_id": "sn-1", "instance": instance, "hours": 2});
    assert_eq!(
        code(&cloud.ask("POST", "migrations", &to("nowhere"))),
        (404, "IoTDP.199003")
    );
    let (status, shown) = cloud.ask("POST", "migrations", &to("production"));
    assert_eq!((status, &shown["instance"]), (201, &json!("production")));
    assert_eq!(shown["transfer_id"].as_str().unwrap().len(), 32);
}

#[test]
fn what_is_no_migration_is_refused() {
    let mut cloud = with_an_assigned_device();
    for (body, expected) in [
        (json!({"device_id": "sn-1"}), (400, "IoTDP.199001")),
        (
            json!({"device_id": "sn-1", "access_point_id": "west", "instance": "production"}),
            (400, "IoTDP.199001"),
        ),
        (
            json!({"device_id": "sn-1", "access_point_id": "west", "hours": 0}),
            (400, "IoTDP.199001"),
        ),
        (
            json!({"device_id": "sn-1", "access_point_id": "east"}),
            (400, "IoTDP.199001"),
        ),
        (
            json!({"device_id": "sn-1", "access_point_id": "theirs"}),
            (403, "IoTDP.105004"),
        ),
        (
            json!({"device_id": "sn-2", "access_point_id": "west"}),
            (404, "IoTDP.100201"),
        ),
        (
            json!({"device_id": "a/b", "access_point_id": "west"}),
            (400, "IoTDP.100202"),
        ),
    ] {
        assert_eq!(
            code(&cloud.ask("POST", "migrations", &body)),
            expected,
            "{body}"
        );
    }
    let none = cloud.ask("DELETE", "migrations/sn-1", &Value::Null);
    assert_eq!(code(&none), (404, "IoTDP.199003"));
}

#[test]
fn the_abort_of_a_transfer_is_ended_without_the_other_instance_by_who_names_it() {
    let mut cloud = with_an_assigned_device();
    let end = |cloud: &mut Cloud, without| {
        let body = json!({ "without": without });
        cloud.ask("POST", "migrations/sn-1/end", &body)
    };
    assert_eq!(code(&end(&mut cloud, "production")), (404, "IoTDP.199003"));
    let body = json!({"device_id": "sn-1", "instance": "production"});
    assert_eq!(cloud.ask("POST", "migrations", &body).0, 201);
    let early = end(&mut cloud, "production");
    assert_eq!(code(&early), (409, "IoTDP.199006"));
    assert!(early.1["error_msg"].as_str().unwrap().contains("abort"));
    assert_eq!(cloud.ask("DELETE", "migrations/sn-1", &Value::Null).0, 200);
    assert_eq!(code(&end(&mut cloud, "test")), (400, "IoTDP.199001"));
    let unnamed = cloud.ask("POST", "migrations/sn-1/end", &json!({}));
    assert_eq!(code(&unnamed), (400, "IoTDP.199001"));
    assert_eq!(cloud.get("migrations/sn-1")["stage"], "aborting");
    let (status, shown) = end(&mut cloud, "production");
    let seen = (status, &shown["stage"], &shown["ended_alone"]);
    assert_eq!(seen, (200, &json!("aborted"), &json!("unheard")));
    assert_eq!(end(&mut cloud, "production"), (200, shown));
    let kept = cloud.ask("POST", "migrations/sn-1/let-go", &json!({}));
    assert_eq!(code(&kept), (404, "IoTDP.199003"), "nobody else has it");
    // That the device was seen there is said by that instance alone: here as it would come in a receipt.
    let id = "sn-1".parse().unwrap();
    let command = migration::Command::Confirm;
    let said = cloud.plans.decide(&id, command, cloud.wall()).unwrap();
    said.changes
        .iter()
        .for_each(|change| cloud.plans.apply(change));
    let shown = cloud.get("migrations/sn-1");
    assert_eq!(
        (&shown["stage"], &shown["ended_alone"]),
        (&json!("aborted"), &json!("seen"))
    );
    let (status, shown) = cloud.ask("POST", "migrations/sn-1/let-go", &json!({}));
    assert_eq!((status, &shown["stage"]), (200, &json!("confirmed")));
    assert_eq!(shown.get("cause"), None);
}
