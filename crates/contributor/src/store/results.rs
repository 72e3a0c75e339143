//! Finished results, until the coordinator has them.

use std::sync::PoisonError;

use rusqlite::{OptionalExtension, Row, params};
use surge_protocol::Digest;
use surge_protocol::api::SignedResult;
use surge_protocol::epoch::ResultBody;

use super::set_aside::Aside;
use super::{NetworkId, NetworkStore, Store, StoreError};

/// A finished result that waits for delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub signed: SignedResult,
    /// The output's blob in the cache.
    pub output: Digest,
}

/// How many finished results wait for one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undelivered {
    pub(crate) network: NetworkId,
    /// Its name when it was attached last; empty where that is not known.
    pub(crate) name: String,
    pub(crate) results: u32,
}

impl NetworkStore {
    /// Keeps a finished result until it is delivered; its lease need not be gone on with any more.
    ///
    /// # Errors
    /// The database's, a full disk among them.
    pub(crate) fn finish(&self, signed: &SignedResult, finished_at: u64) -> Result<(), StoreError> {
        self.home.keep(&self.id.0, signed, finished_at)
    }

    /// Results that wait for delivery to this network, oldest first. Those that another version wrote and this one can't
    /// read are set aside, and the owner is told once.
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
        let db = self.home.db();
        let mut query = db.prepare_cached(
            "SELECT lease, signed FROM results WHERE state = 'waiting' AND network = ? ORDER BY finished_at, lease",
        )?;
        Ok(query.query_map([&self.id.0], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    }

    /// The result of `lease`, if it waits for delivery to this network.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn waiting_for(&self, lease: Digest) -> Result<Option<Waiting>, StoreError> {
        let db = self.home.db();
        let sql = "SELECT signed FROM results WHERE state = 'waiting' AND lease = ? AND network = ?";
        let mut query = db.prepare_cached(sql)?;
        let text: Option<String> = query.query_row([&lease.to_string(), &self.id.0], |row| row.get(0)).optional()?;
        text.map(|text| read_result(&text)).transpose()
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
        let sql = "UPDATE results SET state = ?, note = ? WHERE lease = ? AND network = ?";
        self.home.db().execute(sql, params![state, note, lease.to_string(), self.id.0])?;
        Ok(())
    }
}

impl Store {
    /// Keeps a finished result for `network`, with the end of its lease.
    ///
    /// # Errors
    /// The database's, a full disk among them.
    pub(super) fn keep(&self, network: &str, signed: &SignedResult, finished_at: u64) -> Result<(), StoreError> {
        let ResultBody { lease, output, .. } = &signed.result;
        let text = serde_json::to_string(signed).map_err(|error| StoreError::Content(error.to_string()))?;
        let mut db = self.db();
        let both = db.transaction()?;
        both.execute(
            "INSERT OR IGNORE INTO results (lease, network, signed, output, finished_at, state)
             VALUES (?, ?, ?, ?, ?, 'waiting')",
            params![lease.to_string(), network, text, output.to_string(), finished_at.cast_signed()],
        )?;
        both.execute("DELETE FROM leases WHERE lease = ?", [lease.to_string()])?;
        Ok(both.commit()?)
    }

    /// How many results wait for delivery, network by network: for those that nothing waits for, nothing.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn count_waiting(&self) -> Result<Vec<Undelivered>, StoreError> {
        let sql = "SELECT network, coalesce(name, ''), count(*) FROM results LEFT JOIN networks ON id = network
            WHERE state = 'waiting' GROUP BY network ORDER BY network";
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever holds the database waits for the disk. The engine's loop must not: it hears of the owner.
        let Ok(db) = self.db.try_lock() else { return Ok(counted.clone().map_or_else(Vec::new, |(_, counts)| counts)) };
        // Nobody else writes results.
        let changes = db.total_changes();
        if let Some((_, counts)) = counted.as_ref().filter(|(as_of, _)| *as_of == changes) {
            return Ok(counts.clone());
        }
        let count = |row: &Row<'_>| {
            Ok(Undelivered { network: NetworkId(row.get(0)?), name: row.get(1)?, results: row.get(2)? })
        };
        let counts = db.prepare_cached(sql)?.query_map([], count)?.collect::<Result<Vec<_>, _>>()?;
        *counted = Some((changes, counts.clone()));
        Ok(counts)
    }

    /// Whether a result with this output waits for delivery to any network.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn output_waits(&self, output: Digest) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM results WHERE state = 'waiting' AND output = ?)";
        Ok(self.db().query_row(sql, [output.to_string()], |row| row.get(0))?)
    }
}

pub(super) fn read_result(text: &str) -> Result<Waiting, StoreError> {
    let signed: SignedResult = serde_json::from_str(text).map_err(|error| StoreError::Content(error.to_string()))?;
    Ok(Waiting { output: signed.result.output, signed })
}
