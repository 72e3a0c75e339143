//! Waits for what may hang, and goes on without it: a file of a driver or a network file system, a server that does not
//! answer.
//!
//! A thread that hangs in the system can't be ended. It is given up: whatever it still finds out is dropped, and it ends
//! when it comes back.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whatever takes longer is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How long to leave alone what was given up: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// The answer, or `None` if it does not come in time. For questions that are asked once.
pub(crate) fn within<T: Send + 'static>(
    what: &'static str,
    patience: Duration,
    question: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, answer) = mpsc::sync_channel(1);
    // Nobody may wait for the answer any more.
    let asked = std::thread::Builder::new().name(what.into()).spawn(move || drop(sender.send(question())));
    let answered = asked.ok().and_then(|_| answer.recv_timeout(patience).ok());
    if answered.is_none() {
        tracing::warn!(what, "The system does not answer: it goes on without");
    }
    answered
}

/// Reads one thing again and again. `Q` is what the reader is told, `B` where its reading goes.
pub(crate) type Reader<Q, B> = Box<dyn FnMut(&Q) -> Store<B> + Send>;
/// Puts a reading where it goes.
pub(crate) type Store<B> = Box<dyn FnOnce(&mut B) + Send>;

/// A kind of reading, and how to begin with it. Beginning must not touch what may hang: the reader does that.
pub(crate) struct Kind<Q, B> {
    name: &'static str,
    begin: Box<dyn Fn() -> Reader<Q, B> + Send>,
}

impl<Q, B> Kind<Q, B> {
    pub(crate) fn new(name: &'static str, begin: impl Fn() -> Reader<Q, B> + Send + 'static) -> Self {
        Self { name, begin: Box::new(begin) }
    }
}

/// Readers that share one thread, each of which may hang.
pub(crate) struct Readers<Q, B> {
    kinds: Vec<Slot<Q, B>>,
    worker: Option<Worker<Q, B>>,
    patience: Duration,
}

struct Slot<Q, B> {
    kind: Kind<Q, B>,
    /// `None` while it is with the thread, and while it is given up.
    reader: Option<Reader<Q, B>>,
    given_up: Option<GivenUp>,
}

#[derive(Debug, Clone, Copy)]
struct GivenUp {
    retry_at: Instant,
    pause: Duration,
}

impl<Q, B> std::fmt::Debug for Readers<Q, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.kinds.iter().map(|slot| slot.kind.name).collect();
        f.debug_struct("Readers").field("kinds", &names).finish_non_exhaustive()
    }
}

impl<Q: Send + Sync + 'static, B: 'static> Readers<Q, B> {
    pub(crate) fn new(kinds: impl IntoIterator<Item = Kind<Q, B>>, patience: Duration) -> Self {
        let slot = |kind: Kind<Q, B>| Slot { reader: Some((kind.begin)()), kind, given_up: None };
        Self { kinds: kinds.into_iter().map(slot).collect(), worker: None, patience }
    }

    /// Has everything read that `wanted` names, and puts what was read into `board`. What hangs is left out, for a while
    /// longer each time.
    pub(crate) fn read(&mut self, question: &Arc<Q>, wanted: impl Fn(&str) -> bool, board: &mut B) {
        let now = Instant::now();
        let mut jobs = VecDeque::new();
        for (index, slot) in self.kinds.iter_mut().enumerate().filter(|(_, slot)| wanted(slot.kind.name)) {
            if slot.given_up.is_some_and(|given_up| now >= given_up.retry_at) {
                slot.reader = Some((slot.kind.begin)());
            }
            jobs.extend(slot.reader.take().map(|reader| Job { index, reader }));
        }
        while !jobs.is_empty() {
            let Some(worker) = self.worker.take().or_else(Worker::start) else {
                // No thread can be had now; the next round tries again.
                self.take_back(jobs);
                return;
            };
            let outcome = worker.work(jobs, question, self.patience);
            jobs = outcome.left;
            for Done { index, reader, store } in outcome.done {
                self.came_back(index, reader);
                store(board);
            }
            match outcome.hung {
                Some(index) => self.give_up(index),
                None => self.worker = Some(worker),
            }
        }
    }

    /// Whether something that was to be read is given up now.
    pub(crate) fn any_given_up(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.kinds.iter().any(|slot| slot.given_up.is_some() && wanted(slot.kind.name))
    }

    fn take_back(&mut self, jobs: VecDeque<Job<Q, B>>) {
        for Job { index, reader } in jobs {
            self.kinds[index].reader = Some(reader);
        }
    }

    fn came_back(&mut self, index: usize, reader: Reader<Q, B>) {
        let slot = &mut self.kinds[index];
        slot.reader = Some(reader);
        if slot.given_up.take().is_some() {
            tracing::info!(sensor = slot.kind.name, "The sensor answers again");
        }
    }

    fn give_up(&mut self, index: usize) {
        let slot = &mut self.kinds[index];
        let pause = slot.given_up.map_or(RETRY.0, |before| (before.pause * 2).min(RETRY.1));
        if slot.given_up.is_none() {
            let (sensor, retry_in) = (slot.kind.name, pause.as_secs());
            tracing::warn!(sensor, retry_in_seconds = retry_in, "A sensor hangs: the others are read without it");
        }
        slot.given_up = Some(GivenUp { retry_at: Instant::now() + pause, pause });
    }
}

struct Job<Q, B> {
    index: usize,
    reader: Reader<Q, B>,
}

struct Done<Q, B> {
    index: usize,
    reader: Reader<Q, B>,
    store: Store<B>,
}

/// What came of a round.
struct Outcome<Q, B> {
    done: Vec<Done<Q, B>>,
    /// The reader that hangs.
    hung: Option<usize>,
    /// What was not begun because of it.
    left: VecDeque<Job<Q, B>>,
}

/// What the thread and its owner share.
struct Round<Q, B> {
    jobs: VecDeque<Job<Q, B>>,
    done: Vec<Done<Q, B>>,
    /// What is being read, and since when.
    current: Option<(usize, Instant)>,
    given_up: bool,
}

type Shared<Q, B> = Arc<Mutex<Round<Q, B>>>;

/// The thread that reads. It ends with this.
struct Worker<Q, B> {
    round: Shared<Q, B>,
    begin: Sender<Arc<Q>>,
    finished: Receiver<()>,
}

impl<Q: Send + Sync + 'static, B: 'static> Worker<Q, B> {
    fn start() -> Option<Self> {
        let round = Round { jobs: VecDeque::new(), done: Vec::new(), current: None, given_up: false };
        let round = Arc::new(Mutex::new(round));
        let (begin, questions) = mpsc::channel::<Arc<Q>>();
        let (finish, finished) = mpsc::channel();
        let shared = Arc::clone(&round);
        let thread = std::thread::Builder::new().name("sensor-files".into());
        let started = thread.spawn(move || {
            for question in questions {
                if !read_all(&shared, &*question) || finish.send(()).is_err() {
                    return;
                }
            }
        });
        match started {
            Ok(_) => Some(Self { round, begin, finished }),
            Err(error) => {
                tracing::warn!(%error, "No thread can be had to read sensors with");
                None
            }
        }
    }

    /// Waits until all is read, or until one reader takes longer than `patience`.
    fn work(&self, jobs: VecDeque<Job<Q, B>>, question: &Arc<Q>, patience: Duration) -> Outcome<Q, B> {
        locked(&self.round).jobs = jobs;
        // Fails only when the thread has panicked in a reader, which then never comes back.
        let _ = self.begin.send(Arc::clone(question));
        let mut wait = patience;
        loop {
            let finished = self.finished.recv_timeout(wait);
            let mut round = locked(&self.round);
            let waited = round.current.map(|(_, since)| since.elapsed());
            let hung = match (finished, waited) {
                (Ok(()), _) => None,
                (Err(RecvTimeoutError::Timeout), Some(waited)) if waited < patience => {
                    wait = patience - waited;
                    continue;
                }
                // A reader that panics takes its thread with it.
                (Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected), _) => {
                    round.given_up = true;
                    // Before its first reader the thread itself did not start to run.
                    round.current.map(|(index, _)| index).or_else(|| round.jobs.pop_front().map(|job| job.index))
                }
            };
            return Outcome { done: std::mem::take(&mut round.done), hung, left: std::mem::take(&mut round.jobs) };
        }
    }
}

/// Does the jobs of a round; whether the thread may go on.
fn read_all<Q, B>(shared: &Shared<Q, B>, question: &Q) -> bool {
    loop {
        let Job { index, mut reader } = {
            let mut round = locked(shared);
            round.current = None;
            if round.given_up {
                return false;
            }
            let Some(job) = round.jobs.pop_front() else { return true };
            round.current = Some((job.index, Instant::now()));
            job
        };
        let store = reader(question);
        let mut round = locked(shared);
        if round.given_up {
            return false;
        }
        round.done.push(Done { index, reader, store });
    }
}

fn locked<Q, B>(shared: &Shared<Q, B>) -> MutexGuard<'_, Round<Q, B>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    /// Long enough for a thread to run on a busy machine.
    const BOUND: Duration = Duration::from_millis(300);

    type Board = Vec<&'static str>;

    static HANGS: AtomicBool = AtomicBool::new(true);
    static BEGUN: AtomicU32 = AtomicU32::new(0);

    fn steady() -> Reader<(), Board> {
        Box::new(|()| Box::new(|board| board.push("steady")))
    }

    fn hanging() -> Reader<(), Board> {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        Box::new(|()| {
            while HANGS.load(Ordering::SeqCst) {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            Box::new(|board| board.push("hanging"))
        })
    }

    fn late() -> Reader<(), Board> {
        Box::new(|()| Box::new(|board| board.push("late")))
    }

    #[test]
    fn what_hangs_is_left_out_and_tried_again_when_its_time_has_come() {
        let kinds = [Kind::new("steady", steady), Kind::new("hanging", hanging), Kind::new("late", late)];
        let mut readers = Readers::new(kinds, BOUND);
        let question = Arc::new(());
        let read = |readers: &mut Readers<(), Board>, wanted: &dyn Fn(&str) -> bool| {
            let mut board = Board::new();
            readers.read(&question, wanted, &mut board);
            board
        };
        assert_eq!(read(&mut readers, &|_| true), ["steady", "late"]);
        assert!(readers.any_given_up(|_| true) && !readers.any_given_up(|name| name != "hanging"));
        assert_eq!(read(&mut readers, &|_| true), ["steady", "late"], "it is left alone");
        assert_eq!(read(&mut readers, &|name| name == "late"), ["late"]);
        let due = |readers: &mut Readers<(), Board>| {
            let given_up = readers.kinds[1].given_up.as_mut().unwrap();
            given_up.retry_at = Instant::now();
            given_up.pause
        };
        let first = due(&mut readers);
        assert_eq!(read(&mut readers, &|_| true), ["steady", "late"], "tried again, in vain");
        assert_eq!(due(&mut readers), first * 2);
        HANGS.store(false, Ordering::SeqCst);
        assert_eq!(read(&mut readers, &|_| true), ["steady", "hanging", "late"]);
        assert!(!readers.any_given_up(|_| true));
        assert_eq!(read(&mut readers, &|_| true), ["steady", "hanging", "late"]);
        assert_eq!(BEGUN.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_question_has_its_time() {
        assert_eq!(within("quick", Duration::from_secs(60), || 7), Some(7));
        let (keep, never) = mpsc::channel::<()>();
        assert_eq!(within("stuck", Duration::from_millis(10), move || never.recv().is_ok()), None);
        drop(keep);
    }
}
