//! `surge status --watch`, on a terminal and in pipes, until somebody or something ends it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;
use surge_tests::home::{Home, Ran, end_some_time, signal};
use surge_tests::network::{Running, wait_for};

const NOBODY: &str = "http://127.0.0.1:9";

fn watcher(home: &Home, args: &[&str]) -> Child {
    let mut command = home.surge(&["status", "--watch"]);
    let child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    end_some_time(&child);
    child
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap)
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { status: output.status.code(), out: String::new(), err }
}

#[test]
fn each_change_is_a_line_of_json_and_ctrl_c_ends_it_well() {
    let home = Home::attached(NOBODY);
    let _engine = home.started();
    let mut child = watcher(&home, &["--json"]);
    let mut states = lines(&mut child).map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let first = states.next().unwrap();
    assert!(first["machine"]["target_celsius"].as_f64() > Some(0.0), "{first}");
    assert!(first["load_percent"].is_number() && first["networks"][0]["undelivered"] == 0, "{first}");
    assert_eq!(home.run(&["pause", "2h"]).status, Some(0));
    let paused = states.find(|state| state["state"] == "paused").unwrap();
    assert!(paused["paused_until"].as_u64() > first["at"].as_u64(), "{paused}");
    assert_eq!(home.run(&["resume"]).status, Some(0));
    states.find(|state| state["state"] != "paused").unwrap();
    signal(&child, Signal::INT);
    assert_eq!(end(child).status, Some(0));
}

#[test]
fn without_a_terminal_each_change_is_a_block() {
    let home = Home::attached(NOBODY);
    let _engine = home.started();
    let mut child = watcher(&home, &[]);
    let mut lines = lines(&mut child);
    let _ = home.run(&["pause"]);
    lines.find(|line| line.ends_with("  Paused until you resume")).unwrap();
    let block: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("Payout")).collect();
    for part in ["Why ", "Load ", "Others ", "Heat ", "Power ", "Tasks ", "Today "] {
        assert!(block.iter().any(|line| line.starts_with(part)), "{part}: {block:?}");
    }
    signal(&child, Signal::TERM);
    assert_eq!(end(child).status, Some(0));
}

#[test]
fn it_ends_when_nobody_reads_even_while_nothing_changes() {
    let home = Home::attached(NOBODY);
    let _engine = home.started();
    // Paused for good, nothing changes any more.
    let _ = home.run(&["pause"]);
    let mut child = watcher(&home, &["--json"]);
    let first = lines(&mut child).next();
    assert!(first.is_some());
    assert_eq!(end(child).status, Some(0));
}

#[test]
fn an_engine_whose_words_nobody_takes_obeys_nevertheless() {
    let home = Home::attached(NOBODY);
    let mut command = home.surge(&["run", "--presence", "headless", "--share-machine"]);
    // A pipe that is full after a moment, as a terminal is that was stopped by a key.
    let engine = Running(command.env("RUST_LOG", "trace").stderr(Stdio::piped()).spawn().unwrap());
    end_some_time(&engine.0);
    wait_for("the engine", || (home.run(&["status"]).status == Some(0)).then_some(()));
    for _ in 0..20 {
        assert_eq!(home.run(&["pause", "2h"]).status, Some(0));
        assert_eq!(home.run(&["resume"]).status, Some(0));
    }
    signal(&engine.0, Signal::TERM);
    let mut engine = engine;
    assert_eq!(engine.0.wait().unwrap().code(), Some(0), "it ends in order, and on its own");
}

#[test]
fn it_says_how_the_engine_ended() {
    let home = Home::attached(NOBODY);
    let engine = home.started();
    let mut child = watcher(&home, &["--json"]);
    let mut states = lines(&mut child);
    states.next().unwrap();
    signal(&engine.0, Signal::TERM);
    let told = states.last().unwrap();
    assert!(told.contains("engine_stopped"), "with --json standard output has it too: {told}");
    assert_eq!(end(child).failure(), (20, "engine_stopped"));
    let mut engine = engine;
    assert_eq!(engine.0.wait().unwrap().code(), Some(0), "SIGTERM is an order, not a fault");

    let mut engine = home.started();
    let mut child = watcher(&home, &[]);
    lines(&mut child).next().unwrap();
    let mut child = watcher(&home, &["--json"]);
    let mut states = lines(&mut child);
    states.next().unwrap();
    engine.0.kill().unwrap();
    engine.0.wait().unwrap();
    states.for_each(drop);
    let told = end(child);
    assert_eq!(told.failure(), (20, "engine_gone"));
    assert!(told.err.contains("crashed, or was killed"), "{}", told.err);
}

/// A terminal of `columns` by `rows`: our side, and a command that has the other.
fn on_a_terminal(command: &mut Command, columns: u16, rows: u16) -> (File, Running) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    tcsetwinsize(&ours, Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = || File::options().read(true).write(true).open(&name).unwrap();
    let child = command.stdin(theirs()).stdout(theirs()).stderr(theirs()).spawn().unwrap();
    end_some_time(&child);
    // The command holds the other side open too.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    (File::from(ours), Running(child))
}

/// Reads until the screen has had `part`.
fn read_until(terminal: &mut File, seen: &mut String, part: &str) {
    let mut piece = [0; 4096];
    while !seen.contains(part) {
        let read = terminal.read(&mut piece).unwrap_or(0);
        assert!(read > 0, "the terminal closed before {part:?}: {seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
}

#[test]
fn on_a_terminal_it_is_drawn_in_place() {
    let home = Home::attached(NOBODY);
    let _engine = home.started();
    let (mut terminal, mut child) = on_a_terminal(&mut home.surge(&["status", "--watch"]), 40, 12);
    let mut seen = String::new();
    read_until(&mut terminal, &mut seen, "Load");
    let _ = home.run(&["pause", "2h"]);
    read_until(&mut terminal, &mut seen, "Paused for 2 h more");
    // A note of several lines, which a terminal of twelve rows can't show whole.
    home.write("settings.toml", "cpu_percent = 400\nworkers = 5000\n");
    read_until(&mut terminal, &mut seen, "\x1b[11F\x1b[JPaused");
    seen.clear();
    read_until(&mut terminal, &mut seen, "\x1b[J");
    // The rest of that screen, and the way back from it.
    let mut seen = seen.rsplit_once("\x1b[J").unwrap().1.to_owned();
    read_until(&mut terminal, &mut seen, "\x1b[J");
    let (drawn, up) = seen.split_once("\x1b[J").unwrap().0.rsplit_once("\x1b[").unwrap();
    assert_eq!(
        up.trim_end_matches('F').parse(),
        Ok(drawn.matches('\n').count()),
        "up to what it drew before: {seen:?}"
    );
    for line in seen.lines().filter(|line| !line.contains('\x1b')) {
        assert!(line.trim_end().chars().count() <= 40, "{line:?} is broken by the terminal");
    }
    signal(&child.0, Signal::INT);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_terminal_is_asked_before_a_report_is_written() {
    let home = Home::new();
    for (answer, files) in [("n\n", 0), ("y\n", 1)] {
        let file = home.path().join("mine.txt");
        let args = ["report", "--out", file.to_str().unwrap()];
        let (mut terminal, mut child) = on_a_terminal(&mut home.surge(&args), 80, 24);
        let mut seen = String::new();
        read_until(&mut terminal, &mut seen, "[y/N] ");
        assert!(seen.contains("== Store") && !file.exists(), "{seen}");
        terminal.write_all(answer.as_bytes()).unwrap();
        // Read on, so that its last words have room.
        let mut rest = Vec::new();
        let _ = terminal.read_to_end(&mut rest);
        assert_eq!(child.0.wait().unwrap().code(), Some(0));
        assert_eq!(usize::from(file.exists()), files, "{answer:?}");
    }
}
