//! A desktop to run the app on: a display without a monitor, and a session bus of its own.
//!
//! Deliberately absent: a tray. Who needs one starts [`crate::tray_host`] on the bus.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::home::without_environment;
use crate::screen::{Screen, Server, serve};

/// It ends with this value.
#[derive(Debug)]
pub struct Graphical {
    pub screen: Screen,
    /// The session bus's address.
    pub bus: String,
    _bus: Server,
    _folder: tempfile::TempDir,
}

impl Graphical {
    /// # Errors
    /// When a program is missing, with the Debian package that has it.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut daemon = Command::new("dbus-daemon");
        daemon.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        let address = format!("--address=unix:dir={}", folder.path().display());
        let (server, bus) = serve(daemon.arg(address), "dbus")?;
        Ok(Self { screen: Screen::start()?, bus, _bus: server, _folder: folder })
    }

    /// The app at `program`, ready to be started here for the engine of `home`.
    #[must_use]
    pub fn app(&self, program: &Path, home: &Path) -> Command {
        let mut app = without_environment(Command::new(program));
        app.arg("--home").arg(home).stdin(Stdio::null());
        app.env("DISPLAY", &self.screen.display).env("DBUS_SESSION_BUS_ADDRESS", &self.bus).env("LC_ALL", "C.UTF-8");
        // What the machine's own desktop would add.
        for other in ["WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP", "GTK_THEME", "SURGE_HOME"] {
            app.env_remove(other);
        }
        app.env("GDK_BACKEND", "x11").env("NO_AT_BRIDGE", "1");
        app
    }
}
