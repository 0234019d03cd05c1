//! A session with a clock, and what it gave out as text.

use std::time::{Duration, Instant};

use provisioning_proto::Secret;
use provisioning_proto::mqtt::session::{
    Authentication, Connect, Output, Publish, QoS, Session, SessionConfig,
};
use provisioning_proto::mqtt::{Down, DownPayload};

pub(crate) const USER: &str = "dev";
pub(crate) const CLIENT_ID: &str = "dev_0_1_2019122614";
pub(crate) const PASSWORD: &str =
    "38656b6523223f2418078d0a6197f0f909afb277c572f1315c2e705fc72762c0";
pub(crate) const UP: &str = "$oc/devices/dev/sys/bootstrap/up";
pub(crate) const DOWN: &str = "$oc/devices/dev/sys/bootstrap/down";
pub(crate) const EVENTS: &str = "$oc/devices/dev/sys/events/up";

pub(crate) fn connect() -> Connect<'static> {
    let mut connect = Connect::new(CLIENT_ID);
    connect.user_name = Some(USER);
    connect.password = Some(PASSWORD.as_bytes());
    connect.keep_alive = 20;
    connect
}

pub(crate) struct Bench {
    pub(crate) session: Session,
    pub(crate) now: Instant,
}

impl Bench {
    #[allow(clippy::disallowed_methods, reason = "some instant to begin with")]
    pub(crate) fn new(config: SessionConfig) -> Self {
        let now = Instant::now();
        let session = Session::new(config, now);
        Self { session, now }
    }

    pub(crate) fn open(config: SessionConfig) -> Self {
        let mut bench = Self::new(config);
        bench.session.handle_connect(&connect(), bench.now);
        bench
            .session
            .handle_authentication(Authentication::Accepted, bench.now);
        drop(bench.drain());
        bench
    }

    pub(crate) fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    /// Lets time pass, with a call at every deadline on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.session.next_deadline()
            && at <= end
        {
            self.now = at;
            self.session.handle_timeout(at);
        }
        self.now = end;
        self.session.handle_timeout(end);
    }

    pub(crate) fn subscribe(&mut self, packet_id: u16, filters: &[&str]) {
        self.session
            .handle_subscribe(packet_id, filters.iter().copied(), self.now);
    }

    pub(crate) fn publish(&mut self, topic: &str, qos: QoS, payload: &[u8]) {
        self.session
            .handle_publish(&Publish::new(topic, qos, payload), self.now);
    }

    pub(crate) fn publish_again(&mut self, topic: &str, packet_id: u16) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce(packet_id), b"");
        publish.duplicate = true;
        self.session.handle_publish(&publish, self.now);
    }

    /// Answers the request among these outputs.
    pub(crate) fn answer(&mut self, outputs: &[Output], text: &str) {
        for output in outputs {
            if let Output::Register { request, .. } = output {
                self.session
                    .handle_answer(*request, payload(text), self.now);
            }
        }
    }
}

/// An answer that can be told apart by its secret.
pub(crate) fn payload(text: &str) -> DownPayload {
    let mut down = Down::assigned("host:8883".parse().unwrap());
    if let Down::Assigned { device_secret, .. } = &mut down {
        *device_secret = Some(Secret::new(text).unwrap());
    }
    down.encode().unwrap()
}

/// Outputs in short.
pub(crate) fn kinds(outputs: &[Output]) -> String {
    let words: Vec<_> = outputs.iter().map(kind).collect();
    words.join(" ")
}

fn kind(output: &Output) -> String {
    match output {
        Output::Authenticate(_) => "Authenticate".to_owned(),
        Output::ConnAck(code) => format!("ConnAck({code:?})"),
        Output::SubAck { packet_id, granted } => format!("SubAck({packet_id}, {granted:?})"),
        Output::UnsubAck { packet_id } => format!("UnsubAck({packet_id})"),
        Output::PubAck { packet_id } => format!("PubAck({packet_id})"),
        Output::PingResp => "PingResp".to_owned(),
        Output::Register { .. } => "Register".to_owned(),
        Output::Publish { topic, payload } => {
            let value: serde_json::Value = serde_json::from_slice(payload.expose()).unwrap();
            let text = value["deviceSecret"].as_str().unwrap_or("error").to_owned();
            format!("Publish({topic}, {text})")
        }
        Output::Close(cause) => format!("Close({cause:?})"),
    }
}
