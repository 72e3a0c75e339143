//! The terminals of this machine on a thread of their own: what the kernel tells of typing at once, and a look at the
//! access times whenever one is asked for.
//!
//! inotify tells when a program reads from a terminal, which it does when something was typed. It tells so of terminals
//! that this user may read, and of `/dev/tty`, by which programs like `less` and `ssh` read whichever terminal is theirs;
//! that one everybody may read. The terminals of other users are known by looks alone.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::combine::Report;
use super::desktop::{Bell, Wake, Wire};
use super::terminals::Terminals;
use super::watcher_thread::{Ask, Reports};
use crate::surroundings::Surroundings;

/// Enough for every event that comes between two looks: the same event again is merged by the kernel.
const BUFFER: usize = 4096;

/// Asks the thread. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Typing {
    bell: Bell,
}

impl Typing {
    pub(super) fn start(around: &Surroundings, idle_after: Duration, reports: &Reports) -> io::Result<Self> {
        let (bell, wire) = Bell::new(reports.clone())?;
        let (dev, sys) = (around.dev.clone(), around.sys.clone());
        std::thread::Builder::new().name("presence-tty".into()).spawn(move || {
            let terminals = Terminals::new(&dev, (dev.join("pts"), ""), &sys);
            watch(terminals, &dev, idle_after, &wire);
        })?;
        Ok(Self { bell })
    }
}

impl Ask for Typing {
    fn name(&self) -> &'static str {
        "tty"
    }

    fn ask(&mut self, _: Instant, _: &Reports) {
        self.bell.ring();
    }
}

/// Looks when asked, and listens in between while nobody has typed for `idle_after`.
fn watch(mut terminals: Terminals, dev: &Path, idle_after: Duration, wire: &Wire) {
    let mut events =
        Events::new(dev).inspect_err(|error| tracing::debug!(%error, "typing is seen by looks alone")).ok();
    let mut listening = false;
    loop {
        let source = events.as_ref().filter(|_| listening).map(|it| PollFd::new(&it.queue, PollFlags::IN));
        let look = match wire.sleep(source, None) {
            Ok(Wake::Asked) => {
                // What was typed before is seen by the look. What is typed after it stays to be heard.
                let _ = events.as_mut().map(Events::take);
                let look = terminals.look(Instant::now());
                if let Some(events) = &mut events {
                    events.listen_to(terminals.found());
                }
                listening = look.input.as_ref().is_ok_and(|input| input.is_none_or(|at| at.elapsed() >= idle_after));
                look
            }
            Ok(Wake::Ready) => match events.as_mut().map(Events::take) {
                // Whoever types wakes us once.
                Some(Heard { typed: true, .. }) => {
                    listening = false;
                    terminals.typed(Instant::now())
                }
                Some(Heard { logins: true, .. }) => terminals.look(Instant::now()),
                _ => continue,
            },
            Ok(Wake::Timeout | Wake::Outdated) => continue,
            Ok(Wake::Stopped) | Err(_) => return,
        };
        wire.reports.send(Report::Look(look));
    }
}

/// What came since the last time.
#[derive(Debug, Default, Clone, Copy)]
struct Heard {
    typed: bool,
    /// A terminal came or went.
    logins: bool,
}

/// The kernel's events of terminals.
#[derive(Debug)]
struct Events {
    queue: OwnedFd,
    watched: HashSet<PathBuf>,
}

impl Events {
    fn new(dev: &Path) -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let events = Self { queue, watched: HashSet::new() };
        // Neither has to be there.
        let _ = inotify::add_watch(&events.queue, dev.join("tty"), WatchFlags::ACCESS);
        let _ = inotify::add_watch(&events.queue, dev.join("pts"), WatchFlags::CREATE | WatchFlags::DELETE);
        Ok(events)
    }

    fn listen_to<'a>(&mut self, terminals: impl Iterator<Item = &'a Path>) {
        let mut watched = HashSet::new();
        for terminal in terminals {
            // The kernel forgets a terminal that is gone, and refuses one that this user may not read.
            if self.watched.contains(terminal) || inotify::add_watch(&self.queue, terminal, WatchFlags::ACCESS).is_ok()
            {
                watched.insert(terminal.to_owned());
            }
        }
        self.watched = watched;
    }

    /// Takes all events that are there.
    fn take(&mut self) -> Heard {
        let mut heard = Heard::default();
        let mut buffer = [std::mem::MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(&self.queue, &mut buffer);
        while let Ok(event) = reader.next() {
            // After an overflow anything may have been typed.
            heard.typed |= event.events().intersects(ReadFlags::ACCESS | ReadFlags::QUEUE_OVERFLOW);
            heard.logins |= event.events().intersects(ReadFlags::CREATE | ReadFlags::DELETE);
        }
        heard
    }
}
