use super::*;
use crate::message::{Code, Kind, Token};

struct Bench {
    sender: Sender,
    ids: MessageIds,
    random: Random,
    times: Transmission,
    out: VecDeque<Vec<u8>>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let mut random = Random::new([3; 32]);
        let ids = MessageIds::new(&mut random, Instant::ZERO);
        Self {
            sender: Sender::default(),
            ids,
            random,
            times: Transmission::default(),
            out: VecDeque::new(),
            now: Instant::ZERO,
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Sender, &mut Means<'_>) -> T) -> T {
        let Self {
            sender,
            ids,
            random,
            times,
            out,
            now,
        } = self;
        act(
            sender,
            &mut Means {
                ids,
                random,
                times,
                out,
                now: *now,
            },
        )
    }

    fn deadline(&self) -> Option<Instant> {
        self.sender.next_deadline(&self.ids, &self.times)
    }

    fn sent_id(&mut self) -> u16 {
        let datagram = self.out.pop_front().unwrap();
        codec::parse(&datagram).unwrap().message_id()
    }
}

fn message(token: u64) -> Message {
    Message::new(
        Kind::Confirmable,
        Code::CONTENT,
        0,
        Token::from_number(token),
    )
}

#[test]
fn five_transmissions_with_doubling_gaps_and_then_it_is_lost() {
    for seed in 0..50 {
        let mut bench = Bench::new();
        bench.random = Random::new([seed; 32]);
        bench.act(|sender, means| sender.enqueue(Purpose::Request(1), message(1), means));
        let mut times = alloc::vec![Instant::ZERO];
        let lost = loop {
            let now = bench.deadline().unwrap();
            times.push(now);
            bench.now = now;
            let lost = bench.act(|sender, means| sender.handle_timeout(means));
            if !lost.is_empty() {
                break lost;
            }
        };
        assert_eq!(lost, [Purpose::Request(1)]);
        assert_eq!(bench.out.len(), 5);
        assert!(bench.out.iter().all(|datagram| *datagram == bench.out[0]));
        let gaps: Vec<Duration> = times
            .windows(2)
            .map(|pair| pair[1].saturating_duration_since(pair[0]))
            .collect();
        assert!(
            (Duration::from_secs(2)..=Duration::from_secs(3)).contains(&gaps[0]),
            "{gaps:?}"
        );
        assert!(
            gaps.windows(2).all(|pair| pair[1] == pair[0] * 2),
            "{gaps:?}"
        );
        assert!(
            times[5].saturating_duration_since(Instant::ZERO) <= bench.times.max_transmit_wait()
        );
        assert_eq!(bench.deadline(), None);
    }
}

#[test]
fn one_message_is_in_flight_and_the_next_follows_its_acknowledgement() {
    let mut bench = Bench::new();
    for number in [1, 2] {
        bench.act(|sender, means| sender.enqueue(Purpose::Request(number), message(number), means));
    }
    assert_eq!(bench.out.len(), 1);
    let id = bench.sent_id();
    let unknown = bench.act(|sender, means| sender.acknowledged(id.wrapping_add(1), means));
    assert_eq!(unknown, None);
    let purpose = bench.act(|sender, means| sender.acknowledged(id, means));
    assert_eq!(purpose, Some(Purpose::Request(1)));
    assert_eq!(bench.sent_id(), id.wrapping_add(1));
    let again = bench.act(|sender, means| sender.acknowledged(id, means));
    assert_eq!(again, None);
}

#[test]
fn a_newer_notification_replaces_the_queued_one_and_rides_on_the_retransmission() {
    let mut bench = Bench::new();
    let purpose = Purpose::Notification(1);
    for token in [1, 2, 3] {
        bench.act(|sender, means| sender.supersede(purpose, message(token), means));
    }
    let first = bench.sent_id();
    assert!(bench.out.is_empty());
    let now = bench.deadline().unwrap();
    bench.now = now;
    bench.act(|sender, means| sender.handle_timeout(means));
    let retransmitted = bench.out.pop_front().unwrap();
    let retransmitted = codec::parse(&retransmitted).unwrap();
    assert_eq!(retransmitted.token(), Token::from_number(3));
    assert_ne!(retransmitted.message_id(), first);
    let gap = bench.deadline().unwrap().saturating_duration_since(now);
    assert!(
        gap >= Duration::from_secs(4),
        "the timer goes on doubling: {gap:?}"
    );
}

#[test]
fn what_was_superseded_in_flight_is_sent_after_the_acknowledgement() {
    let mut bench = Bench::new();
    let purpose = Purpose::Notification(1);
    bench.act(|sender, means| sender.supersede(purpose, message(1), means));
    bench.act(|sender, means| sender.supersede(purpose, message(2), means));
    let id = bench.sent_id();
    bench.act(|sender, means| sender.acknowledged(id, means));
    let next = bench.out.pop_front().unwrap();
    assert_eq!(codec::parse(&next).unwrap().token(), Token::from_number(2));
}

#[test]
fn a_cancelled_message_frees_its_place() {
    let mut bench = Bench::new();
    for number in [1, 2] {
        bench.act(|sender, means| sender.enqueue(Purpose::Request(number), message(number), means));
    }
    bench.act(|sender, means| sender.cancel(Purpose::Request(1), means));
    assert_eq!(bench.out.len(), 2);
    bench.act(|sender, means| sender.cancel(Purpose::Request(2), means));
    assert_eq!(bench.deadline(), None);
}

fn non(token: u64) -> Message {
    let token = Token::from_number(token);
    Message::new(Kind::NonConfirmable, Code::CONTENT, 0, token)
}

#[test]
fn a_non_confirmable_message_to_a_silent_peer_takes_the_time_of_its_bytes_and_is_not_repeated() {
    let mut bench = Bench::new();
    for number in [1, 2] {
        bench.act(|sender, means| sender.enqueue(Purpose::Request(number), non(number), means));
    }
    let len = bench.out.front().unwrap().len();
    let id = bench.sent_id();
    assert!(bench.out.is_empty(), "one at a time");
    let acknowledged = bench.act(|sender, means| sender.acknowledged(id, means));
    assert_eq!(acknowledged, None, "nobody acknowledges such a message");
    bench.act(|sender, means| sender.cancel(Purpose::Request(1), means));
    assert!(bench.out.is_empty(), "giving up makes nothing unsent");
    let until = Instant::ZERO.saturating_add(Duration::from_secs(len as u64));
    assert_eq!(bench.deadline(), Some(until));
    bench.now = until;
    let lost = bench.act(|sender, means| sender.handle_timeout(means));
    assert_eq!(lost, [], "whoever asked may still be answered");
    assert_eq!(bench.sent_id(), id.wrapping_add(1));
}

#[test]
fn an_answer_and_a_reset_make_room_at_once_and_any_word_does_when_an_answer_is_late() {
    let mut bench = Bench::new();
    for number in [1, 2, 3, 4] {
        bench.act(|sender, means| sender.enqueue(Purpose::Request(number), non(number), means));
    }
    let first = bench.sent_id();
    bench.act(|sender, means| sender.answered(Purpose::Request(1), means));
    assert_eq!(bench.sent_id(), first.wrapping_add(1));
    let reset = bench.act(|sender, means| sender.reset(first.wrapping_add(1), means));
    assert_eq!(reset, Some(Purpose::Request(2)));
    assert_eq!(bench.sent_id(), first.wrapping_add(2));
    bench.act(Sender::handle_sign_of_life);
    assert!(bench.out.is_empty(), "it may still be answered");
    bench.now = Instant::ZERO.saturating_add(bench.times.longest_first_timeout());
    bench.act(Sender::handle_sign_of_life);
    assert_eq!(bench.sent_id(), first.wrapping_add(3));
}
