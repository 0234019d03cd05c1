use redb::{
    Database, Key, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, Value, WriteTransaction,
};

use crate::UpgradeProgress;
use crate::embedded::failure::Failure;
use crate::embedded::read;
use crate::embedded::schema::{
    self, ANSWERED, ANSWERS, CHANGES, DUE, MARK, REMEMBERED, SNAPSHOTS, STREAMS,
};

/// How many rows are copied between two reports.
const REPORT_EVERY: u64 = 65_536;

/// Copies all tables as `from` sees them into an empty database, durably.
pub(super) fn copy(
    from: &ReadTransaction,
    to: &Database,
    progress: &mut dyn FnMut(UpgradeProgress),
) -> Result<(), Failure> {
    schema::commit(to, |to| {
        let mut copying = Copying {
            from,
            to,
            report: UpgradeProgress { rows: 0, of: 0 },
            progress,
        };
        copying.expect(STREAMS)?;
        copying.expect(CHANGES)?;
        copying.expect(SNAPSHOTS)?;
        copying.expect(DUE)?;
        copying.expect(REMEMBERED)?;
        copying.expect(ANSWERS)?;
        copying.expect(ANSWERED)?;
        copying.table(STREAMS)?;
        copying.table(CHANGES)?;
        copying.table(SNAPSHOTS)?;
        copying.table(DUE)?;
        copying.table(REMEMBERED)?;
        copying.table(ANSWERS)?;
        copying.table(ANSWERED)?;
        to.open_table(REMEMBERED)?;
        // The copy's log is empty, and its mark the first.
        to.open_table(MARK)?;
        Ok(())
    })
}

struct Copying<'c> {
    from: &'c ReadTransaction,
    to: &'c WriteTransaction,
    report: UpgradeProgress,
    progress: &'c mut dyn FnMut(UpgradeProgress),
}

impl Copying<'_> {
    fn expect<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<(), Failure> {
        if let Some(table) = read::existing(self.from, table)? {
            self.report.of = self.report.of.saturating_add(table.len()?);
        }
        Ok(())
    }

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<(), Failure> {
        let Some(from) = read::existing(self.from, table)? else {
            return Ok(());
        };
        let mut to = self.to.open_table(table)?;
        for row in from.iter()? {
            let (key, value) = row?;
            to.insert(key.value(), value.value())?;
            self.report.rows = self.report.rows.saturating_add(1);
            if self.report.rows.is_multiple_of(REPORT_EVERY) || self.report.rows == self.report.of {
                (self.progress)(self.report);
            }
        }
        Ok(())
    }
}
