use alloc::vec;
use core::error::Error as _;

use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"{"resources":[{"href":"/t","rt":["oic.r.temperature"],"if":["oic.if.s"],"properties":{"temperature":{"point":"temp","type":"number"}}}]}"#;

fn read(json: &str) -> Result<Template, String> {
    Template::from_json(json.as_bytes()).map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Template);
        error.source().map(|why| why.to_string()).unwrap()
    })
}

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

#[test]
fn a_template_with_everything_is_read_and_written() {
    let json = r#"{"device":{"n":"Keller","rt":["oic.d.thermostat"],"dmn":"Acme"},"resources":[{"href":"/a/b","rt":["oic.r.x"],"if":["oic.if.r","oic.if.baseline"],"properties":{"i":{"point":"i","type":"integer","scale":2},"n":{"point":"n","type":"number","scale":0.5},"s":{"point":"s","type":"string"},"v":{"point":"b","type":"boolean"}}}],"withdrawn":["/c"]}"#;
    let template = read(json).unwrap();
    assert_eq!(template.device().name.as_deref(), Some("Keller"));
    assert_eq!(template.device().types, ["oic.d.thermostat"]);
    assert_eq!(template.device().manufacturer.as_deref(), Some("Acme"));
    let resource = template.resource("/a/b").unwrap();
    let kinds: Vec<_> = resource.properties.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::Integer { scale: 2 },
            Kind::Number { scale: 0.5 },
            Kind::Text,
            Kind::Boolean
        ]
    );
    assert_eq!(template.withdrawn(), ["/c"]);
    assert_eq!(
        String::from_utf8(template.to_json().unwrap()).unwrap(),
        json
    );
    assert_eq!(
        String::from_utf8(read(GOOD).unwrap().to_json().unwrap()).unwrap(),
        GOOD
    );
}

#[test]
fn what_is_not_a_template_is_refused_with_a_reason() {
    let resource = &GOOD[r#"{"resources":["#.len()..GOOD.len() - 2];
    let deep = "[".repeat(5000);
    let long = "x".repeat(65);
    let long_href = format!("/{}", "x".repeat(128));
    let types = |count: usize| format!("[{}]", vec!["\"a\""; count].join(","));
    for (bad, why) in [
        (String::new(), "EOF"),
        (deep.clone(), "expected an object"),
        (changed("/t", &deep), "href"),
        ("[]".into(), "expected an object"),
        ("{}".into(), "missing field"),
        (format!("{GOOD}{GOOD}"), "trailing"),
        (r#"{"resources":[]}"#.into(), "no resource"),
        (
            changed("{\"resources\"", "{\"more\":1,\"resources\""),
            "unknown field",
        ),
        (changed("\"href\"", "\"more\":1,\"href\""), "unknown field"),
        (
            changed("\"point\"", "\"more\":1,\"point\""),
            "unknown field",
        ),
        (
            changed(resource, &format!("{resource},{resource}")),
            "twice",
        ),
        (
            changed(resource, r#"["/t",["x"],["oic.if.s"],{}]"#),
            "expected an object",
        ),
        (changed("\"/t\"", "\"\""), "href"),
        (changed("\"/t\"", "\"t\""), "href"),
        (changed("\"/t\"", "\"/\""), "href"),
        (changed("\"/t\"", "\"/t/\""), "href"),
        (changed("\"/t\"", "\"/t//u\""), "href"),
        (changed("\"/t\"", "\"/t/../u\""), "href"),
        (changed("\"/t\"", "\"/t?x\""), "href"),
        (changed("\"/t\"", "\"/%74\""), "href"),
        (changed("\"/t\"", "\"/oic/d\""), "href"),
        (changed("\"/t\"", "\"/topic/t\""), "href"),
        (changed("/t", &long_href), "href"),
        (changed("[\"oic.r.temperature\"]", "[]"), "type"),
        (changed("oic.r.temperature", "a b"), "type"),
        (changed("oic.r.temperature", &long), "type"),
        (changed("[\"oic.r.temperature\"]", &types(9)), "type"),
        (changed("[\"oic.if.s\"]", "[]"), "interfaces"),
        (changed("oic.if.s", "oic.if.rw"), "interfaces"),
        (changed("oic.if.s", "oic.if.a"), "interfaces"),
        (
            changed("[\"oic.if.s\"]", "[\"oic.if.s\",\"oic.if.s\"]"),
            "interfaces",
        ),
        (
            changed(r#"{"temperature":{"point":"temp","type":"number"}}"#, "{}"),
            "no property",
        ),
        (changed("\"temperature\":", "\"rt\":"), "property"),
        (changed("\"temperature\":", "\"\":"), "property"),
        (changed("\"temperature\":", "\"a b\":"), "property"),
        (changed("\"temp\"", "\"\""), "point"),
        (changed("\"temp\"", &format!("\"{long}\"")), "point"),
        (changed("\"number\"", "\"float\""), "unknown variant"),
        (changed("\"number\"", "\"number\",\"scale\":0"), "scale"),
        (
            changed("\"number\"", "\"number\",\"scale\":\"1\""),
            "expected a JSON number",
        ),
        (changed("\"number\"", "\"integer\",\"scale\":0.5"), "scale"),
        (changed("\"number\"", "\"integer\",\"scale\":0"), "scale"),
        (changed("\"number\"", "\"boolean\",\"scale\":1"), "scale"),
        (changed("\"number\"", "\"string\",\"scale\":1"), "scale"),
        (
            changed(
                r#"{"temperature":{"#,
                r#"{"again":{"point":"temp","type":"string"},"temperature":{"#,
            ),
            "feeds two",
        ),
        (
            changed(
                r#"{"temperature":{"#,
                r#"{"temperature":{"point":"u","type":"string"},"temperature":{"#,
            ),
            "twice",
        ),
        (
            changed("{\"resources\"", r#"{"withdrawn":["/t"],"resources""#),
            "twice",
        ),
        (
            changed("{\"resources\"", r#"{"withdrawn":["/oic/p"],"resources""#),
            "href",
        ),
        (
            changed("{\"resources\"", r#"{"device":{"n":""},"resources""#),
            "names",
        ),
        (
            changed("{\"resources\"", r#"{"device":{"dmn":"a\nb"},"resources""#),
            "names",
        ),
        (
            changed("{\"resources\"", r#"{"device":{"rt":["é"]},"resources""#),
            "types",
        ),
        (
            changed("{\"resources\"", r#"{"device":["a"],"resources""#),
            "expected an object",
        ),
        (" ".repeat(MAX_TEMPLATE_LEN + 1), "bytes"),
    ] {
        let reason = read(&bad).unwrap_err();
        assert!(reason.contains(why), "{bad}: {reason}");
    }
}

#[test]
fn a_template_withdraws_what_the_one_before_had_besides() {
    let of = |hrefs: &[&str]| {
        let resource = |(number, href): (usize, &&str)| {
            GOOD[r#"{"resources":["#.len()..GOOD.len() - 2]
                .replace("/t", href)
                .replace("\"temp\"", &format!("\"temp{number}\""))
        };
        let resources: Vec<_> = hrefs.iter().enumerate().map(resource).collect();
        read(&format!("{{\"resources\":[{}]}}", resources.join(","))).unwrap()
    };
    let first = of(&["/a", "/b"]);
    let second = of(&["/b", "/c"]).replacing(&first);
    assert_eq!(second.withdrawn(), ["/a"]);
    // What comes back is withdrawn no longer.
    let third = of(&["/a"]).replacing(&second);
    assert_eq!(third.withdrawn(), ["/b", "/c"]);
    assert_eq!(
        Template::from_json(&third.to_json().unwrap()).unwrap(),
        third
    );
    // Of many, the last ones count.
    let many = (0..40).fold(of(&["/0"]), |before, number: u32| {
        of(&[format!("/n{number}").as_str()]).replacing(&before)
    });
    assert_eq!(many.withdrawn().len(), MAX_WITHDRAWN);
    assert_eq!(many.withdrawn().last().unwrap(), "/n38");
    assert!(!many.withdrawn().contains(&"/0".into()));
    let again = Template::from_json(&many.to_json().unwrap()).unwrap();
    assert_eq!(again, many);
}

proptest! {
    #[test]
    fn what_is_read_is_written_and_read_as_the_same(
        scale in any::<f64>().prop_filter("a scale", |scale| scale.is_finite() && *scale != 0.0),
        names in prop::collection::btree_set("[!#-\\[\\]-~]{1,64}", 1..8),
    ) {
        let properties: Vec<_> = names
            .iter()
            .map(|name| format!(r#""{name}":{{"point":"{name}","type":"number","scale":{scale:e}}}"#))
            .collect();
        let json = changed(r#""temperature":{"point":"temp","type":"number"}"#, &properties.join(","));
        if let Ok(template) = Template::from_json(json.as_bytes()) {
            let written = template.to_json().unwrap();
            prop_assert_eq!(Template::from_json(&written).unwrap(), template);
        } else {
            let reserved = names.contains("rt") || names.contains("if");
            prop_assert!(reserved, "{}", json);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Template::from_json(&bytes);
    }
}
