//! The leases that this engine holds, recorded before anything is done for them, so that the next engine goes on with
//! them.

use rusqlite::{OptionalExtension, params};
use surge_protocol::Digest;
use surge_protocol::api::Lease;

use super::set_aside::Aside;
use super::{NetworkStore, StoreError};

/// A lease that an engine before this one held.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) lease: Lease,
    /// When it ended unless a heartbeat extended it, unix seconds by this machine's clock.
    pub(crate) expires_at: u64,
    /// When nothing is paid for its task any more, unix seconds by this machine's clock.
    pub(crate) deadline: u64,
}

/// What the engine before held for this network.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    pub(crate) recorded: Vec<Recorded>,
    /// Leases whose records were set aside, and those of other networks: what belongs to them is kept.
    pub(crate) kept: Vec<Digest>,
}

impl NetworkStore {
    /// Records a lease that was given at `now`.
    ///
    /// # Errors
    /// The database's; `Content` for a lease that has the name of another network's, whose checkpoints would be taken for its
    /// own.
    pub(crate) fn begin(&self, lease: &Lease, now: u64) -> Result<(), StoreError> {
        let body = serde_json::to_string(lease).map_err(|error| StoreError::Content(error.to_string()))?;
        let [expires_at, deadline] =
            [lease.expires_in_seconds, lease.deadline_in_seconds].map(|seconds| now.saturating_add(seconds));
        let name = lease.lease.to_string();
        let mut db = self.home.db();
        let recorded = db.transaction()?;
        let sql = "SELECT network FROM
            (SELECT lease, network FROM leases UNION SELECT lease, network FROM results UNION SELECT lease, network FROM set_aside)
            WHERE lease = ? AND network <> ?";
        let other: Option<String> = recorded.query_row(sql, [&name, &self.id.0], |row| row.get(0)).optional()?;
        if let Some(other) = other {
            return Err(StoreError::Content(format!("{} gave a lease with the name of one of {other}", self.id)));
        }
        recorded.execute(
            "INSERT OR REPLACE INTO leases (lease, network, body, expires_at, deadline) VALUES (?, ?, ?, ?, ?)",
            params![name, self.id.0, body, expires_at.cast_signed(), deadline.cast_signed()],
        )?;
        Ok(recorded.commit()?)
    }

    /// Forgets a lease that is over.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn end(&self, lease: Digest) -> Result<(), StoreError> {
        let sql = "DELETE FROM leases WHERE lease = ? AND network = ?";
        self.home.db().execute(sql, [&lease.to_string(), &self.id.0])?;
        Ok(())
    }

    /// What an engine before this one held for this network, oldest first. Rows that can't be read, as after a change of
    /// versions, are set aside, and the owner is told once.
    ///
    /// # Errors
    /// The database's. Then nothing is known of any lease.
    pub(crate) fn recorded(&self) -> Result<Leases, StoreError> {
        let mut leases = Leases::default();
        let mut broken = Vec::new();
        for (lease, body, expires_at, deadline) in self.lease_rows()? {
            match serde_json::from_str(&body) {
                Ok(lease) => leases.recorded.push(Recorded { lease, expires_at, deadline }),
                Err(error) => {
                    tracing::warn!(%error, lease, "A recorded lease can't be read: its task is not gone on with");
                    broken.push(Aside { kind: "lease", lease, body, deadline });
                }
            }
        }
        self.set_aside(&broken)?;
        let db = self.home.db();
        let sql = "SELECT lease FROM set_aside WHERE kind = 'lease' UNION SELECT lease FROM leases WHERE network <> ?";
        let mut query = db.prepare(sql)?;
        let names = query.query_map([&self.id.0], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        leases.kept = names.iter().filter_map(|name| name.parse().ok()).collect();
        Ok(leases)
    }

    fn lease_rows(&self) -> Result<Vec<(String, String, u64, u64)>, StoreError> {
        let db = self.home.db();
        let sql = "SELECT lease, body, expires_at, deadline FROM leases WHERE network = ? ORDER BY rowid";
        let mut query = db.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let seconds = |column| row.get::<_, i64>(column).map(|seconds| u64::try_from(seconds).unwrap_or(0));
            Ok((row.get(0)?, row.get(1)?, seconds(2)?, seconds(3)?))
        };
        Ok(query.query_map([&self.id.0], row)?.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::{a_lease, store_of};
    use crate::timeline::notices;

    #[test]
    fn a_lease_that_cannot_be_read_is_set_aside_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        let store = store_of(1, &path);
        let [sound, broken] = [1, 2].map(a_lease);
        for lease in [&sound, &broken] {
            store.begin(lease, crate::clock::unix_now()).unwrap();
        }
        let spoil = "UPDATE leases SET body = '{\"from\":\"another version\"}' WHERE lease = ?";
        store.home.db().execute(spoil, [broken.lease.to_string()]).unwrap();
        for _ in 0..2 {
            let leases = store_of(1, &path).recorded().unwrap();
            assert_eq!(leases.recorded.iter().map(|one| one.lease.lease).collect::<Vec<_>>(), [sound.lease]);
            assert_eq!(leases.kept, [broken.lease]);
            let told = notices(&path).unwrap();
            assert!(told.len() == 1 && told[0].1.contains("1 lease"), "{told:?}");
        }
        let kept: String = store.home.db().query_row("SELECT body FROM set_aside", [], |row| row.get(0)).unwrap();
        assert!(kept.contains("another version"), "{kept}");
    }

    #[test]
    fn leases_that_cannot_be_read_at_all_are_an_error_and_not_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_of(1, &folder.path().join("engine.sqlite"));
        store.home.db().execute_batch("DROP TABLE leases").unwrap();
        assert!(store.recorded().is_err());
    }
}
