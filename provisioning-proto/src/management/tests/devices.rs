use super::*;

#[test]
fn a_new_device_is_not_allocated_and_its_made_up_secret_is_shown_once() {
    let mut cloud = Cloud::new();
    let body = json!({"product_id": "meter", "node_id": "0042", "device_name": "Meter 42"});
    let (status, made) = cloud.ask("POST", "devices", &body);
    assert_eq!(
        (status, &made["device_id"], &made["allocation_status"]),
        (201, &json!("meter_0042"), &json!(3))
    );
    assert_eq!(made["secret"].as_str().unwrap().len(), 32);
    assert!(
        made["create_time"]
            .as_str()
            .unwrap()
            .starts_with("20180724T1756")
    );
    let shown = cloud.get("devices/meter_0042");
    assert_eq!(
        (&shown["secret"], &shown["auth_info"]),
        (&Value::Null, &json!({"auth_type": "SECRET"}))
    );
    let (status, reset) = cloud.ask(
        "POST",
        "devices/meter_0042/action",
        &json!({"action": "resetDeviceSecret"}),
    );
    assert_eq!(status, 200);
    assert_ne!(reset["secret"], made["secret"]);
    let again = cloud.ask("POST", "devices", &body);
    assert_eq!(code(&again), (409, "IoTDP.100204"));
}

#[test]
fn the_trigger_is_an_action_and_no_other_word_is() {
    let mut cloud = Cloud::new();
    cloud.ask("POST", "devices", &json!({"device_id": "sn-1"}));
    let (status, shown) = cloud.ask(
        "POST",
        "devices/sn-1/action",
        &json!({"action": "triggerBootstrapDevice"}),
    );
    assert_eq!((status, &shown["triggered"]), (200, &json!(true)));
    let other = cloud.ask(
        "POST",
        "devices/sn-1/action",
        &json!({"action": "allocateDevice"}),
    );
    assert_eq!(code(&other), (400, "IoTDP.199001"));
    let unknown = cloud.ask(
        "POST",
        "devices/sn-2/action",
        &json!({"action": "triggerBootstrapDevice"}),
    );
    assert_eq!(code(&unknown), (404, "IoTDP.100201"));
}

#[test]
fn secrets_names_and_configurations_have_their_sizes() {
    let mut cloud = Cloud::new();
    let mut attempt = |auth: Value, name: usize, config: usize| {
        let body = json!({
            "device_id": "sn-1", "device_name": "n".repeat(name), "auth_info": auth,
            "provision_info": {"init_config": "c".repeat(config)},
        });
        let status = cloud.ask("POST", "devices", &body).0;
        if status == 201 {
            assert_eq!(cloud.ask("DELETE", "devices/sn-1", &Value::Null).0, 204);
        }
        status
    };
    let secret = |length: usize| json!({"auth_type": "SECRET", "secret": "s".repeat(length)});
    assert_eq!(
        (attempt(secret(8), 1, 1), attempt(secret(32), 256, 65_535)),
        (201, 201)
    );
    assert_eq!(
        (attempt(secret(7), 1, 1), attempt(secret(33), 1, 1)),
        (400, 400)
    );
    assert_eq!(
        (
            attempt(secret(8), 0, 1),
            attempt(secret(8), 257, 1),
            attempt(secret(8), 1, 65_536)
        ),
        (400, 400, 400)
    );
    let print =
        |length: usize| json!({"auth_type": "CERTIFICATES", "fingerprint": "A".repeat(length)});
    assert_eq!(
        (
            attempt(print(40), 1, 1),
            attempt(print(64), 1, 1),
            attempt(print(41), 1, 1)
        ),
        (201, 201, 400)
    );
}

#[test]
fn resetting_a_fingerprint_clears_or_sets_it() {
    let mut cloud = Cloud::new();
    let auth = json!({"auth_type": "CERTIFICATES", "fingerprint": "ab".repeat(20)});
    cloud.ask(
        "POST",
        "devices",
        &json!({"device_id": "sn-1", "auth_info": auth}),
    );
    let (status, shown) = cloud.ask("POST", "devices/sn-1/reset-fingerprint", &Value::Null);
    assert_eq!(
        (status, &shown["auth_info"]["fingerprint"]),
        (200, &Value::Null)
    );
    let other = json!({"fingerprint": "cd".repeat(32)});
    let (_, shown) = cloud.ask("POST", "devices/sn-1/reset-fingerprint", &other);
    assert_eq!(shown["auth_info"]["fingerprint"], other["fingerprint"]);
}

#[test]
fn pages_are_complete_and_without_duplicates_while_devices_are_added() {
    let mut cloud = Cloud::new();
    for n in 0..60 {
        cloud.ask(
            "POST",
            "devices",
            &json!({"device_id": format!("sn-{n:03}")}),
        );
    }
    assert_eq!(
        cloud.get("devices")["devices"].as_array().unwrap().len(),
        10
    );
    for limit in ["0", "51", "x"] {
        assert_eq!(
            code(&cloud.ask("GET", &format!("devices?limit={limit}"), &Value::Null)),
            (400, "IoTDP.199001")
        );
    }
    assert_eq!(cloud.ask("GET", "devices?marker=zz", &Value::Null).0, 400);
    let (mut seen, mut marker, mut extra) = (Vec::new(), String::new(), 0);
    loop {
        let page = cloud.get(&format!("devices?limit=7{marker}"));
        let devices = page["devices"].as_array().unwrap();
        seen.extend(
            devices
                .iter()
                .map(|device| device["device_id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["page"]["marker"].as_str() else {
            break;
        };
        marker = format!("&marker={next}");
        // Before and behind what was seen.
        for id in [format!("sn-000-{extra}"), format!("sn-059-{extra}")] {
            cloud.ask("POST", "devices", &json!({"device_id": id}));
        }
        cloud.ask("DELETE", &format!("devices/{}", seen[0]), &Value::Null);
        extra += 1;
    }
    let mut unique = seen.clone();
    unique.dedup();
    assert_eq!(unique, seen);
    assert!(seen.is_sorted());
    for n in 0..60 {
        assert!(seen.contains(&format!("sn-{n:03}")), "{n}");
    }
}

#[test]
fn a_device_is_sent_to_an_access_point_when_it_comes_next_or_nothing_happens() {
    let mut cloud = Cloud::new();
    let made = cloud.ask("POST", "devices", &json!({"device_id": "sn-1"}));
    assert_eq!(made.0, 201);
    let path = "devices/sn-1/allocation";
    let body = json!({"name": "East", "region": "r1", "applications": ["a", "b"], "default_application": "a"});
    assert_eq!(cloud.ask("PUT", "access-points/east", &body).0, 200);
    for (wrong, answer) in [
        (json!({"access_point_id": "nowhere"}), (400, "IoTDP.199001")),
        (json!({"access_point_id": "theirs"}), (403, "IoTDP.105004")),
        (
            json!({"access_point_id": "east", "app_id": "b"}),
            (400, "IoTDP.100504"),
        ),
        (
            json!({"access_point_id": "east", "region_id": "r2"}),
            (400, "IoTDP.199001"),
        ),
        (
            json!({"access_point_id": "east", "authorizing_domain_id": "t2"}),
            (403, "IoTDP.105004"),
        ),
    ] {
        assert_eq!(code(&cloud.ask("POST", path, &wrong)), answer, "{wrong}");
    }
    let stale = [("if-match", "\"7\"")];
    let right = json!({"access_point_id": "east", "app_id": "a", "region_id": "r1", "authorizing_domain_id": "t1"});
    let refused = cloud.ask_as("t1", "POST", path, &stale, &right);
    assert_eq!(code(&refused), (412, "IoTDP.199008"));
    assert_eq!(
        cloud.get("devices/sn-1")["triggered"],
        false,
        "it was refused"
    );
    let (status, shown) = cloud.ask("POST", path, &right);
    assert_eq!((status, &shown["triggered"]), (200, &json!(true)));
    assert_eq!(shown["directed_to"]["id"], "east");
    let (status, shown) = cloud.ask("POST", path, &json!({}));
    assert_eq!((status, shown.get("directed_to")), (200, None));
    assert_eq!(
        code(&cloud.ask("POST", "devices/sn-2/allocation", &right)),
        (404, "IoTDP.100201")
    );
}

#[test]
fn a_secret_that_a_local_access_point_does_not_take_is_refused_when_it_is_set() {
    let mut cloud = Cloud::new();
    let short = |id: &str| json!({"device_id": id, "auth_info": {"secret": "12345678"}});
    assert_eq!(cloud.ask("POST", "devices", &short("sn-1")).0, 201);
    let here = json!({"name": "Here", "local": true});
    assert_eq!(cloud.ask("PUT", "access-points/here", &here).0, 200);
    let refused = cloud.ask("POST", "devices", &short("sn-2"));
    assert_eq!(code(&refused), (400, "IoTDP.199001"));
    assert_eq!(refused.1["error_msg"], "too short for here");
    let mut elsewhere = short("sn-2");
    elsewhere["access_point_id"] = "east".into();
    assert_eq!(cloud.ask("POST", "devices", &elsewhere).0, 201);
    let reset = json!({"action": "resetDeviceSecret", "args": {"secret": "87654321"}});
    assert_eq!(cloud.ask("POST", "devices/sn-1/action", &reset).0, 400);
    assert_eq!(cloud.ask("POST", "devices/sn-2/action", &reset).0, 200);
    assert_eq!(
        cloud
            .ask("POST", "devices", &json!({"device_id": "sn-3"}))
            .0,
        201
    );
}

#[test]
fn lists_of_devices_can_be_narrowed() {
    let mut cloud = Cloud::new();
    for (id, name) in [("sn-1", "Lamp"), ("sn-2", "Meter"), ("sn-3", "Lamp")] {
        let made = cloud.ask(
            "POST",
            "devices",
            &json!({"device_id": id, "device_name": name}),
        );
        assert_eq!(made.0, 201);
    }
    let ids = |cloud: &mut Cloud, query: &str| {
        let page = cloud.get(&format!("devices?{query}"));
        let devices = page["devices"].as_array().unwrap().iter();
        let ids = devices.map(|device| device["device_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&mut cloud, "device_name=Lamp"), ["sn-1", "sn-3"]);
    assert_eq!(
        ids(&mut cloud, "allocation_status=3&limit=2"),
        ["sn-1", "sn-2"]
    );
    assert!(ids(&mut cloud, "allocation_status=0").is_empty());
    assert!(ids(&mut cloud, "access_point_id=east").is_empty());
    let odd = cloud.ask("GET", "devices?allocation_status=1", &Value::Null);
    assert_eq!(code(&odd), (400, "IoTDP.199001"));
}
