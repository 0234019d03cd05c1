use super::*;
use crate::management::OPENAPI;

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

#[test]
fn the_description_names_exactly_the_methods_that_there_are() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut cloud = Cloud::new();
    for (path, item) in paths {
        let real = path
            .strip_prefix("/v5/iotps/{project_id}/")
            .unwrap()
            .replace("{id}", "none")
            .replace("{domain_id}", "none");
        for method in METHODS {
            let (status, _) = cloud.ask(&method.to_uppercase(), &real, &json!({}));
            assert_eq!(
                status != 405,
                item.get(method).is_some(),
                "{method} {path}: {status}"
            );
        }
    }
}

#[test]
fn every_reference_of_the_description_leads_somewhere_and_operations_are_told_apart() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    found.push(to.clone());
                }
                members
                    .values()
                    .for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for to in found {
        assert!(
            document.pointer(to.strip_prefix('#').unwrap()).is_some(),
            "{to}"
        );
    }
    let operations = document["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|item| {
        METHODS
            .iter()
            .filter_map(|method| item.get(method)?["operationId"].as_str())
    });
    let mut ids: Vec<&str> = operations.collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn what_is_not_there_and_what_cannot_be_read_is_told_with_a_code() {
    let mut cloud = Cloud::new();
    assert_eq!(
        code(&cloud.ask("GET", "nothing", &Value::Null)),
        (404, "IoTDP.199003")
    );
    assert_eq!(
        code(&cloud.ask("GET", "devices/none", &Value::Null)),
        (404, "IoTDP.100201")
    );
    assert_eq!(
        code(&cloud.ask("GET", "registration-groups/none", &Value::Null)),
        (404, "IoTDP.104802")
    );
    assert_eq!(
        code(&cloud.ask("GET", "devices/a%2Fb", &Value::Null)),
        (400, "IoTDP.100202")
    );
    assert_eq!(
        code(&cloud.ask("POST", "devices", &json!([]))),
        (400, "IoTDP.199001")
    );
    assert_eq!(
        code(&cloud.ask("PATCH", "devices/x", &json!({}))),
        (405, "IoTDP.199004")
    );
    let unknown = cloud.ask_as("t9", "GET", "devices", &[], &Value::Null);
    assert_eq!(code(&unknown), (403, "IoTDP.100101"));
    let long = json!({"device_id": "x".repeat(300_000)});
    assert_eq!(
        code(&cloud.ask("POST", "devices", &long)),
        (400, "IoTDP.100001")
    );
}
