use redb::{ReadableTable as _, WriteTransaction};

use crate::embedded::failure::Failure;
use crate::embedded::pending::Pending;
use crate::embedded::schema::{CHANGES, DUE, MARK, SNAPSHOTS, STREAMS};
use crate::{ErrorKind, Snapshot};

/// Writes what waits, and the mark behind which the log begins anew.
pub(super) fn take_in(
    transaction: &WriteTransaction,
    pending: &Pending,
    mark: u64,
) -> Result<(), Failure> {
    let mut streams = transaction.open_table(STREAMS)?;
    let mut changes = transaction.open_table(CHANGES)?;
    let mut due = transaction.open_table(DUE)?;
    for (stream, waiting) in &pending.streams {
        let (first, _, was_due, _) = waiting.kept;
        for (number, change) in (first..).zip(&waiting.changes) {
            let number = number.saturating_add(1);
            changes.insert((stream.as_str(), number), change.as_ref())?;
        }
        let (_, _, is_due, _) = waiting.next;
        if is_due != was_due {
            if let Some(at) = was_due {
                due.remove((at, stream.as_str()))?;
            }
            if let Some(at) = is_due {
                due.insert((at, stream.as_str()), ())?;
            }
        }
        streams.insert(stream.as_str(), waiting.next)?;
    }
    pending.answers.write(transaction)?;
    transaction.open_table(MARK)?.insert((), mark)?;
    Ok(())
}

pub(super) fn save_snapshot(
    transaction: &WriteTransaction,
    stream: &str,
    snapshot: &Snapshot,
) -> Result<(), Failure> {
    let streams = transaction.open_table(STREAMS)?;
    let mut snapshots = transaction.open_table(SNAPSHOTS)?;
    let Some((version, truncated, _, erased)) = streams.get(stream)?.map(|row| row.value()) else {
        return Err(ErrorKind::NotCovered.into());
    };
    let kept = snapshots
        .get(stream)?
        .map_or(truncated, |kept| kept.value().0);
    if erased || snapshot.version > version || snapshot.version < kept {
        return Err(ErrorKind::NotCovered.into());
    }
    snapshots.insert(
        stream,
        (snapshot.version, snapshot.format, snapshot.bytes.as_ref()),
    )?;
    Ok(())
}

pub(super) fn truncate(
    transaction: &WriteTransaction,
    stream: &str,
    up_to: u64,
) -> Result<(), Failure> {
    let mut streams = transaction.open_table(STREAMS)?;
    let covered = transaction
        .open_table(SNAPSHOTS)?
        .get(stream)?
        .is_some_and(|snapshot| snapshot.value().0 >= up_to);
    let row = streams.get(stream)?.map(|row| row.value());
    let Some((version, truncated, due, erased)) = row.filter(|_| covered) else {
        return Err(ErrorKind::NotCovered.into());
    };
    if up_to > truncated {
        remove_changes(transaction, stream, up_to)?;
        streams.insert(stream, (version, up_to, due, erased))?;
    }
    Ok(())
}

pub(super) fn erase(transaction: &WriteTransaction, stream: &str) -> Result<(), Failure> {
    let mut streams = transaction.open_table(STREAMS)?;
    let row = streams.get(stream)?.map(|row| row.value());
    let Some((version, _, due, false)) = row else {
        return Ok(());
    };
    remove_changes(transaction, stream, version)?;
    transaction.open_table(SNAPSHOTS)?.remove(stream)?;
    if let Some(at) = due {
        transaction.open_table(DUE)?.remove((at, stream))?;
    }
    let version = version.saturating_add(1);
    streams.insert(stream, (version, version, None, true))?;
    Ok(())
}

fn remove_changes(transaction: &WriteTransaction, stream: &str, up_to: u64) -> Result<(), Failure> {
    transaction
        .open_table(CHANGES)?
        .retain_in::<(&str, u64), _>((stream, 0)..=(stream, up_to), |_, _| false)?;
    Ok(())
}
