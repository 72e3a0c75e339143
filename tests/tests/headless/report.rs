//! `surge report` on homes in every state: what it must hold, what it must not, and what it says of what is broken.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rusqlite::Connection;
use surge_tests::executable;
use surge_tests::home::{Home, Ran};
use surge_tests::network::wait_for;

const NOBODY: &str = "http://user:hunter2@127.0.0.1:9";

fn preview(home: &Home) -> String {
    let ran = home.run(&["report"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.err.contains("no file was written"), "{}", ran.err);
    ran.out
}

/// The lines of a part.
fn part<'a>(report: &'a str, title: &str) -> &'a str {
    let (_, rest) = report.split_once(&format!("== {title}\n")).unwrap_or_else(|| panic!("no {title}: {report}"));
    rest.split("\n== ").next().unwrap()
}

#[test]
fn a_running_engine_is_in_it_and_its_owner_is_not() {
    let home = Home::attached(NOBODY);
    home.write("settings.toml", "cpu_percent = 60\nexcluded_programs = [\"very-private-game\"]\n");
    let _engine = home.started();
    let _ = home.run(&["pause"]);
    // It is written behind the decision, in whole seconds.
    wait_for("the timeline", || home.run(&["timeline"]).out.contains("Paused by you").then_some(()));
    let mut command = home.surge(&["report"]);
    command.env("USER", "alice").env("HOME", "/home/alice").env("HOSTNAME", "wonderland");
    command
        .env("HTTPS_PROXY", "http://alice:secret@proxy.example:3128/")
        .env("all_proxy", "bob:S3cret!@proxy.corp:3128");
    let report = Ran::of(&mut command).out;

    assert!(part(&report, "Engine now").contains("Paused until you resume"), "{report}");
    assert!(part(&report, "Engine now").contains("sensors: presence=headless"), "{report}");
    assert!(part(&report, "Settings").contains("cpu_percent = 60  (file)"), "{report}");
    assert!(part(&report, "Settings").contains("workers = 0  (default)"), "{report}");
    assert!(part(&report, "Program").contains("wasmtime-"), "the worker's runtime class: {report}");
    assert!(part(&report, "Store").contains("integrity: ok"), "{report}");
    assert!(part(&report, "Timeline").contains("Paused by you"), "{report}");
    assert!(part(&report, "Log").contains("Starting"), "{report}");
    assert!(part(&report, "Disk").contains("free: "), "{report}");
    assert_eq!(part(&report, "Last crash").trim(), "none is known");

    let lower = report.to_lowercase();
    let home_path = home.path().to_str().unwrap();
    assert!(part(&report, "Computer").contains("all_proxy=proxy.corp:3128 (a login was there)"), "{report}");
    for private in ["alice", "wonderland", "hunter2", "secret@", "s3cret", "very-private-game", home_path] {
        assert!(!lower.contains(&private.to_lowercase()), "{private}: {report}");
    }
    let payout = surge_protocol::sign::Key::from_bytes(&[7; 32]).unwrap().address().to_string().to_lowercase();
    assert!(!lower.contains(payout.trim_start_matches("0x")), "{report}");
    assert!(!lower.contains("0x"), "{report}");
}

#[test]
fn it_is_written_once_it_is_agreed_to_and_only_then() {
    let home = Home::new();
    let out = home.path().join("out.txt");
    let out = out.to_str().unwrap();
    assert_eq!(home.run(&["report", "--out", out]).failure(), (2, "nothing_written"));
    assert!(!std::path::Path::new(out).exists());
    let ran = home.run(&["report", "--out", out, "--yes"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.out.contains("Written to") && ran.out.lines().count() == 1, "{}", ran.out);
    assert!(std::fs::read_to_string(out).unwrap().contains("== Store"));
    assert_eq!(std::fs::metadata(out).unwrap().permissions().mode() & 0o777, 0o600);
    let again = home.run(&["report", "--out", out, "--yes"]);
    assert_eq!(again.failure(), (2, "out_exists"), "what is there is not written over");

    let json = home.run(&["report", "--json"]).json();
    assert!(json["written"].is_null() && json["text"].as_str().unwrap().contains("== Log"), "{json}");
    let unnamed = home.run(&["report", "--yes"]);
    let named = std::fs::read_dir(home.path()).unwrap().flatten().map(|file| file.file_name().into_string().unwrap());
    assert_eq!(named.filter(|name| name.starts_with("surge-report-")).count(), 1, "{unnamed:?}");
}

#[test]
fn what_is_broken_says_so_and_takes_nothing_else_with_it() {
    let home = Home::attached(NOBODY);
    home.write("settings.toml", "cpu_percent = 400\nexcluded_programs = [\"diary\"]\n");
    home.write("engine.sqlite", "this is no database at all ".repeat(500));
    home.write("network.json", "{ \"network\": 5 ");
    std::fs::create_dir(home.path().join("log")).unwrap();
    home.write("log/crash.txt", format!("message: it broke at {}\n", home.path().join("x").display()));
    home.write(
        "log/surge.log",
        b"\xff\xfe\x1b[2J mail bob@example.org, INFO Waiting program=\"chess, diary\"\n\
          INFO Waiting program=\"zoom\"\nINFO Waiting to finish program=\"my \\\"vlc\\\"\"\nzoom and chess crashed\n",
    );
    let report = preview(&home);
    assert!(part(&report, "Settings").contains("line 1: cpu_percent is 400"), "{report}");
    for broken in ["Store", "Network", "Timeline", "Engine now"] {
        assert!(part(&report, broken).contains("could not be read: "), "{broken}: {report}");
    }
    assert!(part(&report, "Last crash").contains("it broke at <home-"), "{report}");
    assert!(part(&report, "Log").contains("mail <email-1>"), "{report}");
    assert!(!report.contains('\x1b'), "it is shown on a terminal: {report}");
    for program in ["diary", "chess", "zoom", "vlc"] {
        assert!(!report.contains(program), "programs are nobody's business: {report}");
    }

    let home = Home::new();
    home.write("log", "a file where a folder should be");
    let report = preview(&home);
    assert!(part(&report, "Log").contains("could not be read: "), "{report}");
    assert!(part(&report, "Last crash").contains("could not be read: "), "{report}");
}

/// `surge` where the system gives it no thread, which is a crash. Root has no such limit, and becomes somebody who has.
fn without_threads(home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    let mut program = surge_tests::network::program("surge");
    if rustix::process::getuid().is_root() {
        let copy = home.path().join("surge");
        if !copy.exists() {
            executable::copy(&program, &copy);
        }
        program = copy;
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        command.args(["--reuid=65534", "--clear-groups", "prlimit", "--nproc=1"]);
    } else {
        command = Command::new("prlimit");
        command.arg("--nproc=1");
    }
    command.arg(program).args(args).env("SURGE_HOME", home.path()).env_remove("RUST_BACKTRACE");
    command
}

#[test]
fn a_crash_leaves_its_story_for_the_report() {
    let home = Home::new();
    let reached = Ran::of(&mut without_threads(&home, &["--version"]));
    if reached.status != Some(0) {
        // Folders for temporary files that only root may enter, and namespaces without other users.
        println!("this user can't become one with limits here: {}", reached.err.trim());
        return;
    }
    let crashed = Ran::of(&mut without_threads(&home, &["run"]));
    assert_eq!(crashed.status, Some(101), "{crashed:?}");
    let report = preview(&home);
    let told = part(&report, "Last crash");
    for part in ["program: surge 0.", "thread: main", "place: ", "message: ", "worker thread"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains("surge::main"), "a backtrace: {told}");
    assert!(std::fs::metadata(home.paths().crash()).unwrap().len() <= 64 << 10);
}

#[test]
fn a_store_that_somebody_locks_is_not_waited_for() {
    let home = Home::attached(NOBODY);
    let engine = home.started();
    let locked = Connection::open(home.paths().store()).unwrap();
    // The engine answers before it has opened its database.
    wait_for("the database", || locked.prepare("SELECT at FROM notices").ok().map(drop));
    drop(engine);
    locked.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM notices;").unwrap();
    let report = preview(&home);
    assert!(part(&report, "Store").contains("could not be read: "), "{report}");
    assert!(part(&report, "Disk").contains("free: "), "{report}");
}
