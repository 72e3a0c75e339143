//! Hears the reporters of this machine's graphical sessions: for an engine that belongs to no session.
//!
//! Kernel and login service say which session a reporter speaks for, never its message. A reporter that goes while its
//! session lasts was killed or has crashed: its session counts as used, and that is audited.
//! Deliberately absent: what the sessions come to. The sensors know.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use surge_client::wire::{Refusal, Reply, SessionReport};
use surge_platform::peer::NoSession;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

use crate::view::{Case, Reason, ReasonCode};

/// The longest report, bytes.
const MAX_REPORT: u64 = 1 << 10;
/// Reports that a session may make in a second. More would only cost.
const REPORTS_A_SECOND: u32 = 50;
/// A session that ends takes its reporter along, and is known to have ended a while later: its desktop stops in between.
const SESSION_ENDS: Duration = Duration::from_secs(5);

/// Where reports go: the sensors.
pub(crate) trait Listener: Send + Sync {
    /// The reporter of a session says this now.
    fn report(&self, session: &str, report: SessionReport);
    /// It is gone.
    fn lost(&self, session: &str);
    /// So is its session.
    fn ended(&self, session: &str);
}

/// All reporters. Copies are of the same ones.
#[derive(Clone)]
pub(crate) struct Reporters {
    known: Arc<Mutex<Known>>,
    listener: Arc<dyn Listener>,
    has_ended: fn(&str) -> bool,
}

impl std::fmt::Debug for Reporters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reporters").field("known", &self.known).finish_non_exhaustive()
    }
}

/// Sessions by the login service's ids.
#[derive(Debug, Default)]
struct Known {
    reporting: BTreeSet<String>,
    /// Those whose reporter is gone, with their users.
    lost: BTreeMap<String, u32>,
}

/// How a reporter's connection ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The engine stops.
    Stopping,
    /// It is gone, or says what is no report.
    Lost,
}

impl Reporters {
    /// `has_ended`: whether a session has ended.
    pub(crate) fn new(listener: Arc<dyn Listener>, has_ended: fn(&str) -> bool) -> Self {
        Self { known: Arc::default(), listener, has_ended }
    }

    /// Hears one reporter until it goes or `stopping` ends. `session` is what it belongs to, and `uid` its user.
    ///
    /// # Errors
    /// When it can't be answered.
    pub(crate) async fn hear(
        &self,
        session: Result<String, NoSession>,
        uid: u32,
        mut read: impl AsyncBufRead + Unpin,
        mut write: impl AsyncWrite + Unpin,
        stopping: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let place = match session.map_err(refusal).and_then(|session| self.place(session)) {
            Ok(place) => place,
            Err(refusal) => {
                tracing::warn!(uid, code = refusal.code, "A session's reporter was refused");
                return say(&mut write, &Reply::Refused(refusal)).await;
            }
        };
        say(&mut write, &Reply::Reporting { session: place.session.clone() }).await?;
        tracing::info!(session = place.session, uid, "A session's reporter is heard");
        let end = tokio::select! {
            () = stopping => End::Stopping,
            () = self.listen(&place.session, &mut read) => End::Lost,
        };
        let session = place.session.clone();
        match end {
            // It finds the next engine by itself.
            End::Stopping => say(&mut write, &Reply::Stopping).await,
            End::Lost => {
                self.listener.lost(&session);
                drop(place);
                self.audit(session, uid).await;
                Ok(())
            }
        }
    }

    /// What the owner should know: sessions that count as used because their reporter is gone.
    pub(crate) fn notices(&self) -> Vec<Reason> {
        let mut known = self.known();
        known.lost.retain(|session, _| !(self.has_ended)(session));
        let notice = |(session, uid): (&String, &u32)| {
            let reason = Reason::new(ReasonCode::PresenceUnknown).case(Case::ReporterLost);
            reason.about(format!("{session} (uid {uid})")).set_by("presence")
        };
        // No two notices have the same code.
        known.lost.iter().next().map(notice).into_iter().collect()
    }

    /// Takes the one place of a session's reporter.
    fn place(&self, session: String) -> Result<Place<'_>, Refusal> {
        let mut known = self.known();
        if !known.reporting.insert(session.clone()) {
            let message = format!("session {session} has a reporter already");
            return Err(Refusal { code: "session_reported".into(), message });
        }
        known.lost.remove(&session);
        Ok(Place { of: self, session })
    }

    async fn listen(&self, session: &str, read: &mut (impl AsyncBufRead + Unpin)) {
        let mut second = Instant::now() + Duration::from_secs(1);
        let mut left = REPORTS_A_SECOND;
        let mut line = Vec::new();
        loop {
            line.clear();
            match read.take(MAX_REPORT).read_until(b'\n', &mut line).await {
                Ok(_) if line.ends_with(b"\n") => {}
                _ => return,
            }
            let Ok(report) = serde_json::from_slice(&line) else { return };
            self.listener.report(session, report);
            left -= 1;
            if Instant::now() >= second || left == 0 {
                sleep_until(second).await;
                (second, left) = (Instant::now() + Duration::from_secs(1), REPORTS_A_SECOND);
            }
        }
    }

    /// Notes that a reporter is gone, unless its session is: then that was its end.
    async fn audit(&self, session: String, uid: u32) {
        sleep(SESSION_ENDS).await;
        if (self.has_ended)(&session) {
            tracing::info!(session, uid, "A session has ended");
            self.listener.ended(&session);
            return;
        }
        let mut known = self.known();
        // A new one may have taken its place meanwhile; that the old one went is told anyway.
        tracing::warn!(session, uid, "The reporter of a session was killed or has crashed: the session counts as used");
        if !known.reporting.contains(&session) {
            known.lost.insert(session, uid);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a session's reporter, free again when this is dropped.
#[derive(Debug)]
struct Place<'a> {
    of: &'a Reporters,
    session: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of.known().reporting.remove(&self.session);
    }
}

fn refusal(why: NoSession) -> Refusal {
    Refusal { code: why.code().into(), message: why.to_string() }
}

async fn say(write: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    text.push(b'\n');
    write.write_all(&text).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::io::{BufReader, DuplexStream, duplex, split};
    use tokio::sync::mpsc;

    #[derive(Debug, PartialEq, Eq)]
    enum Heard {
        Report(String, SessionReport),
        Lost(String),
        Ended(String),
    }

    struct Ear(mpsc::UnboundedSender<Heard>);

    impl Listener for Ear {
        fn report(&self, session: &str, report: SessionReport) {
            self.0.send(Heard::Report(session.into(), report)).unwrap();
        }
        fn lost(&self, session: &str) {
            self.0.send(Heard::Lost(session.into())).unwrap();
        }
        fn ended(&self, session: &str) {
            self.0.send(Heard::Ended(session.into())).unwrap();
        }
    }

    fn reporters() -> (Reporters, mpsc::UnboundedReceiver<Heard>) {
        let (sender, heard) = mpsc::unbounded_channel();
        // In these tests a session that is called so has ended.
        (Reporters::new(Arc::new(Ear(sender)), |session| session == "ended"), heard)
    }

    struct Reporter {
        stream: BufReader<DuplexStream>,
        hearing: tokio::task::JoinHandle<io::Result<()>>,
    }

    impl Reporter {
        fn start(reporters: &Reporters, session: Result<&str, NoSession>, uid: u32) -> Self {
            let (here, there) = duplex(1 << 16);
            let (reporters, session) = (reporters.clone(), session.map(str::to_owned));
            let hearing = tokio::spawn(async move {
                let (read, write) = split(there);
                reporters.hear(session, uid, BufReader::new(read), write, pending()).await
            });
            Self { stream: BufReader::new(here), hearing }
        }

        async fn answer(&mut self) -> String {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.unwrap();
            line.trim().to_owned()
        }

        async fn say(&mut self, line: &str) {
            self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await.unwrap();
        }

        async fn go(self) {
            drop(self.stream);
            self.hearing.await.unwrap().unwrap();
        }
    }

    fn idle(ms: u64) -> SessionReport {
        SessionReport { idle_ms: Some(ms), ..SessionReport::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_session_reports_is_heard_under_the_id_that_the_kernel_gave() {
        let (reporters, mut heard) = reporters();
        let mut reporter = Reporter::start(&reporters, Ok("2"), 1000);
        assert_eq!(reporter.answer().await, r#"{"reporting":{"session":"2"}}"#);
        reporter.say(r#"{"idle_ms":1500,"session":"7","locked":true,"future":[]}"#).await;
        let report = SessionReport { locked: true, ..idle(1500) };
        assert_eq!(heard.recv().await, Some(Heard::Report("2".into(), report)), "whatever it calls itself");
        reporter.say("{}").await;
        let unknown = SessionReport { idle_ms: None, ..idle(0) };
        assert_eq!(heard.recv().await, Some(Heard::Report("2".into(), unknown)));
        assert_eq!(reporters.notices(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_has_one_reporter_until_that_is_gone() {
        let (reporters, _heard) = reporters();
        let mut first = Reporter::start(&reporters, Ok("2"), 1000);
        first.answer().await;
        let mut second = Reporter::start(&reporters, Ok("2"), 1000);
        assert!(second.answer().await.contains("session_reported"));
        let mut elsewhere = Reporter::start(&reporters, Ok("3"), 1001);
        assert!(elsewhere.answer().await.contains("reporting"));
        first.go().await;
        let mut third = Reporter::start(&reporters, Ok("2"), 1000);
        assert!(third.answer().await.contains("reporting"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_speaks_for_no_session_of_their_own_is_refused() {
        let (reporters, _heard) = reporters();
        for (why, code) in [
            (NoSession::None, "no_session"),
            (NoSession::Gone, "no_session"),
            (NoSession::Anothers, "anothers_session"),
        ] {
            let mut reporter = Reporter::start(&reporters, Err(why), 1000);
            assert!(reporter.answer().await.contains(code));
            reporter.hearing.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reporter_that_is_killed_is_lost_at_once_and_told_to_the_owner_until_another_comes() {
        let (reporters, mut heard) = reporters();
        let mut reporter = Reporter::start(&reporters, Ok("2"), 1000);
        reporter.answer().await;
        let Reporter { stream, hearing } = reporter;
        let killed = Instant::now();
        drop(stream);
        assert_eq!(heard.recv().await, Some(Heard::Lost("2".into())));
        assert_eq!(killed.elapsed(), Duration::ZERO);
        hearing.await.unwrap().unwrap();
        let notices = reporters.notices();
        assert_eq!((notices.len(), notices[0].case), (1, Some(Case::ReporterLost)));
        assert_eq!(notices[0].subject.as_deref(), Some("2 (uid 1000)"));
        Reporter::start(&reporters, Ok("2"), 1000).answer().await;
        assert_eq!(reporters.notices(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reporter_that_goes_with_its_session_is_no_news() {
        let (reporters, mut heard) = reporters();
        let mut reporter = Reporter::start(&reporters, Ok("ended"), 1000);
        reporter.answer().await;
        reporter.go().await;
        assert_eq!(heard.recv().await, Some(Heard::Lost("ended".into())));
        assert_eq!(heard.recv().await, Some(Heard::Ended("ended".into())));
        assert_eq!(reporters.notices(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_report_ends_it_as_a_loss() {
        let long = format!("{{\"idle_ms\":1{}}}", " ".repeat(2000));
        for nonsense in ["no report", "", "7", "{\"idle_ms\":-1}", "{\"idle_ms\":\"1\"}", &long] {
            let (reporters, mut heard) = reporters();
            let mut reporter = Reporter::start(&reporters, Ok("2"), 1000);
            reporter.answer().await;
            reporter.say(nonsense).await;
            assert_eq!(heard.recv().await, Some(Heard::Lost("2".into())), "{nonsense}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_heard_slowly() {
        let (reporters, mut heard) = reporters();
        let mut reporter = Reporter::start(&reporters, Ok("2"), 1000);
        reporter.answer().await;
        let begun = Instant::now();
        for _ in 0..=REPORTS_A_SECOND {
            reporter.say(r#"{"idle_ms":0}"#).await;
        }
        for _ in 0..=REPORTS_A_SECOND {
            assert!(matches!(heard.recv().await, Some(Heard::Report(..))));
        }
        assert!(begun.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_stops_says_so_and_audits_nobody() {
        let (reporters, mut heard) = reporters();
        let (here, there) = duplex(1 << 16);
        let (read, write) = split(there);
        let stopped = async {};
        reporters.hear(Ok("2".into()), 1000, BufReader::new(read), write, stopped).await.unwrap();
        let mut told = String::new();
        BufReader::new(here).read_to_string(&mut told).await.unwrap();
        assert!(told.ends_with("\"stopping\"\n"), "{told}");
        assert!(heard.try_recv().is_err());
        assert_eq!(reporters.notices(), []);
    }
}
