//! A real X server (Xvfb) with real input events (XTest).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use surge_platform::presence::{Presence, Surroundings};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::KEY_PRESS_EVENT;
use x11rb::protocol::xtest::ConnectionExt;
use x11rb::rust_connection::RustConnection;

use crate::program::{Program, example_that_sees_somebody, wakes};
use crate::{AWAY, Watched};

/// An X server, on a display of its own or on `:number`.
pub(crate) fn xvfb(number: Option<&str>) -> (Program, String) {
    let mut server = Command::new("Xvfb")
        .args(number)
        .args(["-displayfd", "1", "-screen", "0", "640x480x24", "-noreset", "-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb starts (Debian package xvfb; `cargo xtask setup` installs it)");
    let mut number = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
    assert!(!number.trim().is_empty(), "Xvfb found no free display");
    (Program(server), format!(":{}", number.trim()))
}

fn on(display: &str) -> Surroundings {
    Surroundings { display: Some(display.into()), ..Surroundings::none() }
}

pub(crate) fn press_keys(display: &str, count: usize) {
    let (connection, screen) = RustConnection::connect(Some(display)).unwrap();
    let root = connection.setup().roots[screen].root;
    for _ in 0..count {
        for event in [KEY_PRESS_EVENT, KEY_PRESS_EVENT + 1] {
            connection.xtest_fake_input(event, 38, 0, root, 0, 0, 0).unwrap().check().unwrap();
        }
    }
}

#[test]
fn input_ends_idleness() {
    let (_server, display) = xvfb(None);
    let watched = Watched::start(&on(&display));
    watched.becomes_idle();
    assert_eq!(watched.watcher.source(), "x11");
    assert!(watched.watcher.idle().is_some_and(|idle| idle >= AWAY));
    for _ in 0..3 {
        press_keys(&display, 1);
        watched.becomes_active();
        watched.becomes_idle();
    }
}

#[test]
fn a_display_that_dies_is_unknown_until_it_is_back() {
    // A number that no other test's server takes while it is free: those take the lowest.
    let (server, display) = xvfb(Some(&format!(":{}", 10_000 + std::process::id() % 10_000)));
    let watched = Watched::start(&on(&display));
    watched.becomes_idle();
    drop(server);
    watched.becomes_unknown("display");
    let (_server, again) = xvfb(Some(&display));
    assert_eq!(again, display);
    watched.becomes_idle();
    press_keys(&display, 1);
    watched.becomes_active();
}

#[test]
fn a_display_that_hangs_is_unknown_until_it_answers() {
    let (server, display) = xvfb(None);
    let watched = Watched::start(&on(&display));
    watched.becomes_idle();
    server.signal(Signal::STOP);
    watched.becomes_unknown("does not answer");
    // Whoever shows the idle time does not wait for the display.
    assert!(watched.watcher.idle().is_some());
    server.signal(Signal::CONT);
    watched.becomes_idle();
}

#[test]
fn a_display_that_is_not_there_is_unknown() {
    assert!(matches!(Watched::start(&on(":987")).next(), Presence::Unknown(why) if why.contains("can't be reached")));
}

#[test]
fn typing_wakes_nobody() {
    let (_server, display) = xvfb(None);
    let program = example_that_sees_somebody("DISPLAY", &display);
    press_keys(&display, 1);
    let before = wakes(&program);
    press_keys(&display, 100);
    // Starting up may not be over yet; a hundred keys would show.
    assert!(wakes(&program) - before < 20, "{before} wakes became {}", wakes(&program));
}

#[test]
fn without_the_counter_the_screen_saver_is_asked() {
    let (_server, display) = xvfb(None);
    let watched = Watched::start(&on(&renaming(&display, b"SYNC", b"SYNX")));
    watched.becomes_idle();
    assert_eq!(watched.watcher.source(), "x11");
    for _ in 0..2 {
        press_keys(&display, 1);
        watched.becomes_active();
        watched.becomes_idle();
    }
}

#[test]
fn xwayland_is_not_believed() {
    let (_server, display) = xvfb(None);
    // The extension that tells XWayland, played by another with a name of the same length.
    let watched = Watched::start(&on(&renaming(&display, b"XWAYLAND", b"XINERAMA")));
    assert!(matches!(watched.next(), Presence::Unknown(why) if why.contains("XWayland")));
}

/// A display like `display`, in which one extension is asked for by another name.
fn renaming(display: &str, from: &'static [u8], to: &'static [u8]) -> String {
    assert_eq!(from.len(), to.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = listener.local_addr().unwrap().port() - 6000;
    let socket = format!("/tmp/.X11-unix/X{}", &display[1..]);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(&socket) else { return };
            let (mut replies, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut replies, &mut back));
            std::thread::spawn(move || forward(client, server, from, to));
        }
    });
    format!("127.0.0.1:{number}")
}

/// Copies requests; those that ask for an extension by its name fit into one write of the client.
fn forward(mut client: TcpStream, mut server: UnixStream, from: &[u8], to: &[u8]) {
    let mut buffer = [0; 1 << 16];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let bytes = &mut buffer[..read];
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        if server.write_all(bytes).is_err() {
            return;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}
