//! The session's lock and the lid by logind, the lock by the desktop's screen saver where logind is not told.

use zbus::Connection;
use zbus::zvariant::OwnedObjectPath;

use crate::bus::{self, Asked};

pub(crate) const LOGIND: &str = "org.freedesktop.login1";
pub(crate) const LOGIND_PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";

/// The same interface under two names and paths.
pub(crate) const SAVERS: [(&str, &str); 2] = [
    ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"),
    ("org.gnome.ScreenSaver", "/org/gnome/ScreenSaver"),
];

/// Whether the session's screen is locked, as its desktop told logind.
pub(crate) async fn of_logind(bus: &Connection) -> Asked<bool> {
    // `auto` is the caller's session, or for a user's service the one on their screen.
    let session: Option<OwnedObjectPath> =
        bus::call(bus, [LOGIND, LOGIND_PATH, MANAGER, "GetSession"], &"auto").await?;
    let Some(session) = session else { return Ok(false) };
    Ok(bus::property(bus, LOGIND, session.as_str(), SESSION, "LockedHint").await?.unwrap_or(false))
}

/// Whether the desktop's screen saver covers the screen.
pub(crate) async fn of_desktop(bus: &Connection) -> Asked<bool> {
    for (service, path) in SAVERS {
        if bus::call(bus, [service, path, service, "GetActive"], &()).await? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the lid is shut; logind says that it is open where there is none.
pub(crate) async fn lid_shut(bus: &Connection) -> Asked<Option<bool>> {
    bus::property(bus, LOGIND, LOGIND_PATH, MANAGER, "LidClosed").await
}
