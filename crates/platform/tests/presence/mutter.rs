//! GNOME: a compositor without ext-idle-notify, and Mutter's idle monitor on the session's bus.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use surge_platform::presence::{Presence, Surroundings};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use zbus::object_server::SignalEmitter;

use crate::Watched;
use crate::bus::{Bus, runtime};
use crate::compositor::Compositor;

const NAME: &str = "org.gnome.Mutter.IdleMonitor";
const PATH: &str = "/org/gnome/Mutter/IdleMonitor/Core";

/// Mutter's watches as its source has them: one for idleness fires at each crossing and stays, one for activity fires
/// once, and inhibitors keep the first kind from firing.
#[derive(Clone)]
struct Monitor {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

struct State {
    input: Instant,
    inhibited: bool,
    next: u32,
    watches: Vec<Watch>,
}

struct Watch {
    id: u32,
    /// `None`: for activity.
    interval: Option<Duration>,
    fired: bool,
}

#[zbus::interface(name = "org.gnome.Mutter.IdleMonitor")]
impl Monitor {
    fn get_idletime(&self) -> u64 {
        u64::try_from(self.state.lock().unwrap().input.elapsed().as_millis()).unwrap()
    }

    fn add_idle_watch(&self, interval: u64) -> u32 {
        self.add(Some(Duration::from_millis(interval)))
    }

    fn add_user_active_watch(&self) -> u32 {
        self.add(None)
    }

    fn remove_watch(&self, id: u32) {
        self.state.lock().unwrap().watches.retain(|watch| watch.id != id);
    }

    #[zbus(signal)]
    async fn watch_fired(emitter: &SignalEmitter<'_>, id: u32) -> zbus::Result<()>;
}

impl Monitor {
    fn new() -> Self {
        let state = State { input: Instant::now(), inhibited: false, next: 1, watches: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }

    fn add(&self, interval: Option<Duration>) -> u32 {
        let mut state = self.state.lock().unwrap();
        let id = state.next;
        state.next += 1;
        // Only a crossing fires it.
        let fired = interval.is_some_and(|interval| state.input.elapsed() >= interval);
        state.watches.push(Watch { id, interval, fired });
        self.changed.notify_one();
        id
    }

    fn inhibit(&self, inhibited: bool) {
        self.state.lock().unwrap().inhibited = inhibited;
        self.changed.notify_one();
    }

    async fn input(&self, connection: &zbus::Connection) {
        let mut fire = Vec::new();
        {
            let mut state = self.state.lock().unwrap();
            state.input = Instant::now();
            state.watches.retain(|watch| {
                if watch.interval.is_none() {
                    fire.push(watch.id);
                }
                watch.interval.is_some()
            });
            state.watches.iter_mut().for_each(|watch| watch.fired = false);
        }
        self.changed.notify_one();
        emit(connection, &fire).await;
    }

    /// Fires what is due, for as long as the shell lives.
    async fn run(self, connection: zbus::Connection) {
        loop {
            let (fire, next) = self.due(Instant::now());
            emit(&connection, &fire).await;
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = sleep => {}, () = self.changed.notified() => {} }
        }
    }

    fn due(&self, now: Instant) -> (Vec<u32>, Option<Instant>) {
        let mut state = self.state.lock().unwrap();
        let (input, inhibited) = (state.input, state.inhibited);
        let (mut fire, mut next) = (Vec::new(), None);
        for watch in state.watches.iter_mut().filter(|watch| !watch.fired && !inhibited) {
            let Some(interval) = watch.interval else { continue };
            if now >= input + interval {
                watch.fired = true;
                fire.push(watch.id);
            } else {
                next = Some(next.unwrap_or(input + interval).min(input + interval));
            }
        }
        (fire, next)
    }
}

async fn emit(connection: &zbus::Connection, fire: &[u32]) {
    let emitter = SignalEmitter::new(connection, PATH).unwrap();
    for id in fire {
        // The bus may be gone: that is some tests' point.
        let _ = Monitor::watch_fired(&emitter, *id).await;
    }
}

/// A GNOME session.
struct Gnome {
    runtime: Runtime,
    bus: Bus,
    compositor: Compositor,
    shell: Option<(Monitor, zbus::Connection)>,
}

impl Gnome {
    fn start(folder: &Path) -> Self {
        let mut gnome = Self {
            runtime: runtime(),
            bus: Bus::start(folder),
            compositor: Compositor::start(folder, None),
            shell: None,
        };
        gnome.start_shell();
        gnome
    }

    fn start_shell(&mut self) {
        let monitor = Monitor::new();
        let service = self.bus.connection().serve_at(PATH, monitor.clone()).unwrap().name(NAME).unwrap();
        let connection = self.runtime.block_on(service.build()).unwrap();
        self.runtime.spawn(monitor.clone().run(connection.clone()));
        self.shell = Some((monitor, connection));
    }

    fn stop_shell(&mut self) {
        let (_, connection) = self.shell.take().unwrap();
        self.runtime.block_on(connection.release_name(NAME)).unwrap();
    }

    fn input(&self) {
        let (monitor, connection) = self.shell.as_ref().unwrap();
        self.runtime.block_on(monitor.input(connection));
    }

    fn around(&self) -> Surroundings {
        Surroundings {
            wayland_display: Some(self.compositor.socket.to_str().unwrap().into()),
            session_bus: Some(self.bus.address.clone()),
            ..Surroundings::none()
        }
    }
}

#[test]
fn input_ends_idleness() {
    let folder = tempfile::tempdir().unwrap();
    let gnome = Gnome::start(folder.path());
    let watched = Watched::start(&gnome.around());
    watched.becomes_idle();
    assert_eq!(watched.watcher.source(), "mutter");
    for _ in 0..3 {
        gnome.input();
        watched.becomes_active();
        watched.becomes_idle();
    }
}

#[test]
fn an_owner_who_is_away_at_the_start_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let gnome = Gnome::start(folder.path());
    gnome.shell.as_ref().unwrap().0.state.lock().unwrap().input -= Duration::from_secs(100);
    let watched = Watched::start(&gnome.around());
    assert!(matches!(watched.next(), Presence::IdleSince(since) if since.elapsed() >= Duration::from_secs(100)));
    gnome.input();
    watched.becomes_active();
}

#[test]
fn what_keeps_the_screen_awake_keeps_gnome_from_telling() {
    let folder = tempfile::tempdir().unwrap();
    let gnome = Gnome::start(folder.path());
    let monitor = &gnome.shell.as_ref().unwrap().0;
    monitor.inhibit(true);
    let watched = Watched::start(&gnome.around());
    watched.becomes_active();
    monitor.inhibit(false);
    watched.becomes_idle();
}

#[test]
fn a_shell_that_dies_is_unknown_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut gnome = Gnome::start(folder.path());
    let watched = Watched::start(&gnome.around());
    watched.becomes_idle();
    gnome.stop_shell();
    watched.becomes_unknown("went away");
    gnome.start_shell();
    watched.becomes_idle();
    gnome.input();
    watched.becomes_active();
}

#[test]
fn a_bus_that_dies_is_unknown_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut gnome = Gnome::start(folder.path());
    let watched = Watched::start(&gnome.around());
    watched.becomes_idle();
    drop(gnome.bus);
    watched.becomes_unknown("bus");
    gnome.bus = Bus::start(folder.path());
    gnome.start_shell();
    watched.becomes_idle();
}

#[test]
fn a_bus_that_hangs_is_unknown_until_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let gnome = Gnome::start(folder.path());
    let watched = Watched::start(&gnome.around());
    watched.becomes_idle();
    gnome.bus.daemon.signal(Signal::STOP);
    watched.becomes_unknown("");
    gnome.bus.daemon.signal(Signal::CONT);
    watched.becomes_idle();
}

#[test]
fn a_session_without_gnome_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let mut gnome = Gnome::start(folder.path());
    gnome.stop_shell();
    let watched = Watched::start(&gnome.around());
    watched.becomes_unknown("neither ext-idle-notify-v1 nor GNOME");
}
