//! The local door: `surge status`, `why`, `pause`, `resume` reach whichever shell hosts the engine through a socket.
//!
//! The folder is 0700 and the peer must be the same user. One JSON line asks, one JSON line answers. No secret crosses it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use surge_platform::paths::Paths;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use crate::view::{Command, Snapshot};

/// The longest request line, bytes.
const MAX_REQUEST: u64 = 4096;

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Snapshot,
    Command(Command),
}

/// The answer: the state after the request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Snapshot(Box<Snapshot>),
    Error(String),
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
}

/// Asks the engine of `paths` and returns its state after the request.
///
/// # Errors
/// `NotRunning` when no engine listens.
pub async fn ask(paths: &Paths, request: Request) -> Result<Snapshot, ControlError> {
    let socket = match UnixStream::connect(paths.control_socket()).await {
        Ok(socket) => socket,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(ControlError::NotRunning { home: paths.home.clone() });
        }
        Err(error) => return Err(error.into()),
    };
    let (read, mut write) = socket.into_split();
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new(read).read_line(&mut answer).await?;
    match serde_json::from_str(&answer)? {
        Reply::Snapshot(snapshot) => Ok(*snapshot),
        Reply::Error(message) => Err(ControlError::Refused(message)),
    }
}

/// Listens until dropped.
#[derive(Debug)]
pub(crate) struct Control {
    task: tokio::task::JoinHandle<()>,
    socket: PathBuf,
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
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (commands, snapshots) = (commands.clone(), snapshots.clone());
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &commands, snapshots).await {
                    tracing::debug!(%error, "A control request failed");
                }
            });
        }
    });
    Ok(Control { task, socket })
}

async fn answer(
    stream: UnixStream,
    commands: &mpsc::Sender<Command>,
    snapshots: watch::Receiver<Snapshot>,
) -> io::Result<()> {
    if stream.peer_cred()?.uid() != rustix::process::getuid().as_raw() {
        return Err(io::Error::other("the peer is another user"));
    }
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_REQUEST)).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(request) => obey(request, commands, snapshots).await,
        Err(error) => Reply::Error(format!("not a request: {error}")),
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    write.write_all(&text).await
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
