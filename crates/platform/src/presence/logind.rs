//! logind: which session is in front, locking, and sleep.
//!
//! Its idle hint is not read: desktops set it from timers of their own, and some never do. Whatever speaks logind's
//! D-Bus interface serves, elogind too. Where there is none, presence works without.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use thiserror::Error;
use zbus::message::Type;
use zbus::zvariant::{DynamicDeserialize, DynamicType, OwnedObjectPath, OwnedValue};
use zbus::{Connection, MatchRule, Message, MessageStream};

use super::combine::{Report, Session};
use super::linux::Surroundings;
use super::mind::Reports;

const SERVICE: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
/// A service that takes longer to answer is stuck.
const ANSWER: Duration = Duration::from_secs(2);
/// How long to wait before trying a bus again: at first, and at most.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_AT_MOST: Duration = Duration::from_secs(60);

#[derive(Debug, Error)]
enum LogindError {
    #[error("{0}")]
    Bus(#[from] zbus::Error),
    #[error("it does not answer")]
    Slow,
    #[error("it went away")]
    Gone,
}

/// Watches until dropped, whatever happens to the bus.
pub(super) async fn watch(around: &Surroundings, reports: &Reports) {
    let mut met = false;
    let mut pause = RETRY;
    loop {
        let error = match follow(around, reports, &mut met).await {
            Err(error) => error,
            Ok(never) => match never {},
        };
        if met || matches!(error, LogindError::Slow) {
            tracing::warn!(%error, "The login service is lost");
            reports.send(Report::Session(Session::Lost(format!("the login service can't be asked: {error}"))));
            // It worked: it will be back soon.
            pause = if std::mem::take(&mut met) { RETRY } else { pause };
            tokio::time::sleep(pause).await;
            met = true;
        } else {
            tracing::info!(%error, "No login service: presence works without");
            reports.send(Report::Session(Session::Unwatched));
            tokio::time::sleep(pause).await;
        }
        pause = (pause * 2).min(RETRY_AT_MOST);
    }
}

/// Reports until something breaks. `met` is set once the service answered.
async fn follow(
    around: &Surroundings,
    reports: &Reports,
    met: &mut bool,
) -> Result<std::convert::Infallible, LogindError> {
    let built = zbus::connection::Builder::address(&*around.system_bus)?.method_timeout(ANSWER).build();
    let bus = tokio::time::timeout(ANSWER, built).await.map_err(|_| LogindError::Slow)??;
    let signal = || MatchRule::builder().msg_type(Type::Signal);
    let signals = signal().sender(SERVICE)?.path_namespace(PATH)?.build();
    let owner = signal()
        .sender("org.freedesktop.DBus")?
        .interface("org.freedesktop.DBus")?
        .member("NameOwnerChanged")?
        .arg(0, SERVICE)?
        .build();
    let mut signals = MessageStream::for_match_rule(signals, &bus, None).await?;
    let mut owner = MessageStream::for_match_rule(owner, &bus, None).await?;
    let mut known = Sessions::read(&bus, around).await?;
    *met = true;
    reports.send(Report::Session(known.judge()));
    loop {
        let message = tokio::select! {
            message = signals.next() => message,
            _ = owner.next() => return Err(LogindError::Gone),
        };
        let mut next = Some(message);
        // A burst of signals is read as one.
        while let Some(message) = next {
            let message = message.ok_or(LogindError::Gone)?.map_err(|_| LogindError::Gone)?;
            known.hear(&message, reports);
            next = signals.next().now_or_never();
        }
        let now = Sessions::read(&bus, around).await?;
        if known.own().is_some_and(|own| own.locked) && now.own().is_some_and(|own| !own.locked) {
            reports.send(Report::Disturbed);
        }
        known = now;
        reports.send(Report::Session(known.judge()));
    }
}

/// All sessions, and which of them is ours.
#[derive(Debug, Default)]
struct Sessions {
    all: Vec<One>,
    own: Option<OwnedObjectPath>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct One {
    path: OwnedObjectPath,
    active: bool,
    /// `user`, `greeter`, …
    class: String,
    /// `x11`, `wayland`, `tty`, …
    kind: String,
    /// Empty for a remote one.
    seat: String,
    locked: bool,
}

impl Sessions {
    async fn read(bus: &Connection, around: &Surroundings) -> Result<Self, LogindError> {
        type Listed = Vec<(String, u32, String, String, OwnedObjectPath)>;
        let listed: Listed = call(bus, PATH, MANAGER, "ListSessions", &()).await?;
        let mut all = Vec::new();
        for (.., path) in listed {
            match One::read(bus, &path).await {
                Ok(one) => all.push(one),
                // It ended between the listing and now.
                Err(zbus::Error::MethodError(..)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { all, own: own(bus, around).await? })
    }

    fn own(&self) -> Option<&One> {
        self.all.iter().find(|one| Some(&one.path) == self.own.as_ref())
    }

    /// What a signal tells that is not state.
    fn hear(&self, message: &Message, reports: &Reports) {
        let header = message.header();
        match header.member().map(|member| member.as_str()) {
            Some("PrepareForSleep") => match message.body().deserialize::<bool>() {
                Ok(false) => reports.send(Report::Disturbed),
                Ok(true) | Err(_) => reports.send(Report::Asleep),
            },
            Some("Unlock") if header.path().is_some_and(|path| Some(path) == self.own.as_deref()) => {
                reports.send(Report::Disturbed);
            }
            _ => {}
        }
    }

    fn judge(&self) -> Session {
        let other = |one: &&One| Some(&one.path) != self.own.as_ref();
        // Its input is not seen from here: another seat, or a remote desktop. Text is seen by its terminal.
        let in_use = |one: &One| one.active && one.class == "user" && matches!(&*one.kind, "x11" | "wayland" | "mir");
        if self.all.iter().filter(other).any(in_use) {
            return Session::Behind;
        }
        match self.own() {
            None => Session::Unwatched,
            Some(own) if !own.active => Session::Behind,
            Some(own) => Session::InFront { console: own.kind == "tty" && !own.seat.is_empty() },
        }
    }
}

impl One {
    async fn read(bus: &Connection, path: &OwnedObjectPath) -> Result<Self, zbus::Error> {
        type Properties = std::collections::HashMap<String, OwnedValue>;
        let mut all: Properties = call(bus, path, "org.freedesktop.DBus.Properties", "GetAll", &(SESSION,)).await?;
        let mut take = |name: &str| all.remove(name).ok_or_else(|| zbus::Error::MissingParameter("session property"));
        Ok(Self {
            path: path.clone(),
            active: take("Active")?.try_into()?,
            class: take("Class")?.try_into()?,
            kind: take("Type")?.try_into()?,
            seat: <(String, OwnedObjectPath)>::try_from(take("Seat")?)?.0,
            // Missing before systemd 230.
            locked: take("LockedHint").and_then(|locked| Ok(locked.try_into()?)).unwrap_or(false),
        })
    }
}

/// The session that this process belongs to: the kernel's word first, then the environment's; a user's service belongs
/// to the session of its user's display.
async fn own(bus: &Connection, around: &Surroundings) -> Result<Option<OwnedObjectPath>, LogindError> {
    if let Some(path) = found(call(bus, PATH, MANAGER, "GetSessionByPID", &(std::process::id(),)).await)? {
        return Ok(Some(path));
    }
    if let Some(id) = &around.session_id
        && let Some(path) = found(call(bus, PATH, MANAGER, "GetSession", &(&**id,)).await)?
    {
        return Ok(Some(path));
    }
    let uid = rustix::process::getuid().as_raw();
    let Some(user): Option<OwnedObjectPath> = found(call(bus, PATH, MANAGER, "GetUser", &(uid,)).await)? else {
        return Ok(None);
    };
    let property = ("org.freedesktop.login1.User", "Display");
    let display = call(bus, &user, "org.freedesktop.DBus.Properties", "Get", &property).await;
    let Some(display): Option<OwnedValue> = found(display)? else { return Ok(None) };
    let (id, path) = <(String, OwnedObjectPath)>::try_from(display).map_err(zbus::Error::from)?;
    Ok(Some(path).filter(|_| !id.is_empty()))
}

/// An answer, or `None` where the service knows no such thing.
fn found<T>(answer: Result<T, zbus::Error>) -> Result<Option<T>, LogindError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(zbus::Error::MethodError(..)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn call<B, R>(bus: &Connection, path: &str, interface: &str, method: &str, body: &B) -> Result<R, zbus::Error>
where
    B: serde::Serialize + DynamicType,
    R: for<'d> DynamicDeserialize<'d>,
{
    let answer = bus.call_method(Some(SERVICE), path, Some(interface), method, body).await?;
    answer.body().deserialize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, active: bool, class: &str, kind: &str, seat: &str) -> One {
        let path = OwnedObjectPath::try_from(path).unwrap();
        One { path, active, class: class.into(), kind: kind.into(), seat: seat.into(), locked: false }
    }

    fn judge(all: &[One], own: Option<&str>) -> Session {
        let own = own.map(|own| OwnedObjectPath::try_from(own).unwrap());
        Sessions { all: all.to_vec(), own }.judge()
    }

    #[test]
    fn only_the_session_in_front_counts() {
        let mine = |active| one("/mine", active, "user", "wayland", "seat0");
        assert_eq!(judge(&[mine(true)], Some("/mine")), Session::InFront { console: false });
        assert_eq!(judge(&[mine(false)], Some("/mine")), Session::Behind);
        let greeter = one("/greeter", true, "greeter", "x11", "seat0");
        assert_eq!(judge(&[mine(false), greeter], Some("/mine")), Session::Behind);
    }

    #[test]
    fn a_desktop_in_use_elsewhere_holds_and_a_shell_does_not() {
        let mine = one("/mine", true, "user", "x11", "seat0");
        let remote = |kind| one("/remote", true, "user", kind, "");
        assert_eq!(judge(&[mine.clone(), remote("x11")], Some("/mine")), Session::Behind);
        assert_eq!(judge(&[mine.clone(), remote("tty")], Some("/mine")), Session::InFront { console: false });
        let second_seat = one("/second", true, "user", "wayland", "seat1");
        assert_eq!(judge(&[mine, second_seat], Some("/mine")), Session::Behind);
    }

    #[test]
    fn a_text_console_has_a_seat_and_a_remote_shell_has_none() {
        let text = |seat| one("/mine", true, "user", "tty", seat);
        assert_eq!(judge(&[text("seat0")], Some("/mine")), Session::InFront { console: true });
        assert_eq!(judge(&[text("")], Some("/mine")), Session::InFront { console: false });
        assert_eq!(judge(&[text("seat0")], None), Session::Unwatched, "a service of the system has none");
    }
}
