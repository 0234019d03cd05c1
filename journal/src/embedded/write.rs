use redb::{ReadableTable, Table, WriteTransaction};

use crate::embedded::failure::Failure;
use crate::embedded::schema::{ANSWERED, ANSWERS, CHANGES, DUE, SNAPSHOTS, STREAMS, Stream};
use crate::{
    Append, AppendId, Appended, Error, ErrorKind, REMEMBERED_APPENDS, SOLE_EPOCH, Snapshot,
    StreamAppend,
};

/// Decides each append on the state that the ones before it left; says whether anything is to be committed.
pub(super) fn append_batch(
    transaction: &WriteTransaction,
    appends: &[Append],
) -> Result<(Vec<Result<Appended, Error>>, bool), Failure> {
    let mut tables = Tables {
        streams: transaction.open_table(STREAMS)?,
        changes: transaction.open_table(CHANGES)?,
        due: transaction.open_table(DUE)?,
        answers: transaction.open_table(ANSWERS)?,
        answered: transaction.open_table(ANSWERED)?,
        wrote: false,
    };
    let mut answers = Vec::with_capacity(appends.len());
    for append in appends {
        answers.push(match tables.append(append) {
            Ok(appended) => Ok(appended),
            Err(Failure::Rule(kind)) => Err(kind.into()),
            Err(failure) => return Err(failure),
        });
    }
    Ok((answers, tables.wrote))
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

/// The tables that an append touches, opened once for a batch.
struct Tables<'t> {
    streams: Table<'t, &'static str, Stream>,
    changes: Table<'t, (&'static str, u64), &'static [u8]>,
    due: Table<'t, (u64, &'static str), ()>,
    answers: Table<'t, &'static [u8; 16], Vec<u64>>,
    answered: Table<'t, u64, &'static [u8; 16]>,
    wrote: bool,
}

impl Tables<'_> {
    fn append(&mut self, append: &Append) -> Result<Appended, Failure> {
        append.check()?;
        if let Some(versions) = self.answers.get(append.id.as_bytes())? {
            return Ok(Appended::Done {
                versions: versions.value(),
            });
        }
        if append.epoch != SOLE_EPOCH {
            return Ok(Appended::Fenced);
        }
        let mut versions = Vec::with_capacity(append.streams.len());
        let mut rows = Vec::with_capacity(append.streams.len());
        for part in &append.streams {
            let row = self.streams.get(part.stream.as_str())?;
            let row = row.map(|row| row.value()).unwrap_or_default();
            if row.0 != part.expected_version {
                return Ok(Appended::Conflict {
                    stream: part.stream.clone(),
                });
            }
            versions.push(part.next_version()?);
            rows.push(row);
        }
        self.wrote = true;
        for ((part, row), version) in append.streams.iter().zip(rows).zip(&versions) {
            self.write(part, row, *version)?;
        }
        self.remember(append.id, &versions)?;
        Ok(Appended::Done { versions })
    }

    fn write(&mut self, part: &StreamAppend, row: Stream, version: u64) -> Result<(), Failure> {
        // A guard of a stream that does not exist creates nothing.
        if version == 0 {
            return Ok(());
        }
        let stream = part.stream.as_str();
        let (_, truncated, was_due, was_erased) = row;
        for (number, change) in (part.expected_version..version).zip(&part.changes) {
            let number = number.saturating_add(1);
            self.changes.insert((stream, number), change.as_ref())?;
        }
        let erased = was_erased && part.changes.is_empty();
        let due = part.due.filter(|_| !erased);
        if due != was_due {
            if let Some(at) = was_due {
                self.due.remove((at, stream))?;
            }
            if let Some(at) = due {
                self.due.insert((at, stream), ())?;
            }
        }
        self.streams
            .insert(stream, (version, truncated, due, erased))?;
        Ok(())
    }

    fn remember(&mut self, id: AppendId, versions: &Vec<u64>) -> Result<(), Failure> {
        let last = self.answered.last()?.map(|(number, _)| number.value());
        let number = last.map_or(0, |last| last.saturating_add(1));
        self.answers.insert(id.as_bytes(), versions)?;
        self.answered.insert(number, id.as_bytes())?;
        let kept = u64::try_from(REMEMBERED_APPENDS).unwrap_or(u64::MAX);
        if let Some(oldest) = number.checked_sub(kept) {
            let id = self.answered.remove(oldest)?.map(|id| *id.value());
            if let Some(id) = id {
                self.answers.remove(&id)?;
            }
        }
        Ok(())
    }
}
