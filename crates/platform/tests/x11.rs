//! Presence on a real X server (Xvfb) with real input events (XTest).

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use x11rb::connection::Connection;
use x11rb::protocol::xproto::KEY_PRESS_EVENT;
use x11rb::protocol::xtest::ConnectionExt;
use x11rb::rust_connection::RustConnection;

/// A hang's bound: ten times what the slowest step takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An X server on a display of its own.
fn xvfb() -> (Killed, String) {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "640x480x24", "-noreset", "-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb starts (Debian package xvfb; `cargo xtask setup` installs it)");
    let mut number = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
    assert!(!number.trim().is_empty(), "Xvfb found no free display");
    (Killed(server), format!(":{}", number.trim()))
}

/// The example program on `display`, and its lines.
fn presence(display: &str, extra: &[(&str, &str)]) -> (Killed, Receiver<String>) {
    let built: PathBuf = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples/presence");
    let mut program = Command::new(built)
        .arg("1")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("XDG_SESSION_TYPE")
        .env("DISPLAY", display)
        .envs(extra.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo builds the example with the tests");
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    (Killed(program), receiver)
}

fn press_a_key(display: &str) {
    let (connection, screen) = RustConnection::connect(Some(display)).unwrap();
    let root = connection.setup().roots[screen].root;
    for event in [KEY_PRESS_EVENT, KEY_PRESS_EVENT + 1] {
        connection.xtest_fake_input(event, 38, 0, root, 0, 0, 0).unwrap().check().unwrap();
    }
}

#[test]
fn input_ends_idleness_and_a_dead_display_is_unknown() {
    let (server, display) = xvfb();
    let (_program, lines) = presence(&display, &[]);
    let next = || lines.recv_timeout(PATIENCE).expect("the next change");
    let first = next();
    if first == "active" {
        assert_eq!(next(), "idle");
    } else {
        assert_eq!(first, "idle");
    }
    for _ in 0..3 {
        press_a_key(&display);
        assert_eq!(next(), "active");
        assert_eq!(next(), "idle");
    }
    drop(server);
    assert!(next().starts_with("unknown: "), "a display that is gone tells nothing");
}

#[test]
fn where_x11_cannot_tell_presence_is_unknown() {
    let unknown = |display: &str, extra: &[(&str, &str)]| {
        let (_program, lines) = presence(display, extra);
        lines.recv_timeout(PATIENCE).unwrap()
    };
    assert!(unknown("", &[]).contains("no display"));
    assert!(unknown(":0", &[("WAYLAND_DISPLAY", "wayland-0")]).contains("Wayland"));
    assert!(unknown(":987", &[]).starts_with("unknown: "), "a display that is not there");
}
