//! Numbered migrations, forward only, each in a transaction of its own.

use rusqlite::{Connection, OptionalExtension, params};
use surge_protocol::Address;

use super::codec::{address, id};
use crate::error::{Code, Error, Result};

/// In order; a published migration never changes.
const MIGRATIONS: &[&str] =
    &[include_str!("../../migrations/0001_start.sql"), include_str!("../../migrations/0002_resumed.sql")];

pub(super) fn migrate(db: &Connection) -> Result<()> {
    let done: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = done as usize;
    if done > MIGRATIONS.len() {
        let message =
            format!("the store is at schema {done}, this program knows {}: use a newer program", MIGRATIONS.len());
        return Err(Error::new(Code::StorageFailed, message));
    }
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        db.execute_batch(&format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {}; COMMIT;", number + 1))?;
    }
    Ok(())
}

/// Claims a new store for a network, and refuses one that belongs to another.
pub(super) fn identify(db: &Connection, chain_id: u64, settlement: Address) -> Result<()> {
    let known = db
        .query_row("SELECT chain_id, settlement FROM identity", [], |row| Ok((id(row, 0)?, address(row, 1)?)))
        .optional()?;
    match known {
        Some(known) if known == (chain_id, settlement) => Ok(()),
        Some((chain, contract)) => Err(Error::new(
            Code::StorageFailed,
            format!(
                "the store in this home belongs to the network of {contract} on chain {chain}, the manifest names \
                 {settlement} on chain {chain_id}: use another home for another network"
            ),
        )),
        None => {
            db.execute("INSERT INTO identity VALUES (?, ?)", params![chain_id.cast_signed(), settlement.as_slice()])?;
            Ok(())
        }
    }
}
