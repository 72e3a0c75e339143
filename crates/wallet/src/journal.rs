//! The journal of payments: what was decided, signed and sent, written before each step, durable when a call returns.
//!
//! One process owns it, by a file lock. It stores and finds; what the next step is, `money` decides.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use surge_protocol::{Address, Amount, B256};
use thiserror::Error;

use crate::payment::{Kind, Payment, State};
use crate::tx::{Call, SignedTx};

/// Each entry brings the journal from the version of its index to the next.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE payments (
        id           INTEGER PRIMARY KEY,
        chain_id     INTEGER NOT NULL,
        account      BLOB NOT NULL,
        kind         TEXT NOT NULL,
        recipient    BLOB NOT NULL,
        amount       TEXT NOT NULL,
        epoch        INTEGER,
        contract     BLOB NOT NULL,
        data         BLOB NOT NULL,
        state        TEXT NOT NULL,
        nonce        INTEGER,
        tx           BLOB,
        raw          BLOB,
        block        INTEGER,
        block_hash   BLOB,
        problem      TEXT,
        created_at   INTEGER NOT NULL,
        updated_at   INTEGER NOT NULL,
        acknowledged INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    -- One payment of an account at a time: the database itself refuses a second.
    CREATE UNIQUE INDEX one_open_payment ON payments (chain_id, account)
        WHERE state IN ('draft', 'signed', 'submitted', 'mined');
"];

/// Why the journal can't be used. Without it nothing is signed.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("another process is using the wallet in {}. Close it, then try again.", .0.display())]
    Busy(PathBuf),
    #[error("the wallet's journal {} was written by a newer version of this program (format {version}). Update, then try again.", path.display())]
    Newer { path: PathBuf, version: i64 },
    #[error("cannot use the wallet's journal {}: {source}. Nothing was sent.", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error(
        "cannot use the wallet's journal: {0}. Nothing new was sent; free some disk space or check the disk, then try again."
    )]
    Database(#[from] rusqlite::Error),
}

impl JournalError {
    /// A stable word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy(_) => "journal_busy",
            Self::Newer { .. } => "journal_newer",
            Self::Io { .. } | Self::Database(_) => "journal_io",
        }
    }
}

/// The journal of one wallet folder, seen by one account on one chain.
#[derive(Debug)]
pub struct Journal {
    database: Mutex<Connection>,
    /// SQLite's integers are signed; large ids keep their bits.
    chain_id: i64,
    account: Address,
    _owner: File,
}

/// A payment that is decided on.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) to: Address,
    pub(crate) amount: Amount,
    pub(crate) epoch: Option<u64>,
    pub(crate) call: Call,
}

impl Journal {
    /// Opens or creates `journal.sqlite` in `folder`.
    ///
    /// # Errors
    /// `Busy` while another process has it open.
    pub fn open(folder: &Path, chain_id: u64, account: Address) -> Result<Self, JournalError> {
        let path = folder.join("journal.sqlite");
        let io = |source| JournalError::Io { path: path.clone(), source };
        crate::vault::make_private_folder(folder).map_err(io)?;
        let lock_path = folder.join("journal.lock");
        let owner = OpenOptions::new().create(true).write(true).truncate(false).open(lock_path).map_err(io)?;
        owner.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::Busy(folder.to_owned()),
            TryLockError::Error(source) => io(source),
        })?;
        let database = Connection::open(&path)?;
        database.busy_timeout(Duration::from_secs(5))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        // A commit is on the disk when it returns: what follows it may be a payment.
        database.pragma_update(None, "synchronous", "FULL")?;
        migrate(&database, &path)?;
        Ok(Self { database: Mutex::new(database), chain_id: chain_id.cast_signed(), account, _owner: owner })
    }

    /// Every payment of the account, newest first.
    ///
    /// # Errors
    /// `Database`.
    pub fn payments(&self) -> Result<Vec<Payment>, JournalError> {
        self.select("1 ORDER BY id DESC", [])
    }

    /// The payment that is not over, if there is one.
    pub(crate) fn open_payment(&self) -> Result<Option<Payment>, JournalError> {
        Ok(self.select("state IN ('draft', 'signed', 'submitted', 'mined')", [])?.pop())
    }

    /// The newest payment with this call whose end nobody was told.
    pub(crate) fn unacknowledged(&self, call: &Call) -> Result<Option<Payment>, JournalError> {
        let found = self.select("acknowledged = 0 AND data = ?3 ORDER BY id", [call.data.as_ref()])?;
        Ok(found.into_iter().rev().find(|payment| Some(&payment.contract) == call.to.to()))
    }

    /// The highest nonce that a transaction of the account was ever signed with.
    pub(crate) fn highest_nonce(&self) -> Result<Option<u64>, JournalError> {
        let sql = "SELECT max(nonce) FROM payments WHERE chain_id = ?1 AND account = ?2";
        let query = params![self.chain_id, self.account.as_slice()];
        let highest = self.with(|database| database.query_row(sql, query, |row| row.get::<_, Option<i64>>(0)))?;
        Ok(highest.map(i64::cast_unsigned))
    }

    pub(crate) fn draft(&self, draft: &Draft) -> Result<Payment, JournalError> {
        let now = now();
        let contract = draft.call.to.to().copied().unwrap_or_default();
        let id = self.with(|database| {
            database.execute(
                "INSERT INTO payments (chain_id, account, kind, recipient, amount, epoch, contract, data, state,
                    created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'draft', ?9, ?9)",
                params![
                    self.chain_id,
                    self.account.as_slice(),
                    draft.kind.name(),
                    draft.to.as_slice(),
                    draft.amount.0.to_string(),
                    draft.epoch.map(u64::cast_signed),
                    contract.as_slice(),
                    draft.call.data.as_ref(),
                    now
                ],
            )?;
            Ok(database.last_insert_rowid())
        })?;
        self.payment(id)
    }

    pub(crate) fn signed(&self, id: i64, nonce: u64, tx: &SignedTx) -> Result<Payment, JournalError> {
        self.update(
            id,
            "state = 'signed', nonce = ?3, tx = ?4, raw = ?5",
            params![id, now(), nonce.cast_signed(), tx.hash.as_slice(), tx.raw.as_ref()],
        )
    }

    pub(crate) fn submitted(&self, id: i64) -> Result<Payment, JournalError> {
        self.update(id, "state = 'submitted', block = NULL, block_hash = NULL", params![id, now()])
    }

    pub(crate) fn mined(&self, id: i64, block: u64, block_hash: B256) -> Result<Payment, JournalError> {
        self.update(
            id,
            "state = 'mined', block = ?3, block_hash = ?4",
            params![id, now(), block.cast_signed(), block_hash.as_slice()],
        )
    }

    /// Ends a payment in one of the closed states.
    pub(crate) fn end(&self, id: i64, state: State, problem: Option<&str>) -> Result<Payment, JournalError> {
        self.update(id, "state = ?3, problem = ?4", params![id, now(), state.name(), problem])
    }

    /// Notes that the end of a payment was reported.
    pub(crate) fn acknowledge(&self, id: i64) -> Result<Payment, JournalError> {
        self.update(id, "acknowledged = 1", params![id, now()])
    }

    fn update(&self, id: i64, set: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Payment, JournalError> {
        let sql = format!("UPDATE payments SET {set}, updated_at = ?2 WHERE id = ?1");
        self.with(|database| database.execute(&sql, values))?;
        self.payment(id)
    }

    fn payment(&self, id: i64) -> Result<Payment, JournalError> {
        let row =
            self.with(|database| database.query_row("SELECT * FROM payments WHERE id = ?1", [id], read).optional())?;
        row.ok_or(JournalError::Database(rusqlite::Error::QueryReturnedNoRows))
    }

    fn select<const N: usize>(&self, condition: &str, extra: [&[u8]; N]) -> Result<Vec<Payment>, JournalError> {
        let sql = format!("SELECT * FROM payments WHERE chain_id = ?1 AND account = ?2 AND {condition}");
        let account = self.account.as_slice();
        Ok(self.with(|database| {
            let mut values: Vec<&dyn rusqlite::ToSql> = vec![&self.chain_id, &account];
            values.extend(extra.iter().map(|value| value as &dyn rusqlite::ToSql));
            database.prepare(&sql)?.query_map(values.as_slice(), read)?.collect()
        })?)
    }

    fn with<T>(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        // A panic elsewhere cannot leave a connection half used: SQLite's own transactions guard it.
        act(&self.database.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn migrate(database: &Connection, path: &Path) -> Result<(), JournalError> {
    let version: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).ok().filter(|done| *done <= MIGRATIONS.len());
    let done = done.ok_or_else(|| JournalError::Newer { path: path.to_owned(), version })?;
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let next = index + 1;
        database.execute_batch(&format!("BEGIN; {migration} PRAGMA user_version = {next}; COMMIT;"))?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Payment> {
    Ok(Payment {
        id: row.get("id")?,
        kind: word(row, "kind")?,
        account: address(row, "account")?,
        to: address(row, "recipient")?,
        amount: row.get::<_, String>("amount")?.parse().map(Amount).map_err(|_| wrong("amount"))?,
        epoch: unsigned(row, "epoch")?,
        state: word(row, "state")?,
        tx: optional(row, "tx")?,
        nonce: unsigned(row, "nonce")?,
        block: unsigned(row, "block")?,
        problem: row.get("problem")?,
        created_at: row.get::<_, i64>("created_at")?.cast_unsigned(),
        updated_at: row.get::<_, i64>("updated_at")?.cast_unsigned(),
        acknowledged: row.get("acknowledged")?,
        contract: address(row, "contract")?,
        data: Bytes::from(row.get::<_, Vec<u8>>("data")?),
        raw: row.get::<_, Option<Vec<u8>>>("raw")?.map(Bytes::from),
        block_hash: optional(row, "block_hash")?,
    })
}

/// The state and the kind are stored by the names that JSON has for them.
fn word<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &'static str) -> rusqlite::Result<T> {
    serde_json::from_value(row.get::<_, String>(column)?.into()).map_err(|_| wrong(column))
}

fn address(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Address> {
    Address::try_from(row.get::<_, Vec<u8>>(column)?.as_slice()).map_err(|_| wrong(column))
}

fn optional(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Option<B256>> {
    let bytes = row.get::<_, Option<Vec<u8>>>(column)?;
    bytes.map(|bytes| B256::try_from(bytes.as_slice()).map_err(|_| wrong(column))).transpose()
}

fn unsigned(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}

fn wrong(column: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, format!("the column {column} is malformed").into())
}

/// Unix seconds; rows carry them for people, nothing is decided by them.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}
