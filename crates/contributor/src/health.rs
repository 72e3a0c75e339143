//! Whether the engine's database is sound, and how much is in it: looked at from outside, without changing it.
//!
//! Deliberately absent: mending. That is the engine's, at its start.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use crate::store::StoreError;

/// Who only looks does not wait long for an engine that writes.
const BUSY: Duration = Duration::from_secs(1);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// `ok`, or what SQLite found wrong.
    pub integrity: Vec<String>,
    /// Migrations that were done.
    pub version: u32,
    /// Rows, by table or state.
    pub counts: Vec<(&'static str, u64)>,
}

/// A connection that can't change the database at `path`.
///
/// # Errors
/// When it can't be opened.
pub(crate) fn looking(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(BUSY)?;
    Ok(db)
}

/// Looks at the database at `path`; `None` when there is none.
///
/// # Errors
/// When there is one that can't be read.
pub fn health(path: &Path) -> Result<Option<Health>, StoreError> {
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let db = looking(path)?;
    let mut check = db.prepare("PRAGMA integrity_check(5)")?;
    let integrity = check.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    let counts = [
        ("results waiting", "SELECT count(*) FROM results WHERE state = 'waiting'"),
        ("results delivered", "SELECT count(*) FROM results WHERE state = 'delivered'"),
        ("results refused", "SELECT count(*) FROM results WHERE state = 'refused'"),
        ("leases", "SELECT count(*) FROM leases"),
        ("timeline rows", "SELECT count(*) FROM stretches"),
        ("rows set aside", "SELECT count(*) FROM set_aside"),
        ("notices", "SELECT count(*) FROM notices"),
    ];
    let counts =
        counts.into_iter().map(|(what, sql)| Ok((what, count(sql)?))).collect::<Result<_, rusqlite::Error>>()?;
    Ok(Some(Health { integrity, version: db.query_row("PRAGMA user_version", [], |row| row.get(0))?, counts }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_sound_store_is_counted_and_a_broken_or_locked_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        assert_eq!(health(&path).unwrap(), None);
        let store = Store::open(&path).unwrap();
        store.notice(5, "something happened").unwrap();
        let found = health(&path).unwrap().unwrap();
        assert_eq!(found.integrity, ["ok"]);
        assert_eq!(found.counts.last(), Some(&("notices", 1)));
        drop(store);

        let holder = Connection::open(&path).unwrap();
        holder.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM notices;").unwrap();
        assert!(health(&path).is_err());
        drop(holder);
        std::fs::write(&path, "this is no database, whatever its name says, and long enough to tell".repeat(9))
            .unwrap();
        assert!(health(&path).is_err());
    }
}
