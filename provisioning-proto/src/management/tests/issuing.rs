use rcgen::{CertificateParams, DnType, KeyPair};

use super::*;

fn request(name: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().pem().unwrap()
}

/// A cloud with an issuer, a profile and a device.
fn issuing() -> Cloud {
    let mut cloud = Cloud::new();
    let issuer = json!({"issuer_id": "own", "validity_days": 3650});
    let (status, made) = cloud.ask("POST", "issuers", &issuer);
    assert_eq!((status, &made["current"]), (201, &json!(true)), "{made}");
    let profile = json!({"validity_days": 30});
    let (status, made) = cloud.ask("PUT", "certificate-profiles/year", &profile);
    assert_eq!(
        (status, &made["activation"]),
        (200, &json!("token")),
        "{made}"
    );
    let (status, _) = cloud.ask("POST", "devices", &json!({"device_id": "meter-1"}));
    assert_eq!(status, 201);
    cloud
}

fn issued(cloud: &mut Cloud) -> Value {
    let body = json!({"profile_id": "year", "csr": request("meter-1")});
    let (status, made) = cloud.ask("POST", "devices/meter-1/certificates", &body);
    assert_eq!((status, &made["state"]), (201, &json!("pending")), "{made}");
    made
}

#[test]
fn a_request_is_answered_with_a_certificate_that_its_token_makes_active() {
    let mut cloud = issuing();
    let made = issued(&mut cloud);
    let pem = made["content"].as_str().unwrap();
    assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 2);
    let certificate = Certificate::chain_from_pem(pem, 2).unwrap().remove(0);
    assert_eq!(made["cert_hash"], certificate.fingerprint());
    assert_eq!(certificate.common_name(), Some("meter-1"));
    assert!(made.get("private_key").is_none());
    let path = format!(
        "issued-certificates/{}",
        made["serial_number"].as_str().unwrap()
    );
    let shown = cloud.get(&path);
    assert_eq!(
        (&shown["device_id"], shown.get("token")),
        (&json!("meter-1"), None)
    );
    let action = format!("{path}/action");
    let wrong = json!({"action": "activate", "token": "0".repeat(64)});
    assert_eq!(
        code(&cloud.ask("POST", &action, &wrong)),
        (400, "IoTDP.100216")
    );
    let right = json!({"action": "activate", "token": made["token"]});
    let (status, shown) = cloud.ask("POST", &action, &right);
    assert_eq!(
        (status, &shown["state"]),
        (200, &json!("active")),
        "{shown}"
    );
    let page = cloud.get("devices/meter-1/certificates");
    assert_eq!(page["certificates"][0]["state"], "active");
    assert!(page["certificates"][0].get("content").is_none());
}

#[test]
fn renewing_leaves_two_in_use_and_what_is_revoked_is_so_for_ever() {
    let mut cloud = issuing();
    let immediate = json!({"validity_days": 30, "activation": "immediate"});
    let (status, _) = cloud.ask("PUT", "certificate-profiles/year", &immediate);
    assert_eq!(status, 200);
    for _ in 0..3 {
        let body = json!({"profile_id": "year"});
        let (status, made) = cloud.ask("POST", "devices/meter-1/certificates", &body);
        assert_eq!((status, &made["state"]), (201, &json!("active")), "{made}");
        // The service made the key, and shows it this once.
        assert!(made["private_key"].is_string() && made.get("token").is_none());
    }
    let page = cloud.get("devices/meter-1/certificates");
    let all = page["certificates"].as_array().unwrap();
    let active = |one: &&Value| one["state"] == "active";
    assert_eq!((all.len(), all.iter().filter(active).count()), (3, 2));
    let serial = all.iter().find(active).unwrap()["serial_number"].clone();
    let action = format!("issued-certificates/{}/action", serial.as_str().unwrap());
    let revoke = json!({"action": "revoke", "reason": "key_compromise"});
    let (status, shown) = cloud.ask("POST", &action, &revoke);
    assert_eq!((status, &shown["state"]), (200, &json!("revoked")));
    assert_eq!(shown["reason"], "key_compromise");
    let again = json!({"action": "revoke"});
    let (_, shown) = cloud.ask("POST", &action, &again);
    assert_eq!(shown["reason"], "key_compromise");
}

#[test]
fn who_cannot_be_given_a_certificate_is_told_why() {
    let mut cloud = issuing();
    let path = "devices/meter-1/certificates";
    let mut refused = |path: &str, body: Value| {
        let answer = cloud.ask("POST", path, &body);
        let (status, code) = code(&answer);
        (status, code.to_owned())
    };
    let body = json!({"profile_id": "year", "csr": request("meter-1")});
    let nobody = refused("devices/nobody/certificates", body);
    assert_eq!(nobody, (404, "IoTDP.100201".to_owned()));
    let malformed = (400, "IoTDP.199001".to_owned());
    assert_eq!(refused(path, json!({"profile_id": "none"})), malformed);
    let unfit = (400, "IoTDP.100216".to_owned());
    let body = json!({"profile_id": "year", "csr": "no request"});
    assert_eq!(refused(path, body), unfit);
    // Another's name in it.
    let body = json!({"profile_id": "year", "csr": request("meter-2")});
    assert_eq!(refused(path, body), unfit);
    let taken = json!({"issuer_id": "own", "validity_days": 1});
    assert_eq!(refused("issuers", taken), (409, "IoTDP.199005".to_owned()));
    let endless = json!({"validity_days": 40_000});
    assert_eq!(refused("issuers", endless), malformed);
}

#[test]
fn without_an_issuer_nothing_is_issued() {
    let mut cloud = Cloud::new();
    cloud.ask("POST", "devices", &json!({"device_id": "meter-1"}));
    cloud.ask(
        "PUT",
        "certificate-profiles/year",
        &json!({"validity_days": 30}),
    );
    let answer = cloud.ask(
        "POST",
        "devices/meter-1/certificates",
        &json!({"profile_id": "year"}),
    );
    assert_eq!(code(&answer), (400, "IoTDP.199012"));
}

#[test]
fn a_profile_is_changed_and_removed_by_who_knows_how_it_is() {
    let mut cloud = issuing();
    let path = "certificate-profiles/year";
    let shown = cloud.get(path);
    let tag = shown["ETag"].as_str().unwrap().to_owned();
    let body = json!({"validity_days": 60, "key_types": ["rsa"], "misnamed": "overwrite"});
    let (status, changed) = cloud.ask_as("t1", "PUT", path, &[("if-match", &tag)], &body);
    assert_eq!(
        (status, &changed["key_types"]),
        (200, &json!(["rsa"])),
        "{changed}"
    );
    for method in ["PUT", "DELETE"] {
        let stale = cloud.ask_as("t1", method, path, &[("if-match", &tag)], &body);
        assert_eq!(code(&stale), (412, "IoTDP.199008"));
    }
    let new = cloud.ask_as("t1", "PUT", path, &[("if-none-match", "*")], &body);
    assert_eq!(code(&new), (412, "IoTDP.199008"));
    assert_eq!(cloud.get("certificate-profiles")["page"]["count"], 1);
    let (status, _) = cloud.ask("DELETE", path, &Value::Null);
    assert_eq!(status, 204);
    assert_eq!(
        code(&cloud.ask("GET", path, &Value::Null)),
        (404, "IoTDP.199003")
    );
    let unfit = cloud.ask("PUT", path, &json!({"validity_days": 0}));
    assert_eq!(code(&unfit), (400, "IoTDP.199001"));
}

#[test]
fn issuers_are_shown_without_their_keys() {
    let mut cloud = issuing();
    let shown = cloud.get("issuers/own");
    assert!(
        shown["content"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert!(!shown.to_string().contains("PRIVATE"));
    let (_, next) = cloud.ask("POST", "issuers", &json!({"validity_days": 100}));
    assert_eq!(
        (
            &next["current"],
            cloud.get("issuers/own")["current"].clone()
        ),
        (&json!(true), json!(false))
    );
    assert_eq!(cloud.get("issuers")["page"]["count"], 2);
}
