use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::allocation::{
    HookAuthority, HookCall, HookDevice, HookFault, HookProof, MAX_HOOK_REPLY,
};

fn call(allowed: Option<&BTreeSet<AccessPointId>>) -> Decision {
    let mut list = vec![point("east"), point("west"), point("drained")];
    list[0].applications = ["main", "test"].map(|app| app.parse().unwrap()).into();
    list[0].default_application = Some("main".parse().unwrap());
    list[2].accepts_new = false;
    let all = points(list);
    let rules = policies([
        policy("p1", 1, custom("urn:f", &["drained"])),
        policy("p2", 2, custom("urn:f", &["east", "drained"])),
        policy("p3", 3, custom("urn:g", &["drained"])),
        policy("p4", 4, custom("urn:f", &["west", "east"])),
    ]);
    let device = id("sn-1");
    let input = AllocationInput {
        allowed,
        ..AllocationInput::new(&device, "x")
    };
    decide(&input, &Selection::All, &Setting::new(&all, &rules))
}

fn asked() -> HookCall {
    match call(None) {
        Decision::AskHook(call) => call,
        other => panic!("{other:?}"),
    }
}

fn reply(body: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({"statusCode": 200, "body": body})).unwrap()
}

#[test]
fn the_function_is_offered_every_usable_access_point_of_its_policies() {
    let call_made = asked();
    assert_eq!(
        (call_made.function.as_str(), call_made.policy.as_str()),
        ("urn:f", "p2")
    );
    let offered: Vec<&str> = call_made
        .candidates
        .iter()
        .map(|one| one.access_point.as_str())
        .collect();
    assert_eq!(offered, ["east", "west"]);
    assert!(matches!(call(Some(&BTreeSet::new())), Decision::NoMatch(_)));
}

#[test]
fn the_question_names_the_device_and_the_candidates_and_no_secret() {
    let device_id = id("sn-1");
    let mut device = HookDevice {
        id: &device_id,
        name: "meter \"1\"",
        payload_keyword: None,
        peer: "192.0.2.1".parse().ok(),
        proof: HookProof::Secret,
    };
    let question: serde_json::Value = serde_json::from_str(&asked().question(&device)).unwrap();
    let expected = serde_json::json!({
        "deviceId": "sn-1", "deviceName": "meter \"1\"", "peerAddress": "192.0.2.1", "functionUrn": "urn:f",
        "accessPoints": [{"accessPointId": "east", "appIds": ["main", "test"]}, {"accessPointId": "west", "appIds": []}],
        "authInfo": {"authType": "SECRET"},
    });
    assert_eq!(question, expected);
    device.proof = HookProof::Certificate {
        authority: Some(HookAuthority {
            name: "factory",
            subject: "Factory CA",
            fingerprint: "00ff",
        }),
        subject: "sn-1",
        issuer: "Factory CA",
    };
    let question: serde_json::Value = serde_json::from_str(&asked().question(&device)).unwrap();
    let cert_info = serde_json::json!({
        "caCert": {"subjectCnName": "Factory CA", "caCertName": "factory", "fingerprint": "00ff"},
        "deviceCert": {"subjectCnName": "sn-1", "issuerCnName": "Factory CA"},
    });
    assert_eq!(
        question["authInfo"],
        serde_json::json!({"authType": "CERTIFICATES", "certInfo": cert_info})
    );
}

#[test]
fn an_answer_chooses_among_what_was_offered() {
    let call = asked();
    let chosen = |result: &str| {
        let body = serde_json::json!({"status": "allow", "context": {"allocationResult": result}})
            .to_string();
        call.read(&reply(&body)).map(|decision| match decision {
            Decision::Assign { target, .. } => (
                target.access_point.to_string(),
                target.application.map(|app| app.to_string()),
            ),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(chosen("west"), Ok(("west".to_owned(), None)));
    assert_eq!(
        chosen("east"),
        Ok(("east".to_owned(), Some("main".to_owned())))
    );
    assert_eq!(
        chosen(r#"{"access_point_id":"east","app_id":"test"}"#),
        Ok(("east".to_owned(), Some("test".to_owned())))
    );
    for outside in [
        "drained",
        "north",
        "",
        r#"{"access_point_id":"east","app_id":"other"}"#,
    ] {
        assert_eq!(chosen(outside), Err(HookFault::NotOffered), "{outside}");
    }
    assert_eq!(chosen("{"), Err(HookFault::Malformed));
}

#[test]
fn an_answer_may_say_what_the_device_is_given() {
    let call = asked();
    let given = |result: serde_json::Value| {
        let context = serde_json::json!({"allocationResult": result.to_string()});
        let body = serde_json::json!({"status": "allow", "context": context}).to_string();
        call.read(&reply(&body)).map(|decision| match decision {
            Decision::Assign { initial_config, .. } => {
                initial_config.map(|config| config.as_bytes().to_vec())
            }
            other => panic!("{other:?}"),
        })
    };
    let config = serde_json::json!({"access_point_id": "east", "init_config": "{\"rate\":5}"});
    assert_eq!(given(config), Ok(Some(b"{\"rate\":5}".to_vec())));
    let none = serde_json::json!({"access_point_id": "east"});
    assert_eq!(given(none), Ok(None));
    // Nobody is assigned by half an answer.
    for wrong in [serde_json::json!(""), serde_json::json!({"rate": 5})] {
        let config = serde_json::json!({"access_point_id": "east", "init_config": wrong});
        assert_eq!(given(config), Err(HookFault::Malformed));
    }
}

#[test]
fn a_refusal_needs_a_code_and_a_reason() {
    let call = asked();
    let refused = |context: &str| {
        call.read(&reply(&format!(
            r#"{{"status":"deny","context":{context}}}"#
        )))
    };
    let (code, text) = ("E1".to_owned(), "not sold here".to_owned());
    assert_eq!(
        refused(r#"{"errorCode":"E1","errorMsg":"not sold here"}"#),
        Ok(Decision::Deny { code, text })
    );
    for context in [
        r#"{"errorCode":"","errorMsg":"x"}"#,
        r#"{"errorCode":"E1","errorMsg":""}"#,
        r#"{"errorCode":"E1"}"#,
        "{}",
    ] {
        assert_eq!(refused(context), Err(HookFault::NoReason), "{context}");
    }
    let long = format!(r#"{{"errorCode":"E1","errorMsg":"{}"}}"#, "x".repeat(1025));
    assert_eq!(refused(&long), Err(HookFault::TooLong));
}

#[test]
fn an_answer_of_another_form_is_none() {
    let call = asked();
    let body = r#"{"status":"allow","context":{"allocationResult":"east"}}"#;
    assert!(call.read(&reply(body)).is_ok());
    let as_object = format!(r#"{{"statusCode":200,"body":{body}}}"#);
    assert_eq!(call.read(as_object.as_bytes()), Err(HookFault::Malformed));
    let failed = reply(body)
        .iter()
        .map(|byte| char::from(*byte))
        .collect::<String>()
        .replace("200", "500");
    assert_eq!(call.read(failed.as_bytes()), Err(HookFault::Failed(500)));
    for text in [
        "",
        "null",
        "[]",
        r#"{"statusCode":200}"#,
        r#"{"body":"{}"}"#,
        r#"{"statusCode":70000,"body":"{}"}"#,
    ] {
        assert_eq!(
            call.read(text.as_bytes()),
            Err(HookFault::Malformed),
            "{text}"
        );
    }
    for body in [
        "",
        "{}",
        r#"{"status":"maybe","context":{}}"#,
        r#"{"status":"allow","context":{}}"#,
    ] {
        assert_eq!(call.read(&reply(body)), Err(HookFault::Malformed), "{body}");
    }
    let padded = [reply(body), vec![b' '; MAX_HOOK_REPLY]].concat();
    assert_eq!(call.read(&padded), Err(HookFault::TooLong));
}

proptest! {
    /// Whatever comes, what is assigned was offered, and what is denied has both a code and a reason.
    #[test]
    fn no_answer_leads_outside(status in "allow|deny|x", result in "east|west|drained|[a-z{}\":]{0,8}", code in "E?", text in "t?") {
        let context = serde_json::json!({"allocationResult": result, "errorCode": code, "errorMsg": text});
        let body = serde_json::json!({"status": status, "context": context}).to_string();
        match asked().read(&reply(&body)) {
            Ok(Decision::Assign { target, .. }) => prop_assert!(["east", "west"].contains(&target.access_point.as_str())),
            Ok(Decision::Deny { code, text }) => prop_assert!(!code.is_empty() && !text.is_empty()),
            Ok(other) => prop_assert!(false, "{:?}", other),
            Err(_) => {}
        }
    }
}
