//! An engine of another version than this program: every command says so in words, and shows what it understands.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};

use surge_platform::paths::Paths;

const COMMANDS: [&[&str]; 7] =
    [&["status"], &["status", "--watch"], &["why"], &["pause"], &["pause", "--finish"], &["pause", "2h"], &["resume"]];
/// With words that no program of today knows, and what an update leaves behind.
const SNAPSHOT: &str = r#"{"snapshot":{"at":7,"state":"dreaming","reasons":[{"code":"full_moon","phase":3}],
    "notices":[{"code":"restart_needed","case":"updated"}],"new":[1]}}"#;

/// What `args` says of an engine that greets with `version`, tells its state once, and goes.
fn told(args: &[&str], version: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths { home: folder.path().to_owned() };
    let socket = paths.control_socket();
    let run = socket.parent().unwrap();
    fs::create_dir_all(run).unwrap();
    fs::set_permissions(run, fs::Permissions::from_mode(0o700)).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_surge"))
        .args(args)
        .env("SURGE_HOME", folder.path())
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (stream, _) = listener.accept().unwrap();
    engine(stream, version);
    child.wait_with_output().unwrap()
}

fn engine(mut stream: UnixStream, version: &str) {
    let hello = serde_json::json!({ "surge": 1, "version": version, "pid": 1, "role": "owner", "mood": "good" });
    writeln!(stream, "{hello}").unwrap();
    let mut request = String::new();
    BufReader::new(&stream).read_line(&mut request).unwrap();
    writeln!(stream, "{}", SNAPSHOT.replace('\n', "")).unwrap();
}

#[test]
fn every_command_says_that_the_engine_is_of_another_version() {
    for (version, said) in [("999.0.0", "The engine is newer (999.0.0)"), ("0.0.1", "The engine is older (0.0.1)")] {
        for args in COMMANDS {
            let text = told(args, version);
            let out = String::from_utf8(text.stdout).unwrap();
            assert!(out.contains(said), "{args:?}: {out}");
            assert!(out.lines().count() > 1, "and what it understands: {args:?}: {out}");

            let document = told(&[args, &["--json"]].concat(), version);
            let err = String::from_utf8(document.stderr).unwrap();
            assert!(err.contains(said), "{args:?} --json: {err}");
            let out = String::from_utf8(document.stdout).unwrap();
            let first = out.lines().next().unwrap_or_default();
            assert!(serde_json::from_str::<serde_json::Value>(first).is_ok(), "{args:?} --json: {out}");
        }
    }
}

#[test]
fn an_engine_of_the_same_version_is_not_spoken_of() {
    for args in COMMANDS {
        let told = told(args, env!("CARGO_PKG_VERSION"));
        let all = [told.stdout, told.stderr].concat();
        assert!(!String::from_utf8(all).unwrap().contains("The engine is"), "{args:?}");
    }
}

#[test]
fn after_an_update_whoever_asks_for_the_state_hears_that_a_restart_is_needed() {
    for args in &COMMANDS[..3] {
        let out = String::from_utf8(told(args, env!("CARGO_PKG_VERSION")).stdout).unwrap();
        assert!(out.contains("Surge was updated while it ran"), "{args:?}: {out}");
        assert!(out.contains("Quit Surge and start it again"), "{args:?}: {out}");
    }
}
