//! The local door: `surge status`, `why`, `pause`, `resume` reach whichever shell hosts the engine through a socket.
//!
//! The folder is 0700 and the peer must be the same user, or root. One JSON line asks; one JSON line answers, or, to who
//! watches, one for each change until either side goes. No secret crosses it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use surge_platform::paths::Paths;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::view::{Command, Snapshot};

/// How long an engine may take to answer, which is a matter of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an engine that stops waits for those who watch it to hear so.
const GOODBYE: Duration = Duration::from_secs(1);
/// The longest request line, bytes.
const MAX_REQUEST: u64 = 4096;

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Snapshot,
    Command(Command),
    /// The state now, and again whenever it changes.
    Watch,
}

/// The answer: the state after the request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Snapshot(Box<Snapshot>),
    Error(String),
    /// To who watches: the engine stops in order, and this is the last word.
    Stopping,
}

#[derive(Debug, Error)]
pub enum ControlError {
    #[error("no engine runs with the home {home}: start it with `surge run`")]
    NotRunning { home: PathBuf },
    #[error("the engine did not answer")]
    Io(#[from] io::Error),
    #[error("the engine answered: {0}")]
    Refused(String),
    #[error("the engine answered something that this version does not understand")]
    Malformed(#[from] serde_json::Error),
    #[error("the engine has stopped, as it was asked to")]
    Stopped,
    #[error("the engine has gone without a word: it crashed, or was killed; `surge report` gathers what is known")]
    Gone,
}

/// Asks the engine of `paths` and returns its state after the request.
///
/// # Errors
/// `NotRunning` when no engine listens.
pub async fn ask(paths: &Paths, request: Request) -> Result<Snapshot, ControlError> {
    ask_within(paths, request, PATIENCE).await
}

async fn ask_within(paths: &Paths, request: Request, patience: Duration) -> Result<Snapshot, ControlError> {
    let answer = async { connect(paths, request).await?.next().await };
    // One that is stopped or stuck still has its socket.
    let silence = |_| io::Error::new(io::ErrorKind::TimedOut, "it runs, but it is stopped or stuck");
    tokio::time::timeout(patience, answer).await.map_err(silence)?
}

/// Asks the engine of `paths` to tell its state whenever that changes.
///
/// # Errors
/// `NotRunning` when no engine listens.
pub async fn watch(paths: &Paths) -> Result<Watching, ControlError> {
    connect(paths, Request::Watch).await
}

/// Whether an engine listens at the socket of `paths`.
#[must_use]
pub fn answers(paths: &Paths) -> bool {
    std::os::unix::net::UnixStream::connect(paths.control_socket()).is_ok()
}

/// An engine that tells.
#[derive(Debug)]
pub struct Watching {
    lines: Lines<BufReader<UnixStream>>,
}

impl Watching {
    /// The next state.
    ///
    /// # Errors
    /// `Stopped` or `Gone` when there will be none.
    pub async fn next(&mut self) -> Result<Snapshot, ControlError> {
        let line = self.lines.next_line().await;
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) => return Err(ControlError::Gone),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ControlError::Gone),
            Err(error) => return Err(error.into()),
        };
        match serde_json::from_str(&line)? {
            Reply::Snapshot(snapshot) => Ok(*snapshot),
            Reply::Error(message) => Err(ControlError::Refused(message)),
            Reply::Stopping => Err(ControlError::Stopped),
        }
    }
}

async fn connect(paths: &Paths, request: Request) -> Result<Watching, ControlError> {
    let mut socket = match UnixStream::connect(paths.control_socket()).await {
        Ok(socket) => socket,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(ControlError::NotRunning { home: paths.home.clone() });
        }
        Err(error) => return Err(error.into()),
    };
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    socket.write_all(&line).await?;
    Ok(Watching { lines: BufReader::new(socket).lines() })
}

/// Listens until dropped.
#[derive(Debug)]
pub(crate) struct Control {
    task: tokio::task::JoinHandle<()>,
    ending: watch::Sender<bool>,
    socket: PathBuf,
}

impl Control {
    /// Takes no more questions, and lets those be answered that were asked. Who watches hears the last word when the
    /// sender of snapshots has gone.
    pub(crate) async fn close(mut self) {
        self.ending.send_replace(true);
        // Who does not listen is not waited for.
        let _ = tokio::time::timeout(GOODBYE, &mut self.task).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // The next engine replaces a socket that stays.
        let _ = fs::remove_file(&self.socket);
    }
}

/// Opens the door. The home's lock is held, so that a socket found there is a leftover.
pub(crate) fn listen(
    paths: &Paths,
    commands: mpsc::Sender<Command>,
    snapshots: watch::Receiver<Snapshot>,
) -> io::Result<Control> {
    let folder = paths.run();
    fs::create_dir_all(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    let socket = paths.control_socket();
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)?;
    let (ending, mut ends) = watch::channel(false);
    let task = tokio::spawn(async move {
        let mut asked = JoinSet::new();
        loop {
            let stream = tokio::select! {
                Ok((stream, _)) = listener.accept() => stream,
                Some(_) = asked.join_next() => continue,
                _ = ends.changed() => break,
            };
            let (commands, snapshots) = (commands.clone(), snapshots.clone());
            asked.spawn(async move {
                if let Err(error) = answer(stream, &commands, snapshots).await {
                    tracing::debug!(%error, "A control request failed");
                }
            });
        }
        // Only receivers whose sender has gone end those that watch.
        drop((commands, snapshots));
        while asked.join_next().await.is_some() {}
    });
    Ok(Control { task, ending, socket })
}

async fn answer(
    stream: UnixStream,
    commands: &mpsc::Sender<Command>,
    snapshots: watch::Receiver<Snapshot>,
) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    // Root could read the engine's memory: its question is answered.
    if peer != 0 && peer != rustix::process::getuid().as_raw() {
        return Err(io::Error::other("the peer is another user"));
    }
    let (mut read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new((&mut read).take(MAX_REQUEST)).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Watch) => {
            return tokio::select! {
                told = tell(write, snapshots) => told,
                // It has nothing more to say: this is its end.
                _ = read.read_u8() => Ok(()),
            };
        }
        Ok(request) => obey(request, commands, snapshots).await,
        Err(error) => Reply::Error(format!("not a request: {error}")),
    };
    say(&mut write, &reply).await
}

async fn say(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    text.push(b'\n');
    write.write_all(&text).await
}

/// Tells every change until one side goes. No timer: the engine's own loop wakes this, and what only moved the clock, or
/// comes within the second of what was told, is dropped unless its sentence is new.
async fn tell(mut write: OwnedWriteHalf, mut snapshots: watch::Receiver<Snapshot>) -> io::Result<()> {
    let mut told: Option<Reply> = None;
    loop {
        let news = news(told.as_mut(), &snapshots.borrow_and_update());
        if let Some(news) = news {
            say(&mut write, told.insert(news)).await?;
        }
        if snapshots.changed().await.is_err() {
            return say(&mut write, &Reply::Stopping).await;
        }
    }
}

/// What is to be told after `told`; nothing is copied where there is nothing.
fn news(told: Option<&mut Reply>, now: &Snapshot) -> Option<Reply> {
    if let Some(Reply::Snapshot(told)) = told
        && (told.state, &told.headline) == (now.state, &now.headline)
    {
        let at = std::mem::replace(&mut told.at, now.at);
        if at == now.at || **told == *now {
            told.at = at;
            return None;
        }
    }
    Some(Reply::Snapshot(Box::new(now.clone())))
}

async fn obey(request: Request, commands: &mpsc::Sender<Command>, mut snapshots: watch::Receiver<Snapshot>) -> Reply {
    if let Request::Command(command) = request {
        snapshots.mark_unchanged();
        // The engine publishes a snapshot after each command; its end closes the channel.
        if commands.send(command).await.is_err() || snapshots.changed().await.is_err() {
            return Reply::Error("the engine is stopping".into());
        }
    }
    let snapshot = snapshots.borrow().clone();
    Reply::Snapshot(Box::new(snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{PresenceView, State};

    fn snapshot(at: u64, headline: &str, load: f32) -> Snapshot {
        Snapshot {
            at,
            version: String::new(),
            network: None,
            payout: None,
            state: State::Held,
            headline: headline.into(),
            reasons: Vec::new(),
            notices: Vec::new(),
            presence: PresenceView { source: "test".into(), idle_seconds: None, idle_after_seconds: 1 },
            machine: Default::default(),
            paused_until: None,
            finishing: false,
            workers: Vec::new(),
            max_workers: 1,
            load_percent: load,
            load_history: Vec::new(),
            worked_ms: 0,
            undelivered: 0,
            earnings: Default::default(),
        }
    }

    #[test]
    fn only_what_is_new_is_told_and_once_a_second_unless_the_sentence_changes() {
        let mut told = None;
        let mut tell = |now: Snapshot| {
            let news = news(told.as_mut(), &now);
            let told_now = news.is_some();
            told = news.or(told.take());
            told_now
        };
        assert!(tell(snapshot(10, "Ready", 0.0)), "who begins to watch is told");
        assert!(!tell(snapshot(11, "Ready", 0.0)), "only the clock moved");
        assert!(tell(snapshot(12, "Ready", 5.0)));
        assert!(!tell(snapshot(12, "Ready", 9.0)), "that can wait for the next second");
        assert!(tell(snapshot(12, "Waiting", 9.0)), "this can not");
        assert!(!tell(snapshot(12, "Waiting", 3.0)));
        assert!(tell(snapshot(13, "Waiting", 3.0)), "and what waited is told");
    }

    #[tokio::test]
    async fn an_engine_that_is_stuck_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { home: folder.path().to_owned() };
        fs::create_dir(paths.run()).unwrap();
        let _silent = UnixListener::bind(paths.control_socket()).unwrap();
        let asked = ask_within(&paths, Request::Snapshot, Duration::from_millis(50)).await;
        assert!(matches!(asked, Err(ControlError::Io(error)) if error.kind() == io::ErrorKind::TimedOut));
    }
}
