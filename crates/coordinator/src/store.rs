//! What must survive: nodes, jobs, results, verdicts, the ledger and epochs, in one SQLite file.
//!
//! This is the seam behind which another engine can take SQLite's place: nothing outside this folder speaks SQL, and
//! everything inside it is one of the coordinator's acts, done whole or not at all. What a method returned `Ok` for is
//! on disk. Deliberately absent: caches and hot state (see `board`), and clocks: callers pass the time.

mod books;
mod codec;
mod epochs;
mod jobs;
mod leases;
mod rebuild;
mod results;
mod schema;
mod verdicts;
mod views;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use surge_protocol::network::Network;
use surge_protocol::sign::Key;

use crate::error::{Code, Error, Result, disk_full};

pub use epochs::{EpochRow, EpochState};
pub use jobs::Submission;
pub use leases::{Binding, Held, OpenLease, Opened, Returned};
pub use rebuild::{LoadedLease, LoadedTask, LoadedVote, Recovered};
pub use results::{Delivered, Delivery};
pub use verdicts::{Fault, Verdict};

/// What a verdict needs to know of the network, and the key that signs receipts.
#[derive(Debug)]
pub struct Terms {
    pub network: Network,
    pub key: Key,
}

/// The store. Cheap to clone; the last clone dropped ends its writer.
#[derive(Debug, Clone)]
pub struct Store {
    writer: writer::Writer,
    readers: Arc<Readers>,
    terms: Arc<Terms>,
}

impl Store {
    /// Opens or creates the store at `path` and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is newer than this program, or belongs to another network.
    pub fn open(path: &Path, terms: Arc<Terms>) -> Result<Self> {
        let db = Connection::open(path).map_err(|error| failed(&error))?;
        configure(&db)?;
        schema::migrate(&db)?;
        schema::identify(&db, terms.network.chain_id, terms.network.settlement)?;
        let writer = writer::Writer::start(db)?;
        let readers = Arc::new(Readers { path: path.to_owned(), idle: Mutex::default() });
        Ok(Self { writer, readers, terms })
    }

    /// Runs `act` in the write transaction; `Ok` means that it is on disk.
    async fn write<T, F>(&self, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.writer.run(act).await
    }

    /// Runs `query` on a connection that sees what is committed.
    async fn read<T, F>(&self, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let readers = self.readers.clone();
        let task = tokio::task::spawn_blocking(move || {
            let db = readers.take()?;
            // One transaction, so that all that a query reads is of one moment.
            db.execute_batch("BEGIN")?;
            let result = query(&db);
            db.execute_batch("ROLLBACK")?;
            readers.give_back(db);
            result
        });
        task.await.unwrap_or_else(|_| Err(Error::new(Code::StorageFailed, "the store's reader stopped: try again")))
    }
}

fn configure(db: &Connection) -> Result<()> {
    // FULL: in WAL mode a commit that returned survives a power cut, not only a crash of this process.
    let pragmas =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;";
    db.execute_batch(pragmas).map_err(|error| failed(&error))
}

/// Read-only connections that nobody uses at the moment.
#[derive(Debug)]
struct Readers {
    path: std::path::PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    const KEPT: usize = 8;

    fn take(&self) -> Result<Connection> {
        if let Some(db) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(db);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags).map_err(|error| failed(&error))?;
        db.execute_batch("PRAGMA busy_timeout = 5000;").map_err(|error| failed(&error))?;
        Ok(db)
    }

    fn give_back(&self, db: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < Self::KEPT {
            idle.push(db);
        }
    }
}

/// SQLite's error as the caller sees it; its detail goes to the log.
fn failed(error: &rusqlite::Error) -> Error {
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
        tracing::error!("The disk that holds the store is full");
        return disk_full();
    }
    tracing::error!(%error, "The store failed");
    Error::new(Code::StorageFailed, "the coordinator could not use its store, so nothing was changed: try again")
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        failed(&error)
    }
}

/// A row that this program cannot have written.
fn corrupt(what: impl std::fmt::Display) -> Error {
    tracing::error!(%what, "The store holds what it must not hold");
    Error::new(Code::StorageFailed, format!("the coordinator's store is damaged ({what}): tell its operator"))
}

#[cfg(test)]
mod tests;
