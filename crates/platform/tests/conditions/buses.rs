//! What services say on a real bus: a private daemon that is both the system's and the session's, with services that
//! have the interfaces of logind, NetworkManager and the desktops.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use zbus::connection::Builder;
use zbus::zvariant::{ObjectPath, OwnedFd, OwnedObjectPath};
use zbus::{Connection, fdo, interface};

use crate::machine::{Killed, PATIENCE, Sensors};

pub(crate) struct Bus {
    daemon: Option<Killed>,
    pub(crate) address: String,
    runtime: Runtime,
    _folder: TempDir,
}

impl Bus {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}", folder.path().join("bus").display());
        let mut bus = Self { daemon: None, address, runtime: Runtime::new().unwrap(), _folder: folder };
        bus.start_daemon();
        bus
    }

    fn start_daemon(&mut self) {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1", &format!("--address={}", self.address)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon starts (Debian package dbus; `cargo xtask setup` installs it)");
        let mut line = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:"), "{line:?}");
        self.daemon = Some(Killed(daemon));
    }

    fn sensors(&self, which: &[&str]) -> Sensors {
        let session: Vec<(&str, &str)> = which.iter().map(|name| (*name, self.address.as_str())).collect();
        Sensors::start_in(&session, &["600"])
    }

    fn builder(&self) -> Builder<'_> {
        Builder::address(self.address.as_str()).unwrap()
    }

    fn serve(&self, builder: Builder<'_>) -> Connection {
        self.runtime.block_on(builder.build()).unwrap()
    }

    fn signal(&self, from: &Connection, path: &str, interface: &str, name: &str) {
        let emitted = from.emit_signal(None::<&str>, path, interface, name, &());
        self.runtime.block_on(emitted).unwrap();
    }
}

const SYSTEM: &str = "DBUS_SYSTEM_BUS_ADDRESS";
const SESSION: &str = "DBUS_SESSION_BUS_ADDRESS";

/// What a test's services say.
type Facts<T> = Arc<Mutex<T>>;

/// What, who, why, mode, user, process.
type Lock = (String, String, String, String, u32, u32);

#[derive(Default)]
struct Login {
    locks: Vec<Lock>,
    locked: bool,
    lid_closed: bool,
    /// The other ends of the locks that it gave.
    given: Vec<PipeReader>,
}

struct LoginManager(Facts<Login>);

#[interface(name = "org.freedesktop.login1.Manager")]
impl LoginManager {
    fn list_inhibitors(&self) -> Vec<Lock> {
        self.0.lock().unwrap().locks.clone()
    }

    fn inhibit(&self, what: String, who: String, why: String, mode: String) -> fdo::Result<OwnedFd> {
        let mut facts = self.0.lock().unwrap();
        let (reader, writer) = std::io::pipe().map_err(|error| fdo::Error::Failed(error.to_string()))?;
        facts.given.push(reader);
        facts.locks.push((what, who, why, mode, 1000, 7));
        Ok(std::os::fd::OwnedFd::from(writer).into())
    }

    fn get_session(&self, id: &str) -> fdo::Result<OwnedObjectPath> {
        match id {
            "auto" => Ok(ObjectPath::try_from(LOGIN_SESSION).unwrap().into()),
            other => Err(fdo::Error::Failed(format!("no session {other}"))),
        }
    }

    #[zbus(property)]
    fn lid_closed(&self) -> bool {
        self.0.lock().unwrap().lid_closed
    }

    #[zbus(property)]
    fn block_inhibited(&self) -> String {
        "idle".to_owned()
    }
}

struct LoginSession(Facts<Login>);

#[interface(name = "org.freedesktop.login1.Session")]
impl LoginSession {
    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.0.lock().unwrap().locked
    }
}

const LOGIN: &str = "/org/freedesktop/login1";
const LOGIN_SESSION: &str = "/org/freedesktop/login1/session/_31";

fn logind(bus: &Bus, facts: &Facts<Login>) -> Connection {
    let builder = bus.builder().name("org.freedesktop.login1").unwrap();
    let builder = builder.serve_at(LOGIN, LoginManager(Arc::clone(facts))).unwrap();
    bus.serve(builder.serve_at(LOGIN_SESSION, LoginSession(Arc::clone(facts))).unwrap())
}

/// What logind sends when one of its properties has changed.
fn changed(bus: &Bus, from: &Connection, path: &str, interface: &str) {
    let body = (interface, HashMap::<&str, zbus::zvariant::Value<'_>>::new(), Vec::<&str>::new());
    let emitted = from.emit_signal(None::<&str>, path, "org.freedesktop.DBus.Properties", "PropertiesChanged", &body);
    bus.runtime.block_on(emitted).unwrap();
}

fn lock(what: &str, who: &str, mode: &str) -> Lock {
    (what.into(), who.into(), "because".into(), mode.into(), 1000, 1)
}

#[test]
fn logind_tells_of_films_locks_and_the_lid_by_its_signals() {
    let bus = Bus::start();
    let facts = Facts::<Login>::default();
    facts.lock().unwrap().locks = vec![lock("sleep:idle", "NetworkManager", "delay"), lock("sleep", "apt", "block")];
    let sensors = bus.sensors(&[SYSTEM]);
    sensors.until("no logind yet", |line| line.is("load", "system"));
    // It comes later: its name is news.
    let logind = logind(&bus, &facts);
    facts.lock().unwrap().locked = true;
    changed(&bus, &logind, LOGIN_SESSION, "org.freedesktop.login1.Session");
    sensors.until("locked", |line| line.is("locked", "true") && line.is("uses", "[]"));
    {
        let mut facts = facts.lock().unwrap();
        (facts.locked, facts.lid_closed) = (false, true);
        facts.locks.push(lock("sleep:idle", "mpv", "block"));
    }
    changed(&bus, &logind, LOGIN, "org.freedesktop.login1.Manager");
    let line = sensors.until("a film", |line| line.is("uses", "[Inhibited(\"mpv\")]"));
    assert_eq!((line.get("locked"), line.get("lid")), ("false", "true"));
    facts.lock().unwrap().locks.pop();
    changed(&bus, &logind, LOGIN, "org.freedesktop.login1.Manager");
    sensors.until("its end", |line| line.is("uses", "[]"));
}

/// Waits until the program gives up the lock that it was given.
fn until_given_up(mut lock: PipeReader) {
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(lock.read(&mut [0])));
    assert_eq!(heard.recv_timeout(PATIENCE).expect("the lock is given up").unwrap(), 0);
}

#[test]
fn a_lock_on_idleness_is_held_while_it_is_wanted_and_is_no_film() {
    let bus = Bus::start();
    let facts = Facts::<Login>::default();
    let logind = logind(&bus, &facts);
    let mut sensors = bus.sensors(&[SYSTEM]);
    let given = |sensors: &mut Sensors| {
        let start = Instant::now();
        loop {
            if let Some(lock) = facts.lock().unwrap().given.pop() {
                return lock;
            }
            assert!(start.elapsed() < PATIENCE, "no lock is asked for");
            sensors.look("anything", |_| true);
        }
    };
    sensors.order("awake");
    let lock = given(&mut sensors);
    let asked = facts.lock().unwrap().locks.clone();
    let [(what, who, why, mode, ..)] = asked.as_slice() else { panic!("one lock: {asked:?}") };
    assert_eq!([what, who, mode], ["idle", "Surge", "block"]);
    assert!(why.contains("keep_awake_on_ac"), "its owner can find out why: {why}");
    // Another's, so that it is sure that both were heard of.
    facts.lock().unwrap().locks.push(self::lock("idle", "mpv", "block"));
    changed(&bus, &logind, LOGIN, "org.freedesktop.login1.Manager");
    sensors.until("the film alone", |line| line.is("uses", "[Inhibited(\"mpv\")]"));

    sensors.order("asleep");
    until_given_up(lock);
    sensors.order("awake");
    let lock = given(&mut sensors);
    // Whatever ends the program ends its lock.
    drop(sensors);
    until_given_up(lock);
}

#[test]
fn a_bus_that_dies_leaves_what_was_said_and_makes_it_old() {
    let mut bus = Bus::start();
    let facts = Facts::<Login>::default();
    facts.lock().unwrap().locks = vec![lock("idle", "mpv", "block")];
    let _logind = logind(&bus, &facts);
    let network = NetworkManager(Facts::default());
    *network.0.lock().unwrap() = 4;
    let builder = bus.builder().name("org.freedesktop.NetworkManager").unwrap();
    let _network = bus.serve(builder.serve_at(NETWORK, network).unwrap());
    let mut sensors = bus.sensors(&[SYSTEM]);
    sensors
        .until("a film", |line| line.is("uses", "[Inhibited(\"mpv\")]") && line.is("network", "Free/networkmanager"));
    bus.daemon = None;
    sensors.order("running");
    let line = sensors.until("an old reading", |line| !line.get("seen").ends_with("/0s"));
    assert_eq!(line.get("uses"), "[Inhibited(\"mpv\")]");
    assert_eq!(line.get("network"), "Unknown/networkmanager");
    // Another daemon at the same address, on which nobody keeps the screen awake.
    bus.start_daemon();
    let line = sensors.until("the bus is back", |line| line.is("uses", "[]") && line.get("seen").ends_with("/0s"));
    assert!(line.get("network").ends_with("/route"));
}

struct NetworkManager(Facts<u32>);

#[interface(name = "org.freedesktop.NetworkManager")]
impl NetworkManager {
    #[zbus(property)]
    fn metered(&self) -> u32 {
        *self.0.lock().unwrap()
    }
}

const NETWORK: &str = "/org/freedesktop/NetworkManager";

#[test]
fn networkmanager_tells_what_transfers_cost() {
    let bus = Bus::start();
    let metered = Facts::default();
    let builder = bus.builder().name("org.freedesktop.NetworkManager").unwrap();
    let manager = bus.serve(builder.serve_at(NETWORK, NetworkManager(Arc::clone(&metered))).unwrap());
    let sensors = bus.sensors(&[SYSTEM]);
    sensors.until("it does not know", |line| line.is("network", "Unknown/networkmanager"));
    for (said, expected) in [(3, "Metered"), (2, "Free"), (1, "Metered"), (99, "Unknown")] {
        *metered.lock().unwrap() = said;
        changed(&bus, &manager, NETWORK, "org.freedesktop.NetworkManager");
        sensors.until(expected, |line| line.is("network", &format!("{expected}/networkmanager")));
    }
    bus.runtime.block_on(manager.close()).unwrap();
    sensors.until("it is gone", |line| line.get("network").ends_with("/route"));
}

/// GNOME's session manager: flags and programs that hold them.
struct Gnome(Facts<Vec<(u32, &'static str)>>);

#[interface(name = "org.gnome.SessionManager")]
impl Gnome {
    fn is_inhibited(&self, flags: u32) -> bool {
        self.0.lock().unwrap().iter().any(|(held, _)| held & flags != 0)
    }

    fn get_inhibitors(&self) -> Vec<OwnedObjectPath> {
        let count = self.0.lock().unwrap().len();
        (0..count).map(|number| ObjectPath::try_from(format!("{GNOME}/Inhibitor{number}")).unwrap().into()).collect()
    }
}

struct GnomeInhibitor(Facts<Vec<(u32, &'static str)>>, usize);

#[interface(name = "org.gnome.SessionManager.Inhibitor")]
impl GnomeInhibitor {
    fn get_flags(&self) -> u32 {
        self.0.lock().unwrap()[self.1].0
    }

    fn get_app_id(&self) -> String {
        self.0.lock().unwrap()[self.1].1.to_owned()
    }
}

const GNOME: &str = "/org/gnome/SessionManager";

struct Saver(Facts<bool>);

#[interface(name = "org.freedesktop.ScreenSaver")]
impl Saver {
    fn get_active(&self) -> bool {
        *self.0.lock().unwrap()
    }
}

#[test]
fn gnome_tells_who_keeps_the_screen_awake() {
    let bus = Bus::start();
    let (locks, active) = (Facts::default(), Facts::default());
    let mut builder =
        bus.builder().name("org.gnome.SessionManager").unwrap().name("org.freedesktop.ScreenSaver").unwrap();
    builder = builder.serve_at(GNOME, Gnome(Arc::clone(&locks))).unwrap();
    builder = builder.serve_at("/org/freedesktop/ScreenSaver", Saver(Arc::clone(&active))).unwrap();
    for number in 0..2 {
        builder =
            builder.serve_at(format!("{GNOME}/Inhibitor{number}"), GnomeInhibitor(Arc::clone(&locks), number)).unwrap();
    }
    let desktop = bus.serve(builder);
    let sensors = bus.sensors(&[SESSION]);
    sensors.until("nobody", |line| line.is("load", "system") && line.is("uses", "[]"));
    *locks.lock().unwrap() = vec![(4, "a.download"), (12, "org.film")];
    bus.signal(&desktop, GNOME, "org.gnome.SessionManager", "InhibitorAdded");
    sensors.until("a film", |line| line.is("uses", "[Inhibited(\"org.film\")]"));
    *active.lock().unwrap() = true;
    bus.signal(&desktop, "/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver", "ActiveChanged");
    sensors.until("a locked screen", |line| line.is("locked", "true"));
    bus.runtime.block_on(desktop.close()).unwrap();
    sensors.until("the desktop is gone", |line| line.is("uses", "[]") && line.is("locked", "false"));
}

/// KDE's power manager.
struct Kde(Facts<bool>);

#[interface(name = "org.kde.Solid.PowerManagement.PolicyAgent")]
impl Kde {
    fn has_inhibition(&self, types: u32) -> bool {
        types == 4 && *self.0.lock().unwrap()
    }

    fn list_inhibitions(&self) -> Vec<(String, String)> {
        vec![("Haruna".into(), "Playing a film".into())]
    }
}

/// The interface that Xfce's power manager has, and KDE's with another meaning.
struct Portable;

#[interface(name = "org.freedesktop.PowerManagement.Inhibit")]
impl Portable {
    fn has_inhibit(&self) -> bool {
        true
    }

    fn get_inhibitors(&self) -> Vec<String> {
        vec!["parole".into()]
    }
}

const PORTABLE: &str = "/org/freedesktop/PowerManagement/Inhibit";

#[test]
fn kde_and_xfce_tell_in_their_own_ways() {
    let bus = Bus::start();
    let film = Facts::default();
    let agent = "org.kde.Solid.PowerManagement.PolicyAgent";
    let path = "/org/kde/Solid/PowerManagement/PolicyAgent";
    let builder = bus.builder().name("org.freedesktop.PowerManagement").unwrap();
    let _portable = bus.serve(builder.serve_at(PORTABLE, Portable).unwrap());
    let sensors = bus.sensors(&[SESSION]);
    sensors.until("Xfce's film", |line| line.is("uses", "[Inhibited(\"parole\")]"));
    let kde = bus.serve(bus.builder().name(agent).unwrap().serve_at(path, Kde(Arc::clone(&film))).unwrap());
    sensors.until("a download under KDE", |line| line.is("uses", "[]"));
    *film.lock().unwrap() = true;
    bus.signal(&kde, path, agent, "InhibitionsChanged");
    sensors.until("a film under KDE", |line| line.is("uses", "[Inhibited(\"Haruna\")]"));
}

/// A session manager that takes calls and never answers.
struct Hung;

#[interface(name = "org.gnome.SessionManager")]
impl Hung {
    async fn is_inhibited(&self, _flags: u32) -> bool {
        std::future::pending().await
    }
}

#[test]
fn a_service_that_hangs_makes_the_reading_old_and_holds_up_nothing_else() {
    let bus = Bus::start();
    let locks = Facts::default();
    let gnome =
        bus.serve(bus.builder().name("org.gnome.SessionManager").unwrap().serve_at(GNOME, Gnome(locks)).unwrap());
    let mut sensors = bus.sensors(&[SESSION]);
    sensors.until("it answers", |line| line.is("load", "system") && line.is("uses", "[]"));
    bus.runtime.block_on(gnome.close()).unwrap();
    let _hung = bus.serve(bus.builder().name("org.gnome.SessionManager").unwrap().serve_at(GNOME, Hung).unwrap());
    sensors.order("running");
    sensors.until("an old reading", |line| !line.get("seen").ends_with("/0s"));
    sensors.order("want 600 headless");
    sensors.until("presence, all the same", |line| line.is("presence", "headless"));
}

#[test]
fn without_any_bus_there_is_nothing_to_say() {
    let mut sensors = Sensors::start_in(&[], &["600"]);
    let line = sensors.look("the load", |line| line.is("load", "system"));
    assert_eq!((line.get("uses"), line.get("locked")), ("[]", "false"));
    assert!(line.get("network").ends_with("/route"));
    assert!(line.get("seen").ends_with("/0s"));
}
