//! The login service, by its D-Bus interface: whoever speaks it serves, elogind too. What it is asked, in one place.
//!
//! Its idle hint is not read: desktops set it from timers of their own, and some never do.

use zbus::Connection;
use zbus::zvariant::{OwnedFd, OwnedObjectPath, OwnedValue};

use crate::bus::{self, Asked, PROPERTIES};
use crate::surroundings::Surroundings;

pub(crate) const SERVICE: &str = "org.freedesktop.login1";
pub(crate) const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
const USER: &str = "org.freedesktop.login1.User";

/// What, who, why, mode, user, process.
pub(crate) type Lock = (String, String, String, String, u32, u32);

/// A login, as far as it says who uses this computer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) path: OwnedObjectPath,
    pub(crate) id: String,
    /// In front of its seat, or connected from afar.
    pub(crate) active: bool,
    /// `user`, `greeter`, …
    pub(crate) class: String,
    /// `x11`, `wayland`, `tty`, …
    pub(crate) kind: String,
    /// Empty for a remote one.
    pub(crate) seat: String,
    pub(crate) locked: bool,
    /// Its user has left; some of its programs are still there.
    pub(crate) closing: bool,
}

impl Login {
    /// A desktop that a user is logged in to.
    pub(crate) fn is_desktop(&self) -> bool {
        !self.closing && self.class == "user" && matches!(&*self.kind, "x11" | "wayland" | "mir")
    }

    /// `None` where it ended in the meantime.
    async fn read(bus: &Connection, id: String, path: OwnedObjectPath) -> Asked<Option<Self>> {
        type Properties = std::collections::HashMap<String, OwnedValue>;
        let all: Option<Properties> = bus::call(bus, [SERVICE, &path, PROPERTIES, "GetAll"], &(SESSION,)).await?;
        let Some(mut all) = all else { return Ok(None) };
        let mut take = |name: &str| all.remove(name).ok_or(zbus::Error::MissingParameter("session property"));
        Ok(Some(Self {
            id,
            active: take("Active")?.try_into().map_err(zbus::Error::from)?,
            class: take("Class")?.try_into().map_err(zbus::Error::from)?,
            kind: take("Type")?.try_into().map_err(zbus::Error::from)?,
            seat: <(String, OwnedObjectPath)>::try_from(take("Seat")?).map_err(zbus::Error::from)?.0,
            closing: take("State").is_ok_and(|state| String::try_from(state).is_ok_and(|state| state == "closing")),
            // Missing before systemd 230.
            locked: take("LockedHint").is_ok_and(|locked| locked.try_into().unwrap_or(false)),
            path,
        }))
    }
}

/// All logins of all users. An error where there is no login service.
pub(crate) async fn logins(bus: &Connection) -> Asked<Vec<Login>> {
    type Listed = Vec<(String, u32, String, String, OwnedObjectPath)>;
    let listed: Option<Listed> = bus::call(bus, [SERVICE, PATH, MANAGER, "ListSessions"], &()).await?;
    let listed = listed.ok_or_else(|| zbus::Error::Failure("it does not list sessions".into()))?;
    let mut all = Vec::new();
    for (id, .., path) in listed {
        all.extend(Login::read(bus, id, path).await?);
    }
    Ok(all)
}

/// The session that this process belongs to: the kernel's word first, then the environment's; a user's service belongs
/// to the session on its user's screen.
pub(crate) async fn own_session(bus: &Connection, around: &Surroundings) -> Asked<Option<OwnedObjectPath>> {
    let by_pid = bus::call(bus, [SERVICE, PATH, MANAGER, "GetSessionByPID"], &(std::process::id(),)).await?;
    if by_pid.is_some() {
        return Ok(by_pid);
    }
    if let Some(id) = &around.session_id
        && let Some(path) = by_id(bus, id).await?
    {
        return Ok(Some(path));
    }
    match on_screen(bus).await? {
        Some(path) => Ok(Some(path)),
        None => by_id(bus, "auto").await,
    }
}

async fn by_id(bus: &Connection, id: &str) -> Asked<Option<OwnedObjectPath>> {
    bus::call(bus, [SERVICE, PATH, MANAGER, "GetSession"], &(id,)).await
}

/// This user's graphical session.
async fn on_screen(bus: &Connection) -> Asked<Option<OwnedObjectPath>> {
    let uid = rustix::process::getuid().as_raw();
    let user: Option<OwnedObjectPath> = bus::call(bus, [SERVICE, PATH, MANAGER, "GetUser"], &(uid,)).await?;
    let Some(user) = user else { return Ok(None) };
    let display: Option<(String, OwnedObjectPath)> = bus::property(bus, SERVICE, &user, USER, "Display").await?;
    Ok(display.filter(|(id, _)| !id.is_empty()).map(|(_, path)| path))
}

/// The kind of this user's graphical session, and the name of its X server, which is empty where there is none.
pub(crate) async fn display(bus: &Connection, around: &Surroundings) -> Asked<Option<(String, String)>> {
    let session = match on_screen(bus).await? {
        Some(session) => session,
        None => match own_session(bus, around).await? {
            Some(session) => session,
            None => return Ok(None),
        },
    };
    let kind: Option<String> = bus::property(bus, SERVICE, &session, SESSION, "Type").await?;
    let display: Option<String> = bus::property(bus, SERVICE, &session, SESSION, "Display").await?;
    Ok(kind.map(|kind| (kind, display.unwrap_or_default())))
}

/// Whether the session's screen is locked, as its desktop told logind.
pub(crate) async fn locked(bus: &Connection, around: &Surroundings) -> Asked<bool> {
    let Some(session) = own_session(bus, around).await? else { return Ok(false) };
    Ok(bus::property(bus, SERVICE, &session, SESSION, "LockedHint").await?.unwrap_or(false))
}

/// Whether the lid is shut; logind says that it is open where there is none.
pub(crate) async fn lid_shut(bus: &Connection) -> Asked<Option<bool>> {
    bus::property(bus, SERVICE, PATH, MANAGER, "LidClosed").await
}

/// Every lock that a program holds on idleness, sleep and the like.
pub(crate) async fn locks(bus: &Connection) -> Asked<Vec<Lock>> {
    Ok(bus::call(bus, [SERVICE, PATH, MANAGER, "ListInhibitors"], &()).await?.unwrap_or_default())
}

/// Takes a lock on idleness, held until the descriptor is closed; `None` where logind refuses or is not there.
pub(crate) async fn lock_idleness(bus: &Connection, who: &str, why: &str) -> Asked<Option<OwnedFd>> {
    bus::call(bus, [SERVICE, PATH, MANAGER, "Inhibit"], &("idle", who, why, "block")).await
}
