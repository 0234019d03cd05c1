//! Targets of `provisioning_proto::lwm2m`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use provisioning_proto::lwm2m::objects::{Security, Server};
use provisioning_proto::lwm2m::{
    Account, BootstrapId, BootstrapRequest, Bootstraps, Client, Code, Config, Configuration,
    ContentFormat, Discovery, Event, Incoming, LINK_FORMAT, Method, Missing, Opaque, Output, Path,
    PeerId, Plan, Request, RequestId, Response, Step, TransportFailure, Value, senml_cbor,
    senml_json, tlv,
};

/// TLV: entries that read are written as themselves, and instances that read as instances that read as the same.
pub fn tlv(bytes: &[u8]) {
    let mut out = Vec::new();
    let mut read = Vec::new();
    for entry in tlv::entries(bytes).map_while(Result::ok) {
        tlv::write(&mut out, entry.kind, entry.id, entry.value).expect("it was no longer");
        read.push(entry);
        let _ = (
            entry.integer(),
            entry.float(),
            entry.boolean(),
            entry.text(),
            entry.object_link(),
        );
    }
    assert!(out.len() <= bytes.len());
    let again: Result<Vec<_>, _> = tlv::entries(&out).collect();
    assert_eq!(again.as_deref(), Ok(&*read));
    for object in [0, 1, 2, 21, 3] {
        for path in [Path::Object(object), Path::Instance(object, 0)] {
            let Ok(instances) = ContentFormat::Tlv.decode(path, bytes) else {
                continue;
            };
            for instance in instances {
                let written = ContentFormat::Tlv
                    .encode(object, &instance)
                    .expect("it was no longer");
                let at = Path::Instance(object, instance.id);
                if instance.resources.is_empty() {
                    continue;
                }
                assert_eq!(
                    ContentFormat::Tlv.decode(at, written.expose()),
                    Ok(vec![instance])
                );
            }
        }
    }
}

/// SenML JSON: what reads is written as what reads as the same.
pub fn senml_json(bytes: &[u8]) {
    if let Ok(read) = senml_json::decode(bytes) {
        let written = senml_json::encode(&read).expect("JSON holds no infinity");
        let again = senml_json::decode(written.expose()).expect("it was written here");
        assert_eq!(shape(&again), shape(&read));
        assert_eq!(
            senml_cbor::decode(senml_cbor::encode(&read).expose()),
            Ok(read)
        );
    }
}

/// SenML CBOR: what reads is written as what reads as the same.
pub fn senml_cbor(bytes: &[u8]) {
    if let Ok(read) = senml_cbor::decode(bytes) {
        let written = senml_cbor::encode(&read);
        let again = senml_cbor::decode(written.expose()).expect("it was written here");
        // Floats may be none, which are not themselves.
        assert_eq!(senml_cbor::encode(&again), written);
    }
}

/// What is read apart from floats, which lose a bit in JSON.
fn shape(read: &[(u16, provisioning_proto::lwm2m::Instance)]) -> Vec<String> {
    read.iter()
        .map(|(object, instance)| {
            let resources = instance
                .resources
                .iter()
                .map(|(id, resource)| match resource {
                    provisioning_proto::lwm2m::Resource::Single(Value::Float(_)) => {
                        format!("{id} float")
                    }
                    provisioning_proto::lwm2m::Resource::Single(value) => format!("{id} {value:?}"),
                    provisioning_proto::lwm2m::Resource::Multiple(values) => {
                        format!("{id} {:?}", values.keys())
                    }
                });
            format!(
                "{object} {} {:?}",
                instance.id,
                resources.collect::<Vec<_>>()
            )
        })
        .collect()
}

fn configuration() -> Configuration {
    let key = Opaque::new(vec![7; 16]);
    let security = Security::psk("coaps://target:5684", 101, b"device", key);
    Configuration::new(vec![Account::new(security, Server::new(101, 300))])
}

/// What a client says it has: a plan for it leaves alone what may be its bootstrap account.
pub fn links(bytes: &[u8]) {
    let Ok(discovery) = Discovery::decode(bytes) else {
        return;
    };
    let kept = discovery.bootstrap_accounts();
    let Ok(plan) = Plan::new(&configuration(), &discovery) else {
        return;
    };
    for step in &plan.steps {
        match step {
            Step::Delete(path) => {
                assert_ne!(*path, Path::Object(0));
                assert!(!kept.iter().any(|at| *path == Path::Instance(0, *at)));
            }
            Step::Write(object, instance) => assert!(*object != 0 || !kept.contains(&instance.id)),
        }
    }
}

/// The machine against clients that say whatever they like: everything ends once, a refusal is never followed by Finish, and what may
/// be a bootstrap account is left alone.
pub fn session(bytes: &[u8]) {
    let mut config = Config::default();
    config.max_bootstraps = 2;
    config.packs = true;
    let mut machine = Bootstraps::new(config);
    let mut now = Instant::now();
    let (mut begun, mut ended) = (BTreeSet::<BootstrapId>::new(), Vec::new());
    let mut requests = 0;
    let mut parts = bytes.split(|byte| *byte == b'\n');
    let mut open = Vec::new();
    let mut questions = Vec::new();
    let mut refused = BTreeSet::new();
    let mut kept = BTreeSet::new();
    loop {
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Configure { bootstrap, .. } => {
                    assert!(begun.insert(bootstrap));
                    questions.push(bootstrap);
                }
                Output::Send {
                    exchange,
                    peer,
                    request,
                } => {
                    if request.path == ["bs"] {
                        assert!(
                            !refused.contains(&peer),
                            "finished although something was refused"
                        );
                    }
                    if request.path.first().is_some_and(|object| object == "0") {
                        let at = request.path.get(1).and_then(|at| at.parse::<u16>().ok());
                        assert!(at.is_some_and(|at| !kept.contains(&(peer, at))));
                    }
                    open.push((exchange, peer, request));
                }
                Output::Cancel { exchange } => open.retain(|(it, ..)| *it != exchange),
                Output::Event(
                    Event::Finished { bootstrap, .. }
                    | Event::Packed { bootstrap, .. }
                    | Event::Failed { bootstrap, .. },
                ) => ended.push(bootstrap),
                Output::Event(_) | Output::Respond { .. } => {}
            }
        }
        assert!(open.len() <= machine.len() && machine.len() <= 2);
        let Some(part) = parts.next() else { break };
        let Some((kind, rest)) = part.split_first() else {
            continue;
        };
        match kind {
            // A client asks, with whatever query.
            b'a' | b'p' => {
                let mut request = match kind {
                    b'a' => Request::new(Method::Post, &["bs"]),
                    _ => Request::new(Method::Get, &["bspack"]),
                };
                let text = String::from_utf8_lossy(rest);
                request.query = text.split('&').map(str::to_owned).collect();
                let _ = BootstrapRequest::parse(&request);
                requests += 1;
                let peer = PeerId(requests % 3);
                let client = Client {
                    tenant: format!("t{}", requests % 3).parse().expect("an id"),
                    endpoint: "a".parse().expect("an id"),
                };
                refused.remove(&peer);
                machine.handle_request(
                    Incoming {
                        id: RequestId(requests),
                        peer,
                        client,
                        confidential: true,
                        request: &request,
                    },
                    now,
                );
            }
            b'c' => {
                if let Some(bootstrap) = questions.pop() {
                    machine.handle_configuration(
                        bootstrap,
                        match rest.first() {
                            None => Ok(configuration()),
                            Some(0) => Err(Missing::NotNow),
                            Some(_) => Err(Missing::Nothing),
                        },
                        now,
                    );
                }
            }
            // A client answers: a code, and the payload of links or whatever else.
            b'r' => {
                if let (Some((exchange, peer, request)), Some((code, payload))) =
                    (open.pop(), rest.split_first())
                {
                    let code = Code::from_byte(*code);
                    if matches!(request.method, Method::Put | Method::Delete) && !code.is_success()
                    {
                        refused.insert(peer);
                    }
                    if request.accept == Some(LINK_FORMAT)
                        && code == Code::CONTENT
                        && let Ok(read) = Discovery::decode(payload)
                    {
                        kept.retain(|(of, _)| *of != peer);
                        kept.extend(read.bootstrap_accounts().into_iter().map(|at| (peer, at)));
                    }
                    let format = request.accept.unwrap_or_default();
                    let response = Response::new(code).with_payload(format, payload.into());
                    machine.handle_response(exchange, &response, now);
                }
            }
            b'f' => {
                if let Some((exchange, ..)) = open.pop() {
                    machine.handle_failure(exchange, TransportFailure::Unreachable, now);
                }
            }
            b'g' => machine.handle_gone(PeerId(rest.len() as u64 % 3), now),
            _ => {
                now += Duration::from_secs(rest.len() as u64);
                machine.handle_timeout(now);
                assert!(
                    machine
                        .next_deadline()
                        .is_none_or(|deadline| deadline > now)
                );
            }
        }
    }
    while let Some(deadline) = machine.next_deadline() {
        machine.handle_timeout(deadline);
    }
    while let Some(output) = machine.poll_output() {
        if let Output::Event(Event::Failed { bootstrap, .. }) = output {
            ended.push(bootstrap);
        }
    }
    assert!(machine.is_empty());
    assert_eq!(ended.len(), begun.len());
    assert_eq!(ended.into_iter().collect::<BTreeSet<_>>(), begun);
}
