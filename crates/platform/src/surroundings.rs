//! What surrounds this process: the one place from which displays, buses, terminals and the sound server are found.

use std::env;
use std::path::{Path, PathBuf};

/// The bus of the system where the environment names none.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// The environment as it was when this was made, and folders in which sockets come and go later.
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
    /// The file with the X servers' secrets: `XAUTHORITY`, or the one in the home folder.
    pub x_authority: Option<PathBuf>,
    /// Where X servers listen: `/tmp/.X11-unix`.
    pub x11_sockets: PathBuf,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The address of the session's bus, where the environment names it.
    pub session_bus: Option<String>,
    /// The address of the system's bus.
    pub system_bus: String,
    /// The socket of the session's sound server; `None` for one on another computer, and where there is no session.
    pub sound_server: Option<PathBuf>,
    /// Where terminals are: `/dev`.
    pub dev: PathBuf,
    /// Where the kernel tells of terminals: `/sys/class/tty`.
    pub sys: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn here() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            session_type: text("XDG_SESSION_TYPE"),
            session_id: text("XDG_SESSION_ID"),
            wayland_display: text("WAYLAND_DISPLAY"),
            display: text("DISPLAY"),
            x_authority: set("XAUTHORITY")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(set("HOME")?).join(".Xauthority"))),
            x11_sockets: "/tmp/.X11-unix".into(),
            runtime_dir: set("XDG_RUNTIME_DIR").map(PathBuf::from),
            session_bus: text("DBUS_SESSION_BUS_ADDRESS"),
            system_bus: text("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_else(|| SYSTEM_BUS.into()),
            sound_server: sound_server(text),
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
            x_authority: None,
            x11_sockets: nowhere.clone(),
            runtime_dir: None,
            session_bus: None,
            system_bus: "unix:path=/nonexistent/bus".into(),
            sound_server: None,
            dev: nowhere.clone(),
            sys: nowhere,
        }
    }

    /// The address of the session's bus as of now: a user's service may have started before it.
    pub(crate) fn session_bus(&self) -> Option<String> {
        self.session_bus.clone().or_else(|| {
            let socket = self.runtime_dir.as_deref()?.join("bus");
            socket.exists().then(|| format!("unix:path={}", socket.display()))
        })
    }

    /// The socket of the Wayland compositor of this name. An absolute name stands for itself.
    pub(crate) fn wayland_socket(&self, name: &str) -> Option<PathBuf> {
        match &self.runtime_dir {
            Some(folder) => Some(folder.join(name)),
            None => Some(PathBuf::from(name)).filter(|path| path.is_absolute()),
        }
    }

    /// The socket of the X server with this name, for one of this computer.
    pub(crate) fn x11_socket(&self, display: &str) -> Option<PathBuf> {
        let number = display.strip_prefix("unix:").or_else(|| display.strip_prefix(':'))?;
        let number = number.split('.').next().unwrap_or(number);
        Some(self.x11_sockets.join(format!("X{number}")))
    }
}

/// Where the session's own sound server listens. One on another computer hears nothing of who sits here.
fn sound_server(set: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(server) = set("PULSE_SERVER") {
        // It may begin with the machine that it is for, in braces.
        let address = server.rsplit('}').next().unwrap_or_default();
        let path = address.strip_prefix("unix:").unwrap_or(address);
        return path.starts_with('/').then(|| path.into());
    }
    let folder = set("PULSE_RUNTIME_PATH").map(PathBuf::from);
    let folder = folder.or_else(|| Some(Path::new(&set("XDG_RUNTIME_DIR")?).join("pulse")));
    Some(folder?.join("native"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sound_server_is_the_sessions_own() {
        let at = |vars: &'static [(&str, &str)]| {
            sound_server(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(at(&[]), None);
        assert_eq!(at(&[("XDG_RUNTIME_DIR", "/run/user/7")]), Some("/run/user/7/pulse/native".into()));
        assert_eq!(at(&[("PULSE_RUNTIME_PATH", "/tmp/p")]), Some("/tmp/p/native".into()));
        assert_eq!(at(&[("PULSE_SERVER", "unix:/s"), ("XDG_RUNTIME_DIR", "/run/user/7")]), Some("/s".into()));
        assert_eq!(at(&[("PULSE_SERVER", "{0f}unix:/s")]), Some("/s".into()));
        assert_eq!(at(&[("PULSE_SERVER", "/s")]), Some("/s".into()));
        assert_eq!(at(&[("PULSE_SERVER", "tcp:desk:4713"), ("XDG_RUNTIME_DIR", "/run/user/7")]), None);
    }
}
