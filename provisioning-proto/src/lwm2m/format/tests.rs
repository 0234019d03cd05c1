use proptest::prelude::*;

use super::*;
use crate::lwm2m::ObjectLink;
use crate::lwm2m::objects::{SECURITY, SERVER, Security, Server};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn server() -> Instance {
    Server::new(101, 60).to_instance(1)
}

fn security(port: u16) -> Security {
    let mut security = Security::no_sec(&format!("coap://127.0.0.1:{port}"), 101);
    security.client_hold_off_time = Some(1);
    security
}

/// What Wakaama was seen to take with 2.04, and to answer.
#[test]
fn tlv_is_written_and_read_as_captured() {
    let account = hex(
        "c80015636f61703a2f2f3132372e302e302e313a35363935 c10100 c10203 c003 c004 c005 c10a65 c10b01",
    );
    let written = ContentFormat::Tlv
        .encode(SECURITY, &security(5695).to_instance(1))
        .unwrap();
    assert_eq!(written.expose(), account);
    let read = ContentFormat::Tlv
        .decode(Path::Instance(0, 1), &account)
        .unwrap();
    assert_eq!(Security::from_instance(&read[0]).unwrap(), security(5695));

    let registration = hex("c10065 c1013c c10600 c10755");
    assert_eq!(
        ContentFormat::Tlv
            .encode(SERVER, &server())
            .unwrap()
            .expose(),
        registration
    );
    assert_eq!(
        ContentFormat::Tlv
            .decode(Path::Instance(1, 1), &registration)
            .unwrap(),
        [server()]
    );

    let answer = hex("080019 c1007b c201012c c10200 c10300 c10500 c10600 c10755 c11700");
    let read = ContentFormat::Tlv.decode(Path::Object(1), &answer).unwrap();
    let read = Server::from_instance(&read[0]).unwrap();
    assert_eq!(
        (read.short_server_id, read.lifetime, read.mute_send),
        (123, 300, Some(false))
    );
}

#[test]
fn senml_cbor_is_written_and_read_as_captured() {
    let registration = hex(
        "84 a3 21 65 2f312f312f 00 61 30 02 18 65 a2 00 61 31 02 18 3c a2 00 61 36 04 f4 a2 00 61 37 03 61 55",
    );
    assert_eq!(
        ContentFormat::SenmlCbor
            .encode(SERVER, &server())
            .unwrap()
            .expose(),
        registration
    );
    assert_eq!(
        ContentFormat::SenmlCbor
            .decode(Path::Instance(1, 1), &registration)
            .unwrap(),
        [server()]
    );

    let uri: String = b"coap://127.0.0.1:5694"
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let account = hex(&format!(
        "88 a321652f302f312f 00 6130 0375{uri} a2006131 04f4 a2006132 0203 a2006133 0840 a2006134 0840 a2006135 0840 a200623130 021865 a200623131 0201"
    ));
    assert_eq!(
        ContentFormat::SenmlCbor
            .encode(SECURITY, &security(5694).to_instance(1))
            .unwrap()
            .expose(),
        account
    );
    let read = ContentFormat::SenmlCbor
        .decode(Path::Instance(0, 1), &account)
        .unwrap();
    assert_eq!(Security::from_instance(&read[0]).unwrap(), security(5694));
}

#[test]
fn senml_json_is_written_and_read_as_captured() {
    let account = r#"[{"bn":"/0/1/","n":"0","vs":"coap://127.0.0.1:5698"},{"n":"1","vb":false},{"n":"2","v":3},{"n":"3","vd":""},{"n":"4","vd":""},{"n":"5","vd":""},{"n":"10","v":101},{"n":"11","v":1}]"#;
    let written = ContentFormat::SenmlJson
        .encode(SECURITY, &security(5698).to_instance(1))
        .unwrap();
    assert_eq!(std::str::from_utf8(written.expose()).unwrap(), account);
    let read = ContentFormat::SenmlJson
        .decode(Path::Instance(0, 1), account.as_bytes())
        .unwrap();
    assert_eq!(Security::from_instance(&read[0]).unwrap(), security(5698));
}

#[test]
fn json_may_be_spaced_padded_and_floating_and_carry_what_nobody_knows() {
    let text = br#" [ {"bver":10,"bn":"/1/0/","bt":1.5e9,"n":"0","v":101.0} , {"n":"1","v":60,"u":"s","x":[{}]},
        {"n":"7","vs":"\u0055"}, {"n":"99","vd":"_w=="}, {"n":"98/1","vlo":"21:3"} ] "#;
    let read = ContentFormat::SenmlJson
        .decode(Path::Object(1), text)
        .unwrap();
    assert_eq!(
        Server::from_instance(&read[0]).unwrap(),
        Server::new(101, 60)
    );
    assert_eq!(read[0].single(99), Some(&Value::Opaque(b"\xff"[..].into())));
    let link = ObjectLink {
        object: 21,
        instance: 3,
    };
    assert_eq!(
        read[0].resources.get(&98),
        Some(&Resource::Multiple([(1, Value::ObjectLink(link))].into()))
    );
}

#[test]
fn senml_that_is_not_what_it_should_be_is_refused() {
    for (bad, why) in [
        ("", DecodeError::Length),
        ("[", DecodeError::Length),
        ("{}", DecodeError::Syntax),
        ("[1]", DecodeError::Syntax),
        ("[] 1", DecodeError::Length),
        (r#"[{"n":"/1/0/0"}]"#, DecodeError::Syntax),
        (r#"[{"n":"/1/0/0","v":1,"v":1}]"#, DecodeError::Duplicate),
        (r#"[{"n":"/1/0/0","v":1,"vs":"1"}]"#, DecodeError::Duplicate),
        (
            r#"[{"n":"/1/0/0","v":1},{"bn":"/1/0","n":"/0","v":1}]"#,
            DecodeError::Duplicate,
        ),
        (
            r#"[{"n":"/1/0/0","v":1},{"n":"/1/0/0/1","v":1}]"#,
            DecodeError::Duplicate,
        ),
        (r#"[{"n":"/1/0","v":1}]"#, DecodeError::Path),
        (r#"[{"n":"/1/0/00","v":1}]"#, DecodeError::Path),
        (
            r#"[{"bver":11,"n":"/1/0/0","v":1}]"#,
            DecodeError::Unsupported,
        ),
        (r#"[{"bv":1,"n":"/1/0/0","v":1}]"#, DecodeError::Unsupported),
        (r#"[{"x_":1,"n":"/1/0/0","v":1}]"#, DecodeError::Unsupported),
        (r#"[{"n":"/1/0/0","vd":"!"}]"#, DecodeError::Type),
        (r#"[{"n":"/1/0/0","vd":"\u0041A"}]"#, DecodeError::Type),
        (r#"[{"n":"/1/0/0","vlo":"1"}]"#, DecodeError::Type),
        (r#"[{"n":"/0/0/0","v":1}]"#, DecodeError::Path),
        (r#"[{"n":"/1/0/0","v":"1"}]"#, DecodeError::Syntax),
        (r#"[{"n":"/1/0/0","v":1e999}]"#, DecodeError::Syntax),
    ] {
        assert_eq!(
            ContentFormat::SenmlJson.decode(Path::Object(1), bad.as_bytes()),
            Err(why),
            "{bad}"
        );
    }
    for (bad, why) in [
        ("", DecodeError::Length),
        ("a0", DecodeError::Syntax),
        ("81", DecodeError::Length),
        ("8101", DecodeError::Syntax),
        ("8000", DecodeError::Length),
        ("9f", DecodeError::Length),
        ("81a1 00 662f312f302f30", DecodeError::Syntax),
        ("81a2 00 662f312f302f30 03 01", DecodeError::Type),
        (
            "81a2 00 662f312f302f30 02 1b8000000000000000",
            DecodeError::Type,
        ),
        ("81a2 20 0b 02 01", DecodeError::Unsupported),
        ("81a2 24 0b 02 01", DecodeError::Unsupported),
        ("81a1 62785f 01", DecodeError::Unsupported),
        ("81a1 40 01", DecodeError::Syntax),
        (
            "81a1 06 9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f",
            DecodeError::TooLarge,
        ),
        ("81a1 00 7b ffffffffffffffff", DecodeError::Length),
    ] {
        assert_eq!(
            ContentFormat::SenmlCbor.decode(Path::Object(1), &hex(bad)),
            Err(why),
            "{bad}"
        );
    }
}

#[test]
fn cbor_of_indefinite_length_and_with_unknown_labels_is_read() {
    // [_ {_ -1: 10, -2: "/1/0/", 0: "0", 2: 101.0 (half), 6: 1.5e9, "x": [_ (_ h'00'), null, 0(1)]}, ..]
    let text = hex(
        "9f bf 20 0a 21 65 2f312f302f 00 61 30 02 f9 5650 06 fb 41d65a0bc0000000 61 78 9f 5f 41 00 ff f6 c0 01 ff ff a2 00 61 31 02 18 3c a2 00 61 37 03 61 55 ff",
    );
    let read = ContentFormat::SenmlCbor
        .decode(Path::Object(1), &text)
        .unwrap();
    assert_eq!(
        Server::from_instance(&read[0]).unwrap(),
        Server::new(101, 60)
    );
}

#[test]
fn tlv_at_the_wrong_level_is_refused() {
    for (path, bad, why) in [
        (Path::Object(1), "c10065", DecodeError::Nesting),
        (Path::Object(1), "4100 65", DecodeError::Nesting),
        (
            Path::Object(1),
            "0800 03 c10065 0800 03 c10065",
            DecodeError::Duplicate,
        ),
        (
            Path::Object(1),
            "0800 06 c10065 c10065",
            DecodeError::Duplicate,
        ),
        (Path::Object(1), "0200 0000", DecodeError::Nesting),
        (Path::Instance(1, 0), "8300 c10065", DecodeError::Nesting),
        (
            Path::Instance(1, 0),
            "8600 410001 410001",
            DecodeError::Duplicate,
        ),
        (
            Path::Instance(1, 0),
            "c10065 0302 c10065",
            DecodeError::Nesting,
        ),
        (Path::Instance(1, 0), "0302 c10065", DecodeError::Path),
        (Path::Instance(1, 0), "c20065", DecodeError::Length),
        (Path::Instance(1, 0), "c10602", DecodeError::Type),
        (Path::Root, "", DecodeError::Path),
    ] {
        let read = ContentFormat::Tlv.decode(path, &hex(bad));
        assert_eq!(read, Err(why), "{bad}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        // Few enough digits that JSON gives back the same float.
        any::<i32>().prop_map(|number| Value::Float(f64::from(number) / 256.0)),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,40}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..70)
            .prop_map(|bytes| Value::Opaque(Opaque::new(bytes))),
        (any::<u16>(), any::<u16>())
            .prop_map(|(object, instance)| Value::ObjectLink(ObjectLink { object, instance })),
    ]
}

fn instance() -> impl Strategy<Value = Instance> {
    let single = value().prop_map(Resource::Single);
    let multiple =
        prop::collection::btree_map(0_u16..300, value(), 1..5).prop_map(Resource::Multiple);
    let resources = prop::collection::btree_map(0_u16..300, prop_oneof![single, multiple], 1..8);
    (0_u16..300, resources).prop_map(|(id, resources)| Instance { id, resources })
}

/// TLV does not carry types: what it brings back is the bytes.
fn untyped(instance: &Instance) -> Instance {
    let bytes = |value: &Value| {
        let mut out = Vec::new();
        tlv::write_value(&mut out, Kind::Resource, 0, value).unwrap();
        Value::Opaque(tlv::entries(&out).next().unwrap().unwrap().opaque())
    };
    let resources = instance.resources.iter().map(|(id, resource)| {
        let resource = match resource {
            Resource::Single(value) => Resource::Single(bytes(value)),
            Resource::Multiple(values) => Resource::Multiple(
                values
                    .iter()
                    .map(|(at, value)| (*at, bytes(value)))
                    .collect(),
            ),
        };
        (*id, resource)
    });
    Instance {
        id: instance.id,
        resources: resources.collect(),
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_as_itself_in_every_format(instance in instance(), object in 3_u16..9) {
        let path = Path::Instance(object, instance.id);
        for format in [ContentFormat::SenmlJson, ContentFormat::SenmlCbor] {
            let written = format.encode(object, &instance).unwrap();
            prop_assert_eq!(format.decode(path, written.expose()), Ok(vec![instance.clone()]));
            // A buffer that had to grow would have left a copy behind.
            prop_assert!(written.len() <= instance.room().saturating_add(16), "{} of {}", written.len(), instance.room());
        }
        let written = ContentFormat::Tlv.encode(object, &instance).unwrap();
        prop_assert_eq!(ContentFormat::Tlv.decode(path, written.expose()), Ok(vec![untyped(&instance)]));
    }

    #[test]
    fn our_cbor_is_what_another_implementation_reads_and_writes(instance in instance(), object in 3_u16..9) {
        let written = ContentFormat::SenmlCbor.encode(object, &instance).unwrap();
        let value: ciborium::Value = ciborium::from_reader(written.expose()).unwrap();
        let mut again = Vec::new();
        ciborium::into_writer(&value, &mut again).unwrap();
        let path = Path::Instance(object, instance.id);
        prop_assert_eq!(ContentFormat::SenmlCbor.decode(path, &again), Ok(vec![instance]));
    }

    #[test]
    fn any_bytes_are_judged(bytes: Vec<u8>, object in 0_u16..3) {
        for format in [ContentFormat::Tlv, ContentFormat::SenmlJson, ContentFormat::SenmlCbor] {
            for path in [Path::Object(object), Path::Instance(object, 0)] {
                let _ = format.decode(path, &bytes);
            }
        }
    }
}
