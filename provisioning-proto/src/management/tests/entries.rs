use super::*;

fn keyword(word: &str, priority: u8) -> Value {
    json!({"access_point_id": "east", "base_strategy_info": {"keyword": word, "priority": priority}})
}

#[test]
fn static_policies_are_made_listed_and_removed_up_to_their_limit() {
    let mut cloud = Cloud::new();
    let mut first = String::new();
    for n in 0..20 {
        let (status, made) = cloud.ask(
            "POST",
            "allocation-strategies/base",
            &keyword(&format!("k{n}"), 4),
        );
        assert_eq!((status, &made["strategy_type"]), (201, &json!("base")));
        first = made["strategy_id"].as_str().unwrap().to_owned();
    }
    let over = cloud.ask("POST", "allocation-strategies/base", &keyword("k20", 4));
    assert_eq!(code(&over), (409, "IoTDP.199007"));
    let page = cloud.get("allocation-strategies/base?limit=50");
    assert_eq!(page["page"], json!({"count": 20, "marker": null}));
    let path = format!("allocation-strategies/base/{first}");
    assert_eq!(cloud.get(&path)["base_strategy_info"]["keyword"], "k19");
    let as_other = cloud.ask(
        "GET",
        &format!("allocation-strategies/functions/{first}"),
        &Value::Null,
    );
    assert_eq!(code(&as_other), (404, "IoTDP.100415"));
    assert_eq!(cloud.ask("DELETE", &path, &Value::Null).0, 204);
    assert_eq!(
        cloud
            .ask("POST", "allocation-strategies/base", &keyword("k20", 4))
            .0,
        201
    );
    assert_eq!(
        code(&cloud.ask("POST", "allocation-strategies/base", &keyword("x", 5))),
        (400, "IoTDP.199001")
    );
    assert_eq!(
        code(&cloud.ask("POST", "allocation-strategies/odd", &keyword("x", 4))),
        (400, "IoTDP.100410")
    );
}

#[test]
fn another_tenants_access_point_cannot_be_named_before_it_is_granted() {
    let mut cloud = Cloud::new();
    let theirs =
        json!({"access_point_id": "theirs", "base_strategy_info": {"keyword": "k", "priority": 0}});
    assert_eq!(
        code(&cloud.ask("POST", "allocation-strategies/base", &theirs)),
        (403, "IoTDP.105004")
    );
    let (access_point, to) = ("theirs".parse().unwrap(), "t1".parse().unwrap());
    let command = tenant::Command::Grant { access_point, to };
    cloud
        .carry_out(Command::Settings {
            tenant: "t2".parse().unwrap(),
            command,
        })
        .unwrap();
    assert_eq!(
        cloud.ask("POST", "allocation-strategies/base", &theirs).0,
        201
    );
    let granted = cloud.get("access-points?authorizing_domain_id=t2");
    assert_eq!(granted["access_points"][0]["id"], "theirs");
    assert_eq!(
        cloud.ask("PUT", "access-points/theirs", &json!({})).0,
        409,
        "it is not theirs to change"
    );
}

#[test]
fn a_stale_version_changes_nothing() {
    let mut cloud = Cloud::new();
    let tag = cloud.get("access-points/east")["ETag"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({"name": "East 2", "weight": 5});
    let (status, changed) = cloud.ask_as(
        "t1",
        "PUT",
        "access-points/east",
        &[("if-match", &tag)],
        &body,
    );
    assert_eq!((status, &changed["weight"]), (200, &json!(5)));
    assert_ne!(changed["ETag"], tag.as_str());
    let stale = cloud.ask_as(
        "t1",
        "PUT",
        "access-points/east",
        &[("if-match", &tag)],
        &json!({"name": "East 3"}),
    );
    assert_eq!(code(&stale), (412, "IoTDP.199008"));
    let absent = cloud.ask_as(
        "t1",
        "PUT",
        "access-points/east",
        &[("if-none-match", "*")],
        &body,
    );
    assert_eq!(absent.0, 409);
    assert_eq!(cloud.get("access-points/east")["name"], "East 2");
    let stale = cloud.ask_as(
        "t1",
        "DELETE",
        "access-points/east",
        &[("if-match", &tag)],
        &Value::Null,
    );
    assert_eq!(stale.0, 412);
    cloud.ask("POST", "allocation-strategies/base", &keyword("k", 0));
    assert_eq!(
        code(&cloud.ask("DELETE", "access-points/east", &Value::Null)),
        (409, "IoTDP.199006")
    );
}

#[test]
fn a_groups_secret_is_shown_once_and_never_changed() {
    let mut cloud = Cloud::new();
    let body = json!({
        "registration_group_name": "meters", "id_rule": {"patterns": ["sn-*"]},
        "provision_info": {"auth_type": "SECRET", "allocation_strategy_type": "base", "init_config": "{}"},
    });
    let (status, made) = cloud.ask("POST", "registration-groups", &body);
    let secret = made["register_group_secret"].as_str().unwrap();
    assert_eq!((status, secret.len()), (201, 64));
    let path = format!(
        "registration-groups/{}",
        made["registration_group_id"].as_str().unwrap()
    );
    let shown = cloud.get(&path);
    assert_eq!(shown["register_group_secret"], Value::Null);
    assert_eq!(shown["provision_info"]["allocation_strategy_type"], "base");
    assert_eq!(
        code(&cloud.ask("POST", "registration-groups", &body)),
        (409, "IoTDP.104801")
    );
    for info in [
        json!({"register_group_secret": secret}),
        json!({"auth_type": "CERTIFICATES"}),
    ] {
        let answer = cloud.ask("PUT", &path, &json!({"provision_info": info}));
        assert_eq!(code(&answer), (400, "IoTDP.199009"));
    }
    let (status, changed) = cloud.ask("PUT", &path, &json!({"enabled": false}));
    assert_eq!(
        (
            status,
            &changed["enabled"],
            &changed["registration_group_name"]
        ),
        (200, &json!(false), &json!("meters"))
    );
    assert_eq!(cloud.get(&format!("{path}/devices"))["page"]["count"], 0);
    for (length, status) in [(43, 400), (44, 201), (172, 201), (173, 400)] {
        // Base64 of 31, 32, 128 and 129 bytes.
        let bytes = match length {
            43 => 31,
            44 => 32,
            172 => 128,
            _ => 129,
        };
        let text =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![1; bytes]);
        let body = json!({"registration_group_name": format!("g{length}"), "provision_info": {"register_group_secret": text}});
        assert_eq!(
            cloud.ask("POST", "registration-groups", &body).0,
            status,
            "{bytes}"
        );
    }
}

#[test]
fn custom_policies_list_one_to_ten_access_points_and_devices_can_ask_for_their_function() {
    let mut cloud = Cloud::new();
    let body = json!({"access_point_ids": ["east"], "func_strategy_info": {"func_urn": "urn:f", "func_name": "f"}});
    assert_eq!(
        cloud
            .ask("POST", "allocation-strategies/functions", &body)
            .0,
        201
    );
    let none = json!({"access_point_ids": [], "func_strategy_info": {"func_urn": "urn:f", "func_name": "f"}});
    assert_eq!(
        cloud
            .ask("POST", "allocation-strategies/functions", &none)
            .0,
        400
    );
    let device = |urn: &str| json!({"device_id": "sn-1", "provision_info": {"allocation_strategy_type": "functions", "func_urn": urn}});
    assert_eq!(
        code(&cloud.ask("POST", "devices", &device("urn:g"))),
        (404, "IoTDP.100411")
    );
    let (status, made) = cloud.ask("POST", "devices", &device("urn:f"));
    assert_eq!(
        (
            status,
            made["provision_info"]["policy_ids"]
                .as_array()
                .unwrap()
                .len()
        ),
        (201, 1)
    );
}

#[test]
fn an_access_point_is_granted_to_tenants_that_there_are_and_taken_back() {
    let mut cloud = Cloud::new();
    let path = "access-points/east/grants";
    for wrong in ["t1", "t9"] {
        let body = json!({"authorized_domain_id": wrong});
        assert_eq!(code(&cloud.ask("POST", path, &body)), (403, "IoTDP.100101"));
    }
    let body = json!({"authorized_domain_id": "t2"});
    assert_eq!(cloud.ask("POST", path, &body).0, 201);
    assert_eq!(cloud.get(path)["grants"], json!([body]));
    let (status, seen) = cloud.ask_as("t2", "GET", "access-points/east", &[], &Value::Null);
    assert_eq!(
        (status, &seen["authorizing_domain_id"]),
        (200, &json!("t1"))
    );
    let theirs = cloud.ask_as("t2", "GET", path, &[], &Value::Null);
    assert_eq!(theirs.0, 404, "whoever was granted it cannot grant it");
    let one = format!("{path}/t2");
    assert_eq!(cloud.ask("DELETE", &one, &Value::Null).0, 204);
    assert_eq!(cloud.ask("DELETE", &one, &Value::Null).0, 404);
    assert_eq!(
        cloud
            .ask_as("t2", "GET", "access-points/east", &[], &Value::Null)
            .0,
        404
    );
}

#[test]
fn products_are_the_applications_of_the_access_points_that_may_be_used() {
    let mut cloud = Cloud::new();
    let body = json!({"name": "East", "applications": ["lamp", "meter"]});
    assert_eq!(cloud.ask("PUT", "access-points/east", &body).0, 200);
    let theirs = json!({"name": "Theirs", "applications": ["meter", "valve"]});
    cloud.ask_as("t2", "PUT", "access-points/theirs", &[], &theirs);
    let of = |page: &Value| {
        let products = page["products"].as_array().unwrap().iter();
        let ids = products.map(|product| product["product_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(of(&cloud.get("products")), ["lamp", "meter"]);
    let granted = json!({"authorized_domain_id": "t1"});
    cloud.ask_as("t2", "POST", "access-points/theirs/grants", &[], &granted);
    assert_eq!(
        of(&cloud.get("products?limit=50")),
        ["lamp", "meter", "valve"]
    );
    assert_eq!(
        of(&cloud.get("products?access_point_id=theirs")),
        ["meter", "valve"]
    );
    assert_eq!(
        cloud.get("products/meter")["access_point_ids"],
        json!(["east", "theirs"])
    );
    assert_eq!(cloud.ask("GET", "products/odd", &Value::Null).0, 404);
    assert_eq!(
        code(&cloud.ask("POST", "products", &json!({}))),
        (405, "IoTDP.199004")
    );
}

#[test]
fn whatever_names_an_authority_is_found() {
    use crate::certificates::authorities::Reference;

    let mut cloud = Cloud::new();
    let (tenant, ca): (TenantId, _) = ("t1".parse().unwrap(), "ca".parse().unwrap());
    let info = json!({"certificate_id": "ca"});
    for (path, body) in [
        (
            "devices",
            json!({"device_id": "sn-1", "provision_info": info}),
        ),
        ("devices", json!({"device_id": "sn-2"})),
        (
            "registration-groups",
            json!({"registration_group_name": "g", "provision_info": info}),
        ),
        (
            "allocation-strategies/certificates",
            json!({"access_point_id": "east", "certificate_strategy_info": {"cert_id": "ca"}}),
        ),
    ] {
        assert_eq!(cloud.ask("POST", path, &body).0, 201, "{path}");
    }
    let directory = cloud.machine.directory();
    let found: Vec<_> = directory.references_to(&tenant, &ca).collect();
    assert!(
        matches!(
            found.as_slice(),
            [Reference::Group(_), Reference::Policy(_), Reference::Device(id)] if id.as_str() == "sn-1"
        ),
        "{found:?}"
    );
    let other = "t2".parse().unwrap();
    assert_eq!(directory.references_to(&other, &ca).count(), 0);
}

#[test]
fn a_group_can_be_removed_by_its_name() {
    let mut cloud = Cloud::new();
    let body = json!({"registration_group_name": "lamps of the cellar"});
    assert_eq!(cloud.ask("POST", "registration-groups", &body).0, 201);
    let path = "registration-groups?registration_group_name=lamps%20of%20the%20cellar";
    assert_eq!(cloud.ask("DELETE", path, &Value::Null).0, 204);
    assert_eq!(
        code(&cloud.ask("DELETE", path, &Value::Null)),
        (404, "IoTDP.104802")
    );
    let unnamed = cloud.ask("DELETE", "registration-groups", &Value::Null);
    assert_eq!(code(&unnamed), (400, "IoTDP.199001"));
}
