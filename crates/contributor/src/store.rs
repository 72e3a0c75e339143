//! What the engine must not forget: finished results until they are delivered, the leases that run, the owner's intent,
//! the day's start. Leases and results belong to a network, and [`NetworkStore`] shows those of one.
//!
//! SQLite in WAL mode, synced at every commit: a result that is in here survives `kill -9` and power loss. A database
//! that is damaged is moved aside, and what can be read of it is taken over.

mod facts;
mod leases;
mod network;
mod results;
mod salvage;
mod set_aside;
#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};
use thiserror::Error;

use crate::clock::unix_now;
use crate::private;

pub(crate) use leases::{Leases, Recorded};
pub(crate) use network::{NetworkId, NetworkStore};
pub(crate) use results::{Undelivered, Waiting};

/// One numbered step each; never edited, only added to.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE results (
        lease TEXT PRIMARY KEY,
        signed TEXT NOT NULL,
        output TEXT NOT NULL,
        finished_at INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'refused')),
        note TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX results_waiting ON results (finished_at) WHERE state = 'waiting';
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
",
    "
    CREATE TABLE leases (
        lease TEXT PRIMARY KEY,
        body TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        deadline INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE timeline (
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        cpu_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX timeline_by_end ON timeline (until);
    CREATE TABLE notices (at INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
",
    "
    CREATE TABLE set_aside (
        kind TEXT NOT NULL CHECK (kind IN ('lease', 'result')),
        lease TEXT NOT NULL,
        body TEXT NOT NULL,
        deadline INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (kind, lease)
    ) STRICT;
    CREATE TABLE stretches (
        since_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        cpu_ms INTEGER NOT NULL
    ) STRICT;
    INSERT INTO stretches SELECT since * 1000, until * 1000, state, reason, cpu_ms FROM timeline ORDER BY rowid;
    DROP TABLE timeline;
    CREATE INDEX stretches_by_end ON stretches (until_ms);
",
    "
    CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
    ALTER TABLE results ADD COLUMN network TEXT NOT NULL DEFAULT '';
    ALTER TABLE leases ADD COLUMN network TEXT NOT NULL DEFAULT '';
    ALTER TABLE set_aside ADD COLUMN network TEXT NOT NULL DEFAULT '';
    DELETE FROM facts WHERE name = 'day';
",
];
/// How long a writer waits for another.
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// How long what was delivered, and what is over and can't be read, is remembered, seconds. The coordinator has its receipt.
const REMEMBER: u64 = 30 * 86_400;

#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the engine's database can't be used")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the engine's database holds something that it should not: {0}")]
    Content(String),
    #[error("the engine's database was written by a newer Surge (version {0})")]
    Newer(u32),
    #[error("the engine's database is damaged: {0}")]
    Damaged(String),
    #[error("the system refused a thread for the engine's database")]
    Thread(#[source] std::io::Error),
    #[error("the engine's database can't be opened")]
    File(#[source] std::io::Error),
    #[error("the engine's database is damaged, and could not be moved aside")]
    Aside(#[source] std::io::Error),
}

impl StoreError {
    /// Whether the disk is full.
    #[must_use]
    pub fn disk_full(&self) -> bool {
        self.is(&[ErrorCode::DiskFull])
    }

    /// Whether what is on the disk is no database, or none that can be trusted.
    fn damaged(&self) -> bool {
        matches!(self, Self::Damaged(_)) || self.is(&[ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase])
    }

    fn is(&self, codes: &[ErrorCode]) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code().is_some_and(|code| codes.contains(&code)))
    }
}

#[derive(Debug)]
pub(crate) struct Store {
    db: Mutex<Connection>,
    /// What every snapshot asks for, with the count of all changes when it was read: it was true until the next.
    counted: Mutex<Option<(u64, Vec<Undelivered>)>>,
}

impl Store {
    /// Opens the database, creating, migrating or mending it. A mending that was interrupted is finished or done again.
    ///
    /// # Errors
    /// When it can't be opened, or a newer version wrote it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        salvage::finish(path).map_err(StoreError::Aside)?;
        let store = match Self::open_sound(path) {
            Err(error) if error.damaged() => {
                tracing::error!(%error, path = %path.display(), "The engine's database is damaged");
                salvage::mend(path, unix_now())?
            }
            opened => opened?,
        };
        let old = unix_now().saturating_sub(REMEMBER).cast_signed();
        store.db().execute("DELETE FROM results WHERE state = 'delivered' AND finished_at < ?", [old])?;
        store.db().execute("DELETE FROM set_aside WHERE kind = 'lease' AND deadline < ?", [old])?;
        Ok(store)
    }

    fn open_sound(path: &Path) -> Result<Self, StoreError> {
        // The timeline in it tells when its owner is away. SQLite gives its other files the same rights.
        private::file(path).map_err(StoreError::File)?;
        let mut db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StoreError::Damaged(verdict));
        }
        let done: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if done as usize > MIGRATIONS.len() {
            return Err(StoreError::Newer(done));
        }
        for (version, sql) in (1u32..).zip(MIGRATIONS).skip(done as usize) {
            let migration = db.transaction()?;
            migration.execute_batch(sql)?;
            migration.pragma_update(None, "user_version", version)?;
            migration.commit()?;
        }
        Ok(Self { db: Mutex::new(db), counted: Mutex::default() })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the owner should know once.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn notice(&self, at: u64, text: &str) -> Result<(), StoreError> {
        self.db().execute("INSERT INTO notices (at, text) VALUES (?, ?)", params![at.cast_signed(), text])?;
        Ok(())
    }
}
