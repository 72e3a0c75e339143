use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::network::wait_for;

/// A folder on a disk; `None` where there can't be one.
fn disk() -> Option<(TempDir, Disk)> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("before"), "it was there").unwrap();
    match Disk::under(folder.path()) {
        Ok(disk) => Some((folder, disk)),
        Err(error) => {
            println!("this user can have no disk of its own here: {error}");
            None
        }
    }
}

/// Somebody else: who waits should not be this process.
fn shell(script: &str, folder: &TempDir) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir("/").env("AT", folder.path()).stdout(Stdio::null()).spawn().unwrap()
}

fn rule(work: Work, under: Option<&str>, pace: Pace) -> Rule {
    Rule { work, under: under.map(PathBuf::from), pace }
}

#[test]
fn it_is_a_file_system_like_others() {
    let Some((folder, disk)) = disk() else { return };
    let at = |name: &str| folder.path().join(name);
    assert_eq!(fs::read_to_string(at("before")).unwrap(), "it was there");
    fs::create_dir_all(at("a/b")).unwrap();
    let mut file = File::options().read(true).write(true).create_new(true).open(at("a/b/file")).unwrap();
    assert!(File::options().write(true).create_new(true).open(at("a/b/file")).is_err());
    file.write_all(&[7; 300_000]).unwrap();
    file.sync_all().unwrap();
    file.rewind().unwrap();
    let mut back = Vec::new();
    file.read_to_end(&mut back).unwrap();
    assert_eq!(back, [7; 300_000]);
    file.set_len(5).unwrap();
    fs::set_permissions(at("a/b/file"), fs::Permissions::from_mode(0o600)).unwrap();
    let about = fs::metadata(at("a/b/file")).unwrap();
    assert_eq!((about.len(), about.permissions().mode() & 0o777), (5, 0o600));
    fs::rename(at("a/b"), at("c")).unwrap();
    assert_eq!(fs::read(at("c/file")).unwrap(), [7; 5]);
    assert_eq!(fs::read(disk.behind().join("c/file")).unwrap(), [7; 5]);
    fs::hard_link(at("c/file"), at("c/link")).unwrap();
    std::os::unix::fs::symlink("file", at("c/soft")).unwrap();
    assert_eq!(fs::read(at("c/soft")).unwrap(), fs::read(at("c/link")).unwrap());
    let mut names: Vec<_> = fs::read_dir(at("c")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["file", "link", "soft"]);
    for name in ["file", "link", "soft"] {
        fs::remove_file(at("c").join(name)).unwrap();
    }
    fs::remove_dir(at("c")).unwrap();
    assert_eq!(fs::metadata(at("c")).unwrap_err().kind(), io::ErrorKind::NotFound);

    let _listener = UnixListener::bind(at("socket")).unwrap();
    UnixStream::connect(at("socket")).expect("sockets are found by their file");
    let db = rusqlite::Connection::open(at("db")).unwrap();
    db.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(n); INSERT INTO t VALUES (3);").unwrap();
    assert_eq!(db.query_row("SELECT n FROM t", [], |row| row.get(0)), Ok(3));
    drop((db, disk));
    assert!(!at("db").exists(), "it is gone with all that was written to it");
}

#[test]
fn who_syncs_waits_until_it_is_let_go() {
    let Some((folder, disk)) = disk() else { return };
    disk.set(&[rule(Work::Sync, None, Pace::Hangs)]);
    let mut writer = shell("echo written > $AT/file && sync $AT/file", &folder);
    wait_for("the sync", || (disk.waiting() == 1).then_some(()));
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"written\n", "others go on meanwhile");
    assert!(writer.try_wait().unwrap().is_none());
    disk.set(&[]);
    assert!(writer.wait().unwrap().success());
}

#[test]
fn one_file_hangs_and_the_others_do_not() {
    let Some((folder, disk)) = disk() else { return };
    disk.set(&[
        rule(Work::Write, None, Pace::Slow(Duration::from_millis(1))),
        rule(Work::Look, Some("before"), Pace::Hangs),
    ]);
    let mut reader = shell("[ \"$(cat $AT/before)\" = 'it was there' ]", &folder);
    wait_for("the look", || (disk.waiting() == 1).then_some(()));
    fs::write(folder.path().join("other"), "x").unwrap();
    assert!(reader.try_wait().unwrap().is_none());
    disk.set(&[]);
    assert!(reader.wait().unwrap().success());
}

#[test]
fn who_waits_for_a_disk_that_goes_goes_on() {
    let Some((folder, disk)) = disk() else { return };
    disk.set(&[rule(Work::Any, None, Pace::Hangs)]);
    let mut reader = shell("cat $AT/before", &folder);
    wait_for("the look", || (disk.waiting() > 0).then_some(()));
    drop(disk);
    let _ = reader.wait().unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("before")).unwrap(), "it was there");
}
