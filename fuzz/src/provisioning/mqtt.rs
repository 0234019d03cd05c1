//! Targets of what a device says over MQTT.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use provisioning_proto::mqtt::session::{
    Authentication, Connect, Output, Publish, QoS, RequestId, Session, SessionConfig,
};
use provisioning_proto::mqtt::{ClientId, DownPayload, MAX_KEYWORD, Up};

const PASSWORD: [u8; 64] = [b'a'; 64];
const UP: &str = "$oc/devices/dev/sys/bootstrap/up";
const DOWN: &str = "$oc/devices/dev/sys/bootstrap/down";
const EVENTS: &str = "$oc/devices/dev/sys/events/up";

/// A user name and, on the next line, a client id: what reads is written as it was.
pub fn client_id(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let (user_name, client_id) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(id) = ClientId::parse(client_id, user_name) {
        assert_eq!(id.to_string(), client_id);
        assert_eq!(id.device().as_str(), user_name);
    }
}

/// The payload of a request.
pub fn up(bytes: &[u8]) {
    if let Some(keyword) = Up::parse(bytes).keyword {
        assert!((1..=MAX_KEYWORD).contains(&keyword.len()));
    }
}

/// A connection, a step for each byte: nothing is told before the device listens, nor more often than it asked, and nothing
/// after the end; whatever was said before, the connection ends by itself.
pub fn session(bytes: &[u8]) {
    let mut player = Player::new();
    for byte in bytes.iter().take(256) {
        player.step(*byte);
        player.drain();
    }
    for _ in 0..64 {
        let Some(at) = player.session.next_deadline() else {
            break;
        };
        player.now = player.now.max(at);
        player.session.handle_timeout(player.now);
        assert!(
            player
                .session
                .next_deadline()
                .is_none_or(|next| next > player.now)
        );
        player.drain();
    }
    assert!(player.session.is_closed(), "the connection stays for ever");
}

struct Player {
    session: Session,
    now: Instant,
    requests: Vec<RequestId>,
    told: usize,
    listening: bool,
    closed: bool,
}

impl Player {
    fn new() -> Self {
        // Any instant will do, and one is the same in every run of a process.
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        let now = *BEGIN.get_or_init(Instant::now);
        Self {
            session: Session::new(SessionConfig::default(), now),
            now,
            requests: Vec::new(),
            told: 0,
            listening: false,
            closed: false,
        }
    }

    fn step(&mut self, byte: u8) {
        let (session, now) = (&mut self.session, self.now);
        let packet_id = u16::from(byte >> 5) + 1;
        let publish = |session: &mut Session, topic: &str, qos, duplicate| {
            let mut publish = Publish::new(topic, qos, &[]);
            publish.duplicate = duplicate;
            session.handle_publish(&publish, now);
        };
        match byte & 0x1f {
            0 => {
                let mut connect = Connect::new("dev_0_1_2019122614");
                connect.user_name = Some("dev");
                connect.password = Some(&PASSWORD);
                connect.keep_alive = packet_id * 10;
                session.handle_connect(&connect, now);
            }
            1 => session.handle_authentication(Authentication::Accepted, now),
            2 => session.handle_authentication(Authentication::Refused, now),
            3 => session.handle_subscribe(packet_id, [DOWN], now),
            4 => session.handle_subscribe(packet_id, ["#", UP], now),
            5 => publish(session, UP, QoS::AtLeastOnce(packet_id), false),
            6 => publish(session, UP, QoS::AtLeastOnce(packet_id), true),
            7 => publish(session, UP, QoS::AtMostOnce, false),
            8 => publish(session, UP, QoS::ExactlyOnce(packet_id), false),
            9 => publish(session, EVENTS, QoS::AtLeastOnce(packet_id), false),
            10 => self.wait(Duration::from_millis(u64::from(packet_id) * 100)),
            11 => self.wait(Duration::from_secs(packet_id.into())),
            12 => session.handle_unsubscribe(packet_id, [DOWN], now),
            13 => session.handle_ping(now),
            14 => session.handle_disconnect(now),
            15 => session.handle_other(now),
            _ => {
                if let Some(request) = self.requests.get(usize::from(packet_id) - 1) {
                    session.handle_answer(*request, DownPayload::refusal("1", "x"), now);
                }
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        assert!(
            self.session
                .next_deadline()
                .is_none_or(|next| next > self.now)
        );
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            assert!(!self.closed, "{output:?} after the end");
            match output {
                Output::Register { request, .. } => {
                    assert!(!self.requests.contains(&request), "registered twice");
                    self.requests.push(request);
                }
                Output::SubAck { granted, .. } => self.listening |= granted.contains(&true),
                Output::UnsubAck { .. } => self.listening = false,
                Output::Publish { .. } => {
                    self.told += 1;
                    assert!(self.listening, "told before it listens");
                    assert!(self.told <= self.requests.len(), "told too often");
                }
                Output::Close(_) => self.closed = true,
                Output::Authenticate(_)
                | Output::ConnAck(_)
                | Output::PubAck { .. }
                | Output::PingResp => {}
            }
        }
        assert_eq!(self.closed, self.session.is_closed());
    }
}
