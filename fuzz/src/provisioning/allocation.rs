//! Targets of `provisioning_proto::allocation`.

use std::collections::BTreeMap;

use provisioning_proto::allocation::{
    AccessPoint, AccessPoints, AllocationInput, AllocationPolicy, Decision, FunctionUrn, HookCall,
    Policies, Prefix, Rule, Selection, Setting, Weight, decide,
};

const PLACES: [&str; 3] = ["east", "west", "drained"];

/// What a tenant's function answers: nobody is sent where it was not offered, and no refusal lacks its reason.
pub fn hook_reply(bytes: &[u8]) {
    match call().read(bytes) {
        Ok(Decision::Assign { target, policy, .. }) => {
            assert!(["east", "west"].contains(&target.access_point.as_str()));
            assert!(policy.is_some());
            let own = target.application.is_none_or(|app| app.as_str() == "main");
            assert!(own, "an application that was not offered");
        }
        Ok(Decision::Deny { code, text }) => assert!(!code.is_empty() && !text.is_empty()),
        Ok(other) => panic!("{other:?} is no answer"),
        Err(_) => {}
    }
}

/// A network in its text form.
pub fn prefix(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(prefix) = text.parse::<Prefix>() {
        assert_eq!(prefix.to_string().parse(), Ok(prefix));
    }
}

/// Stored access points and policies, and a device: the decision is one that they allow, and the same every time.
pub fn decided(bytes: &[u8]) {
    let Ok((points, policies)) = serde_json::from_slice::<(AccessPoints, Policies)>(bytes) else {
        return;
    };
    let device = "sn-1".parse().expect("an id");
    let input = AllocationInput::new(&device, "beijing-sn-1");
    let setting = Setting::new(&points, &policies);
    let decision = decide(&input, &Selection::All, &setting);
    assert_eq!(decision, decide(&input, &Selection::All, &setting));
    if let Decision::Assign { target, .. } = &decision {
        let point = points
            .access_point(&target.access_point)
            .expect("what is chosen is there");
        assert!(point.accepts_new && point.is_granted() && point.weight > Weight::ZERO);
    }
}

fn call() -> HookCall {
    let list = PLACES.map(|id| {
        let mut point = AccessPoint::new(id.parse().expect("an id"), id);
        point.accepts_new = id != "drained";
        point.applications.insert("main".parse().expect("an id"));
        point
    });
    let points = AccessPoints::from(list.to_vec());
    let rule = Rule::Custom {
        function: FunctionUrn::new("urn:f").expect("a name"),
        name: "f".to_owned(),
        access_points: PLACES.map(|id| id.parse().expect("an id")).into(),
    };
    let policy = AllocationPolicy::new("p".parse().expect("an id"), 0, rule);
    let policies = Policies::from(vec![policy]);
    let device = "sn-1".parse().expect("an id");
    let input = AllocationInput::new(&device, "sn-1");
    let load = BTreeMap::new();
    let mut setting = Setting::new(&points, &policies);
    setting.load = Some(&load);
    match decide(&input, &Selection::All, &setting) {
        Decision::AskHook(call) => call,
        other => panic!("{other:?}"),
    }
}
