//! What the engine must not forget: finished results until they are delivered, the leases that run, the owner's intent,
//! the day's start.
//!
//! SQLite in WAL mode, synced at every commit: a result that is in here survives `kill -9` and power loss. A database
//! that is damaged is moved aside, and what can be read of it is taken over.

mod leases;
mod salvage;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use surge_protocol::api::SignedResult;
use surge_protocol::epoch::ResultBody;
use surge_protocol::{Amount, Digest};
use thiserror::Error;

use crate::clock::unix_now;
use crate::wish::Wish;

pub(crate) use leases::Recorded;

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
];
/// How long a writer waits for another.
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// How long what was delivered is remembered, seconds. The coordinator has its receipt.
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

/// A finished result that waits for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub signed: SignedResult,
    /// The output's blob in the cache.
    pub output: Digest,
}

#[derive(Debug)]
pub(crate) struct Store {
    db: Mutex<Connection>,
    /// What every snapshot asks for, with the count of all changes when it was read: it was true until the next.
    counted: Mutex<Option<(u64, u32)>>,
    /// The day, and what was credited at its start.
    day: Mutex<Option<(String, Amount)>>,
}

impl Store {
    /// Opens the database, creating, migrating or mending it.
    ///
    /// # Errors
    /// When it can't be opened, or a newer version wrote it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let store = match Self::open_sound(path) {
            Err(error) if error.damaged() => {
                tracing::error!(%error, path = %path.display(), "The engine's database is damaged");
                salvage::mend(path, unix_now())?
            }
            opened => opened?,
        };
        let old = unix_now().saturating_sub(REMEMBER).cast_signed();
        store.db().execute("DELETE FROM results WHERE state = 'delivered' AND finished_at < ?", [old])?;
        Ok(store)
    }

    fn open_sound(path: &Path) -> Result<Self, StoreError> {
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
        Ok(Self { db: Mutex::new(db), counted: Mutex::default(), day: Mutex::default() })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a finished result until it is delivered; its lease need not be gone on with any more.
    ///
    /// # Errors
    /// The database's, a full disk among them.
    pub(crate) fn finish(&self, signed: &SignedResult, finished_at: u64) -> Result<(), StoreError> {
        let ResultBody { lease, output, .. } = &signed.result;
        let text = serde_json::to_string(signed).map_err(|error| StoreError::Content(error.to_string()))?;
        let mut db = self.db();
        let both = db.transaction()?;
        both.execute(
            "INSERT OR IGNORE INTO results (lease, signed, output, finished_at, state) VALUES (?, ?, ?, ?, 'waiting')",
            params![lease.to_string(), text, output.to_string(), finished_at.cast_signed()],
        )?;
        both.execute("DELETE FROM leases WHERE lease = ?", [lease.to_string()])?;
        Ok(both.commit()?)
    }

    /// Results that wait for delivery, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let db = self.db();
        let mut query =
            db.prepare_cached("SELECT signed FROM results WHERE state = 'waiting' ORDER BY finished_at, lease")?;
        let texts = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        // A row that another version wrote does not keep the others from being delivered.
        let read = |text: &String| match serde_json::from_str::<SignedResult>(text) {
            Ok(signed) => Some(Waiting { output: signed.result.output, signed }),
            Err(error) => {
                tracing::warn!(%error, "A result that waits for delivery can't be read");
                None
            }
        };
        Ok(texts.iter().filter_map(read).collect())
    }

    /// The result of `lease`, if it waits for delivery.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn waiting_for(&self, lease: Digest) -> Result<Option<Waiting>, StoreError> {
        let db = self.db();
        let mut query = db.prepare_cached("SELECT signed FROM results WHERE state = 'waiting' AND lease = ?")?;
        let text: Option<String> = query.query_row([lease.to_string()], |row| row.get(0)).optional()?;
        let Some(text) = text else { return Ok(None) };
        let signed: SignedResult =
            serde_json::from_str(&text).map_err(|error| StoreError::Content(error.to_string()))?;
        Ok(Some(Waiting { output: signed.result.output, signed }))
    }

    /// How many results wait for delivery.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn count_waiting(&self) -> Result<u32, StoreError> {
        let sql = "SELECT count(*) FROM results WHERE state = 'waiting'";
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever holds the database waits for the disk. The engine's loop must not: it hears of the owner.
        let Ok(db) = self.db.try_lock() else { return Ok(counted.map_or(0, |(_, count)| count)) };
        // Nobody else writes results.
        let changes = db.total_changes();
        if let Some((_, count)) = counted.filter(|(as_of, _)| *as_of == changes) {
            return Ok(count);
        }
        let count = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        *counted = Some((changes, count));
        Ok(count)
    }

    /// Whether a result with this output waits for delivery.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn output_waits(&self, output: Digest) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM results WHERE state = 'waiting' AND output = ?)";
        Ok(self.db().query_row(sql, [output.to_string()], |row| row.get(0))?)
    }

    /// Marks a result as delivered.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn delivered(&self, lease: Digest) -> Result<(), StoreError> {
        self.close(lease, "delivered", "")
    }

    /// Marks a result that the coordinator will never take, with its reason. It is kept, for the owner to see.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn refused(&self, lease: Digest, reason: &str) -> Result<(), StoreError> {
        self.close(lease, "refused", reason)
    }

    fn close(&self, lease: Digest, state: &str, note: &str) -> Result<(), StoreError> {
        let sql = "UPDATE results SET state = ?, note = ? WHERE lease = ?";
        self.db().execute(sql, params![state, note, lease.to_string()])?;
        Ok(())
    }

    /// What the owner wants, [`Wish::Run`] before there was anything.
    ///
    /// # Errors
    /// The database's; `Content` when what it holds is no wish.
    pub(crate) fn wish(&self) -> Result<Wish, StoreError> {
        let Some(text) = self.fact("wish")? else { return Ok(Wish::Run) };
        serde_json::from_str(&text).map_err(|error| StoreError::Content(format!("wish = {text}: {error}")))
    }

    /// Remembers what the owner wants.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn set_wish(&self, wish: Wish) -> Result<(), StoreError> {
        let text = serde_json::to_string(&wish).map_err(|error| StoreError::Content(error.to_string()))?;
        self.set_fact("wish", &text)
    }

    /// What was credited on `day` (any name of a day) as of now, when `credited` is all that was ever credited.
    /// The first call of a day fixes where the day began.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn credited_today(&self, day: &str, credited: Amount) -> Result<Amount, StoreError> {
        let mut known = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, start)) = known.as_ref().filter(|(known, _)| known == day) {
            return Ok(credited.checked_sub(*start).unwrap_or_default());
        }
        let kept = self.fact("day")?.and_then(|fact| {
            let (known, base) = fact.split_once(' ')?;
            (known == day).then(|| base.parse().ok().map(Amount))?
        });
        let start = match kept {
            Some(start) => start,
            None => {
                // Known from here on, also where it can't be stored: it is not tried again every second.
                *known = Some((day.to_owned(), credited));
                self.set_fact("day", &format!("{day} {}", credited.0))?;
                credited
            }
        };
        *known = Some((day.to_owned(), start));
        Ok(credited.checked_sub(start).unwrap_or_default())
    }

    fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        let db = self.db();
        let value = db.query_row("SELECT value FROM facts WHERE name = ?", [name], |row| row.get(0)).optional()?;
        Ok(value)
    }

    /// Notes what the owner should know once.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn notice(&self, at: u64, text: &str) -> Result<(), StoreError> {
        self.db().execute("INSERT INTO notices (at, text) VALUES (?, ?)", params![at.cast_signed(), text])?;
        Ok(())
    }

    fn set_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.db().execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", [name, value])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wish::Pause;
    use surge_protocol::sign::Signed;
    use surge_protocol::{Code, Outcome};

    pub(super) fn result(n: u8) -> SignedResult {
        let digest = Digest([n; 32]);
        let result = ResultBody {
            lease: digest,
            task: digest,
            outcome: Outcome::Done,
            code: Code::Status(0),
            digest,
            output: digest,
            runtime_class: "test".into(),
            fuel: 0,
            cpu_ms: 5,
            resumed: false,
        };
        SignedResult { result, signature: Signed([n; 65]) }
    }

    #[test]
    fn results_wait_across_a_restart_until_they_are_delivered_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        let store = Store::open(&path).unwrap();
        for n in 1..=3 {
            store.finish(&result(n), u64::from(n)).unwrap();
            store.finish(&result(n), 9).unwrap();
        }
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(
            store.waiting().unwrap().iter().map(|w| w.signed.clone()).collect::<Vec<_>>(),
            [result(1), result(2), result(3)]
        );
        store.delivered(Digest([1; 32])).unwrap();
        store.refused(Digest([3; 32]), "lease_unknown").unwrap();
        assert_eq!(store.waiting().unwrap().len(), 1);
    }

    #[test]
    fn what_the_owner_wants_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        assert_eq!(Store::open(&path).unwrap().wish().unwrap(), Wish::Run);
        for wish in [Wish::Finish, Wish::Pause(Pause::Open), Wish::Pause(Pause::Until(77)), Wish::Run] {
            Store::open(&path).unwrap().set_wish(wish).unwrap();
            assert_eq!(Store::open(&path).unwrap().wish().unwrap(), wish);
        }
    }

    #[test]
    fn today_counts_from_the_days_first_look() {
        let store = Store::open(Path::new(":memory:")).unwrap();
        assert_eq!(store.credited_today("2026-11-22", Amount(5)).unwrap(), Amount(0));
        assert_eq!(store.credited_today("2026-11-22", Amount(8)).unwrap(), Amount(3));
        assert_eq!(store.credited_today("2026-11-23", Amount(9)).unwrap(), Amount(0));
    }

    #[test]
    fn a_newer_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        drop(Store::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::Newer(99))));
    }
}
