//! Logins, as the login service tells of them: which session is in front, locking, and sleep.
//!
//! Where there is no such service, presence works without.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use thiserror::Error;
use zbus::message::Type;
use zbus::zvariant::OwnedObjectPath;
use zbus::{Connection, MatchRule, Message, MessageStream};

use super::Watched;
use super::combine::{Report, Session};
use super::watcher_thread::Reports;
use crate::bus::{self, NoAnswer};
use crate::logind::{self, Login};
use crate::surroundings::Surroundings;

/// A service that takes longer to answer is stuck.
const ANSWER: Duration = Duration::from_secs(2);
/// How long to wait before trying a bus again: at first, and at most.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_AT_MOST: Duration = Duration::from_secs(60);

#[derive(Debug, Error)]
enum LoginsError {
    #[error("{0}")]
    Bus(#[from] NoAnswer),
    #[error("it went away")]
    Gone,
}

impl From<zbus::Error> for LoginsError {
    fn from(error: zbus::Error) -> Self {
        Self::Bus(error.into())
    }
}

/// Watches until dropped, whatever happens to the bus.
pub(super) async fn watch(around: &Surroundings, watched: Watched, reports: &Reports) {
    let mut met = false;
    let mut logged = false;
    let mut pause = RETRY;
    loop {
        let error = match follow(around, watched, reports, &mut met).await {
            Err(error) => error,
            Ok(never) => match never {},
        };
        if met || matches!(error, LoginsError::Bus(NoAnswer::TooLate)) {
            if met || !logged {
                tracing::warn!(%error, bus = %around.system_bus, "The login service can't be asked: it is tried again later");
                logged = true;
            }
            reports.send(Report::Session(Session::Lost(format!("the login service can't be asked: {error}"))));
            reports.send(Report::Desktops(None));
            // It worked: it will be back soon.
            pause = if std::mem::take(&mut met) { RETRY } else { pause };
            tokio::time::sleep(pause).await;
            // Until it answers again it is lost, not absent.
            met = true;
        } else {
            if !std::mem::replace(&mut logged, true) {
                tracing::info!(%error, "No login service: presence works without");
            }
            reports.send(Report::Session(Session::Unwatched));
            tokio::time::sleep(pause).await;
        }
        pause = (pause * 2).min(RETRY_AT_MOST);
    }
}

/// Reports until something breaks. `met` is set once the service answered.
async fn follow(
    around: &Surroundings,
    watched: Watched,
    reports: &Reports,
    met: &mut bool,
) -> Result<std::convert::Infallible, LoginsError> {
    let bus = bus::connect(&around.system_bus, ANSWER).await?;
    let signals = signals_of_logind()?;
    let mut signals = MessageStream::for_match_rule(signals, &bus, None).await?;
    let mut owner = MessageStream::for_match_rule(bus::owner_changed(logind::SERVICE)?, &bus, None).await?;
    let mut known = Logins::read(&bus, around, watched).await?;
    *met = true;
    known.report(reports);
    loop {
        let message = tokio::select! {
            message = signals.next() => message,
            _ = owner.next() => return Err(LoginsError::Gone),
        };
        let mut next = Some(message);
        // A burst of signals is read as one.
        while let Some(message) = next {
            let message = message.ok_or(LoginsError::Gone)?.map_err(|_| LoginsError::Gone)?;
            known.hear(&message, reports);
            next = signals.next().now_or_never();
        }
        let now = Logins::read(&bus, around, watched).await?;
        if known.own().is_some_and(|own| own.locked) && now.own().is_some_and(|own| !own.locked) {
            reports.send(Report::Disturbed);
        }
        known = now;
        known.report(reports);
    }
}

fn signals_of_logind() -> zbus::Result<MatchRule<'static>> {
    let rule = MatchRule::builder().msg_type(Type::Signal).sender(logind::SERVICE)?;
    Ok(rule.path_namespace(logind::PATH)?.build())
}

/// All logins, and which of them is ours.
#[derive(Debug, Default)]
struct Logins {
    all: Vec<Login>,
    own: Option<OwnedObjectPath>,
}

impl Logins {
    async fn read(bus: &Connection, around: &Surroundings, watched: Watched) -> Result<Self, LoginsError> {
        let all = logind::logins(bus).await?;
        let own = match watched {
            Watched::AllSessions => None,
            Watched::OwnSession | Watched::DisplayAlone => logind::own_session(bus, around).await?,
        };
        Ok(Self { all, own })
    }

    fn report(&self, reports: &Reports) {
        let desktops = self.all.iter().filter(|login| login.is_desktop()).map(|login| login.id.clone());
        reports.send(Report::Desktops(Some(desktops.collect())));
        reports.send(Report::Session(self.judge()));
    }

    fn own(&self) -> Option<&Login> {
        self.all.iter().find(|login| Some(&login.path) == self.own.as_ref())
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
        let other = |login: &&Login| Some(&login.path) != self.own.as_ref();
        // Its input is not seen from here: another seat, or a remote desktop. Text is seen by its terminal.
        if self.all.iter().filter(other).any(|login| login.active && login.is_desktop()) {
            return Session::Behind;
        }
        match self.own() {
            None => Session::Unwatched,
            Some(own) if !own.active => Session::Behind,
            Some(own) => Session::InFront { console: own.kind == "tty" && !own.seat.is_empty() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, active: bool, class: &str, kind: &str, seat: &str) -> Login {
        let path = OwnedObjectPath::try_from(path).unwrap();
        let (class, kind, seat) = (class.into(), kind.into(), seat.into());
        Login { path, id: String::new(), active, class, kind, seat, locked: false, closing: false }
    }

    fn judge(all: &[Login], own: Option<&str>) -> Session {
        let own = own.map(|own| OwnedObjectPath::try_from(own).unwrap());
        Logins { all: all.to_vec(), own }.judge()
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
    fn a_desktop_whose_user_has_left_is_none() {
        let left = Login { closing: true, ..one("/left", true, "user", "x11", "seat0") };
        assert_eq!(
            judge(&[one("/mine", true, "user", "x11", "seat0"), left], Some("/mine")),
            Session::InFront { console: false }
        );
    }

    #[test]
    fn a_text_console_has_a_seat_and_a_remote_shell_has_none() {
        let text = |seat| one("/mine", true, "user", "tty", seat);
        assert_eq!(judge(&[text("seat0")], Some("/mine")), Session::InFront { console: true });
        assert_eq!(judge(&[text("")], Some("/mine")), Session::InFront { console: false });
        assert_eq!(judge(&[text("seat0")], None), Session::Unwatched, "a service of the system has none");
    }
}
