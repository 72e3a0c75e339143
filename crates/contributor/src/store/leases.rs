//! The leases that this engine holds, recorded before anything is done for them, so that the next engine goes on with
//! them.

use rusqlite::params;
use surge_protocol::Digest;
use surge_protocol::api::Lease;

use super::set_aside::Aside;
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

/// All leases of the engine before.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    pub(crate) recorded: Vec<Recorded>,
    /// Leases whose records were set aside: what belongs to them is kept.
    pub(crate) unreadable: Vec<Digest>,
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

    /// What an engine before this one held, oldest first. Rows that can't be read, as after a change of versions, are set
    /// aside, and the owner is told once.
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
        let db = self.db();
        let mut query = db.prepare("SELECT lease FROM set_aside WHERE kind = 'lease'")?;
        let names = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        leases.unreadable = names.iter().filter_map(|name| name.parse().ok()).collect();
        Ok(leases)
    }

    fn lease_rows(&self) -> Result<Vec<(String, String, u64, u64)>, StoreError> {
        let db = self.db();
        let mut query = db.prepare("SELECT lease, body, expires_at, deadline FROM leases ORDER BY rowid")?;
        let row = |row: &rusqlite::Row<'_>| {
            let seconds = |column| row.get::<_, i64>(column).map(|seconds| u64::try_from(seconds).unwrap_or(0));
            Ok((row.get(0)?, row.get(1)?, seconds(2)?, seconds(3)?))
        };
        Ok(query.query_map([], row)?.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::a_lease;
    use crate::timeline::notices;

    #[test]
    fn a_lease_that_cannot_be_read_is_set_aside_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        let store = Store::open(&path).unwrap();
        let [sound, broken] = [1, 2].map(a_lease);
        for lease in [&sound, &broken] {
            store.begin(lease, crate::clock::unix_now()).unwrap();
        }
        let spoil = "UPDATE leases SET body = '{\"from\":\"another version\"}' WHERE lease = ?";
        store.db().execute(spoil, [broken.lease.to_string()]).unwrap();
        for _ in 0..2 {
            let leases = Store::open(&path).unwrap().recorded().unwrap();
            assert_eq!(leases.recorded.iter().map(|one| one.lease.lease).collect::<Vec<_>>(), [sound.lease]);
            assert_eq!(leases.unreadable, [broken.lease]);
            let told = notices(&path).unwrap();
            assert!(told.len() == 1 && told[0].1.contains("1 lease"), "{told:?}");
        }
        let kept: String = store.db().query_row("SELECT body FROM set_aside", [], |row| row.get(0)).unwrap();
        assert!(kept.contains("another version"), "{kept}");
    }

    #[test]
    fn leases_that_cannot_be_read_at_all_are_an_error_and_not_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("engine.sqlite")).unwrap();
        store.db().execute_batch("DROP TABLE leases").unwrap();
        assert!(store.recorded().is_err());
    }
}
