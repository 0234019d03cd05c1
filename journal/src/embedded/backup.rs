use redb::{
    Database, Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction,
};

use crate::embedded::failure::Failure;
use crate::embedded::schema::{self, ANSWERED, ANSWERS, CHANGES, DUE, META, SNAPSHOTS, STREAMS};

/// Copies all tables as `from` sees them into an empty database, durably.
pub(super) fn copy(from: &ReadTransaction, to: &Database) -> Result<(), Failure> {
    schema::commit(to, |to| {
        copy_table(from, to, META)?;
        copy_table(from, to, STREAMS)?;
        copy_table(from, to, CHANGES)?;
        copy_table(from, to, SNAPSHOTS)?;
        copy_table(from, to, DUE)?;
        copy_table(from, to, ANSWERS)?;
        copy_table(from, to, ANSWERED)
    })
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), Failure> {
    let mut to = to.open_table(table)?;
    for row in from.open_table(table)?.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}
