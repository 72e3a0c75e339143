//! `surge run` under a service manager, and the units that are shipped for it.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use surge_tests::home::{Home, signal};
use surge_tests::network::{Running, program};

const NOBODY: &str = "http://127.0.0.1:9";

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../installers/systemd")
}

/// What is told to the socket, one state after the other.
fn told(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let read = socket.recv(&mut bytes).expect("the engine tells within the time");
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[test]
fn it_says_when_it_is_ready_what_it_does_and_that_it_stops() {
    let home = Home::attached(NOBODY);
    let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut engine = Running(home.engine().env("NOTIFY_SOCKET", home.path().join("notify")).spawn().unwrap());
    assert_eq!(told(&socket), "READY=1");
    assert_eq!(home.run(&["status"]).status, Some(0), "ready means that it answers");
    assert!(told(&socket).starts_with("STATUS="));
    let _ = home.run(&["pause"]);
    while told(&socket) != "STATUS=Paused until you resume" {}
    signal(&engine.0, Signal::TERM);
    while told(&socket) != "STOPPING=1" {}
    assert_eq!(engine.0.wait().unwrap().code(), Some(0));
}

#[test]
fn an_abstract_socket_and_one_that_is_gone_are_no_trouble() {
    use std::os::linux::net::SocketAddrExt;
    let home = Home::attached(NOBODY);
    let name = format!("surge-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let engine = Running(home.engine().env("NOTIFY_SOCKET", format!("@{name}")).spawn().unwrap());
    assert_eq!(told(&socket), "READY=1");
    drop(engine);
    let _engine = home.start(home.engine().env("NOTIFY_SOCKET", "/nowhere/at/all"));
}

#[test]
fn a_terminal_that_goes_ends_it_in_order() {
    let home = Home::attached(NOBODY);
    let mut engine = home.started();
    signal(&engine.0, Signal::HUP);
    assert_eq!(engine.0.wait().unwrap().code(), Some(0));
    let log = std::fs::read_to_string(home.paths().log()).unwrap();
    assert!(log.contains("Stopping: running tasks are given back"), "{log}");
}

const UNITS: [(&str, &str); 3] =
    [("system", "surge.service"), ("user", "surge.service"), ("user", "surge-session.service")];

/// The units with the program where it was built.
fn adapted(folder: &Path) -> Vec<PathBuf> {
    let surge = program("surge").display().to_string();
    let mut adapted = Vec::new();
    for (kind, name) in UNITS {
        let text = std::fs::read_to_string(units().join(kind).join(name)).unwrap();
        assert!(text.contains("/usr/bin/surge"), "{text}");
        let path = folder.join(kind).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text.replace("/usr/bin/surge", &surge)).unwrap();
        adapted.push(path);
    }
    adapted
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let folder = tempfile::tempdir().unwrap();
    for unit in adapted(folder.path()) {
        let mut verify = Command::new("systemd-analyze");
        if unit.parent().unwrap().ends_with("user") {
            verify.arg("--user");
        }
        let verified = verify
            .env("XDG_RUNTIME_DIR", folder.path())
            .args(["--man=no", "--recursive-errors=no", "verify"])
            .arg(&unit)
            .output();
        let verified = verified.expect("systemd is installed: run `cargo xtask setup`");
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && said.trim().is_empty(), "{}: {said}", unit.display());
    }
}

#[test]
fn units_try_again_only_where_that_can_help() {
    for kind in ["system", "user"] {
        let text = std::fs::read_to_string(units().join(kind).join("surge.service")).unwrap();
        assert!(text.contains("RestartPreventExitStatus=2 10 11 12 13\n"), "{kind}: the statuses that stay");
        // systemd's own policy would stop the engine for a worker that the kernel killed.
        for line in ["Type=notify\n", "Restart=on-failure\n", "KillMode=mixed\n", "OOMPolicy=continue\n"] {
            assert!(text.contains(line), "{kind}: {line}");
        }
    }
}

#[test]
fn the_system_unit_is_locked_up_as_far_as_its_workers_can_bear() {
    let folder = tempfile::tempdir().unwrap();
    let unit = adapted(folder.path()).swap_remove(0);
    // Exposure in tenths, of 100: what systemd calls OK ends at 50.
    let security = ["security", "--offline=yes", "--no-pager", "--threshold=30"];
    let analysed = Command::new("systemd-analyze").args(security).arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&analysed.stdout);
    assert!(analysed.status.success(), "{said}{}", String::from_utf8_lossy(&analysed.stderr));
}

#[test]
fn a_server_ends_where_others_wait_to_be_set_up() {
    let text = std::fs::read_to_string(units().join("system/server.conf")).unwrap();
    let line = text.lines().rfind(|line| line.starts_with("ExecStart=")).unwrap();
    let args: Vec<_> = line.split_whitespace().skip(1).collect();
    assert!(line.starts_with("ExecStart=/usr/bin/surge ") && args.ends_with(&["--exit-when-not-set-up"]), "{line}");
    let home = Home::new();
    let ran = home.run(&["run", "--presence", "headless", "--share-machine", "--exit-when-not-set-up"]);
    assert_eq!(ran.failure(), (10, "no_network"));
    // Without it the unit's line is the same.
    let unit = std::fs::read_to_string(units().join("system/surge.service")).unwrap();
    let line = line.trim_end_matches(" --exit-when-not-set-up");
    assert!(unit.lines().any(|other| other == line), "{unit}");
}

#[test]
fn desktops_that_systemd_does_not_start_start_the_same_reporter() {
    let entry = units().join("../xdg/autostart/surge-session.desktop");
    let entry = std::fs::read_to_string(entry).unwrap();
    let unit = std::fs::read_to_string(units().join("user/surge-session.service")).unwrap();
    let value = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
    };
    assert_eq!(value(&entry, "Exec"), value(&unit, "ExecStart"));
    assert_eq!(
        (value(&entry, "X-systemd-skip"), value(&entry, "X-GNOME-HiddenUnderSystemd")),
        ("true".into(), "true".into())
    );
}
