//! What came of a fleet, for people.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use device_fleet::{Latencies, Tally};

/// Prints the summary.
pub(super) fn print(devices: usize, tally: &Tally, took: Duration) {
    // Nobody reads it: there is nobody to tell.
    let _ = std::io::stdout()
        .lock()
        .write_all(text(devices, tally, took).as_bytes());
}

fn text(devices: usize, tally: &Tally, took: Duration) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: &str| {
        // A string takes everything.
        let _ = writeln!(text, "{name:<12}{what}");
    };
    let arrived = format!(
        "{} came of {}, {} online at the end, {:.1} s in all",
        thousands(tally.arrived as u64),
        thousands(devices as u64),
        thousands(tally.online as u64),
        took.as_secs_f64()
    );
    line("devices", &arrived);
    line("handshakes", &measured(&tally.handshakes));
    if tally.activations > 0 {
        line("activations", &thousands(tally.activations));
    }
    line("requests", &measured(&tally.requests));
    line("answers", &counted(&tally.answers));
    line("failures", &counted(&tally.failures));
    text
}

fn measured(latencies: &Latencies) -> String {
    if latencies.count() == 0 {
        return "none".to_owned();
    }
    format!(
        "{} ({:.0}/s), p50 {}, p99 {}",
        thousands(latencies.count()),
        latencies.per_second(),
        milliseconds(latencies.quantile(0.5)),
        milliseconds(latencies.quantile(0.99)),
    )
}

fn counted<'a, K: ToString + 'a>(counts: impl IntoIterator<Item = (&'a K, &'a u64)>) -> String {
    let counts: Vec<_> = counts
        .into_iter()
        .map(|(kind, count)| format!("{}: {}", kind.to_string(), thousands(*count)))
        .collect();
    if counts.is_empty() {
        "none".to_owned()
    } else {
        counts.join(", ")
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

/// A number with a comma before every three digits.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use coap_psk::{Code, Instant};

    use super::*;

    #[test]
    fn numbers_are_cut_into_thousands() {
        let numbers = [0, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_summary_says_what_was_counted() {
        let mut tally = Tally::default();
        (tally.arrived, tally.online) = (2, 1);
        let end = Instant::from_micros(1_000_000);
        tally.handshakes.note(Instant::ZERO, end);
        tally.answers.insert(Code::CHANGED, 1_200);
        tally.failures.insert("handshake refused", 1);
        let text = text(2, &tally, Duration::from_secs(2));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "devices     2 came of 2, 1 online at the end, 2.0 s in all",
                "handshakes  1 (1/s), p50 1015.81 ms, p99 1015.81 ms",
                "requests    none",
                "answers     2.04: 1,200",
                "failures    handshake refused: 1",
            ]
        );
    }
}
