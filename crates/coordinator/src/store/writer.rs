//! One thread owns the writing connection and commits what is waiting in groups, so that many acts share one fsync.
//!
//! An act runs in a savepoint of its own: one that is refused leaves no trace, the others of its group go on. Nobody
//! is answered before the group's commit returned.

use std::fmt;
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failed;
use crate::error::{Code, Error, Result};

/// Acts that one commit may carry. It bounds how long the first of a group waits for its answer.
const GROUP: usize = 256;
/// Acts that may wait; beyond it callers wait to hand theirs over.
const QUEUE: usize = 4096;

#[derive(Clone)]
pub(super) struct Writer(mpsc::Sender<Box<dyn Act>>);

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    pub(super) fn start(db: Connection) -> Result<Self> {
        let (sender, queue) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("store".into())
            .spawn(move || write_all(&db, queue))
            .map_err(|error| Error::new(Code::StorageFailed, format!("no thread for the store: {error}")))?;
        Ok(Self(sender))
    }

    pub(super) async fn run<T, F>(&self, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let act = Waiting { act: Some(act), result: None, reply };
        let stopped = || Error::new(Code::StorageFailed, "the coordinator is stopping: try again later");
        self.0.send(Box::new(act)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

fn write_all(db: &Connection, mut queue: mpsc::Receiver<Box<dyn Act>>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        let failure = commit(db, &mut group).err();
        if failure.is_some() && !db.is_autocommit() {
            let _ = db.execute_batch("ROLLBACK");
        }
        for act in group {
            act.answer(failure.clone());
        }
    }
}

/// Runs the group in one transaction.
fn commit(db: &Connection, group: &mut [Box<dyn Act>]) -> Result<()> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    for act in group {
        act.run(db);
        // A full disk or a failed write makes SQLite roll back the whole transaction on its own.
        if db.is_autocommit() {
            return Err(act.failure());
        }
    }
    db.execute_batch("COMMIT")?;
    Ok(())
}

trait Act: Send {
    fn run(&mut self, db: &Connection);
    /// Why the act lost the whole transaction.
    fn failure(&self) -> Error;
    /// Tells the caller; `failure` is why the group was not committed.
    fn answer(self: Box<Self>, failure: Option<Error>);
}

struct Waiting<T, F> {
    act: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Act for Waiting<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
{
    fn run(&mut self, db: &Connection) {
        self.result = self.act.take().map(|act| in_savepoint(db, act));
    }

    fn failure(&self) -> Error {
        match &self.result {
            Some(Err(error)) if error.is_storage() => error.clone(),
            _ => failed(&rusqlite::Error::InvalidQuery),
        }
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        let unwritten = || Error::new(Code::StorageFailed, "nothing was stored: try again");
        let result = match failure {
            Some(failure) => Err(failure),
            None => self.result.unwrap_or_else(|| Err(unwritten())),
        };
        // Nobody listens when the caller went away; what was stored stays.
        let _ = self.reply.send(result);
    }
}

fn in_savepoint<T>(db: &Connection, act: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    db.execute_batch("SAVEPOINT act")?;
    let result = act(db);
    if result.is_ok() {
        db.execute_batch("RELEASE act")?;
    } else if !db.is_autocommit() {
        db.execute_batch("ROLLBACK TO act; RELEASE act")?;
    }
    result
}
