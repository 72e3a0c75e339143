//! The screen's lock as the desktop's screen saver has it, where logind is not told.

use zbus::Connection;

use crate::bus::{self, Asked};

/// The same interface under two names and paths.
pub(crate) const SAVERS: [(&str, &str); 2] = [
    ("org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"),
    ("org.gnome.ScreenSaver", "/org/gnome/ScreenSaver"),
];

/// Whether the desktop's screen saver covers the screen.
pub(crate) async fn covers(bus: &Connection) -> Asked<bool> {
    for (service, path) in SAVERS {
        if bus::call(bus, [service, path, service, "GetActive"], &()).await? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}
