use super::*;
use crate::managed_integrations::id::{ClusterId, CommandId};

fn parse(text: &str) -> Result<Request, Refusal> {
    Request::parse(text.as_bytes(), &Limits::default())
}

fn request(payload: &str) -> Result<Request, Refusal> {
    parse(&format!(
        r#"{{"header":{{"auth":{{"type":"OAuth2.0","token":"t"}}}},"payload":{payload}}}"#
    ))
}

#[test]
fn the_documented_envelope_is_read() {
    let request = request(
        r#"{"operationName":"AWS.ActivateUser","operationVersion":"1.0.0","connectorId":"c-1","more":[1]}"#,
    )
    .unwrap();
    assert_eq!(request.operation, Operation::ActivateUser);
    assert_eq!(request.connector, Some("c-1".parse().unwrap()));
    assert_eq!(request.version, Some("1.0.0".parse().unwrap()));
    assert_eq!(request.extra.len(), 1);
    let token = AccessToken::new("t").unwrap();
    assert_eq!(request.authorization, Authorization::OAuth { token });
}

#[test]
fn each_operation_is_read_with_and_without_its_prefix_and_in_any_version() {
    for prefix in ["AWS.", ""] {
        for version in [
            r#","operationVersion":"1.0""#,
            r#","operationVersion":2"#,
            "",
        ] {
            for (name, operation) in [
                ("ActivateUser", Operation::ActivateUser),
                ("DeactivateUser", Operation::DeactivateUser),
                (
                    "DiscoverDevices",
                    Operation::DiscoverDevices {
                        discovery: "d1".parse().unwrap(),
                    },
                ),
            ] {
                let payload = format!(
                    r#"{{"operationName":"{prefix}{name}"{version},"deviceDiscoveryId":"d1"}}"#
                );
                assert_eq!(request(&payload).unwrap().operation, operation);
            }
        }
    }
}

#[test]
fn a_command_is_read_in_every_shape_that_was_seen_or_suggested() {
    let expected = |command: &Command| {
        let [endpoint] = &command.endpoints[..] else {
            panic!("{command:?}")
        };
        let [cluster] = &endpoint.clusters[..] else {
            panic!("{endpoint:?}")
        };
        assert_eq!(endpoint.id.as_str(), "1");
        assert_eq!(cluster.id, ClusterId::new(8));
        let [invocation] = &cluster.commands[..] else {
            panic!("{cluster:?}")
        };
        assert_eq!(invocation.id, CommandId::new(4));
        assert_eq!(invocation.fields.get("0x0"), Some(&Value::Integer(127)));
    };
    for endpoints in [
        r#""endpoints":[{"id":"1","clusters":[{"id":"0x0008","commands":[{"0x04":{"0x0":127}}]}]}]"#,
        r#""endpoints":[{"id":"1","clusters":[{"id":"0x0008","commands":{"0x04":{"0x0":127}}}]}]"#,
        r#""endpoints":[{"endpointId":1,"clusters":[{"clusterId":8,"commands":[{"id":4,"fields":{"0x0":127}}]}]}]"#,
        r#""endpoints":{"1":{"clusters":{"0x0008":{"commands":{"0x04":{"0x0":127}}}}}}"#,
        r#""MatterEndpoint":{"id":"1","clusters":[{"id":"8","commands":{"4":{"0x0":127}}}]}"#,
    ] {
        let payload = format!(
            r#"{{"operationName":"AWS.SendCommand","traceId":"t:1","connectorDeviceId":"d",{endpoints}}}"#
        );
        let Operation::SendCommand(command) = request(&payload).unwrap().operation else {
            panic!("{payload}")
        };
        expected(&command);
    }
}

#[test]
fn attributes_are_read_as_a_map_and_as_a_list_of_maps() {
    for attributes in [
        r#"{"0x0000":"3"}"#,
        r#"[{"0x0000":"3"}]"#,
        r#"[{"id":"0","value":"3"}]"#,
    ] {
        let payload = format!(
            r#"{{"operationName":"AWS.SendCommand","traceId":"t","connectorDeviceId":"d",
            "endpoints":[{{"id":"1","clusters":[{{"id":"0x0202","attributes":{attributes}}}]}}]}}"#
        );
        let Operation::SendCommand(command) = request(&payload).unwrap().operation else {
            panic!("{payload}")
        };
        let writes = &command.endpoints[0].clusters[0].writes;
        assert_eq!(writes[0].id.number(), 0);
        assert_eq!(writes[0].value, Value::from("3"));
    }
}

#[test]
fn both_kinds_of_authorization_are_read_under_all_their_names() {
    let of = |auth: &str| {
        parse(&format!(
            r#"{{"header":{{"auth":{auth}}},"payload":{{"operationName":"AWS.ActivateUser"}}}}"#
        ))
        .map(|request| request.authorization)
    };
    for name in [
        r#""type":"OAuth2.0","#,
        r#""type":"OAuth 2.0","#,
        r#""type":"OAUTH","#,
        "",
    ] {
        let read = of(&format!(r#"{{{name}"token":"t"}}"#)).unwrap();
        assert!(matches!(read, Authorization::OAuth { .. }));
    }
    let general =
        r#"{"type":"GeneralAuthorization","secretsManager":{"arn":"arn:aws:x","versionId":"v"}}"#;
    let read = of(general).unwrap();
    let (arn, version) = ("arn:aws:x".to_owned(), Some("v".to_owned()));
    assert_eq!(read, Authorization::General { arn, version });
    for auth in [
        "{}",
        "null",
        r#"{"type":"OAuth2.0"}"#,
        r#"{"type":"OAuth2.0","token":""}"#,
        r#"{"type":"OAuth2.0","token":"ü"}"#,
        r#"{"type":"Basic","token":"t"}"#,
        r#"{"type":"GeneralAuthorization","token":"t"}"#,
        r#"{"type":"GeneralAuthorization","secretsManager":{}}"#,
    ] {
        assert_eq!(of(auth), Err(Refusal::Unauthorized), "{auth}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    for (payload, refusal) in [
        ("{}", Refusal::Missing("operationName")),
        (
            r#"{"operationName":"AWS.Explode"}"#,
            Refusal::UnknownOperation,
        ),
        (
            r#"{"operationName":"AWS.DiscoverDevices"}"#,
            Refusal::Missing("deviceDiscoveryId"),
        ),
        (
            r#"{"operationName":"AWS.DiscoverDevices","deviceDiscoveryId":"a-b"}"#,
            Refusal::Invalid("deviceDiscoveryId"),
        ),
        (
            r#"{"operationName":"AWS.ActivateUser","connectorId":"a b"}"#,
            Refusal::Invalid("connectorId"),
        ),
        (
            r#"{"operationName":"AWS.SendCommand"}"#,
            Refusal::Missing("traceId"),
        ),
        (
            r#"{"operationName":"AWS.SendCommand","traceId":"t"}"#,
            Refusal::Missing("connectorDeviceId"),
        ),
        (
            r#"{"operationName":"AWS.SendCommand","traceId":"t","connectorDeviceId":"d"}"#,
            Refusal::Missing("endpoints"),
        ),
        (
            r#"{"operationName":"AWS.SendCommand","traceId":"t","connectorDeviceId":"d","endpoints":[{"id":"1"}]}"#,
            Refusal::Missing("clusters"),
        ),
        (
            r#"{"operationName":"AWS.SendCommand","traceId":"t","connectorDeviceId":"d","endpoints":[{}]}"#,
            Refusal::Invalid("endpoints"),
        ),
    ] {
        assert_eq!(request(payload), Err(refusal), "{payload}");
    }
    for text in ["", "[]", "1", r#""x""#, r#"{"header":1,"header":2}"#] {
        assert_eq!(parse(text), Err(Refusal::NotJson), "{text}");
    }
    let long = " ".repeat(Limits::default().payload + 1);
    assert_eq!(parse(&long), Err(Refusal::TooLong));
}

#[test]
fn more_than_the_limits_is_refused() {
    let endpoint = r#"{"id":"1","clusters":[]}"#;
    let many = vec![endpoint; Limits::default().endpoints + 1].join(",");
    let payload = format!(
        r#"{{"operationName":"AWS.SendCommand","traceId":"t","connectorDeviceId":"d","endpoints":[{many}]}}"#
    );
    assert_eq!(request(&payload), Err(Refusal::TooMany("endpoints")));
}

#[test]
fn a_text_that_holds_the_object_is_read_as_the_object() {
    let inner =
        r#"{"header":{"auth":{"token":"t"}},"payload":{"operationName":"AWS.ActivateUser"}}"#;
    let outer = serde_json::to_string(inner).unwrap();
    assert_eq!(parse(&outer), parse(inner));
}

#[test]
fn no_token_is_printed() {
    let request = request(r#"{"operationName":"AWS.DeactivateUser"}"#).unwrap();
    assert!(!format!("{request:?}").contains("\"t\""));
    assert_ne!(
        request.authorization.fingerprint(),
        Authorization::General {
            arn: "t".to_owned(),
            version: None
        }
        .fingerprint()
    );
}
