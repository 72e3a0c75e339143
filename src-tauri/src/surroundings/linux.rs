//! Linux: a StatusNotifierWatcher on the session bus shows tray icons; the settings portal knows light from dark.

use futures::StreamExt;
use tokio::sync::mpsc;
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::zvariant::{OwnedValue, Value};

use crate::shell::{Colours, Event};
use crate::tray::Ink;

const WATCHER: &str = "org.kde.StatusNotifierWatcher";

/// Sends the present state and each change. Ends only with the bus.
pub(crate) async fn watch(events: mpsc::UnboundedSender<Event>) {
    let desktop = std::env::var("XDG_CURRENT_DESKTOP").unwrap_or_default();
    let connection = match Connection::session().await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::warn!(%error, "No session bus: there is no tray; the window stays in the window list");
            return;
        }
    };
    let tray = watch_tray(&connection, &events);
    let colours = watch_colours(&connection, &desktop, &events);
    let (tray, colours) = tokio::join!(tray, colours);
    for error in [tray.err(), colours.err()].into_iter().flatten() {
        tracing::warn!(%error, "The desktop can't be watched any more");
    }
}

async fn watch_tray(connection: &Connection, events: &mpsc::UnboundedSender<Event>) -> zbus::Result<()> {
    let bus = DBusProxy::new(connection).await?;
    let mut changes = bus.receive_name_owner_changed_with_args(&[(0, WATCHER)]).await?;
    let there = bus.name_has_owner(BusName::try_from(WATCHER)?).await?;
    if !there {
        tracing::warn!(
            "This desktop shows no tray icons (on GNOME: the AppIndicator extension does); closing the window will ask"
        );
    }
    let _ = events.send(Event::TrayHost(there));
    while let Some(change) = changes.next().await {
        let _ = events.send(Event::TrayHost(change.args()?.new_owner.is_some()));
    }
    Ok(())
}

/// Desktops without the portal keep the ink that shows on any panel, and the toolkit's theme.
async fn watch_colours(
    connection: &Connection,
    desktop: &str,
    events: &mpsc::UnboundedSender<Event>,
) -> zbus::Result<()> {
    let _ = events.send(Event::Colours(colours(desktop, None)));
    let portal = SettingsProxy::new(connection).await?;
    let mut changes = portal.receive_setting_changed_with_args(&[(0, APPEARANCE), (1, SCHEME)]).await?;
    if let Ok(scheme) = portal.read_one(APPEARANCE, SCHEME).await {
        let _ = events.send(Event::Colours(colours(desktop, scheme.downcast_ref().ok())));
    }
    while let Some(change) = changes.next().await {
        let scheme = change.args()?.value.downcast_ref().ok();
        let _ = events.send(Event::Colours(colours(desktop, scheme)));
    }
    Ok(())
}

/// By the portal's colour scheme: 1 prefers dark, 2 prefers light, 0 has no preference. GNOME's panel is always dark.
fn colours(desktop: &str, scheme: Option<u32>) -> Colours {
    let dark = match scheme {
        Some(1) => Some(true),
        Some(2) => Some(false),
        _ => None,
    };
    let dark_panel = if desktop.split(':').any(|name| matches!(name, "GNOME" | "Unity")) { Some(true) } else { dark };
    let ink = match dark_panel {
        Some(true) => Ink::Light,
        Some(false) => Ink::Dark,
        None => Ink::Middle,
    };
    Colours { ink, dark }
}

const APPEARANCE: &str = "org.freedesktop.appearance";
const SCHEME: &str = "color-scheme";

#[zbus::proxy(
    interface = "org.freedesktop.portal.Settings",
    default_service = "org.freedesktop.portal.Desktop",
    default_path = "/org/freedesktop/portal/desktop",
    gen_blocking = false
)]
trait Settings {
    fn read_one(&self, namespace: &str, key: &str) -> zbus::Result<OwnedValue>;

    #[zbus(signal)]
    fn setting_changed(&self, namespace: &str, key: &str, value: Value<'_>) -> zbus::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ink_shows_on_the_panel() {
        let ink = |desktop, scheme| colours(desktop, scheme).ink;
        assert_eq!(ink("ubuntu:GNOME", Some(2)), Ink::Light);
        assert_eq!(ink("KDE", Some(1)), Ink::Light);
        assert_eq!(ink("KDE", Some(2)), Ink::Dark);
        assert_eq!(ink("sway", None), Ink::Middle);
    }

    #[test]
    fn windows_follow_the_scheme_and_without_one_the_toolkit() {
        assert_eq!(colours("ubuntu:GNOME", Some(1)).dark, Some(true));
        assert_eq!(colours("ubuntu:GNOME", Some(0)).dark, None);
    }
}
