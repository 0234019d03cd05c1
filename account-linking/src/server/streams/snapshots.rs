use super::{Desk, Held};
use crate::server::ledger::Ledger;
use crate::server::output::Output;
use crate::stream::Snapshot;

/// A snapshot is written after this many changes at the latest, and after half of them at the earliest.
const SNAPSHOT_INTERVAL: u64 = 1024;

/// After how many changes a stream has its snapshots: not all the same, or grants that are used in step would all write theirs at one
/// moment, and the requests of that moment would wait for them.
fn snapshot_interval(stream: &str) -> u64 {
    let sum = stream
        .bytes()
        .fold(0_u64, |sum, byte| sum.wrapping_add(u64::from(byte)));
    SNAPSHOT_INTERVAL.saturating_sub(sum % (SNAPSHOT_INTERVAL / 2))
}

impl<L: Ledger> Held<L> {
    pub(super) fn snapshot_if_due(&mut self, stream: &str, desk: &mut Desk) {
        if self.version.saturating_sub(self.snapshot_version) < snapshot_interval(stream) {
            return;
        }
        if let Ok((format, bytes)) = self.ledger.snapshot() {
            self.snapshot_version = self.version;
            desk.outputs.push_back(Output::SaveSnapshot {
                stream: stream.to_owned(),
                snapshot: Snapshot::new(self.version, format, bytes),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn streams_have_their_snapshots_at_different_times() {
        let intervals: Vec<u64> = (0..1000)
            .map(|n| snapshot_interval(&format!("grant/{:x}", n * 7919)))
            .collect();
        assert!(intervals.iter().all(|after| (513..=1024).contains(after)));
        assert!(intervals.iter().collect::<BTreeSet<_>>().len() > 16);
        assert_eq!(snapshot_interval("grant/1"), snapshot_interval("grant/1"));
    }
}
