//! Programs that keep the screen awake, by the services that they ask for it: logind, and the desktop's own.
//!
//! Only locks that *block idleness* count. logind's *delay* locks are always there and mean nothing, and a lock on
//! sleep alone is a download's.

use zbus::Connection;
use zbus::zvariant::OwnedObjectPath;

use crate::awake::WHO;
use crate::bus::{self, Asked};
use crate::logind::{self, Lock};

/// GNOME's, which MATE and Cinnamon have too.
pub(crate) const GNOME: &str = "org.gnome.SessionManager";
const GNOME_PATH: &str = "/org/gnome/SessionManager";
/// The flag "inhibit the session being marked as idle".
const GNOME_IDLE: u32 = 8;

pub(crate) const KDE: &str = "org.kde.Solid.PowerManagement.PolicyAgent";
const KDE_PATH: &str = "/org/kde/Solid/PowerManagement/PolicyAgent";
/// The policy "do not change the screen's settings".
const KDE_SCREEN: u32 = 4;

/// Xfce's and others'.
pub(crate) const PORTABLE: &str = "org.freedesktop.PowerManagement";
pub(crate) const PORTABLE_INHIBIT: &str = "org.freedesktop.PowerManagement.Inhibit";
const PORTABLE_PATH: &str = "/org/freedesktop/PowerManagement/Inhibit";

/// No more names than this are shown.
const MOST_NAMES: usize = 8;

/// Who holds a lock at logind that blocks idleness, on any seat; our own does not count, nor that of another engine.
pub(crate) async fn of_logind(bus: &Connection) -> Asked<Vec<String>> {
    let locks = logind::locks(bus).await?;
    Ok(locks.into_iter().filter(blocks_idleness).map(|lock| lock.1).take(MOST_NAMES).collect())
}

fn blocks_idleness((what, who, _, mode, _, _): &Lock) -> bool {
    let idle = what.split(':').any(|what| what == "idle");
    // `block-weak` is the same lock, which privileged programs may pass over.
    idle && matches!(mode.as_str(), "block" | "block-weak") && who != WHO
}

/// Who keeps the desktop's screen awake.
pub(crate) async fn of_desktop(bus: &Connection) -> Asked<Vec<String>> {
    let mut names = of_gnome(bus).await?;
    match of_kde(bus).await? {
        Some(kde) => names.extend(kde),
        // KDE answers here as well, and means sleep by it.
        None => names.extend(of_portable(bus).await?),
    }
    names.truncate(MOST_NAMES);
    Ok(names)
}

async fn of_gnome(bus: &Connection) -> Asked<Vec<String>> {
    let ask = |method| [GNOME, GNOME_PATH, GNOME, method];
    if bus::call(bus, ask("IsInhibited"), &GNOME_IDLE).await? != Some(true) {
        return Ok(Vec::new());
    }
    let locks: Option<Vec<OwnedObjectPath>> = bus::call(bus, ask("GetInhibitors"), &()).await?;
    let mut names = Vec::new();
    for lock in locks.unwrap_or_default().iter().take(MOST_NAMES) {
        let ask = |method| [GNOME, lock.as_str(), "org.gnome.SessionManager.Inhibitor", method];
        let flags: Option<u32> = bus::call(bus, ask("GetFlags"), &()).await?;
        if flags.is_some_and(|flags| flags & GNOME_IDLE != 0) {
            names.push(bus::call(bus, ask("GetAppId"), &()).await?.unwrap_or_default());
        }
    }
    Ok(somebody(names))
}

/// `None` where there is no such service.
async fn of_kde(bus: &Connection) -> Asked<Option<Vec<String>>> {
    let ask = |method| [KDE, KDE_PATH, KDE, method];
    match bus::call(bus, ask("HasInhibition"), &KDE_SCREEN).await? {
        None => Ok(None),
        Some(false) => Ok(Some(Vec::new())),
        Some(true) => {
            let locks: Option<Vec<(String, String)>> = bus::call(bus, ask("ListInhibitions"), &()).await?;
            let names = locks.unwrap_or_default().into_iter().map(|(program, _)| program).collect();
            // KDE lists logind's locks as well.
            Ok(Some(somebody(names).into_iter().filter(|who| who != WHO).collect()))
        }
    }
}

async fn of_portable(bus: &Connection) -> Asked<Vec<String>> {
    let ask = |method| [PORTABLE, PORTABLE_PATH, PORTABLE_INHIBIT, method];
    if bus::call(bus, ask("HasInhibit"), &()).await? != Some(true) {
        return Ok(Vec::new());
    }
    Ok(somebody(bus::call(bus, ask("GetInhibitors"), &()).await?.unwrap_or_default()))
}

/// The service says that some program keeps the screen awake. Where it does not say which, one without a name does.
fn somebody(names: Vec<String>) -> Vec<String> {
    if names.is_empty() { vec![String::new()] } else { names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_locks_that_block_idleness_count() {
        let lock = |what: &str, mode: &str| (what.into(), "mpv".into(), "film".into(), mode.into(), 1000, 7);
        assert!(blocks_idleness(&lock("idle", "block")));
        assert!(blocks_idleness(&lock("shutdown:sleep:idle", "block-weak")));
        assert!(!blocks_idleness(&lock("sleep:idle", "delay")));
        assert!(!blocks_idleness(&lock("sleep:handle-lid-switch", "block")));
        assert!(!blocks_idleness(&lock("", "block")));
        let mut own = lock("idle", "block");
        own.1 = "Surge".into();
        assert!(!blocks_idleness(&own));
    }
}
