//! Windows on a real X server (Xvfb); the test is their window manager.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, KEY_PRESS_EVENT, PropMode, Window,
    WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::machine::{Killed, Line, Sensors};

const WIDTH: u16 = 640;
const HEIGHT: u16 = 480;

/// An X server on a display of its own.
pub(crate) fn xvfb() -> (Killed, String) {
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

/// What a window manager does.
pub(crate) struct Manager {
    connection: RustConnection,
    root: Window,
}

impl Manager {
    pub(crate) fn start(display: &str) -> Self {
        let (connection, screen) = RustConnection::connect(Some(display)).unwrap();
        let root = connection.setup().roots[screen].root;
        Self { connection, root }
    }

    fn atom(&self, name: &str) -> Atom {
        self.connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom
    }

    pub(crate) fn window(&self, class: &str) -> Window {
        let window = self.connection.generate_id().unwrap();
        let settings = CreateWindowAux::new();
        let kind = WindowClass::INPUT_OUTPUT;
        self.connection.create_window(0, window, self.root, 0, 0, 200, 100, 0, kind, 0, &settings).unwrap();
        let names = format!("{}\0{class}\0", class.to_lowercase());
        let named = self.connection.change_property8(
            PropMode::REPLACE,
            window,
            AtomEnum::WM_CLASS,
            AtomEnum::STRING,
            names.as_bytes(),
        );
        named.unwrap().check().unwrap();
        window
    }

    fn set(&self, window: Window, property: &str, kind: impl Into<Atom>, values: &[u32]) {
        let property = self.atom(property);
        self.connection.change_property32(PropMode::REPLACE, window, property, kind, values).unwrap().check().unwrap();
    }

    pub(crate) fn states(&self, window: Window, names: &[&str]) {
        let atoms: Vec<Atom> = names.iter().map(|name| self.atom(&format!("_NET_WM_STATE_{name}"))).collect();
        self.set(window, "_NET_WM_STATE", AtomEnum::ATOM, &atoms);
    }

    fn on_root(&self, property: &str, kind: AtomEnum, values: &[u32]) {
        self.set(self.root, property, kind, values);
    }

    /// Lists these windows as those that are there.
    pub(crate) fn show(&self, windows: &[Window]) {
        self.on_root("_NET_CLIENT_LIST", AtomEnum::WINDOW, windows);
    }

    fn place(&self, window: Window, x: i32, y: i32, width: u32, height: u32) {
        let place = ConfigureWindowAux::new().x(x).y(y).width(width).height(height);
        self.connection.configure_window(window, &place).unwrap().check().unwrap();
    }

    /// Motif's hints: only the decorations are meant.
    fn frame(&self, window: Window, frame: bool) {
        self.set(window, "_MOTIF_WM_HINTS", self.atom("_MOTIF_WM_HINTS"), &[2, 0, frame.into(), 0, 0]);
    }

    pub(crate) fn press_a_key(&self) {
        for event in [KEY_PRESS_EVENT, KEY_PRESS_EVENT + 1] {
            self.connection.xtest_fake_input(event, 38, 0, self.root, 0, 0, 0).unwrap().check().unwrap();
        }
    }
}

#[test]
fn a_window_that_fills_the_screen_is_a_use() {
    let (server, display) = xvfb();
    let manager = Manager::start(&display);
    let (film, editor) = (manager.window("Player"), manager.window("Editor"));
    let mut sensors = Sensors::start_in(&[("DISPLAY", &display)], &["600"]);
    sensors.look("a display without a window manager", |line| {
        line.is("uses", "[]") && line.get("seen").starts_with("x11/")
    });

    manager.on_root("_NET_CLIENT_LIST", AtomEnum::WINDOW, &[film, editor]);
    manager.on_root("_NET_CURRENT_DESKTOP", AtomEnum::CARDINAL, &[0]);
    manager.on_root("_NET_ACTIVE_WINDOW", AtomEnum::WINDOW, &[editor]);
    manager.states(film, &["ABOVE"]);
    sensors.look("ordinary windows", |line| line.is("uses", "[]"));

    let filled = "[FullScreen(\"Player\")]";
    manager.states(film, &["ABOVE", "FULLSCREEN"]);
    sensors.look("full screen, beside the active one", |line| line.is("uses", filled));
    manager.states(film, &["FULLSCREEN", "HIDDEN"]);
    sensors.look("minimized", |line| line.is("uses", "[]"));
    manager.states(film, &["FULLSCREEN"]);
    manager.set(film, "_NET_WM_DESKTOP", AtomEnum::CARDINAL, &[1]);
    sensors.look("on another desktop", |line| line.is("uses", "[]"));
    manager.set(film, "_NET_WM_DESKTOP", AtomEnum::CARDINAL, &[u32::MAX]);
    sensors.look("on all desktops", |line| line.is("uses", filled));
    manager.connection.destroy_window(film).unwrap().check().unwrap();
    sensors.look("closed while the list still has it", |line| line.is("uses", "[]"));

    drop(server);
    let gone = |line: &Line| line.get("seen").starts_with("system/") && line.get("presence").starts_with("unknown");
    let line = sensors.look("the display is gone", gone);
    assert_eq!(line.get("uses"), "[]");
}

#[test]
fn a_game_without_a_frame_that_covers_the_monitor_is_a_use() {
    let (_server, display) = xvfb();
    let manager = Manager::start(&display);
    let game = manager.window("Game");
    manager.on_root("_NET_ACTIVE_WINDOW", AtomEnum::WINDOW, &[game]);
    manager.frame(game, false);
    manager.place(game, 0, 0, WIDTH.into(), HEIGHT.into());
    let mut sensors = Sensors::start_in(&[("DISPLAY", &display)], &["600"]);
    let covers = "[FullScreen(\"Game\")]";
    sensors.look("it covers", |line| line.is("uses", covers));
    manager.place(game, 0, 24, WIDTH.into(), HEIGHT.into());
    sensors.look("a panel is left", |line| line.is("uses", "[]"));
    manager.place(game, -2, -2, u32::from(WIDTH) + 4, u32::from(HEIGHT) + 4);
    sensors.look("larger than the monitor", |line| line.is("uses", covers));
    manager.frame(game, true);
    sensors.look("a frame", |line| line.is("uses", "[]"));
    manager.frame(game, false);
    manager.states(game, &["MAXIMIZED_VERT", "MAXIMIZED_HORZ"]);
    sensors.look("maximized", |line| line.is("uses", "[]"));
    manager.states(game, &[]);
    sensors.look("not maximized", |line| line.is("uses", covers));
    let desktop = manager.atom("_NET_WM_WINDOW_TYPE_DESKTOP");
    manager.set(game, "_NET_WM_WINDOW_TYPE", AtomEnum::ATOM, &[desktop]);
    sensors.look("the desktop itself", |line| line.is("uses", "[]"));
}

#[test]
fn in_a_wayland_session_windows_are_not_seen_and_it_says_so() {
    let (_server, display) = xvfb();
    let manager = Manager::start(&display);
    let film = manager.window("Player");
    manager.on_root("_NET_CLIENT_LIST", AtomEnum::WINDOW, &[film]);
    manager.states(film, &["FULLSCREEN"]);
    let session = [("DISPLAY", display.as_str()), ("XDG_SESSION_TYPE", "wayland")];
    let mut sensors = Sensors::start_in(&session, &["600"]);
    let line = sensors.look("the load", |line| line.is("load", "system"));
    assert_eq!(line.get("uses"), "[]");
    assert!(line.get("seen").starts_with("system/"));
}

#[test]
fn idleness_comes_with_what_is_there_when_it_begins() {
    let (_server, display) = xvfb();
    let manager = Manager::start(&display);
    manager.press_a_key();
    let mut sensors = Sensors::start_in(&[("DISPLAY", &display)], &["2"]);
    let mut changes = 0;
    for _ in 0..2 {
        // What begins after the last look is known when idleness is told.
        let film = manager.window("Player");
        manager.states(film, &["FULLSCREEN"]);
        manager.press_a_key();
        sensors.until("input", |line| line.is("presence", "active"));
        manager.on_root("_NET_CLIENT_LIST", AtomEnum::WINDOW, &[film]);
        let idle = sensors.until("idleness", |line| line.is("presence", "idle"));
        assert_eq!(idle.get("uses"), "[FullScreen(\"Player\")]");
        manager.on_root("_NET_CLIENT_LIST", AtomEnum::WINDOW, &[]);
        changes += 1;
    }
    assert_eq!(changes, 2);
    sensors.order("want 600 headless");
    sensors.until("another source", |line| line.is("presence", "headless"));
    sensors.order("want 600 auto");
    sensors.until("a higher threshold", |line| line.is("presence", "active"));
    sensors.end();
}
