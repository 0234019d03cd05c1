use std::ops::Bound;

use bytes::Bytes;
use redb::{Key, ReadOnlyTable, ReadTransaction, TableDefinition, TableError, Value};

use crate::embedded::failure::Failure;
use crate::embedded::log::FIRST_MARK;
use crate::embedded::schema::{CHANGES, DUE, MARK, SNAPSHOTS, STREAMS, Stream};
use crate::{Due, ErrorKind, Loaded, Page, Snapshot};

/// The table that appends are decided on.
pub(super) struct Known {
    streams: ReadOnlyTable<&'static str, Stream>,
}

impl Known {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, Failure> {
        Ok(Self {
            streams: transaction.open_table(STREAMS)?,
        })
    }

    /// What is known of a stream; of one that does not exist, nothing.
    pub(super) fn stream(&self, stream: &str) -> Result<Stream, Failure> {
        let row = self.streams.get(stream)?;
        Ok(row.map(|row| row.value()).unwrap_or_default())
    }
}

/// A table, when the file has it.
pub(super) fn existing<K: Key + 'static, V: Value + 'static>(
    transaction: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, Failure> {
    match transaction.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The mark of the last commit that took in a log.
pub(super) fn mark(transaction: &ReadTransaction) -> Result<u64, Failure> {
    let mark = transaction.open_table(MARK)?.get(())?;
    Ok(mark.map_or(FIRST_MARK, |mark| mark.value()))
}

pub(super) fn page(
    transaction: &ReadTransaction,
    stream: &str,
    after_version: u64,
    limit: usize,
) -> Result<Page, Failure> {
    let Some(row) = transaction.open_table(STREAMS)?.get(stream)? else {
        return Ok(Page::default());
    };
    let (version, truncated, _, _) = row.value();
    if after_version < truncated {
        return Err(ErrorKind::Truncated.into());
    }
    Ok(Page {
        version,
        changes: changes(transaction, stream, after_version, limit)?,
    })
}

pub(super) fn load(transaction: &ReadTransaction, stream: &str) -> Result<Loaded, Failure> {
    let Some(row) = transaction.open_table(STREAMS)?.get(stream)? else {
        return Ok(Loaded::default());
    };
    let (version, truncated, due, _) = row.value();
    let snapshot = snapshot(transaction, stream)?;
    let after = snapshot
        .as_ref()
        .map_or(truncated, |snapshot| snapshot.version);
    Ok(Loaded {
        version,
        changes: changes(transaction, stream, after, usize::MAX)?,
        snapshot,
        due,
    })
}

pub(super) fn snapshot(
    transaction: &ReadTransaction,
    stream: &str,
) -> Result<Option<Snapshot>, Failure> {
    let row = transaction.open_table(SNAPSHOTS)?.get(stream)?;
    Ok(row.map(|row| {
        let (version, format, bytes) = row.value();
        Snapshot::new(version, format, Bytes::copy_from_slice(bytes))
    }))
}

pub(super) fn due(
    transaction: &ReadTransaction,
    before: u64,
    after: Option<&Due>,
    limit: usize,
) -> Result<Vec<Due>, Failure> {
    let from = after.map_or(Bound::Unbounded, |after| {
        Bound::Excluded((after.at, after.stream.as_str()))
    });
    let mut found = Vec::new();
    for row in transaction
        .open_table(DUE)?
        .range::<(u64, &str)>((from, Bound::Excluded((before, ""))))?
        .take(limit)
    {
        let (key, _) = row?;
        let (at, stream) = key.value();
        found.push(Due::new(at, stream));
    }
    Ok(found)
}

pub(super) fn list(
    transaction: &ReadTransaction,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, Failure> {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut names = Vec::new();
    for row in transaction
        .open_table(STREAMS)?
        .range::<&str>((from, Bound::Unbounded))?
    {
        let (name, row) = row?;
        if names.len() >= limit || !name.value().starts_with(prefix) {
            break;
        }
        let (_, _, _, erased) = row.value();
        if !erased {
            names.push(name.value().to_owned());
        }
    }
    Ok(names)
}

fn changes(
    transaction: &ReadTransaction,
    stream: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Bytes>, Failure> {
    let table = transaction.open_table(CHANGES)?;
    let range = (
        Bound::Excluded((stream, after)),
        Bound::Included((stream, u64::MAX)),
    );
    let mut changes = Vec::new();
    for row in table.range::<(&str, u64)>(range)?.take(limit) {
        let (_, change) = row?;
        changes.push(Bytes::copy_from_slice(change.value()));
    }
    Ok(changes)
}
