//! The login service on the system's bus, beside a compositor that says whether somebody is here.

use std::path::Path;

use surge_platform::presence::Surroundings;
use tokio::runtime::Runtime;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::OwnedObjectPath;
use zbus::{fdo, interface};

use crate::Watched;
use crate::bus::{Bus, runtime};
use crate::compositor::{Compositor, Event};
use crate::terminals::{Terminal, dev};

const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const MINE: &str = "/org/freedesktop/login1/session/_32";
const OTHER: &str = "/org/freedesktop/login1/session/_37";
const USER: &str = "/org/freedesktop/login1/user/_1000";

/// Which way a process finds its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FoundBy {
    Pid,
    Environment,
    Display,
}

struct Manager {
    found_by: FoundBy,
    others: Vec<&'static str>,
}

fn path(path: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path).unwrap()
}

#[interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn list_sessions(&self) -> Vec<(String, u32, String, String, OwnedObjectPath)> {
        let all = [MINE].into_iter().chain(self.others.iter().copied());
        all.map(|it| (String::new(), 1000, "somebody".into(), "seat0".into(), path(it))).collect()
    }

    #[zbus(name = "GetSessionByPID")]
    fn get_session_by_pid(&self, pid: u32) -> fdo::Result<OwnedObjectPath> {
        assert_eq!(pid, std::process::id());
        if self.found_by == FoundBy::Pid { Ok(path(MINE)) } else { Err(fdo::Error::Failed("no session".into())) }
    }

    fn get_session(&self, id: &str) -> fdo::Result<OwnedObjectPath> {
        let known = self.found_by == FoundBy::Environment && id == "2";
        if known { Ok(path(MINE)) } else { Err(fdo::Error::Failed("no such session".into())) }
    }

    fn get_user(&self, _uid: u32) -> OwnedObjectPath {
        path(USER)
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

struct User;

#[interface(name = "org.freedesktop.login1.User")]
impl User {
    #[zbus(property)]
    fn display(&self) -> (String, OwnedObjectPath) {
        ("2".into(), path(MINE))
    }
}

struct Session {
    active: bool,
    kind: &'static str,
    seat: &'static str,
    locked: bool,
}

#[interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn active(&self) -> bool {
        self.active
    }

    #[zbus(property)]
    fn class(&self) -> &str {
        "user"
    }

    #[zbus(property, name = "Type")]
    fn kind(&self) -> &str {
        self.kind
    }

    #[zbus(property)]
    fn seat(&self) -> (String, OwnedObjectPath) {
        (self.seat.into(), path("/"))
    }

    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.locked
    }

    #[zbus(signal)]
    async fn unlock(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}

/// A machine with a login service, and one session in front of a compositor.
struct Machine {
    runtime: Runtime,
    bus: Bus,
    compositor: Compositor,
    service: Option<zbus::Connection>,
}

impl Machine {
    fn start(folder: &Path, found_by: FoundBy) -> Self {
        let (runtime, bus) = (runtime(), Bus::start(folder));
        let compositor = Compositor::start(folder, Some(2));
        let mut machine = Self { runtime, bus, compositor, service: None };
        machine.start_service(found_by);
        machine
    }

    fn start_service(&mut self, found_by: FoundBy) {
        let mine = Session { active: true, kind: "wayland", seat: "seat0", locked: false };
        let manager = Manager { found_by, others: Vec::new() };
        // The name comes last: whoever sees it finds the objects.
        let service = self.bus.connection().serve_at(PATH, manager).unwrap().serve_at(MINE, mine).unwrap();
        let service = service.serve_at(USER, User).unwrap().name(NAME).unwrap();
        self.service = Some(self.runtime.block_on(service.build()).unwrap());
    }

    fn around(&self) -> Surroundings {
        Surroundings {
            wayland_display: Some(self.compositor.socket.to_str().unwrap().into()),
            session_id: Some("2".into()),
            system_bus: self.bus.address.clone(),
            ..Surroundings::none()
        }
    }

    fn service(&self) -> &zbus::Connection {
        self.service.as_ref().unwrap()
    }

    fn becomes_a_text_console(&self) {
        self.runtime.block_on(async {
            let mine = self.service().object_server().interface::<_, Session>(MINE).await.unwrap();
            mine.get_mut().await.kind = "tty";
        });
    }

    fn activate(&self, active: bool) {
        self.runtime.block_on(async {
            let mine = self.service().object_server().interface::<_, Session>(MINE).await.unwrap();
            let mut session = mine.get_mut().await;
            session.active = active;
            session.active_changed(mine.signal_emitter()).await.unwrap();
        });
    }

    fn lock(&self, locked: bool) {
        self.runtime.block_on(async {
            let mine = self.service().object_server().interface::<_, Session>(MINE).await.unwrap();
            let mut session = mine.get_mut().await;
            session.locked = locked;
            session.locked_hint_changed(mine.signal_emitter()).await.unwrap();
        });
    }

    fn ask_to_unlock(&self) {
        let emitter = SignalEmitter::new(self.service(), MINE).unwrap();
        self.runtime.block_on(Session::unlock(&emitter)).unwrap();
    }

    fn sleep(&self, start: bool) {
        let emitter = SignalEmitter::new(self.service(), PATH).unwrap();
        self.runtime.block_on(Manager::prepare_for_sleep(&emitter, start)).unwrap();
    }

    /// Somebody else comes to a second seat, or by a remote desktop.
    fn somebody_else_logs_in(&self) {
        self.runtime.block_on(async {
            let server = self.service().object_server();
            let other = Session { active: true, kind: "x11", seat: "", locked: false };
            server.at(OTHER, other).await.unwrap();
            let manager = server.interface::<_, Manager>(PATH).await.unwrap();
            manager.get_mut().await.others.push(OTHER);
            let emitter = SignalEmitter::new(self.service(), PATH).unwrap();
            emitter.emit("org.freedesktop.login1.Manager", "SessionNew", &("7", path(OTHER))).await.unwrap();
        });
    }
}

#[test]
fn a_session_that_is_not_in_front_is_another_user() {
    for found_by in [FoundBy::Pid, FoundBy::Environment, FoundBy::Display] {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::start(folder.path(), found_by);
        let watched = Watched::start(&machine.around());
        watched.becomes_idle();
        machine.activate(false);
        watched.becomes_other_user();
        machine.activate(true);
        watched.becomes_active();
        watched.becomes_idle();
    }
}

#[test]
fn somebody_at_a_remote_desktop_is_another_user() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::start(folder.path(), FoundBy::Pid);
    let watched = Watched::start(&machine.around());
    watched.becomes_idle();
    machine.somebody_else_logs_in();
    watched.becomes_other_user();
}

#[test]
fn sleep_holds_and_waking_counts_as_input() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::start(folder.path(), FoundBy::Pid);
    let watched = Watched::start(&machine.around());
    watched.becomes_idle();
    machine.sleep(true);
    watched.becomes_active();
    machine.sleep(false);
    watched.becomes_idle();
    assert!(watched.watcher.idle().is_some());
}

#[test]
fn unlocking_counts_as_input_and_locking_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::start(folder.path(), FoundBy::Pid);
    let watched = Watched::start(&machine.around());
    watched.becomes_idle();
    machine.lock(true);
    machine.ask_to_unlock();
    watched.becomes_active();
    watched.becomes_idle();
    machine.lock(false);
    watched.becomes_active();
    watched.becomes_idle();
}

#[test]
fn a_text_console_is_watched_by_its_terminals() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::start(folder.path(), FoundBy::Pid);
    machine.becomes_a_text_console();
    let mut terminal = Terminal::open();
    dev(folder.path(), &[&terminal]);
    let text = Surroundings { wayland_display: None, dev: folder.path().into(), ..machine.around() };
    let watched = Watched::start(&text);
    watched.becomes_idle();
    assert_eq!(watched.watcher.source(), "tty");
    terminal.type_a_line();
    watched.becomes_active();
    machine.activate(false);
    watched.becomes_other_user();
}

#[test]
fn a_bus_that_dies_is_unknown_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(folder.path(), FoundBy::Pid);
    let watched = Watched::start(&machine.around());
    watched.becomes_idle();
    drop(machine.bus);
    watched.becomes_unknown("login service");
    machine.bus = Bus::start(folder.path());
    machine.start_service(FoundBy::Pid);
    watched.becomes_idle();
    machine.activate(false);
    watched.becomes_other_user();
}

#[test]
fn a_login_service_that_dies_is_unknown_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(folder.path(), FoundBy::Pid);
    let watched = Watched::start(&machine.around());
    watched.becomes_idle();
    machine.runtime.block_on(machine.service().release_name(NAME)).unwrap();
    watched.becomes_unknown("login service");
    machine.start_service(FoundBy::Pid);
    watched.becomes_idle();
}

#[test]
fn where_nobody_tells_of_logins_the_display_suffices() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start(folder.path());
    let compositor = Compositor::start(folder.path(), Some(2));
    let around = Surroundings {
        wayland_display: Some(compositor.socket.to_str().unwrap().into()),
        system_bus: bus.address,
        ..Surroundings::none()
    };
    let watched = Watched::start(&around);
    watched.becomes_idle();
    compositor.tell(Event::Input(0));
    watched.becomes_active();
}
