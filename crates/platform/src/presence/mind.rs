//! Listens to all sources, looks at those that have to be asked, and tells changes: the one thread that calls back.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Presence;
use super::combine::{Heard, Look, Report};

/// A source that has to be asked, because it does not tell.
pub(super) trait Ask: Send {
    /// Its name in one word, for where it is the only source.
    fn name(&self) -> &'static str;

    /// What it sees now. Called ten times a second at most, and never while a display sees input.
    fn look(&mut self, now: Instant, reports: &Reports) -> Look;
}

/// Where sources report to.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    sender: Sender<Heading>,
    shown: Arc<Mutex<Shown>>,
}

/// What a shell shows.
#[derive(Debug)]
struct Shown {
    source: &'static str,
    last_input: Option<Instant>,
}

#[derive(Debug)]
enum Heading {
    Heard(Report),
    LookClosely(bool),
    Stop,
}

/// Where to report to, and the end that the mind listens at.
pub(super) fn reports() -> (Reports, Inbox) {
    let (sender, inbox) = mpsc::channel();
    (Reports { sender, shown: Arc::new(Mutex::new(Shown { source: "none", last_input: None })) }, Inbox(inbox))
}

impl Reports {
    pub(super) fn send(&self, report: Report) {
        // Fails only when the mind has stopped, and nobody listens any more.
        let _ = self.sender.send(Heading::Heard(report));
    }

    /// Names the source in use, in one word.
    pub(super) fn name(&self, source: &'static str) {
        self.shown().source = source;
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running thread. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Mind {
    reports: Reports,
}

impl Mind {
    pub(super) fn start(
        reports: Reports,
        inbox: Inbox,
        heard: Heard,
        ask: Box<dyn Ask>,
        on_change: impl Fn(Presence) + Send + 'static,
    ) -> io::Result<Self> {
        let told = reports.clone();
        std::thread::Builder::new()
            .name("presence".into())
            .spawn(move || listen(&inbox.0, &told, heard, ask, &on_change))?;
        Ok(Self { reports })
    }

    pub(super) fn look_closely(&self, close: bool) {
        let _ = self.reports.sender.send(Heading::LookClosely(close));
    }

    pub(super) fn source(&self) -> &'static str {
        self.reports.shown().source
    }

    pub(super) fn idle(&self) -> Option<Duration> {
        self.reports.shown().last_input.map(|at| Instant::now().saturating_duration_since(at))
    }
}

impl Drop for Mind {
    fn drop(&mut self) {
        let _ = self.reports.sender.send(Heading::Stop);
    }
}

/// The end of the line that the mind listens to.
#[derive(Debug)]
pub(super) struct Inbox(Receiver<Heading>);

fn listen(
    inbox: &Receiver<Heading>,
    reports: &Reports,
    mut heard: Heard,
    mut ask: Box<dyn Ask>,
    on_change: &dyn Fn(Presence),
) {
    // What happened before is not known: looks compare with this one.
    let now = Instant::now();
    heard.hear(Report::Look(ask.look(now, reports)), now);
    let mut told = None;
    loop {
        let now = Instant::now();
        if heard.wants_look(now) {
            heard.hear(Report::Look(ask.look(now, reports)), now);
        }
        let verdict = heard.verdict(now);
        reports.shown().last_input = heard.last_input();
        if heard.by_looks_alone() {
            reports.name(ask.name());
        }
        if verdict.presence.is_some() && verdict.presence != told {
            told.clone_from(&verdict.presence);
            verdict.presence.into_iter().for_each(on_change);
        }
        let next = match verdict.again {
            Some(again) => inbox.recv_timeout(again.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(Heading::Heard(report)) => heard.hear(report, Instant::now()),
            Ok(Heading::LookClosely(close)) => heard.look_closely(close),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Heading::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
