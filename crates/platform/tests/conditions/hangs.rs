//! One source hangs for ever, from the start: all others speak, and the log names it.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::machine::{Line, Machine, Sensors};

/// Accepts everybody and says nothing.
fn keep<C: Send + 'static>(accept: impl Fn() -> std::io::Result<C> + Send + 'static) {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok(client) = accept() {
            kept.push(client);
        }
    });
}

fn mute_socket(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    keep(move || listener.accept());
}

/// Everything but presence is known.
fn others_speak(line: &Line) -> bool {
    line.is("load", "system") && line.get("presence") != "unknown(the_source_of_presence_has_not_spoken_yet)"
}

#[test]
fn a_display_that_says_nothing_holds_up_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let display = format!("127.0.0.1:{}", listener.local_addr().unwrap().port() - 6000);
    keep(move || listener.accept());
    let headless = Sensors::start_in(&[("DISPLAY", &display)], &["600", "headless"]);
    let line = headless.until("conditions", others_speak);
    assert_eq!((line.get("presence"), line.get("uses")), ("headless", "[]"));

    let mut auto = Sensors::start_in(&[("DISPLAY", &display)], &["600"]);
    let unknown = format!("unknown(the_display_{display}_does_not_answer)");
    auto.until("conditions", |line| others_speak(line) && line.is("presence", &unknown));
    auto.logs(&["WARN", &display, "does not answer"]);
    auto.look("the same later", |line| line.is("presence", &unknown));
    auto.end();
    headless.end();
}

#[test]
fn a_compositor_that_says_nothing_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("wayland-3");
    mute_socket(&socket);
    let sensors = Sensors::start_in(&[("WAYLAND_DISPLAY", socket.to_str().unwrap())], &["600"]);
    let unknown = "unknown(the_compositor_wayland-3_does_not_answer)";
    sensors.until("conditions", |line| others_speak(line) && line.is("presence", unknown));
    sensors.logs(&["WARN", "wayland-3", "does not answer"]);
}

#[test]
fn buses_and_a_sound_server_that_say_nothing_hold_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["system", "session", "sound"] {
        mute_socket(&at(name));
    }
    let address = |name: &str| format!("unix:path={}", at(name).display());
    let (system, session) = (address("system"), address("session"));
    for (variable, value, named) in [
        ("DBUS_SYSTEM_BUS_ADDRESS", &system, "System"),
        ("DBUS_SESSION_BUS_ADDRESS", &session, "Session"),
        ("PULSE_SERVER", &at("sound").to_str().unwrap().to_owned(), "sound"),
    ] {
        let sensors = Sensors::start_in(&[(variable, value)], &["600", "headless"]);
        let line = sensors.until("conditions", others_speak);
        assert_eq!(line.get("presence"), "headless", "{named}");
        sensors.logs(&["WARN", named, "does not answer"]);
        sensors.end();
    }
}

/// A pipe that nobody writes to makes whoever opens it wait for ever, as a file on a dead network file system does.
#[test]
fn files_of_the_kernel_that_hang_hold_up_nothing() {
    if !Machine::can_be_made() {
        return;
    }
    for (file, sensor, known) in [
        ("sys/class/power_supply/BAT0/type", "power", "load"),
        ("sys/class/hwmon/hwmon0/name", "temperature", "load"),
        ("proc/stat", "load", "power"),
        ("proc/acpi/button/lid/LID0/state", "lid", "load"),
        ("proc/asound/card0/pcm0c/sub0/status", "sound-cards", "load"),
    ] {
        let machine = Machine::new();
        machine.set_all("sys/class/power_supply/AC", &[("type", "Mains"), ("online", "1")]);
        let hanging = machine.path(file);
        std::fs::create_dir_all(hanging.parent().unwrap()).unwrap();
        mkfifoat(CWD, &hanging, Mode::RUSR | Mode::WUSR).unwrap();
        let sensors = machine.start(&["600", "headless"]);
        let line = sensors.until(file, |line| match known {
            "power" => line.is("power", "mains"),
            _ => line.is("load", "system"),
        });
        assert_eq!(line.get("presence"), "headless", "{file}");
        assert_eq!(line.is("power", "mains"), sensor != "power", "{file}: {line:?}");
        sensors.logs(&["WARN", sensor, "hangs"]);
        sensors.end();
    }
}
