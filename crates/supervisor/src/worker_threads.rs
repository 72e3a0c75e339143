//! The three threads that attend to one worker: one tells it its task, one hears it out and says how it ended, one waits
//! for its start and its end. All of them are blocked in the kernel nearly all the time.
//!
//! Deliberately absent: suspending and resuming, which the control thread alone does.

use std::io::{self, PipeReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Builder;
use std::time::{Duration, Instant};

use surge_platform::process::{Event, Exit, Pipes, Process, Said, SpawnError, Starting};
use surge_protocol::frame::{Program, Ready, TaskStart};

use crate::attendance::ALLOWED_AHEAD;
use crate::messages::{Job, Line, OnLog, WorkerEvent};
use crate::on_end::OnEnd;
use crate::protocol::{self, Audience, Broken, Heard, Terms};
use crate::roster::Decided;
use crate::verdict::{self, Evidence};
use crate::worker_cache::{Opening, WorkerCache};
use crate::{Config, Finished, Task};

/// How long a worker may take to end after it has closed its output.
const AFTER_CLOSE: Duration = Duration::from_secs(1);
/// How many bytes of its last words are read.
const LAST_WORDS: u64 = 4 << 10;

/// One worker, as its threads know it.
#[derive(Debug, Clone)]
pub(crate) struct Attended {
    pub(crate) line: Line,
    pub(crate) process: Arc<Process>,
    pub(crate) decided: Arc<Decided>,
    pub(crate) spawned: Instant,
}

/// What the watching thread tells the hearing thread.
struct Watched {
    /// Whether the process became the worker program. Sent first.
    started: Receiver<Result<(), SpawnError>>,
    exit: Receiver<Exit>,
}

/// What the hearing thread does while it listens.
struct Hearing {
    worker: Attended,
    config: Config,
    task: Task,
    on_log: OnLog,
    /// What the worker will be told, until it is ready to hear it.
    start: Option<TaskStart>,
    tell: Sender<Opening>,
    cache: Option<WorkerCache>,
}

impl Audience for Hearing {
    fn ready(&mut self, ready: &Ready) -> Result<Terms, Broken> {
        if !verdict::class_is_plain(&ready.runtime_class) {
            return Err("its runtime class is not a short plain text".into());
        }
        if let Some(expected) = self.config.runtime_class.as_ref().filter(|class| **class != ready.runtime_class) {
            return Err(Broken::Updated(format!("it computes as {}, not as {expected}", ready.runtime_class)));
        }
        if ready.lockdown < self.config.lockdown {
            return Err(Broken::Lockdown);
        }
        let start = self.start.take().ok_or("it was not ready exactly once, and first")?;
        let (cache, opening) = WorkerCache::look_up(self.config.code.as_ref(), &self.task, &ready.runtime_class, start);
        let code = opening.start.program == Program::Module { keep: true };
        let checkpoint_every = self.task.checkpoints.as_ref().map(|checkpoints| checkpoints.every);
        self.cache = Some(cache);
        // The telling thread may have failed because the worker does not read: what the worker says decides.
        let _ = self.tell.send(opening);
        Ok(Terms { code, checkpoint_every })
    }

    fn compiled(&mut self, code: &[u8]) {
        if let Some(cache) = &self.cache {
            cache.compiled(code);
        }
    }

    fn log(&mut self, bytes: &[u8]) {
        (self.on_log)(bytes);
    }

    fn synced(&mut self, image: &[u8]) {
        if let Some(cache) = &mut self.cache {
            cache.synced(image);
        }
    }

    fn reported(&mut self) {
        self.worker.line.send(WorkerEvent::Reported);
    }

    fn cpu_time(&self) -> Duration {
        self.worker.process.cpu_time()
    }
}

impl Hearing {
    /// Listens to the end, and tells `on_end` how it ended.
    fn hear(self, stdout: Said, stderr: PipeReader, watched: &Watched, on_end: OnEnd) {
        // A watching thread that is gone has said why; what the worker says then decides.
        match watched.started.recv().unwrap_or(Ok(())) {
            Ok(()) => self.hear_out(stdout, stderr, &watched.exit, on_end),
            Err(error) => {
                // The process that never became a worker is to be gone before anybody hears of it. How it left says nothing.
                let _ = watched.exit.recv();
                on_end.call(Finished::unstarted(&self.config.worker, &error), None);
            }
        }
    }

    fn hear_out(mut self, mut stdout: Said, stderr: PipeReader, exit: &Receiver<Exit>, on_end: OnEnd) {
        let mut heard = Heard::default();
        let (limits, meter) = (self.task.limits, self.task.meter);
        let said = protocol::listen(&mut stdout, &limits, self.worker.spawned, &mut heard, &mut self);
        // Closed before the wait: a worker that floods must not wait for a reader.
        drop(stdout);
        let exit = self.worker.see_off(said.is_err(), exit);
        let evidence = Evidence {
            heard,
            broken: said.err(),
            cause: self.worker.decided.cause.get().copied(),
            exit,
            last_words: last_words(stderr),
            cpu: self.worker.process.cpu_time(),
            wall: self.worker.spawned.elapsed(),
            resumed: self.cache.as_ref().is_some_and(WorkerCache::resumed),
        };
        let finished = verdict::judge(evidence, &limits, meter);
        let spent = self.cache.and_then(|cache| cache.ended(&finished));
        on_end.call(finished, spent);
    }
}

/// Starts the threads. The job's `on_end` is called when the process is gone and all that it said is judged.
///
/// # Errors
/// When the system refuses a thread; the process must be killed then.
pub(crate) fn begin(
    worker: &Attended,
    config: &Config,
    opening: TaskStart,
    job: Job,
    pipes: Pipes,
    starting: Starting,
) -> io::Result<()> {
    let Job { task, on_log, on_end } = job;
    let (started, has_started) = mpsc::channel();
    let (gone, exit) = mpsc::channel();
    let watching = worker.clone();
    if let Err(error) = thread("watch", worker).spawn(move || watching.watch(starting, &started, &gone)) {
        // Nobody else will see it off.
        worker.process.kill();
        while let Ok(Event::Resumed) = worker.process.next_event() {}
        worker.line.gone();
        return Err(error);
    }
    let Pipes { mut stdin, stdout, stderr } = pipes;
    let (tell, told) = mpsc::channel();
    let hearing = Hearing {
        worker: worker.clone(),
        config: config.clone(),
        task,
        on_log,
        start: Some(opening),
        tell,
        cache: None,
    };
    let watched = Watched { started: has_started, exit };
    // Its stack is the usual one: the callbacks run on it.
    thread("hear", worker).stack_size(2 << 20).spawn(move || hearing.hear(stdout, stderr, &watched, on_end))?;
    // Nothing is told before the worker is ready, and nothing at all if it never is.
    thread("tell", worker).spawn(move || told.recv().map(|opening| protocol::feed(opening, &mut stdin)))?;
    Ok(())
}

fn thread(what: &str, worker: &Attended) -> Builder {
    Builder::new().name(format!("{what}-{}", worker.line.id.number())).stack_size(256 << 10)
}

impl Attended {
    /// Waits for the start of the worker program, then for the end of the process, and reports every stranger who continues
    /// it while it is suspended.
    fn watch(&self, starting: Starting, started: &Sender<Result<(), SpawnError>>, gone: &Sender<Exit>) {
        let start = starting.wait();
        if start.is_ok() {
            // The control thread renews it. Here it comes before the worker can be told a task.
            let _ = self.process.allow_cpu(ALLOWED_AHEAD);
            self.line.send(WorkerEvent::Executing);
        }
        // The hearing thread may not have been started.
        let _ = started.send(start);
        let exit = loop {
            match self.process.next_event() {
                Ok(Event::Resumed) if self.decided.is_suspended() => self.line.send(WorkerEvent::Resumed),
                Ok(Event::Resumed) => {}
                Ok(Event::Ended(exit)) => break exit,
                Err(error) => {
                    tracing::error!(%error, pid = self.process.pid(), "a worker can't be waited for");
                    break Exit::Signal(0);
                }
            }
        };
        self.line.gone();
        let _ = gone.send(exit);
    }

    /// Waits until the process is gone, and has it killed if it does not end by itself.
    fn see_off(&self, broke_the_rules: bool, exit: &Receiver<Exit>) -> Exit {
        let patience = if broke_the_rules { Duration::ZERO } else { AFTER_CLOSE };
        exit.recv_timeout(patience).unwrap_or_else(|_| {
            self.line.send(WorkerEvent::Silent);
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
