//! Finished results, until the coordinator has them.

use std::sync::PoisonError;

use rusqlite::{OptionalExtension, params};
use surge_protocol::Digest;
use surge_protocol::api::SignedResult;
use surge_protocol::epoch::ResultBody;

use super::set_aside::Aside;
use super::{Store, StoreError};

/// A finished result that waits for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub signed: SignedResult,
    /// The output's blob in the cache.
    pub output: Digest,
}

impl Store {
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

    /// Results that wait for delivery, oldest first. Those that another version wrote and this one can't read are set
    /// aside, and the owner is told once.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let mut waiting = Vec::new();
        let mut broken = Vec::new();
        for (lease, text) in self.waiting_rows()? {
            match read_result(&text) {
                Ok(result) => waiting.push(result),
                Err(error) => {
                    tracing::warn!(%error, lease, "A result that waits for delivery can't be read");
                    broken.push(Aside { kind: "result", lease, body: text, deadline: 0 });
                }
            }
        }
        self.set_aside(&broken)?;
        Ok(waiting)
    }

    fn waiting_rows(&self) -> Result<Vec<(String, String)>, StoreError> {
        let db = self.db();
        let mut query =
            db.prepare_cached("SELECT lease, signed FROM results WHERE state = 'waiting' ORDER BY finished_at, lease")?;
        Ok(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    }

    /// The result of `lease`, if it waits for delivery.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn waiting_for(&self, lease: Digest) -> Result<Option<Waiting>, StoreError> {
        let db = self.db();
        let mut query = db.prepare_cached("SELECT signed FROM results WHERE state = 'waiting' AND lease = ?")?;
        let text: Option<String> = query.query_row([lease.to_string()], |row| row.get(0)).optional()?;
        text.map(|text| read_result(&text)).transpose()
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
}

fn read_result(text: &str) -> Result<Waiting, StoreError> {
    let signed: SignedResult = serde_json::from_str(text).map_err(|error| StoreError::Content(error.to_string()))?;
    Ok(Waiting { output: signed.result.output, signed })
}
