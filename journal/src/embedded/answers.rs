//! What the latest appends were answered with: in memory, and one row of a table for each commit, since a row for each append would
//! cost more than all the rest of it.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf as _, BufMut as _};
use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, WriteTransaction,
};

use crate::embedded::failure::Failure;
use crate::embedded::read::existing;
use crate::embedded::schema::{self, ANSWERED, ANSWERS, REMEMBERED};
use crate::{AppendId, ErrorKind, REMEMBERED_APPENDS};

/// How many answers of the former tables come into one row.
const CONVERTED_TOGETHER: usize = 256;

/// The answers to at least the last [`REMEMBERED_APPENDS`].
#[derive(Debug, Default)]
pub(super) struct Answers {
    versions: BTreeMap<AppendId, Vec<u64>>,
    /// The ones that are in no row yet, in their order.
    waiting: Vec<AppendId>,
    /// The others, with the number of their row; the oldest first. `None` while they are not read: a file whose answers are damaged
    /// is read like any other, and only takes no appends.
    rows: Option<VecDeque<(u64, Vec<AppendId>)>>,
}

impl Answers {
    /// Whether there is nothing to read.
    pub(super) fn is_read(&self) -> bool {
        self.rows.is_some()
    }

    /// Reads the rows, unless that was done; before anything is decided or written.
    pub(super) fn read(&mut self, from: &ReadTransaction) -> Result<(), Failure> {
        if self.is_read() {
            return Ok(());
        }
        let (mut rows, mut versions) = (VecDeque::new(), BTreeMap::new());
        for row in from.open_table(REMEMBERED)?.iter()? {
            let (number, row) = row?;
            let kept = read(row.value()).ok_or(ErrorKind::Damaged)?;
            let ids = kept.iter().map(|(id, _)| *id).collect();
            rows.push_back((number.value(), ids));
            versions.extend(kept);
        }
        self.versions.append(&mut versions);
        self.rows = Some(rows);
        Ok(())
    }

    pub(super) fn get(&self, id: &AppendId) -> Option<&Vec<u64>> {
        self.versions.get(id)
    }

    /// How many are in no row yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn insert(&mut self, id: AppendId, versions: Vec<u64>) {
        self.versions.insert(id, versions);
        self.waiting.push(id);
    }

    /// Writes a row of those that wait, and removes the rows that are too old.
    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), Failure> {
        let mut table = transaction.open_table(REMEMBERED)?;
        let waiting = self.waiting.iter();
        let row = waiting.filter_map(|id| Some((id, self.versions.get(id)?)));
        table.insert(self.next_row(), write(row).as_slice())?;
        for (number, _) in self.rows().take(self.outdated()) {
            table.remove(number)?;
        }
        Ok(())
    }

    /// What was written is durable.
    pub(super) fn settle(&mut self) {
        let (number, outdated) = (self.next_row(), self.outdated());
        let rows = self.rows.get_or_insert_default();
        for id in rows.drain(..outdated).flat_map(|(_, ids)| ids) {
            self.versions.remove(&id);
        }
        rows.push_back((number, core::mem::take(&mut self.waiting)));
    }

    fn rows(&self) -> impl Iterator<Item = &(u64, Vec<AppendId>)> {
        self.rows.iter().flatten()
    }

    fn next_row(&self) -> u64 {
        let last = self.rows.as_ref().and_then(VecDeque::back);
        last.map_or(0, |(number, _)| number.saturating_add(1))
    }

    /// How many rows are not needed once those that wait are in one.
    fn outdated(&self) -> usize {
        let mut left = self.versions.len();
        let is_outdated = |(_, ids): &&(u64, Vec<AppendId>)| {
            left = left.saturating_sub(ids.len());
            left >= REMEMBERED_APPENDS
        };
        self.rows().take_while(is_outdated).count()
    }
}

/// Puts the answers of a file that has a row for each append into rows of many.
pub(super) fn convert(database: &Database) -> Result<(), Failure> {
    let from = database.begin_read()?;
    let (Some(answers), Some(order)) = (existing(&from, ANSWERS)?, existing(&from, ANSWERED)?)
    else {
        return Ok(());
    };
    let mut all = Vec::new();
    for row in order.iter()? {
        let (_, id) = row?;
        let versions = answers.get(id.value())?.ok_or(ErrorKind::Damaged)?;
        all.push((AppendId::new(*id.value()), versions.value()));
    }
    schema::commit(database, |to| {
        let mut table = to.open_table(REMEMBERED)?;
        for (number, row) in (0..).zip(all.chunks(CONVERTED_TOGETHER)) {
            let row = write(row.iter().map(|(id, versions)| (id, versions)));
            table.insert(number, row.as_slice())?;
        }
        to.delete_table(ANSWERS)?;
        to.delete_table(ANSWERED)?;
        Ok(())
    })
}

/// A row: of each append its id, how many versions, and these.
fn write<'a>(answers: impl Iterator<Item = (&'a AppendId, &'a Vec<u64>)>) -> Vec<u8> {
    let mut row = Vec::new();
    for (id, versions) in answers {
        row.extend(id.as_bytes());
        // An append has fewer streams by far.
        row.put_u32_le(u32::try_from(versions.len()).unwrap_or(u32::MAX));
        versions.iter().for_each(|version| row.put_u64_le(*version));
    }
    row
}

/// What [`write()`] wrote; `None` when it is anything else.
fn read(mut row: &[u8]) -> Option<Vec<(AppendId, Vec<u64>)>> {
    let mut answers = Vec::new();
    while let Some((id, rest)) = row.split_first_chunk() {
        row = rest;
        let count = row.try_get_u32_le().ok()?;
        let versions = (0..count).map(|_| row.try_get_u64_le().ok());
        answers.push((AppendId::new(*id), versions.collect::<Option<_>>()?));
    }
    row.is_empty().then_some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written_and_no_other() {
        let answers = [
            (AppendId::new([1; 16]), vec![1, u64::MAX]),
            (AppendId::new([2; 16]), Vec::new()),
            (AppendId::new([3; 16]), vec![7]),
        ];
        let row = write(answers.iter().map(|(id, versions)| (id, versions)));
        assert_eq!(read(&row).unwrap(), answers);
        assert_eq!(read(&[]).unwrap(), []);
        let whole = [0, 36, 56, row.len()];
        for length in (0..row.len()).filter(|length| !whole.contains(length)) {
            assert!(read(&row[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn rows_are_dropped_when_the_ones_behind_them_are_enough() {
        let mut answers = Answers::default();
        let mut number = 0_u128;
        for round in 0..40 {
            for _ in 0..1000 {
                number += 1;
                answers.insert(AppendId::new(number.to_be_bytes()), vec![round]);
            }
            answers.settle();
            let oldest = number.saturating_sub(REMEMBERED_APPENDS as u128 - 1).max(1);
            for id in [oldest, number] {
                assert!(answers.get(&AppendId::new(id.to_be_bytes())).is_some());
            }
            assert!(answers.versions.len() < REMEMBERED_APPENDS + 1000);
        }
        assert_eq!(answers.rows().count(), 17);
        assert_eq!(answers.rows().last().unwrap().0, 39);
    }
}
