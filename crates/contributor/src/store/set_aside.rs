//! Rows that this version can't read: kept where nobody trips over them again, and told once.

use rusqlite::params;

use super::{NetworkStore, StoreError};
use crate::clock::unix_now;

/// A row that can't be read.
#[derive(Debug)]
pub(super) struct Aside {
    /// `lease` or `result`.
    pub(super) kind: &'static str,
    pub(super) lease: String,
    pub(super) body: String,
    /// When nothing is paid for its task any more, unix seconds; 0 where that is not known.
    pub(super) deadline: u64,
}

impl NetworkStore {
    /// Moves rows out of the way, all or none, with a notice for the owner.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn set_aside(&self, rows: &[Aside]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let now = unix_now();
        let mut db = self.home.db();
        let all = db.transaction()?;
        for Aside { kind, lease, body, deadline } in rows {
            all.execute(
                "INSERT OR REPLACE INTO set_aside (kind, lease, network, body, deadline, at) VALUES (?, ?, ?, ?, ?, ?)",
                params![kind, lease, self.id.0, body, deadline.cast_signed(), now.cast_signed()],
            )?;
            let table = if *kind == "lease" { "leases" } else { "results" };
            all.execute(&format!("DELETE FROM {table} WHERE lease = ?"), [lease])?;
        }
        let (count, kind) = (rows.len(), rows[0].kind);
        let kind = if count == 1 { kind.to_owned() } else { format!("{kind}s") };
        let text = format!(
            "{count} {kind} in the engine's database can't be read by this version of Surge. Nothing was removed: what \
             belongs to it is kept for a version that can"
        );
        all.execute("INSERT INTO notices (at, text) VALUES (?, ?)", params![now.cast_signed(), text])?;
        Ok(all.commit()?)
    }
}
