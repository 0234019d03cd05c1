//! What the CoAP door refused or forgot, as its endpoint counts it.

use coap_psk::Counters;

use super::family::write_counted;

/// Appends the counts in the text exposition format.
pub(super) fn write(out: &mut String, counters: &Counters) {
    write_counted(
        out,
        (
            "device_cloud_coap_refused_total",
            "What peers wanted from the CoAP door and did not get.",
            "counter",
        ),
        "what",
        &[
            ("hello", counters.hellos_dropped),
            ("handshake", counters.handshakes_refused),
            ("session", counters.sessions_refused),
            ("reset", counters.resets_withheld),
            ("message", counters.messages_dropped),
            ("datagram", counters.overload_dropped),
        ],
    );
    write_counted(
        out,
        (
            "device_cloud_coap_forgotten_total",
            "What the CoAP door forgot before its time, for lack of room.",
            "counter",
        ),
        "what",
        &[
            ("message", counters.remembered_dropped),
            ("session", counters.sessions_evicted),
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_under_its_word() {
        let mut counters = Counters::default();
        counters.hellos_dropped = 1;
        counters.handshakes_refused = 2;
        counters.sessions_refused = 3;
        counters.resets_withheld = 4;
        counters.remembered_dropped = 5;
        counters.sessions_evicted = 6;
        counters.messages_dropped = 7;
        counters.overload_dropped = 8;
        let mut text = String::new();
        write(&mut text, &counters);
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "device_cloud_coap_refused_total{what=\"hello\"} 1",
                "device_cloud_coap_refused_total{what=\"handshake\"} 2",
                "device_cloud_coap_refused_total{what=\"session\"} 3",
                "device_cloud_coap_refused_total{what=\"reset\"} 4",
                "device_cloud_coap_refused_total{what=\"message\"} 7",
                "device_cloud_coap_refused_total{what=\"datagram\"} 8",
                "device_cloud_coap_forgotten_total{what=\"message\"} 5",
                "device_cloud_coap_forgotten_total{what=\"session\"} 6",
            ]
        );
    }
}
