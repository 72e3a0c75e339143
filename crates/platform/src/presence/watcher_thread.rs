//! The one thread that hears all sources, asks those that have to be asked, and calls back at each change.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Presence;
use super::combine::{Heard, Report};
use crate::disturbance::asleep_so_far;

/// A source that has to be asked, because it does not tell.
pub(super) trait Ask: Send {
    /// Its name in one word, for where it is the only source.
    fn name(&self) -> &'static str;

    /// Has it report a [`Look`](super::combine::Look), now or soon. Must not wait.
    fn ask(&mut self, now: Instant, reports: &Reports);
}

/// Where sources report to.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    sender: Sender<Message>,
    shown: Arc<Mutex<Shown>>,
}

/// What the threads share without waking each other.
#[derive(Debug)]
struct Shown {
    source: &'static str,
    last_input: Option<Instant>,
    /// Presence is idleness, of which no source knows more than it has told.
    idle: bool,
    /// When the display last stood by the idleness that it had told.
    confirmed: Option<Instant>,
}

#[derive(Debug)]
enum Message {
    Report(Report),
    LookClosely(bool),
    Stop,
}

/// The end at which the thread receives what is reported.
#[derive(Debug)]
pub(super) struct Inbox(Receiver<Message>);

/// Where to report to, and the end at which the thread receives it.
pub(super) fn reports(source: &'static str) -> (Reports, Inbox) {
    let (sender, inbox) = mpsc::channel();
    (
        Reports {
            sender,
            shown: Arc::new(Mutex::new(Shown { source, last_input: None, idle: false, confirmed: None })),
        },
        Inbox(inbox),
    )
}

impl Reports {
    pub(super) fn send(&self, report: Report) {
        // Fails only when the thread has ended, and nobody listens any more.
        let _ = self.sender.send(Message::Report(report));
    }

    /// The display still says what it said. Wakes nobody: the thread looks here before it calls the display silent.
    pub(super) fn confirm(&self, at: Instant) {
        self.shown().confirmed = Some(at);
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
pub(super) struct WatcherThread {
    reports: Reports,
}

impl WatcherThread {
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
        let _ = self.reports.sender.send(Message::LookClosely(close));
    }

    pub(super) fn report(&self, report: Report) {
        self.reports.send(report);
    }

    pub(super) fn source(&self) -> &'static str {
        self.reports.shown().source
    }

    /// Whether presence is idleness now.
    pub(super) fn is_idle(&self) -> bool {
        self.reports.shown().idle
    }

    pub(super) fn idle(&self) -> Option<Duration> {
        self.reports.shown().last_input.map(|at| Instant::now().saturating_duration_since(at))
    }
}

impl Drop for WatcherThread {
    fn drop(&mut self) {
        let _ = self.reports.sender.send(Message::Stop);
    }
}

fn listen(
    inbox: &Receiver<Message>,
    reports: &Reports,
    mut heard: Heard,
    mut ask: Box<dyn Ask>,
    on_change: &dyn Fn(Presence),
) {
    // What happened before is not known: later looks are compared with this one.
    heard.asked(Instant::now());
    ask.ask(Instant::now(), reports);
    let mut told = None;
    let mut woken_by_report = false;
    loop {
        let now = Instant::now();
        heard.slept(asleep_so_far());
        if let Some(confirmed) = reports.shown().confirmed {
            heard.confirm(confirmed);
        }
        if heard.wants_look(now) || (woken_by_report && heard.wants_look_soon(now)) {
            heard.asked(now);
            ask.ask(now, reports);
        }
        let verdict = heard.verdict(now);
        {
            let mut shown = reports.shown();
            shown.last_input = heard.last_input();
            shown.idle = matches!(verdict.presence, Some(Presence::IdleSince(_)));
        }
        if heard.by_looks_alone() {
            reports.name(ask.name());
        }
        if verdict.presence.is_some() && verdict.presence != told {
            told.clone_from(&verdict.presence);
            if let Some(Presence::Unknown(why)) = &verdict.presence {
                let source = reports.shown().source;
                tracing::warn!(source, why, "Nobody can tell whether this computer is used: nothing runs on a guess");
            }
            verdict.presence.into_iter().for_each(on_change);
        }
        woken_by_report = false;
        let next = match verdict.again {
            Some(again) => inbox.recv_timeout(again.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(Message::Report(report)) => {
                heard.hear(report, Instant::now());
                woken_by_report = true;
            }
            Ok(Message::LookClosely(close)) => heard.look_closely(close),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
