//! The displays of this user's graphical session: the one answer for presence, for windows that fill the screen, and for
//! whoever else asks.
//!
//! A service of the user starts before its session has a display, so that this is asked again and again. What somebody
//! names counts more than a socket that was found: this process's environment first, then what the session told the
//! user's service manager, then what the login service says. XWayland is never among them: it does not see input to
//! native windows.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::bus;
use crate::logind;
use crate::surroundings::Surroundings;
use crate::x11::XDisplay;

const MANAGER: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER_INTERFACE: &str = "org.freedesktop.systemd1.Manager";

const WAYLAND_WITHOUT_NAME: &str = "this is a Wayland session, and WAYLAND_DISPLAY is not set";
const NO_DISPLAY: &str = "no display, and presence = \"headless\" is not set";

/// A display and the protocol that it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Display {
    Wayland(PathBuf),
    X11(XDisplay),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Displays {
    /// Somebody says that this is the session's.
    Named(Display),
    /// Nobody says; these sockets could be it, the likeliest first.
    Guessed(Vec<Display>),
    /// Why there is none, in words.
    None(&'static str),
}

impl Displays {
    /// The displays to try, one after the other.
    pub(crate) fn candidates(self) -> Result<Vec<Display>, &'static str> {
        match self {
            Self::Named(display) => Ok(vec![display]),
            Self::Guessed(displays) => Ok(displays),
            Self::None(why) => Err(why),
        }
    }
}

/// Looks for the displays. Takes a few seconds at most, whatever hangs. Must be called outside any tokio runtime.
pub(crate) fn find(around: &Surroundings) -> Displays {
    let own = own_names(around);
    if let Some(display) = own.display(around).filter(|display| is_there(around, display)) {
        return Displays::Named(display);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::debug!(%error, "the session can't be asked for its displays");
            return choose(around, &own, &[]);
        }
    };
    let told = runtime.block_on(async {
        let (manager, logind) = tokio::join!(names_of_manager(around), names_of_logind(around));
        [manager, logind]
    });
    choose(around, &own, &told)
}

/// What one source says of the session.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Names {
    session_type: Option<String>,
    wayland: Option<String>,
    x11: Option<String>,
    x_authority: Option<PathBuf>,
}

impl Names {
    fn is_wayland(&self) -> bool {
        self.session_type.as_deref() == Some("wayland")
    }

    fn display(&self, around: &Surroundings) -> Option<Display> {
        if let Some(name) = &self.wayland {
            return around.wayland_socket(name).map(Display::Wayland);
        }
        let name = self.x11.clone().filter(|_| !self.is_wayland())?;
        let authority = self.x_authority.clone().or_else(|| around.x_authority.clone());
        Some(Display::X11(XDisplay { name, authority }))
    }
}

fn own_names(around: &Surroundings) -> Names {
    Names {
        session_type: around.session_type.clone(),
        wayland: around.wayland_display.clone(),
        x11: around.display.clone(),
        x_authority: around.x_authority.clone(),
    }
}

/// Whether something may listen there: an X server on another computer can't be looked at.
fn is_there(around: &Surroundings, display: &Display) -> bool {
    match display {
        Display::Wayland(socket) => socket.exists(),
        Display::X11(display) => around.x11_socket(&display.name).is_none_or(|socket| socket.exists()),
    }
}

fn choose(around: &Surroundings, own: &Names, told: &[Names]) -> Displays {
    let named: Vec<Display> = std::iter::once(own).chain(told).filter_map(|names| names.display(around)).collect();
    if let Some(display) = named.iter().find(|display| is_there(around, display)) {
        return Displays::Named(display.clone());
    }
    // One that is gone is more likely to come back than any other to be the session's.
    if let Some(display) = named.into_iter().next() {
        return Displays::Named(display);
    }
    let compositors = around.runtime_dir.as_deref().map(wayland_sockets).unwrap_or_default();
    if !compositors.is_empty() {
        return Displays::Guessed(compositors.into_iter().map(Display::Wayland).collect());
    }
    if std::iter::once(own).chain(told).any(Names::is_wayland) {
        return Displays::None(WAYLAND_WITHOUT_NAME);
    }
    let servers = x11_sockets(&around.x11_sockets, rustix::process::getuid().as_raw());
    if servers.is_empty() {
        return Displays::None(NO_DISPLAY);
    }
    let display = |number| XDisplay { name: format!(":{number}"), authority: around.x_authority.clone() };
    Displays::Guessed(servers.into_iter().map(display).map(Display::X11).collect())
}

/// The sockets called `wayland-` and a number, by number.
fn wayland_sockets(folder: &Path) -> Vec<PathBuf> {
    numbered_sockets(folder, "wayland-").into_iter().map(|(.., path)| path).collect()
}

/// The numbers of the X servers that this user runs.
fn x11_sockets(folder: &Path, uid: u32) -> Vec<u32> {
    let own = numbered_sockets(folder, "X").into_iter().filter(|(_, owner, _)| *owner == uid);
    own.map(|(number, ..)| number).collect()
}

/// Number, owner and path of each socket whose name is `prefix` and a number.
fn numbered_sockets(folder: &Path, prefix: &str) -> Vec<(u32, u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let socket = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
        let metadata = fs::metadata(entry.path()).ok()?;
        metadata.file_type().is_socket().then(|| (number, metadata.uid(), entry.path()))
    };
    let mut found: Vec<_> = entries.flatten().filter_map(socket).collect();
    found.sort();
    found
}

/// What the session told the user's service manager: `systemctl --user show-environment`.
async fn names_of_manager(around: &Surroundings) -> Names {
    let asked = async {
        let Some(address) = around.session_bus() else { return Ok(None) };
        let bus = bus::connect(&address, bus::ANSWER).await?;
        bus::property::<Vec<String>>(&bus, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "Environment").await
    };
    match asked.await {
        Ok(environment) => from_environment(&environment.unwrap_or_default()),
        Err(error) => {
            tracing::debug!(%error, "the user's service manager does not tell its environment");
            Names::default()
        }
    }
}

fn from_environment(environment: &[String]) -> Names {
    let value = |name: &str| {
        let mut values = environment.iter().filter_map(|line| line.split_once('='));
        values.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value.to_owned())
    };
    Names {
        session_type: value("XDG_SESSION_TYPE"),
        wayland: value("WAYLAND_DISPLAY"),
        x11: value("DISPLAY"),
        x_authority: value("XAUTHORITY").map(PathBuf::from),
    }
}

/// What the login service says of the session.
async fn names_of_logind(around: &Surroundings) -> Names {
    let asked = async {
        let bus = bus::connect(&around.system_bus, bus::ANSWER).await?;
        logind::display(&bus, around).await
    };
    match asked.await {
        Ok(Some((kind, display))) => Names {
            session_type: Some(kind),
            x11: Some(display).filter(|display| !display.is_empty()),
            ..Names::default()
        },
        Ok(None) => Names::default(),
        Err(error) => {
            tracing::debug!(%error, "the login service does not tell the session's display");
            Names::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn around(wayland: Option<&str>, x11: Option<&str>, kind: Option<&str>) -> Surroundings {
        Surroundings {
            wayland_display: wayland.map(Into::into),
            display: x11.map(Into::into),
            session_type: kind.map(Into::into),
            runtime_dir: Some("/nowhere/run".into()),
            ..Surroundings::none()
        }
    }

    fn chosen(around: &Surroundings, told: &[Names]) -> Displays {
        choose(around, &own_names(around), told)
    }

    fn wayland(path: &str) -> Displays {
        Displays::Named(Display::Wayland(path.into()))
    }

    fn x11(name: &str, authority: Option<&str>) -> Displays {
        Displays::Named(Display::X11(XDisplay { name: name.into(), authority: authority.map(PathBuf::from) }))
    }

    #[test]
    fn xwayland_is_never_asked_in_a_wayland_session() {
        assert_eq!(chosen(&around(Some("wayland-1"), Some(":0"), None), &[]), wayland("/nowhere/run/wayland-1"));
        assert_eq!(chosen(&around(Some("/tmp/w"), Some(":0"), Some("x11")), &[]), wayland("/tmp/w"));
        let without_name = around(None, Some(":0"), Some("wayland"));
        assert_eq!(chosen(&without_name, &[]), Displays::None(WAYLAND_WITHOUT_NAME));
    }

    #[test]
    fn an_x11_session_is_asked_by_x11_and_none_by_nothing() {
        assert_eq!(chosen(&around(None, Some(":0"), Some("x11")), &[]), x11(":0", None));
        assert_eq!(chosen(&around(None, Some(":0"), None), &[]), x11(":0", None));
        assert_eq!(chosen(&around(None, None, Some("tty")), &[]), Displays::None(NO_DISPLAY));
    }

    #[test]
    fn what_the_session_told_the_service_manager_counts_where_the_environment_is_silent_or_outdated() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("wayland-3");
        let _compositor = UnixListener::bind(&socket).unwrap();
        let lines = ["WAYLAND_DISPLAY=wayland-3", "DISPLAY=:1", "XDG_SESSION_TYPE=wayland"].map(String::from);
        let manager = from_environment(&lines);
        for outdated in [None, Some("wayland-0")] {
            let around = Surroundings {
                wayland_display: outdated.map(String::from),
                runtime_dir: Some(folder.path().into()),
                ..Surroundings::none()
            };
            assert_eq!(chosen(&around, std::slice::from_ref(&manager)), wayland(socket.to_str().unwrap()));
        }
        let lines = ["DISPLAY=:1", "XAUTHORITY=/run/secret", "DISPLAYED=:7", "WAYLAND_DISPLAY="].map(String::from);
        let told = from_environment(&lines);
        assert_eq!(chosen(&around(None, None, None), &[told]), x11(":1", Some("/run/secret")));
    }

    #[test]
    fn sockets_that_nobody_names_are_guesses_and_the_lowest_number_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let around = Surroundings {
            runtime_dir: Some(folder.path().into()),
            x11_sockets: folder.path().into(),
            ..Surroundings::none()
        };
        assert_eq!(chosen(&around, &[]), Displays::None(NO_DISPLAY));
        let names = ["X12", "X7", "wayland-10", "wayland-2", "wayland-2.lock"];
        for name in &names[..2] {
            std::mem::forget(UnixListener::bind(folder.path().join(name)).unwrap());
        }
        fs::write(folder.path().join("X3"), "").unwrap();
        let display = |name: &str| Display::X11(XDisplay { name: name.into(), authority: None });
        assert_eq!(chosen(&around, &[]), Displays::Guessed(vec![display(":7"), display(":12")]));
        assert_eq!(x11_sockets(folder.path(), u32::MAX), [], "of another user");
        let greeter = Names { session_type: Some("wayland".into()), ..Names::default() };
        assert_eq!(chosen(&around, &[greeter]), Displays::None(WAYLAND_WITHOUT_NAME), "those are XWayland's");
        for name in &names[2..4] {
            std::mem::forget(UnixListener::bind(folder.path().join(name)).unwrap());
        }
        let sockets = ["wayland-2", "wayland-10"].map(|name| Display::Wayland(folder.path().join(name)));
        assert_eq!(chosen(&around, &[]), Displays::Guessed(sockets.into()));
    }
}
