//! Mends a damaged database: keeps it aside, untouched, and takes over into a new one what can still be read.
//!
//! The damaged one stays in its place until the new one is whole. A crash at any moment leaves either the damaged one, which
//! is mended again, or a whole new one, which the next start puts in its place.
//! First by SQL, from both ends of each table; then, for finished results, which are worth money, by looking for them in
//! the bytes of the files. A result that was delivered already is delivered once more by that, which has no effect.
//! Deliberately absent: the timeline's repair beyond what SQL reads. Nobody lives on it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, ToSql, params};
use surge_protocol::Digest;
use surge_protocol::api::SignedResult;

use super::{NetworkId, Store, StoreError};
use crate::wish::{Pause, Wish};

/// How a result's text begins.
const RESULT: &[u8] = b"{\"result\":{\"lease\":";

/// The names of a new database while it is filled, and when it is whole.
const FRESH: &str = ".mending";
const WHOLE: &str = ".mended";
/// What SQLite keeps beside a database.
const LOGS: &[&str] = &["-wal", "-shm"];

/// A table and its columns.
type Table = (&'static str, &'static [&'static str]);

const FACTS: Table = ("facts", &["name", "value"]);
const TABLES: &[Table] = &[
    ("results", &["lease", "network", "signed", "output", "finished_at", "state", "note"]),
    FACTS,
    ("networks", &["id", "name"]),
    ("leases", &["lease", "network", "body", "expires_at", "deadline"]),
    ("stretches", &["since_ms", "until_ms", "state", "reason", "cpu_ms"]),
    ("set_aside", &["kind", "lease", "network", "body", "deadline", "at"]),
    ("notices", &["at", "text"]),
];

/// Mends what is at `path` and opens it.
///
/// # Errors
/// When the damaged one can't be kept, or the new one can't be written.
pub(super) fn mend(path: &Path, now: u64) -> Result<Store, StoreError> {
    let aside = free_name(path, now).map_err(StoreError::Aside)?;
    keep_aside(path, &aside).map_err(StoreError::Aside)?;
    let fresh = with_suffix(path, FRESH);
    remove(&fresh).map_err(StoreError::Aside)?;
    let store = Store::open_sound(&fresh)?;
    fill(&store, &aside, now)?;
    // Closed, it is one file: nothing of it is in a log that would have to be moved with it.
    drop(store);
    sync(&fresh).and_then(|()| fs::rename(&fresh, with_suffix(path, WHOLE))).map_err(StoreError::Aside)?;
    finish(path).map_err(StoreError::Aside)?;
    Store::open_sound(path)
}

/// Puts a new database that is whole in the place of the damaged one, if there is one.
pub(super) fn finish(path: &Path) -> io::Result<()> {
    let whole = with_suffix(path, WHOLE);
    if !whole.try_exists()? {
        return Ok(());
    }
    // Before the database: SQLite would take the damaged one's log for the new one's.
    for suffix in LOGS {
        remove_file(&with_suffix(path, suffix))?;
    }
    fs::rename(whole, path)?;
    sync(path)
}

/// Takes over what can be read of the damaged database.
fn fill(store: &Store, aside: &Path, now: u64) -> Result<(), StoreError> {
    let (rows, whole) = copy_rows(aside, store);
    let found = results_in_bytes(aside);
    let results = take_over(store, &found, now)?;
    let mut text = format!(
        "The engine's database was damaged. It was moved to {}; {rows} rows and {results} more finished results were saved from it",
        aside.display()
    );
    if !whole && store.fact("wish")?.is_none() {
        // It is not known whether the owner wanted it to rest: then it rests.
        store.set_wish(Wish::Pause(Pause::Open))?;
        text.push_str(". Whether you had paused Surge could not be read, so it is paused: resume it when you like");
    }
    tracing::warn!("{text}");
    store.notice(now, &text)
}

/// A name for the damaged one that no earlier one has.
fn free_name(path: &Path, now: u64) -> io::Result<PathBuf> {
    let mut aside = with_suffix(path, &format!(".damaged-{now}"));
    for number in 2.. {
        if !aside.try_exists()? {
            break;
        }
        aside = with_suffix(path, &format!(".damaged-{now}-{number}"));
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push::<OsString>(suffix.into());
    name.into()
}

/// Gives the damaged files second names, or copies them where the file system has no second names.
fn keep_aside(path: &Path, aside: &Path) -> io::Result<()> {
    for suffix in ["", "-wal"] {
        let (from, to) = (with_suffix(path, suffix), with_suffix(aside, suffix));
        if !from.try_exists()? {
            continue;
        }
        if fs::hard_link(&from, &to).is_err() {
            let half = with_suffix(&to, ".half");
            fs::copy(&from, &half)?;
            fs::rename(&half, &to)?;
        }
        sync(&to)?;
    }
    Ok(())
}

/// Removes a database that was not finished.
fn remove(path: &Path) -> io::Result<()> {
    LOGS.iter().chain(&[""]).try_for_each(|suffix| remove_file(&with_suffix(path, suffix)))
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a file and its name durable.
fn sync(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Copies every row that SQL can read. How many, and whether the owner's intent was surely among them.
pub(super) fn copy_rows(aside: &Path, store: &Store) -> (usize, bool) {
    // SQLite would change what it opens, if only to tidy up: it gets a copy.
    let copied = tempfile::tempdir_in(aside.parent().unwrap_or(Path::new("."))).and_then(|folder| {
        let copy = folder.path().join("copy.sqlite");
        fs::copy(aside, &copy)?;
        if with_suffix(aside, "-wal").is_file() {
            fs::copy(with_suffix(aside, "-wal"), with_suffix(&copy, "-wal"))?;
        }
        Ok((folder, copy))
    });
    let Ok((_folder, copy)) = copied else { return (0, false) };
    let Ok(old) = Connection::open(copy) else { return (0, false) };
    let mut rows = 0;
    let mut facts_whole = false;
    for table in TABLES {
        let (copied, whole) = copy_table(&old, store, *table);
        rows += copied;
        if *table == FACTS {
            facts_whole = whole;
        }
    }
    (rows, facts_whole)
}

/// Rows from the front until one can't be read, then from the back. Whether the front reached the end.
fn copy_table(old: &Connection, store: &Store, (table, columns): Table) -> (usize, bool) {
    let columns = columns_in(old, table, columns);
    let count = columns.len();
    let (columns, places) = (columns.join(", "), vec!["?"; count].join(", "));
    let insert = format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})");
    let mut copied = 0;
    for order in ["ASC", "DESC"] {
        let walked = (|| {
            let mut query = old.prepare(&format!("SELECT {columns} FROM {table} ORDER BY rowid {order}"))?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                copied += copy_row(row, count, store, &insert);
            }
            Ok::<_, rusqlite::Error>(())
        })();
        match walked {
            Ok(()) => return (copied, order == "ASC"),
            Err(error) => tracing::debug!(%error, table, order, "A damaged table"),
        }
    }
    (copied, false)
}

/// Those of a table's columns that the damaged database has: an older version had fewer, and the new ones have defaults.
fn columns_in(old: &Connection, table: &str, columns: &[&'static str]) -> Vec<&'static str> {
    let names = old
        .prepare("SELECT name FROM pragma_table_info(?)")
        .and_then(|mut query| query.query_map([table], |row| row.get(0))?.collect::<Result<BTreeSet<String>, _>>());
    let names = names.unwrap_or_default();
    columns.iter().copied().filter(|column| names.contains(*column)).collect()
}

fn copy_row(row: &Row<'_>, count: usize, store: &Store, insert: &str) -> usize {
    let values: Result<Vec<rusqlite::types::Value>, _> = (0..count).map(|column| row.get(column)).collect();
    let Ok(values) = values else { return 0 };
    let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
    // A value that the new table's rules refuse was damaged.
    store.db().execute(insert, values.as_slice()).unwrap_or(0)
}

/// Every finished result whose whole text lies somewhere in the files.
fn results_in_bytes(aside: &Path) -> Vec<SignedResult> {
    let mut found: Vec<SignedResult> = Vec::new();
    let mut known = BTreeSet::new();
    for file in [aside.to_owned(), with_suffix(aside, "-wal")] {
        let Ok(bytes) = fs::read(&file) else { continue };
        for at in memchr_all(&bytes, RESULT) {
            let mut texts = serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<SignedResult>();
            if let Some(Ok(signed)) = texts.next()
                && known.insert(signed.result.lease)
            {
                found.push(signed);
            }
        }
    }
    found
}

fn memchr_all<'a>(bytes: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(needle.len()).enumerate().filter(move |(_, window)| *window == needle).map(|(at, _)| at)
}

/// Makes results wait for delivery that SQL did not find. Their signatures tell for which network, once that is attached.
fn take_over(store: &Store, found: &[SignedResult], now: u64) -> Result<usize, StoreError> {
    let mut taken = 0;
    for signed in found {
        let lease: Digest = signed.result.lease;
        let known: bool = store.db().query_row(
            "SELECT EXISTS (SELECT 1 FROM results WHERE lease = ?)",
            params![lease.to_string()],
            |row| row.get(0),
        )?;
        if !known {
            store.keep(NetworkId::UNKNOWN, signed, now)?;
            taken += 1;
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::result;

    /// A database in `folder` with `count` results and the owner's pause, closed as a crash would leave it: with its WAL.
    fn crashed(folder: &Path, count: u8) -> PathBuf {
        let path = folder.join("engine.sqlite");
        let live = folder.join("live.sqlite");
        let store = Store::open(&live).unwrap();
        store.set_wish(Wish::Pause(Pause::Until(77))).unwrap();
        for n in 1..=count {
            store.keep(NetworkId::UNKNOWN, &result(n), u64::from(n)).unwrap();
        }
        fs::copy(&live, &path).unwrap();
        fs::copy(with_suffix(&live, "-wal"), with_suffix(&path, "-wal")).unwrap();
        path
    }

    fn waiting(store: &Store) -> BTreeSet<Digest> {
        let db = store.db();
        let mut query = db.prepare("SELECT lease FROM results WHERE state = 'waiting'").unwrap();
        let leases = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        leases.map(|lease| lease.unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn a_store_that_was_closed_by_a_crash_is_not_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&crashed(folder.path(), 5)).unwrap();
        assert_eq!(waiting(&store).len(), 5);
        assert!(
            !fs::read_dir(folder.path()).unwrap().any(|file| file
                .unwrap()
                .path()
                .to_string_lossy()
                .contains("damaged"))
        );
    }

    #[test]
    fn every_result_that_is_still_there_is_saved_from_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = crashed(folder.path(), 40);
        drop(Store::open(&path).unwrap());
        let whole = fs::read(&path).unwrap();
        let page = 4096;
        for broken in 0..whole.len() / page {
            let mut bytes = whole.clone();
            bytes[broken * page..(broken + 1) * page].fill(0xa5);
            fs::write(&path, &bytes).unwrap();
            let lost: BTreeSet<_> = results_in_bytes_of(&whole[broken * page..(broken + 1) * page]);
            let store = Store::open(&path).unwrap();
            let saved = waiting(&store);
            let expected: BTreeSet<_> =
                (1..=40).map(|n| Digest([n; 32])).filter(|lease| !lost.contains(lease)).collect();
            assert!(saved.is_superset(&expected), "page {broken}: {} saved, {} expected", saved.len(), expected.len());
            assert_ne!(store.wish().unwrap(), Wish::Run, "page {broken}: the owner's pause is not forgotten");
            drop(store);
            fs::remove_file(&path).unwrap();
        }
    }

    fn results_in_bytes_of(page: &[u8]) -> BTreeSet<Digest> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page");
        fs::write(&file, page).unwrap();
        results_in_bytes(&file).iter().map(|signed| signed.result.lease).collect()
    }

    #[test]
    fn a_crash_while_it_is_mended_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = crashed(folder.path(), 20);
        fs::write(&path, [&[0xa5; 100][..], &fs::read(&path).unwrap()[100..]].concat()).unwrap();
        let damaged = || [path.clone(), with_suffix(&path, "-wal")].map(|file| fs::read(file).unwrap());
        let before = damaged();
        // Before the new one is whole the damaged one is where it was, and everything is done again.
        keep_aside(&path, &with_suffix(&path, ".damaged-1")).unwrap();
        fs::write(with_suffix(&path, FRESH), "half a database").unwrap();
        assert_eq!(damaged(), before);
        assert_eq!(waiting(&mend(&path, 2).unwrap()).len(), 20);

        // Once it is whole it is only put in its place, at the next start, without the damaged one's log.
        fs::rename(&path, with_suffix(&path, WHOLE)).unwrap();
        fs::write(&path, &before[0]).unwrap();
        fs::write(with_suffix(&path, "-wal"), &before[1]).unwrap();
        assert_eq!(waiting(&Store::open(&path).unwrap()).len(), 20);
        let aside: Vec<_> = [1, 2].map(|at| with_suffix(&path, &format!(".damaged-{at}"))).into();
        assert!(aside.iter().all(|file| fs::read(file).unwrap() == before[0]), "the damaged one is kept");
    }

    #[test]
    fn only_its_owner_reads_a_database_whatever_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = crashed(folder.path(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let store = Store::open(&path).unwrap();
        store.notice(1, "something").unwrap();
        for suffix in ["", "-wal", "-shm"] {
            let mode = fs::metadata(with_suffix(&path, suffix)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{suffix}");
        }
    }

    #[test]
    fn what_is_no_database_at_all_is_moved_aside_with_a_notice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sqlite");
        fs::write(&path, vec![b'x'; 10_000]).unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(waiting(&store).len(), 0);
        let (at, text): (i64, String) =
            store.db().query_row("SELECT at, text FROM notices", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let aside = with_suffix(&path, &format!(".damaged-{at}"));
        assert!(text.contains(&aside.display().to_string()), "{text}");
        assert_eq!(fs::read(aside).unwrap(), vec![b'x'; 10_000], "nothing was changed in it");
        drop(store);
        assert_eq!(waiting(&Store::open(&path).unwrap()).len(), 0, "the new one is sound");
    }
}
