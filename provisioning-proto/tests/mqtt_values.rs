//! The values of the MQTT side against the vectors of the vendor's clients, and what must hold for all of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use proptest::prelude::*;
use provisioning_proto::mqtt::{
    ClientId, ClientIdForm, DeviceAction, Down, MAX_INIT_CONFIG, ParseClientIdError, SignatureType,
    Timestamp, Topic, Topics, Up, trigger,
};
use provisioning_proto::{RegistrationId, ScopeId, Secret};
use serde_json::{Value, json};

fn parse(client_id: &str, user_name: &str) -> Result<ClientIdForm, ParseClientIdError> {
    ClientId::parse(client_id, user_name).map(|id| id.form().clone())
}

fn timestamp(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn every_form_of_a_client_id_is_read() {
    let id = "5f052ac562369102d42b0fb6_lamp_0_1";
    let scope = || "ff5bbx7a488f".parse::<ScopeId>().unwrap();
    let signature = SignatureType::Sha256Timed;
    let timestamp = timestamp("2019122614");
    for (rest, form) in [
        (
            "0_1_2019122614",
            ClientIdForm::Signed {
                scope: None,
                signature,
                timestamp,
            },
        ),
        (
            "0_ff5bbx7a488f_1_2019122614",
            ClientIdForm::Signed {
                scope: Some(scope()),
                signature,
                timestamp,
            },
        ),
        ("0_ff5bbx7a488f", ClientIdForm::Scoped { scope: scope() }),
        (
            "2_1_2019122614",
            ClientIdForm::Node {
                signature,
                timestamp,
            },
        ),
        (
            "3_1_2019122614",
            ClientIdForm::Bridge {
                signature,
                timestamp,
            },
        ),
    ] {
        assert_eq!(parse(&format!("{id}_{rest}"), id), Ok(form), "{rest}");
    }
}

#[test]
fn what_is_no_client_id_of_its_user_is_refused_and_never_guessed() {
    let long = "d".repeat(257);
    for (client_id, user_name, error) in [
        ("other_0_1_2019122614", "dev", ParseClientIdError::Foreign),
        ("dev0_1_2019122614", "dev", ParseClientIdError::Foreign),
        ("dev", "dev", ParseClientIdError::Foreign),
        ("", "dev", ParseClientIdError::Foreign),
        ("_0_1_2019122614", "", ParseClientIdError::UserName),
        ("d/v_0_1_2019122614", "d/v", ParseClientIdError::UserName),
        ("dev_", "dev", ParseClientIdError::Form),
        ("dev_0", "dev", ParseClientIdError::Form),
        ("dev_0_", "dev", ParseClientIdError::Form),
        ("dev_1_1_2019122614", "dev", ParseClientIdError::Form),
        ("dev_0_1_201912261", "dev", ParseClientIdError::Form),
        ("dev_0_1_20191226140", "dev", ParseClientIdError::Form),
        ("dev_0_1_2019122x14", "dev", ParseClientIdError::Form),
        ("dev_0_1_", "dev", ParseClientIdError::Form),
        ("dev_0_3_2019122614", "dev", ParseClientIdError::Form),
        ("dev_0_01_2019122614", "dev", ParseClientIdError::Form),
        ("dev_2_scope", "dev", ParseClientIdError::Form),
        ("dev_2_scope_1_2019122614", "dev", ParseClientIdError::Form),
        ("dev_0_a_b_1_2019122614", "dev", ParseClientIdError::Form),
        ("dev_0_a_1_2019122614_", "dev", ParseClientIdError::Form),
        ("dev_0_1_2019122614", &long, ParseClientIdError::TooLong),
        (&long, "dev", ParseClientIdError::TooLong),
    ] {
        assert_eq!(parse(client_id, user_name), Err(error), "{client_id:?}");
    }
}

#[test]
fn a_bootstrap_topic_is_recognized_only_for_its_own_device() {
    let topics = Topics::new(&"dev".parse().unwrap());
    assert_eq!(topics.up(), "$oc/devices/dev/sys/bootstrap/up");
    assert_eq!(topics.down(), "$oc/devices/dev/sys/bootstrap/down");
    for (name, topic) in [
        (topics.up().as_str(), Topic::BootstrapUp),
        (topics.down().as_str(), Topic::BootstrapDown),
        (topics.events_up().as_str(), Topic::EventsUp),
        (topics.messages_down().as_str(), Topic::MessagesDown),
        ("$oc/devices/dev2/sys/bootstrap/up", Topic::Other),
        ("$oc/devices/+/sys/bootstrap/down", Topic::Other),
        ("$oc/devices/dev/sys/bootstrap/down/", Topic::Other),
        ("$oc/devices/dev/sys/#", Topic::Other),
        ("#", Topic::Other),
        ("", Topic::Other),
    ] {
        assert_eq!(topics.recognize(name), topic, "{name}");
    }
}

#[test]
fn a_keyword_is_read_whatever_white_space_is_around_it() {
    for payload in [
        r#"{"baseStrategyKeyword":"beijing"}"#,
        "{\n\t\"baseStrategyKeyword\":\t\"beijing\"\n}",
        " \r\n{ \"other\" : [1, {}] , \"baseStrategyKeyword\" : \"bei\\u006aing\" } \n",
    ] {
        assert_eq!(
            Up::parse(payload.as_bytes()).keyword.as_deref(),
            Some("beijing"),
            "{payload}"
        );
    }
    let long = format!(r#"{{"baseStrategyKeyword":"{}"}}"#, "k".repeat(256));
    assert_eq!(Up::parse(long.as_bytes()).keyword.unwrap().len(), 256);
}

#[test]
fn what_is_no_json_object_with_one_keyword_says_nothing() {
    let too_long = format!(r#"{{"baseStrategyKeyword":"{}"}}"#, "k".repeat(257));
    let padded = format!(r#"{{"baseStrategyKeyword":"k"{}}}"#, " ".repeat(4096));
    for payload in [
        "",
        "beijing",
        "\u{0}",
        "[]",
        r#"["beijing"]"#,
        "{}",
        r#"{"baseStrategyKeyword":""}"#,
        r#"{"baseStrategyKeyword":7}"#,
        r#"{"baseStrategyKeyword":null}"#,
        r#"{"baseStrategyKeyword":{"a":"b"}}"#,
        r#"{"baseStrategyKeyword":"a","baseStrategyKeyword":"b"}"#,
        r#"{"baseStrategyKeyword":"a"} x"#,
        r#"{"baseStrategyKeyword":"a""#,
        &too_long,
        &padded,
    ] {
        assert_eq!(Up::parse(payload.as_bytes()), Up::default(), "{payload}");
    }
    assert_eq!(
        Up::parse(b"{\"baseStrategyKeyword\":\"\xff\"}"),
        Up::default()
    );
    assert_eq!(Up::parse("[".repeat(4096).as_bytes()), Up::default());
}

fn assigned(init_config: Option<&str>, device_secret: Option<&str>) -> Down {
    let mut down = Down::assigned("10.0.0.1:8883".parse().unwrap());
    if let Down::Assigned {
        init_config: config,
        device_secret: secret,
        ..
    } = &mut down
    {
        *config = init_config.map(str::to_owned);
        *secret = device_secret.map(|text| Secret::new(text).unwrap());
    }
    down
}

fn read(down: &Down) -> Value {
    serde_json::from_slice(down.encode().unwrap().expose()).unwrap()
}

#[test]
fn an_answer_has_the_documented_members_and_no_other() {
    assert_eq!(
        read(&assigned(None, None)),
        json!({ "address": "10.0.0.1:8883" })
    );
    assert_eq!(
        read(&assigned(Some("{\n\"init\":23\n}"), Some("s3cret"))),
        json!({ "address": "10.0.0.1:8883", "initConfig": "{\n\"init\":23\n}", "deviceSecret": "s3cret" })
    );
    let bytes = assigned(Some("{\"init\":23}"), None).encode().unwrap();
    let text = str::from_utf8(bytes.expose()).unwrap();
    assert!(text.contains(r#""initConfig":"{\"init\":23}""#), "{text}");
    let refused = Down::refused("IoTDP.100414", "no policy matches the device");
    assert_eq!(
        read(&refused),
        json!({ "error_code": "IoTDP.100414", "error_msg": "no policy matches the device" })
    );
}

#[test]
fn an_initial_configuration_has_1_to_65535_bytes() {
    for (length, sound) in [
        (0, false),
        (1, true),
        (MAX_INIT_CONFIG, true),
        (MAX_INIT_CONFIG + 1, false),
    ] {
        // The character that takes the most room in JSON.
        let config = "\u{1}".repeat(length);
        let encoded = assigned(Some(&config), None).encode();
        assert_eq!(encoded.is_ok(), sound, "{length}");
        if let Ok(payload) = encoded {
            let value: Value = serde_json::from_slice(payload.expose()).unwrap();
            assert_eq!(value["initConfig"], json!(config));
        }
    }
}

#[test]
fn an_address_is_a_host_and_a_port() {
    for sound in ["10.0.0.1:8883", "iot.example.org:1", "a:65535"] {
        assert_eq!(
            sound
                .parse::<provisioning_proto::mqtt::TargetAddress>()
                .unwrap()
                .as_str(),
            sound
        );
    }
    for bad in [
        "",
        "host",
        "host:",
        ":8883",
        "host:0",
        "host:65536",
        "host:+1",
        "host:08883",
        "[::1]:8883",
        "::1:8883",
        "mqtts://host:8883",
        "host:8883/",
        "ho st:8883",
        "hôte:8883",
    ] {
        assert!(
            bad.parse::<provisioning_proto::mqtt::TargetAddress>()
                .is_err(),
            "{bad}"
        );
    }
}

#[test]
fn the_trigger_is_a_device_message_with_the_literal_content() {
    let (topic, payload) = trigger(&"dev".parse().unwrap(), "7");
    assert_eq!(topic, "$oc/devices/dev/sys/messages/down");
    let value: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(value["content"], json!("BootstrapRequestTrigger"));
    assert_eq!(value["object_device_id"], json!("dev"));
}

#[test]
fn the_trigger_is_an_action_and_the_word_of_the_example_is_not() {
    assert_eq!(
        "triggerBootstrapDevice".parse(),
        Ok(DeviceAction::TriggerBootstrapDevice)
    );
    assert_eq!(
        "resetDeviceSecret".parse(),
        Ok(DeviceAction::ResetDeviceSecret)
    );
    for bad in ["allocateDevice", "triggerbootstrapdevice", ""] {
        assert!(bad.parse::<DeviceAction>().is_err(), "{bad}");
    }
}

/// Device ids as devices have them, those that look like the end of a client id among them.
fn device() -> impl Strategy<Value = RegistrationId> {
    prop_oneof![
        "[A-Za-z0-9_-]{1,64}",
        "[a-c]{1,3}(_0|_1|_2019122614|_sc){1,6}",
        "(_0_){1,8}",
    ]
    .prop_map(|text| text.parse().unwrap())
}

fn form() -> impl Strategy<Value = ClientIdForm> {
    let scope =
        || "[A-Za-z0-9-]{1,12}|[012]|[0-9]{10}".prop_map(|text| text.parse::<ScopeId>().unwrap());
    let signed = || {
        (
            prop::sample::select(&SignatureType::ALL[..]),
            "[0-9]{10}".prop_map(|text| timestamp(&text)),
        )
    };
    prop_oneof![
        (prop::option::of(scope()), signed()).prop_map(|(scope, (signature, timestamp))| {
            ClientIdForm::Signed {
                scope,
                signature,
                timestamp,
            }
        }),
        scope().prop_map(|scope| ClientIdForm::Scoped { scope }),
        signed().prop_map(|(signature, timestamp)| ClientIdForm::Node {
            signature,
            timestamp
        }),
        signed().prop_map(|(signature, timestamp)| ClientIdForm::Bridge {
            signature,
            timestamp
        }),
    ]
}

proptest! {
    #[test]
    fn reading_a_written_client_id_gives_the_same_one(device in device(), form in form()) {
        let id = ClientId::new(device.clone(), form).unwrap();
        prop_assert_eq!(ClientId::parse(&id.to_string(), device.as_str()), Ok(id));
    }

    #[test]
    fn a_client_id_that_can_be_read_is_written_the_same(
        user_name in "[a-z0_]{1,6}",
        rest in "(_0|_1|_2|_2019122614|_sc|[_a-z0-9-]){0,6}",
    ) {
        let text = format!("{user_name}{rest}");
        if let Ok(id) = ClientId::parse(&text, &user_name) {
            prop_assert_eq!(id.device().as_str(), user_name);
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written(config in ".{1,200}", secret in "[ -~é]{1,64}") {
        let value = read(&assigned(Some(&config), Some(&secret)));
        prop_assert_eq!(&value["initConfig"], &json!(config));
        prop_assert_eq!(&value["deviceSecret"], &json!(secret));
    }

    #[test]
    fn any_payload_is_read_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let keyword = Up::parse(&bytes).keyword;
        prop_assert!(keyword.is_none_or(|keyword| (1..=256).contains(&keyword.len())));
    }
}
