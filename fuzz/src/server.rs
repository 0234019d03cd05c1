//! Targets of `uci-server-core`.

mod machine;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::Method;
use uci_model::{Content, ContentFormat};
use uci_server_core::account::{Account, Change, SNAPSHOT_FORMAT};
use uci_server_core::{
    Appended, Authentication, Config, DeviceAnswer, DeviceCloud, DeviceReport, EventsUrlPolicy,
    Loaded, Occurrence, Opened, Output, Principal, SealError, Sealer,
};

pub use self::machine::machine;
use crate::text::Parts;

/// The device that [`request`] finds in its cloud.
const DEVICE: &str = "11111111-2222-4333-8444-555555555555";

/// Seals nothing: the target is about requests, not about secrets.
struct Open;

impl Sealer for Open {
    fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(secret.to_vec())
    }

    fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<Opened, SealError> {
        Ok(Opened::new(sealed.to_vec()))
    }
}

/// A cloud with one device, whose journal always agrees.
struct Cloud {
    machine: DeviceCloud,
    wall: SystemTime,
    now: Instant,
}

impl Cloud {
    fn new() -> Self {
        let machine = DeviceCloud::new(Config::default(), [7; 32], Arc::new(Open));
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut cloud = Self {
            machine,
            wall,
            now: Instant::now(),
        };
        let link = r#"{"href":"/light/1","rt":["core.light"],"if":["oic.if.rw"],"p":{"bm":3}}"#;
        let links = vec![serde_json::from_str(link).expect("a link")];
        for occurrence in [
            Occurrence::Registered,
            Occurrence::Online,
            Occurrence::LinksPublished(links),
        ] {
            let account = "alice".parse().expect("an id");
            let device = DEVICE.parse().expect("an id");
            let report = DeviceReport::new(account, device, 0, occurrence);
            cloud.machine.handle_report(report, cloud.wall, cloud.now);
            cloud.run();
        }
        cloud
    }

    /// Does everything that the machine wants done; the answers to requests.
    fn run(&mut self) -> Vec<http::Response<Bytes>> {
        let mut responses = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Respond { response, .. } => responses.push(response),
                Output::Load { stream } => {
                    self.machine
                        .handle_loaded(&stream, &Loaded::default(), self.wall, self.now);
                }
                Output::Append(append) => {
                    self.machine
                        .handle_appended(append.id, Appended::Done, self.wall, self.now);
                }
                Output::Ask { ask, .. } => {
                    let content =
                        Content::new(ContentFormat::Json, Bytes::from_static(b"{\"state\":true}"));
                    let answer = DeviceAnswer::answered(0x45, Some(content), None);
                    self.machine.handle_answer(ask, answer, self.now);
                }
                Output::Deliver { .. }
                | Output::Abort { .. }
                | Output::SaveSnapshot { .. }
                | Output::Erase { .. }
                | Output::Event(_) => {}
            }
        }
        responses
    }
}

/// A whole request, as `METHOD target`, lines of `name: value`, an empty line and a body: one answer, with a declared status.
pub fn request(bytes: &[u8]) {
    let Some(request) = Parts::read(bytes).and_then(|parts| parts.request()) else {
        return;
    };
    let mut cloud = Cloud::new();
    let principal = Principal::new(
        "alice".parse().expect("an id"),
        "client".parse().expect("an id"),
        "grant".parse().expect("an id"),
        "r:* w:*",
        cloud.wall + Duration::from_secs(3600),
    );
    let authentication = Authentication::Granted(principal);
    cloud
        .machine
        .handle_request(&request, authentication, cloud.wall, cloud.now);
    let responses = cloud.run();
    assert_eq!(responses.len(), 1, "a request has one answer");
    let status = responses[0].status().as_u16();
    assert!(
        matches!(
            status,
            200 | 201 | 202 | 400 | 404 | 405 | 406 | 413 | 414 | 415 | 431
        ),
        "{status} in answer to {request:?}"
    );
}

/// A method and a path at the router, and everything that its device id and href are read from.
pub fn route(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT] {
        let _ = uci_server_core::router::route("", &method, &text);
        let _ = uci_server_core::router::route("c2c/gw", &method, &text);
    }
}

/// An `eventsUrl` under the strict policy: what passes is https, without credentials or fragment.
pub fn events_url(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(url) = EventsUrlPolicy::default().check(text) {
        assert_eq!(url.scheme(), "https");
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    }
}

/// A stored change of an account.
pub fn change(bytes: &[u8]) {
    if let Ok(change) = Change::decode(bytes) {
        let written = change.encode().expect("what was read can be written");
        let again = Change::decode(&written).expect("what was written can be read");
        assert_eq!(again.encode().expect("can be written"), written);
        let mut account = Account::default();
        account.apply(&change);
        let snapshot = account.snapshot().expect("an account can be written");
        let account = Account::from_snapshot(SNAPSHOT_FORMAT, &snapshot).expect("and read");
        assert_eq!(account.snapshot().expect("and written"), snapshot);
    }
}

/// A stored snapshot of an account.
pub fn snapshot(bytes: &[u8]) {
    if let Ok(account) = Account::from_snapshot(SNAPSHOT_FORMAT, bytes) {
        let written = account.snapshot().expect("what was read can be written");
        let again = Account::from_snapshot(SNAPSHOT_FORMAT, &written).expect("and read");
        assert_eq!(again.snapshot().expect("and written"), written);
    }
}
