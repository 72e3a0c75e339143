//! The engine's database, looked at from outside.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::Run;

impl Run {
    /// Whether the living engine has kept a result of this lease.
    pub(super) fn has_result(&self, lease: &str) -> bool {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = Connection::open_with_flags(self.contributor.home.join("engine.sqlite"), flags);
        let count = db.and_then(|db| {
            db.query_row("SELECT count(*) FROM results WHERE lease = ?1", [lease], |row| row.get::<_, u32>(0))
        });
        count.expect("the engine's database can be read") > 0
    }

    /// Reads a copy of the database as the kill left it, as an engine that starts would find it.
    pub(super) fn look_at_the_store(&mut self) {
        let home = &self.contributor.home;
        if !home.join("engine.sqlite").is_file() {
            return;
        }
        let copy = tempfile::tempdir().expect("a folder");
        for name in ["engine.sqlite", "engine.sqlite-wal"] {
            if home.join(name).is_file() {
                fs::copy(home.join(name), copy.path().join(name)).expect("it can be copied");
            }
        }
        let db = Connection::open(copy.path().join("engine.sqlite")).expect("it can be opened");
        let whole = db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        if whole.as_deref() != Ok("ok") {
            self.tally.corrupt += 1;
            return;
        }
        // Tables are missing where the kill met the very first start.
        self.finished.extend(column(&db, "SELECT lease FROM results WHERE state <> 'refused'"));
        for lease in column(&db, "SELECT lease FROM leases") {
            let folder = home.join("checkpoints").join(&lease);
            let files = fs::read_dir(folder).into_iter().flatten().flatten();
            if files.into_iter().any(|file| is_whole(&file.path())) {
                self.stories.entry(lease).or_default().can_resume = true;
            }
        }
    }
}

/// Whether a file is a checkpoint of one of the two generations, and not one that was being written.
fn is_whole(path: &Path) -> bool {
    path.extension().is_some_and(|generation| generation == "0" || generation == "1")
}

pub(super) fn column(db: &Connection, sql: &str) -> Vec<String> {
    let Ok(mut query) = db.prepare(sql) else { return Vec::new() };
    let rows = query.query_map([], |row| row.get(0)).map(|rows| rows.filter_map(Result::ok).collect());
    rows.unwrap_or_default()
}
