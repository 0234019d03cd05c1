use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

struct Maker {
    params: CertificateParams,
    key: KeyPair,
}

impl Maker {
    fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { params, key }
    }

    fn pem(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    fn sign(&self, name: &str) -> String {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let key = KeyPair::generate().unwrap();
        named(name).signed_by(&key, &issuer).unwrap().pem()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2018, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    params
}

fn uploaded(cloud: &mut Cloud, maker: &Maker) -> String {
    let body = json!({"cert_name": "Makers", "content": maker.pem()});
    let (status, made) = cloud.ask("POST", "certificates", &body);
    assert_eq!(
        (status, &made["state"]),
        (201, &json!("unverified")),
        "{made}"
    );
    assert_eq!(
        (&made["status"], &made["cn_name"]),
        (&json!(false), &json!("makers"))
    );
    format!("certificates/{}", made["certificate_id"].as_str().unwrap())
}

#[test]
fn whoever_uploads_an_authority_proves_its_key_by_signing_the_code() {
    let (mut cloud, maker) = (Cloud::new(), Maker::new("makers"));
    let path = uploaded(&mut cloud, &maker);
    let action = format!("{path}/action");
    let early = json!({"action": "verify", "verify_content": maker.sign("guess")});
    assert_eq!(
        code(&cloud.ask("POST", &action, &early)),
        (409, "IoTDP.199011")
    );
    let (status, shown) = cloud.ask("POST", &action, &json!({"action": "generateCode"}));
    assert_eq!((status, &shown["state"]), (200, &json!("challenged")));
    let word = shown["verify_code"].as_str().unwrap().to_owned();
    let stranger = Maker::new("makers");
    for wrong in [stranger.sign(&word), maker.sign("another")] {
        let body = json!({"action": "verify", "verify_content": wrong});
        assert_eq!(
            code(&cloud.ask("POST", &action, &body)),
            (400, "IoTDP.199001")
        );
    }
    let body = json!({"action": "verify", "verify_content": maker.sign(&word)});
    let (status, shown) = cloud.ask("POST", &action, &body);
    assert_eq!(
        (status, &shown["state"], &shown["status"]),
        (200, &json!("verified"), &json!(true))
    );
    assert!(shown.get("verify_code").is_none(), "{shown}");
    let page = cloud.get("certificates?cert_name=Makers");
    assert_eq!(
        (&page["page"]["count"], &page["certificates"][0]["expired"]),
        (&json!(1), &json!(0))
    );
}

#[test]
fn an_authority_is_there_once_and_what_is_none_is_refused() {
    let (mut cloud, maker) = (Cloud::new(), Maker::new("makers"));
    uploaded(&mut cloud, &maker);
    let again = json!({"cert_name": "Makers", "content": Maker::new("others").pem()});
    assert_eq!(
        code(&cloud.ask("POST", "certificates", &again)),
        (409, "IoTDP.100215")
    );
    let again = json!({"cert_name": "Others", "content": maker.pem()});
    assert_eq!(
        code(&cloud.ask("POST", "certificates", &again)),
        (409, "IoTDP.100217")
    );
    for wrong in ["no certificate".to_owned(), maker.sign("a device")] {
        let body = json!({"content": wrong});
        assert_eq!(
            code(&cloud.ask("POST", "certificates", &body)),
            (400, "IoTDP.100216")
        );
    }
}

#[test]
fn certificates_below_an_authority_are_refused_and_listed() {
    let (mut cloud, maker) = (Cloud::new(), Maker::new("makers"));
    let path = uploaded(&mut cloud, &maker);
    let (action, digits) = (format!("{path}/action"), "ab".repeat(32));
    for denial in ["1F", &digits] {
        let (status, _) = cloud.ask(
            "POST",
            &action,
            &json!({"action": "deny", "denial": denial}),
        );
        assert_eq!(status, 200, "{denial}");
    }
    let denials = cloud.get(&format!("{path}/denials"));
    assert_eq!(denials["page"]["count"], 2);
    assert!(
        denials["denials"]
            .as_array()
            .unwrap()
            .contains(&json!({"denial": digits}))
    );
    let (status, shown) = cloud.ask(
        "POST",
        &action,
        &json!({"action": "allow", "denial": digits}),
    );
    assert_eq!((status, &shown["denied"]), (200, &json!(1)));
    let odd = cloud.ask(
        "POST",
        &action,
        &json!({"action": "deny", "denial": "not hexadecimal"}),
    );
    assert_eq!(code(&odd), (400, "IoTDP.199001"));
    let (_, shown) = cloud.ask("POST", &action, &json!({"action": "revoke"}));
    assert_eq!(shown["state"], "revoked");
}

#[test]
fn another_certificate_has_to_be_proved_again_and_a_stale_version_changes_nothing() {
    let (mut cloud, maker) = (Cloud::new(), Maker::new("makers"));
    let path = uploaded(&mut cloud, &maker);
    let tag = cloud.get(&path)["ETag"].as_str().unwrap().to_owned();
    let body = json!({"content": Maker::new("makers").pem()});
    let (status, shown) = cloud.ask_as("t1", "PUT", &path, &[("if-match", &tag)], &body);
    assert_eq!((status, &shown["state"]), (200, &json!("unverified")));
    assert_ne!(shown["ETag"], tag.as_str());
    for (method, body) in [
        ("PUT", json!({"accept_expired": true})),
        ("DELETE", Value::Null),
    ] {
        let stale = cloud.ask_as("t1", method, &path, &[("if-match", &tag)], &body);
        assert_eq!(code(&stale), (412, "IoTDP.199008"));
    }
    assert_eq!(
        code(&cloud.ask("PUT", &path, &json!({}))),
        (400, "IoTDP.199001")
    );
    assert_eq!(cloud.ask("DELETE", &path, &Value::Null).0, 204);
    assert_eq!(
        code(&cloud.ask("GET", &path, &Value::Null)),
        (404, "IoTDP.199003")
    );
}

#[test]
fn an_edit_says_which_authority_it_names() {
    let mut cloud = Cloud::new();
    let id = |cloud: &mut Cloud, path: &str, body: Value| cloud.named(path, &body);
    let info = json!({"provision_info": {"certificate_id": "ca"}});
    let mut device = info.clone();
    device["device_id"] = "sn-1".into();
    let mut group = info;
    group["registration_group_name"] = "group".into();
    let policy = json!({"access_point_id": "east", "certificate_strategy_info": {"cert_id": "ca"}});
    for (path, body) in [
        ("devices", device),
        ("registration-groups", group),
        ("allocation-strategies/certificates", policy),
    ] {
        assert_eq!(id(&mut cloud, path, body).as_deref(), Some("ca"), "{path}");
    }
    assert_eq!(
        id(&mut cloud, "devices", json!({"device_id": "sn-2"})),
        None
    );
}
