//! How the sockets of the CoAP door share their work.

use coap_psk::driver::Forwarding;

use super::family::write_counted;

/// Appends the figures in the text exposition format; `sessions` are those of each shard.
pub(super) fn write(out: &mut String, sessions: &[usize], forwarding: Forwarding) {
    let sessions: Vec<_> = sessions.iter().enumerate().collect();
    write_counted(
        out,
        (
            "device_cloud_coap_sessions",
            "Sessions of each shard of the CoAP door.",
            "gauge",
        ),
        "shard",
        &sessions,
    );
    write_counted(
        out,
        (
            "device_cloud_coap_forwarded_total",
            "Datagrams of devices that came to another shard than that of their session.",
            "counter",
        ),
        "outcome",
        &[
            ("handed_on", forwarding.forwarded),
            ("dropped", forwarding.dropped),
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_is_there_and_every_count_is_under_its_word() {
        let mut forwarding = Forwarding::default();
        forwarding.forwarded = 3;
        forwarding.dropped = 4;
        let mut text = String::new();
        write(&mut text, &[1, 2], forwarding);
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "device_cloud_coap_sessions{shard=\"0\"} 1",
                "device_cloud_coap_sessions{shard=\"1\"} 2",
                "device_cloud_coap_forwarded_total{outcome=\"handed_on\"} 3",
                "device_cloud_coap_forwarded_total{outcome=\"dropped\"} 4",
            ]
        );
    }
}
