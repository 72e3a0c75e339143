//! The leases that this engine holds, recorded before anything is done for them, so that the next engine goes on with
//! them.

use rusqlite::params;
use surge_protocol::Digest;
use surge_protocol::api::Lease;

use super::{Store, StoreError};

/// A lease that an engine before this one held.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) lease: Lease,
    /// When it ended unless a heartbeat extended it, unix seconds by this machine's clock.
    pub(crate) expires_at: u64,
    /// When nothing is paid for its task any more, unix seconds by this machine's clock.
    pub(crate) deadline: u64,
}

impl Store {
    /// Records a lease that was given at `now`.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn begin(&self, lease: &Lease, now: u64) -> Result<(), StoreError> {
        let body = serde_json::to_string(lease).map_err(|error| StoreError::Content(error.to_string()))?;
        let [expires_at, deadline] =
            [lease.expires_in_seconds, lease.deadline_in_seconds].map(|seconds| now.saturating_add(seconds));
        self.db().execute(
            "INSERT OR REPLACE INTO leases (lease, body, expires_at, deadline) VALUES (?, ?, ?, ?)",
            params![lease.lease.to_string(), body, expires_at.cast_signed(), deadline.cast_signed()],
        )?;
        Ok(())
    }

    /// Forgets a lease that is over.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn end(&self, lease: Digest) -> Result<(), StoreError> {
        self.db().execute("DELETE FROM leases WHERE lease = ?", [lease.to_string()])?;
        Ok(())
    }

    /// What an engine before this one held, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn recorded(&self) -> Result<Vec<Recorded>, StoreError> {
        let db = self.db();
        let mut query = db.prepare("SELECT body, expires_at, deadline FROM leases ORDER BY rowid")?;
        let row = |row: &rusqlite::Row<'_>| {
            let seconds = |column| row.get::<_, i64>(column).map(|seconds| u64::try_from(seconds).unwrap_or(0));
            Ok((row.get::<_, String>(0)?, seconds(1)?, seconds(2)?))
        };
        let rows = query.query_map([], row)?.collect::<Result<Vec<_>, _>>()?;
        let read = |(body, expires_at, deadline): (String, u64, u64)| match serde_json::from_str(&body) {
            Ok(lease) => Some(Recorded { lease, expires_at, deadline }),
            Err(error) => {
                tracing::warn!(%error, "A recorded lease can't be read: its task is not gone on with");
                None
            }
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
