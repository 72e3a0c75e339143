//! The three threads that attend to one worker: one tells it its task, one hears it out and says how it ended, one
//! waits for its end. All of them are blocked in the kernel nearly all the time.
//!
//! Deliberately absent: signals. What must be done to a worker is asked of the control thread.

use std::io::{self, PipeReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use std::time::{Duration, Instant};

use surge_platform::process::{Event, Exit, Pipes, Process, Said};

use surge_protocol::frame::{Lockdown, Program, Ready, TaskStart};

use crate::Task;
use crate::code::CodeCache;
use crate::control::{Line, News, OnLog, Start, Then};
use crate::kept::{Kept, Opening};
use crate::talk::{self, Audience, Broken, Heard, Terms};
use crate::verdict::{self, Cause, Evidence};

/// What may lie between the end of a worker's output and the end of its process.
const AFTER_CLOSE: Duration = Duration::from_secs(1);
/// Of its last words, what is read.
const LAST_WORDS: u64 = 4 << 10;

/// What the threads of one worker share with the control thread.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub(crate) line: Line,
    pub(crate) process: Arc<Process>,
    pub(crate) cause: Arc<OnceLock<Cause>>,
    pub(crate) suspended: Arc<AtomicBool>,
    pub(crate) spawned: Instant,
    /// The least that it must reach.
    pub(crate) lockdown: Lockdown,
}

/// What the hearing thread does while it listens.
struct Hearing {
    talk: Conversation,
    task: Task,
    log: OnLog,
    cache: Option<Arc<CodeCache>>,
    /// What the worker will be told, until it is ready to hear it.
    start: Option<TaskStart>,
    tell: Sender<Opening>,
    kept: Option<Kept>,
}

impl Audience for Hearing {
    fn ready(&mut self, ready: &Ready) -> Result<Terms, Broken> {
        if !verdict::class_is_plain(&ready.runtime_class) {
            return Err("its runtime class is not a short plain text".into());
        }
        if ready.lockdown < self.talk.lockdown {
            return Err(Broken::Lockdown);
        }
        let start = self.start.take().ok_or("it was not ready exactly once, and first")?;
        let (kept, opening) = Kept::look_up(self.cache.as_ref(), &self.task, &ready.runtime_class, start);
        let code = opening.start.program == Program::Module { keep: true };
        let checkpoint_every = self.task.checkpoints.as_ref().map(|kept| kept.every);
        self.kept = Some(kept);
        // What a worker does not want to hear, it need not hear: what it says decides.
        let _ = self.tell.send(opening);
        Ok(Terms { code, checkpoint_every })
    }

    fn compiled(&mut self, code: &[u8]) {
        if let Some(kept) = &self.kept {
            kept.compiled(code);
        }
    }

    fn log(&mut self, bytes: &[u8]) {
        (self.log)(bytes);
    }

    fn synced(&mut self, image: &[u8]) {
        if let Some(kept) = &mut self.kept {
            kept.synced(image);
        }
    }

    fn reported(&mut self) {
        self.talk.line.send(News::Reported);
    }

    fn cpu_time(&self) -> Duration {
        self.talk.process.cpu_time()
    }
}

impl Hearing {
    /// Listens to the end, and tells `then` how it ended.
    fn hear(mut self, mut stdout: Said, stderr: PipeReader, exit: &Receiver<Exit>, then: Then) {
        let mut heard = Heard::default();
        let (limits, meter) = (self.task.limits, self.task.meter);
        let said = talk::listen(&mut stdout, &limits, self.talk.spawned, &mut heard, &mut self);
        // Closed before the wait: a worker that floods must not wait for a reader.
        drop(stdout);
        let exit = self.talk.see_off(said.is_err(), exit);
        let evidence = Evidence {
            heard,
            broken: said.err(),
            cause: self.talk.cause.get().copied(),
            exit,
            last_words: last_words(stderr),
            cpu: self.talk.process.cpu_time(),
            wall: self.talk.spawned.elapsed(),
            resumed: self.kept.as_ref().is_some_and(Kept::resumed),
        };
        let finished = verdict::judge(evidence, &limits, meter);
        let spent = self.kept.and_then(|kept| kept.ended(&finished));
        then.call(finished, spent);
    }
}

/// Starts the threads. `then` is called when the process is gone and all that it said is judged.
///
/// # Errors
/// When the system refuses a thread; the process must be killed then.
pub(crate) fn begin(
    talk: &Conversation,
    opening: TaskStart,
    start: Start,
    pipes: Pipes,
    cache: Option<Arc<CodeCache>>,
) -> io::Result<()> {
    let Start { task, log, then, .. } = start;
    let (gone, exit) = mpsc::channel();
    let watching = talk.clone();
    if let Err(error) = thread("watch", talk).spawn(move || watching.watch(&gone)) {
        // Nobody else will see it off.
        talk.process.kill();
        while let Ok(Event::Resumed) = talk.process.next_event() {}
        talk.line.gone();
        return Err(error);
    }
    let Pipes { mut stdin, stdout, stderr } = pipes;
    let (tell, told) = mpsc::channel();
    let hearing = Hearing { talk: talk.clone(), task, log, cache, start: Some(opening), tell, kept: None };
    // Its stack is the usual one: the callback runs on it.
    thread("hear", talk).stack_size(2 << 20).spawn(move || hearing.hear(stdout, stderr, &exit, then))?;
    // Nothing is told before the worker is ready, and nothing at all if it never is.
    thread("feed", talk).spawn(move || told.recv().map(|opening| talk::feed(opening, &mut stdin)))?;
    Ok(())
}

fn thread(what: &str, talk: &Conversation) -> Builder {
    Builder::new().name(format!("{what}-{}", talk.line.id.number())).stack_size(256 << 10)
}

impl Conversation {
    /// Waits for the end of the process, and reports every stranger who continues it while it is suspended.
    fn watch(&self, gone: &Sender<Exit>) {
        let exit = loop {
            match self.process.next_event() {
                Ok(Event::Resumed) if self.suspended.load(Ordering::Relaxed) => self.line.send(News::Resumed),
                Ok(Event::Resumed) => {}
                Ok(Event::Ended(exit)) => break exit,
                Err(error) => {
                    tracing::error!(%error, pid = self.process.pid(), "a worker can't be waited for");
                    break Exit::Signal(0);
                }
            }
        };
        self.line.gone();
        // The hearing thread may not have been started.
        let _ = gone.send(exit);
    }

    /// After its last word: waits until it is gone, and has it killed if it does not go.
    fn see_off(&self, broke_the_rules: bool, exit: &Receiver<Exit>) -> Exit {
        let patience = if broke_the_rules { Duration::ZERO } else { AFTER_CLOSE };
        exit.recv_timeout(patience).unwrap_or_else(|_| {
            self.line.send(News::Silent);
            exit.recv().unwrap_or(Exit::Signal(0))
        })
    }
}

/// What the worker wrote to its standard error: the beginning of what is there, without waiting for more, because a
/// descendant that escaped may hold the pipe open.
fn last_words(stderr: PipeReader) -> String {
    let mut words = Vec::new();
    // The error, if any, is that there is nothing more.
    let _ = stderr.take(LAST_WORDS).read_to_end(&mut words);
    String::from_utf8_lossy(&words).into_owned()
}
