//! `surge session`: tells the system service whether somebody uses the graphical session that it runs in.
//!
//! It starts and ends with the session, and goes on through restarts of the service. Deliberately absent: what runs in the
//! session. Names of programs stay here.

use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use surge_client::wire::SessionReport;
use surge_client::{ClientError, Reporter};
use surge_platform::conditions::Use;
use surge_platform::paths::Paths;
use surge_platform::peer::{Peer, session_ended};
use surge_platform::presence;
use surge_platform::sensors::{Pace, SessionWatch};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::failure::Failure;

/// How long to wait before the service is looked for again: at first, and at most. Until it is found, the session counts as
/// used.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_AT_MOST: Duration = Duration::from_secs(30);
/// How often it is looked whether the session has ended.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Reports until the session ends, or whoever started this ends it.
pub(crate) async fn session(paths: &Paths) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let session = own_session()?;
    let (newest, reports) = watch::channel(None);
    let watched = SessionWatch::start(move |report| {
        newest.send_replace(Some(report));
    })?;
    tokio::select! {
        refused = go_on(paths, &watched, reports) => Err(refused.into()),
        () = until_ended(&session) => Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        _ = hangup.recv() => Ok(ExitCode::SUCCESS),
    }
}

type Reports = watch::Receiver<Option<presence::SessionReport>>;

/// The login session of this process, as the service will see it.
fn own_session() -> Result<String> {
    let (here, _there) = UnixStream::pair()?;
    let session = Peer::of(&here)?.session();
    Ok(session.map_err(|why| Failure::new(why.code(), format!("{why}: start this in a graphical session")))?)
}

/// Finds the service again and again, until it refuses for good.
async fn go_on(paths: &Paths, watched: &SessionWatch, mut reports: Reports) -> ClientError {
    let mut pause = RETRY;
    loop {
        match surge_client::report(paths).await {
            Ok(mut service) => {
                tracing::info!(session = service.session(), "The service hears of this session");
                pause = RETRY;
                let error = tell(&mut service, watched, &mut reports).await;
                tracing::info!(%error, "The service is gone: it is looked for again");
            }
            // The kernel's word on who this is does not change.
            Err(error @ ClientError::Refused(_)) if error.code() != "busy" => return error,
            Err(error) => tracing::debug!(%error, "The service is not there"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(RETRY_AT_MOST);
    }
}

async fn until_ended(session: &str) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if session_ended(session) {
            return;
        }
    }
}

/// Passes reports on until the service has gone.
async fn tell(service: &mut Reporter, watched: &SessionWatch, reports: &mut Reports) -> ClientError {
    // What was reported last may be new to this service.
    reports.mark_changed();
    loop {
        tokio::select! {
            error = service.gone() => return error,
            changed = reports.changed() => if changed.is_err() {
                return ClientError::Malformed("the session is not watched any more".into());
            },
        }
        let Some(report) = reports.borrow_and_update().clone() else { continue };
        if let Err(error) = service.send(&told(&report)).await {
            return error;
        }
        // What tells by no event, a film that begins, matters to a session that would count as idle.
        watched.pace(if report.input == presence::SessionInput::Active { Pace::Held } else { Pace::Waiting });
    }
}

/// The report without names.
fn told(report: &presence::SessionReport) -> SessionReport {
    let uses = |kind: fn(&Use) -> bool| report.uses.iter().any(kind);
    SessionReport {
        idle_ms: match &report.input {
            presence::SessionInput::Active => Some(0),
            presence::SessionInput::IdleFor(idle) => Some(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)),
            presence::SessionInput::Unknown(why) => {
                tracing::debug!(why, "Nobody can tell whether this session is used");
                None
            }
        },
        locked: report.locked,
        full_screen: uses(|it| matches!(it, Use::FullScreen(_))),
        film: uses(|it| matches!(it, Use::Inhibited(_))),
        call: uses(|it| matches!(it, Use::Call(_))),
        gamepad: uses(|it| matches!(it, Use::Gamepad(_))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use surge_platform::presence::SessionInput;

    #[test]
    fn a_report_says_what_and_never_who() {
        let name = || "secret-program".to_owned();
        let uses = vec![Use::FullScreen(name()), Use::Inhibited(name()), Use::Call(name()), Use::Gamepad(name())];
        let input = SessionInput::Unknown("the display of secret-program is gone".into());
        let all = told(&presence::SessionReport { input, locked: true, uses });
        let expected =
            SessionReport { idle_ms: None, locked: true, full_screen: true, film: true, call: true, gamepad: true };
        assert_eq!(all, expected);
        assert!(!serde_json::to_string(&all).unwrap().contains("secret"));
        for (input, idle_ms) in [
            (SessionInput::Active, 0),
            (SessionInput::IdleFor(Duration::from_millis(1234)), 1234),
            (SessionInput::IdleFor(Duration::MAX), u64::MAX),
        ] {
            let report = told(&presence::SessionReport { input, locked: false, uses: Vec::new() });
            assert_eq!(report, SessionReport { idle_ms: Some(idle_ms), ..SessionReport::default() });
        }
    }
}
