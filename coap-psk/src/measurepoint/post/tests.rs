use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::vec;

use proptest::prelude::*;

use super::*;

fn read(json: &str) -> Result<Post, Error> {
    Post::from_json(json.as_bytes(), &Limits::default())
}

fn with_points(points: &str) -> String {
    format!(
        r#"{{"id":"1","version":"1.0","method":"thing.measurepoint.post","params":{{"measurepoints":{points}}}}}"#
    )
}

/// The example of the EnOS page, less the array, which feeds no property.
#[test]
fn the_example_of_the_page_is_read() {
    let post = read(
        r#"{
            "id": "123",
            "version": "1.0",
            "params": {
                "measurepoints": {"Power": {"value": 1.0, "quality": 9}, "temp": 1.02},
                "time": 123456
            },
            "method": "thing.measurepoint.post"
        }"#,
    )
    .unwrap();
    let mut power = Reading::new(Scalar::Number(1.0));
    power.quality = Some(9);
    let mut expected = Post::new(BTreeMap::from([
        ("Power".into(), power),
        ("temp".into(), Reading::new(Scalar::Number(1.02))),
    ]));
    expected.id = Some(MessageId::Text("123".into()));
    expected.time = Some(123_456);
    assert_eq!(post, expected);
    assert_eq!(
        post.to_answer().unwrap(),
        br#"{"id":"123","code":200,"data":{}}"#
    );
}

#[test]
fn values_keep_their_types() {
    for (written, value) in [
        ("true", Scalar::Boolean(true)),
        ("0", Scalar::Integer(0)),
        ("-7", Scalar::Integer(-7)),
        ("9223372036854775807", Scalar::Integer(i64::MAX)),
        (
            "9223372036854775808",
            Scalar::Number(9_223_372_036_854_775_808.0),
        ),
        ("21.0", Scalar::Number(21.0)),
        ("1e2", Scalar::Number(100.0)),
        ("\"on\"", Scalar::Text("on".into())),
        ("{\"value\":3}", Scalar::Integer(3)),
        ("{\"quality\":0,\"value\":false}", Scalar::Boolean(false)),
    ] {
        let post = read(&with_points(&format!("{{\"p\":{written}}}"))).unwrap();
        assert!(post.points["p"].value == value, "{written}");
    }
}

#[test]
fn an_id_is_optional_and_is_answered_as_it_came() {
    for (id, answered) in [
        ("", ""),
        (r#""id":17,"#, r#""id":17,"#),
        (r#""id":"a","#, r#""id":"a","#),
        (r#""id":null,"#, ""),
    ] {
        let json = with_points("{\"p\":1}").replace(r#""id":"1","#, id);
        let answer = read(&json).unwrap().to_answer().unwrap();
        let expected = format!(r#"{{{answered}"code":200,"data":{{}}}}"#);
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
}

#[test]
fn an_envelope_of_another_form_is_refused_without_quoting_it() {
    let good = with_points("{\"p\":1}");
    assert!(read(&good).is_ok());
    let changed = |from: &str, to: &str| good.replace(from, to);
    let long = "x".repeat(65);
    for bad in [
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        format!("[{good}]"),
        format!("{good}x"),
        good[..good.len() - 1].to_owned(),
        r#"["1","1.0","thing.measurepoint.post",[{"p":1},null]]"#.to_owned(),
        changed("\"1.0\"", "\"2.0\""),
        changed("\"1.0\"", "1.0"),
        changed("\"version\":\"1.0\",", ""),
        changed("measurepoint.post", "measurepoint.resume"),
        changed("\"method\":\"thing.measurepoint.post\",", ""),
        changed("\"id\":\"1\"", "\"id\":1.5"),
        changed("\"id\":\"1\"", &format!("\"id\":\"{long}\"")),
        changed("\"id\":\"1\"", "\"id\":\"1\",\"id\":\"1\""),
        changed("\"id\":\"1\"", "\"id\":\"1\",\"more\":1"),
        changed("\"params\"", "\"parameters\""),
        changed("{\"measurepoints\":{\"p\":1}}", "1"),
        changed("{\"measurepoints\":{\"p\":1}}", "[{\"p\":1}]"),
        changed("{\"p\":1}}", "{\"p\":1},\"time\":-1}"),
        changed("{\"p\":1}}", "{\"p\":1},\"time\":\"now\"}"),
        changed("{\"p\":1}}", "{\"p\":1},\"more\":1}"),
    ] {
        let error = read(&bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Measurement, "{bad}");
        assert!(!format!("{error:?}").contains("p\\\""), "{error:?}");
    }
}

#[test]
fn readings_of_another_form_are_refused() {
    let text = format!("\"{}\"", "x".repeat(1025));
    for points in [
        "{}",
        "[]",
        "[1]",
        "1",
        r#"{"p":1,"p":2}"#,
        r#"{"p":null}"#,
        r#"{"p":[1]}"#,
        r#"{"p":{}}"#,
        r#"{"p":{"value":[1]}}"#,
        r#"{"p":{"value":{"value":1}}}"#,
        r#"{"p":{"value":1,"quality":10}}"#,
        r#"{"p":{"value":1,"quality":-1}}"#,
        r#"{"p":{"value":1,"value":2}}"#,
        r#"{"p":{"value":1,"more":2}}"#,
        r#"{"p":1e400}"#,
        r#"{"p":NaN}"#,
        &format!("{{\"p\":{text}}}"),
    ] {
        let refused = read(&with_points(points)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Measurement, "{points}");
    }
}

#[test]
fn limits_hold() {
    let json = with_points(r#"{"a":1,"b":2}"#);
    let limits = |max_len, max_points| Limits {
        max_len,
        max_points,
    };
    assert!(Post::from_json(json.as_bytes(), &limits(json.len(), 2)).is_ok());
    for limits in [limits(json.len() - 1, 2), limits(json.len(), 1)] {
        assert!(Post::from_json(json.as_bytes(), &limits).is_err());
    }
}

#[test]
fn nothing_prints_a_reading() {
    let post = read(&with_points(r#"{"p":"a secret"}"#)).unwrap();
    assert!(!format!("{post:?}").contains("a secret"));
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Boolean),
        any::<i64>().prop_map(Scalar::Integer),
        any::<f64>()
            .prop_filter("a number", |number| number.is_finite())
            .prop_map(Scalar::Number),
        ".{0,20}".prop_map(Scalar::Text),
    ]
}

proptest! {
    #[test]
    fn a_post_is_read_as_it_was_written(
        points in prop::collection::btree_map(".{0,8}", (scalar(), prop::option::of(0..10_u8)), 1..20),
        time in prop::option::of(any::<u64>()),
    ) {
        let reading = |(name, (value, quality))| (name, Reading { value, quality });
        let mut post = Post::new(points.into_iter().map(reading).collect());
        post.time = time;
        let written = post.to_json().unwrap();
        prop_assert_eq!(Post::from_json(&written, &Limits::default()).unwrap(), post);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Post::from_json(&bytes, &Limits::default());
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = vec!["["; 10_000].concat();
    assert!(read(&with_points(&deep)).is_err());
    assert!(read(&with_points(&format!("{{\"p\":{deep}}}"))).is_err());
}
