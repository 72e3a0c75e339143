//! Linux: the display, the terminals and the login service, each with its own way of telling.

use std::env;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::combine::Report;
use super::desktop::{self, Bell, Wire};
use super::logind;
use super::mind::{Ask, Reports};
use super::terminals::Terminals;
use crate::disturbance::Alarm;

/// The bus of the system where the environment names none.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// A display is needed to see what somebody in front of it does.
pub(super) const LOOKS_SUFFICE: bool = false;

/// What surrounds this process, as far as presence is found there.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// `XDG_SESSION_TYPE`: x11, wayland, tty.
    pub session_type: Option<String>,
    /// `XDG_SESSION_ID`.
    pub session_id: Option<String>,
    /// `WAYLAND_DISPLAY`.
    pub wayland_display: Option<String>,
    /// `DISPLAY`.
    pub display: Option<String>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The address of the session's bus.
    pub session_bus: Option<String>,
    /// The address of the system's bus.
    pub system_bus: String,
    /// Where terminals are: `/dev`.
    pub dev: PathBuf,
    /// Where the kernel tells of terminals: `/sys/class/tty`.
    pub sys: PathBuf,
}

impl Surroundings {
    /// Those of this process, from its environment.
    #[must_use]
    pub fn here() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let runtime_dir = set("XDG_RUNTIME_DIR").map(PathBuf::from);
        let session_bus = text("DBUS_SESSION_BUS_ADDRESS").or_else(|| {
            let socket = runtime_dir.as_ref()?.join("bus");
            socket.exists().then(|| format!("unix:path={}", socket.display()))
        });
        Self {
            session_type: text("XDG_SESSION_TYPE"),
            session_id: text("XDG_SESSION_ID"),
            wayland_display: text("WAYLAND_DISPLAY"),
            display: text("DISPLAY"),
            runtime_dir,
            session_bus,
            system_bus: text("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_else(|| SYSTEM_BUS.into()),
            dev: "/dev".into(),
            sys: "/sys/class/tty".into(),
        }
    }

    /// Nothing at all: no display, no bus, no terminals. Where tests start from.
    #[must_use]
    pub fn none() -> Self {
        let nowhere = PathBuf::from("/nonexistent");
        Self {
            session_type: None,
            session_id: None,
            wayland_display: None,
            display: None,
            runtime_dir: None,
            session_bus: None,
            system_bus: "unix:path=/nonexistent/bus".into(),
            dev: nowhere.clone(),
            sys: nowhere,
        }
    }
}

/// The running sources. Dropping them ends them.
#[derive(Debug)]
pub(super) struct Sources {
    desktop: Bell,
    _login: Bell,
}

impl Sources {
    pub(super) fn start(around: &Surroundings, idle_after: Duration, reports: &Reports) -> io::Result<Self> {
        let (desktop, wire) = Bell::new(reports.clone())?;
        let here = around.clone();
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        named("presence-screen").spawn(move || desktop::watch(&here, idle_after, &wire))?;
        let (login, wire) = Bell::new(reports.clone())?;
        let here = around.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        named("presence-login").spawn(move || {
            if let Err(error) = runtime.block_on(sessions(&here, &wire)) {
                tracing::error!(%error, "Sessions are no longer watched");
            }
        })?;
        Ok(Self { desktop, _login: login })
    }

    /// Asks for the idle time, to be shown.
    pub(super) fn refresh(&self) {
        self.desktop.ring();
    }
}

/// What has to be asked.
pub(super) fn ask(around: &Surroundings) -> Box<dyn Ask> {
    Box::new(Terminals::new(&around.dev, (around.dev.join("pts"), ""), &around.sys))
}

async fn sessions(around: &Surroundings, wire: &Wire) -> io::Result<()> {
    let mut asks = UnixStream::from_std(wire.asks()?)?;
    let stopped = async {
        let mut asked = [0; 64];
        while asks.read(&mut asked).await.is_ok_and(|read| read > 0) {}
    };
    tokio::select! {
        () = logind::watch(around, &wire.reports) => {}
        () = jumps(&wire.reports) => {}
        () = stopped => {}
    }
    Ok(())
}

/// The time of day being set, and the machine waking: after either no older idleness counts.
async fn jumps(reports: &Reports) {
    match Alarm::new() {
        Ok(alarm) => loop {
            alarm.rung().await;
            reports.send(Report::Disturbed);
        },
        Err(error) => {
            tracing::warn!(%error, "Jumps of the clock are not seen");
            std::future::pending().await
        }
    }
}
