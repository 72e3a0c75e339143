//! The terminals of this machine on a thread of their own: what the kernel tells of typing at once, and a look at the
//! access times whenever one is asked for.
//!
//! inotify tells when a program reads from a terminal, which it does when something was typed. It tells so of terminals
//! that this user may read, and of `/dev/tty`, by which programs like `less` and `ssh` read whichever terminal is theirs;
//! that one everybody may read. The terminals of other users are known by looks alone.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::combine::Report;
use super::desktop::{Bell, Wake, Wire};
use super::terminals::Terminals;
use super::watcher_thread::{Ask, Reports};
use crate::surroundings::Surroundings;

/// How long a look may take: at first, and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
/// Enough for every event that comes between two looks: the same event again is merged by the kernel.
const BUFFER: usize = 4096;

/// Asks the thread. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Typing {
    around: Surroundings,
    idle_after: Duration,
    thread: Thread,
    /// How long a thread may owe an answer before it is given up: longer each time.
    patience: Duration,
}

/// The thread, and what it owes.
#[derive(Debug)]
struct Thread {
    bell: Bell,
    /// How often it has looked.
    looks: Arc<AtomicU64>,
    /// When it was asked first after its last look, and how often it had looked by then.
    asked: Option<(Instant, u64)>,
}

impl Typing {
    pub(super) fn start(around: &Surroundings, idle_after: Duration, reports: &Reports) -> io::Result<Self> {
        let thread = Thread::start(around, idle_after, reports)?;
        Ok(Self { around: around.clone(), idle_after, thread, patience: PATIENCE.0 })
    }
}

impl Thread {
    fn start(around: &Surroundings, idle_after: Duration, reports: &Reports) -> io::Result<Self> {
        let (bell, wire) = Bell::new(reports.clone())?;
        let (dev, sys) = (around.dev.clone(), around.sys.clone());
        let looks = Arc::<AtomicU64>::default();
        let count = Arc::clone(&looks);
        std::thread::Builder::new().name("presence-tty".into()).spawn(move || {
            let terminals = Terminals::new(&dev, (dev.join("pts"), ""), &sys);
            watch(terminals, &dev, idle_after, &count, &wire);
        })?;
        Ok(Self { bell, looks, asked: None })
    }

    /// How long it owes an answer.
    fn owes(&mut self, now: Instant) -> Duration {
        let looks = self.looks.load(Ordering::Acquire);
        match self.asked {
            Some((at, before)) if before == looks => now.saturating_duration_since(at),
            _ => {
                self.asked = Some((now, looks));
                Duration::ZERO
            }
        }
    }
}

impl Ask for Typing {
    fn name(&self) -> &'static str {
        "tty"
    }

    fn ask(&mut self, now: Instant, reports: &Reports) {
        if self.thread.owes(now) >= self.patience {
            // It hangs in the system and can't be ended. It ends when it comes back.
            match Thread::start(&self.around, self.idle_after, reports) {
                Ok(thread) => self.thread = thread,
                Err(error) => tracing::warn!(%error, "No thread can be had to look at terminals with"),
            }
            self.patience = (self.patience * 2).min(PATIENCE.1);
            self.thread.owes(now);
        }
        self.thread.bell.ring();
    }
}

/// Looks when asked, and listens in between while nobody has typed for `idle_after`.
fn watch(mut terminals: Terminals, dev: &Path, idle_after: Duration, looks: &AtomicU64, wire: &Wire) {
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
                Some(TerminalEvents { typed: true, .. }) => {
                    listening = false;
                    terminals.typed(Instant::now())
                }
                Some(TerminalEvents { logins: true, .. }) => terminals.look(Instant::now()),
                _ => continue,
            },
            Ok(Wake::Timeout | Wake::Outdated) => continue,
            Ok(Wake::Stopped) | Err(_) => return,
        };
        looks.fetch_add(1, Ordering::Release);
        if wire.is_stopped() {
            return;
        }
        wire.reports.send(Report::Look(look));
    }
}

/// What came since the last time.
#[derive(Debug, Default, Clone, Copy)]
struct TerminalEvents {
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
    fn take(&mut self) -> TerminalEvents {
        let mut heard = TerminalEvents::default();
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[test]
    fn what_is_typed_is_heard_and_output_is_not() {
        let mut keyboard = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let terminal = PathBuf::from(ptsname(&keyboard, Vec::new()).unwrap().to_str().unwrap());
        let mut program = File::options().read(true).write(true).open(&terminal).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let logins = folder.path().join("pts");
        std::fs::create_dir(&logins).unwrap();
        let mut events = Events::new(folder.path()).unwrap();

        symlink(&terminal, logins.join("3")).unwrap();
        let heard = events.take();
        assert!(heard.logins && !heard.typed);
        events.listen_to([logins.join("3").as_path(), Path::new("/nonexistent")].into_iter());
        assert_eq!(events.watched.len(), 1);

        program.write_all(b"prompt\n").unwrap();
        assert!(keyboard.read(&mut [0; 64]).unwrap() > 0);
        assert!(!events.take().typed);
        for _ in 0..2 {
            keyboard.write_all(b"ls\n").unwrap();
            assert_eq!(program.read(&mut [0; 64]).unwrap(), 3);
            assert!(events.take().typed);
            assert!(!events.take().typed, "heard once");
        }
    }
}
