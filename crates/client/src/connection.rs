//! A connection to the engine's socket.
//!
//! The socket is trusted by who owns it: its folder must belong to this user or to root, nobody else may write to it, and
//! the process that answers must be the folder's owner or root.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use surge_platform::paths::Paths;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::view::{Command, Snapshot};
use crate::wire::{self, Hello, MAX_REPLY, Refusal, Reply, Request, SessionReport};

/// How long an engine may take to answer, which is a matter of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to end, which is a matter of seconds: leases are given back over the network.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Error)]
pub enum ClientError {
    #[error("no engine runs with the home {}: start it with `surge run`", home.display())]
    NotRunning { home: PathBuf },
    #[error("the socket {} is not to be trusted: {problem}", socket.display())]
    Untrusted { socket: PathBuf, problem: String },
    #[error("the engine did not answer: {0}")]
    Io(#[from] io::Error),
    #[error("the engine refused: {}", .0.message)]
    Refused(Refusal),
    #[error("the engine answered something that this version does not understand: {0}")]
    Malformed(String),
    #[error("the engine has stopped, as it was asked to")]
    Stopped,
    #[error("the engine has gone without a word: it crashed, or was killed; `surge report` gathers what is known")]
    Gone,
}

impl ClientError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NotRunning { .. } => "not_running",
            Self::Untrusted { .. } => "socket_untrusted",
            Self::Io(_) => "engine_silent",
            Self::Refused(refusal) => &refusal.code,
            Self::Malformed(_) => "engine_incomprehensible",
            Self::Stopped => "engine_stopped",
            Self::Gone => "engine_gone",
        }
    }
}

/// The engine's state after `command`.
///
/// # Errors
/// `NotRunning` when no engine listens, `Refused` when this user may not ask for it.
pub async fn send(paths: &Paths, command: Command) -> Result<Snapshot, ClientError> {
    ask(paths, Request::Command(command)).await.map(|engine| engine.snapshot)
}

/// What an engine is, and its state.
#[derive(Debug, Clone)]
pub struct Engine {
    pub hello: Hello,
    pub snapshot: Snapshot,
}

/// Asks the engine of `paths`, and returns its state after the request.
///
/// # Errors
/// As [`send`].
pub async fn ask(paths: &Paths, request: Request) -> Result<Engine, ClientError> {
    ask_within(paths, request, PATIENCE).await
}

/// Ends the engine of `paths` in order, and returns when its process is gone.
///
/// # Errors
/// As [`send`]; `Io` when it takes longer than a minute.
pub async fn stop(paths: &Paths) -> Result<(), ClientError> {
    let ended = async {
        let mut connection = open(paths, &Request::Command(Command::Stop)).await?;
        loop {
            match connection.next().await {
                Ok(_) => {}
                // The engine keeps this connection until its end.
                Err(ClientError::Gone | ClientError::Stopped) => return Ok(()),
                Err(ClientError::Refused(refusal)) if refusal.code == "stopping" => {}
                Err(error) => return Err(error),
            }
        }
    };
    within(STOP_PATIENCE, ended).await
}

async fn ask_within(paths: &Paths, request: Request, patience: Duration) -> Result<Engine, ClientError> {
    let answer = async {
        let mut connection = open(paths, &request).await?;
        let snapshot = connection.next().await?;
        Ok(Engine { hello: connection.hello, snapshot })
    };
    within(patience, answer).await
}

/// Asks the engine of `paths` to tell its state whenever that changes.
///
/// # Errors
/// As [`send`].
pub async fn watch(paths: &Paths) -> Result<Connection, ClientError> {
    within(PATIENCE, open(paths, &Request::Watch)).await
}

async fn within<T>(patience: Duration, answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    // An engine that is stopped or stuck still has its socket.
    let silence = |_| io::Error::new(io::ErrorKind::TimedOut, "it runs, but it is stopped or stuck");
    tokio::time::timeout(patience, answer).await.map_err(silence)?
}

/// Begins to report the presence of the login session that this process belongs to.
///
/// # Errors
/// As [`send`]; `Refused` when this process belongs to no session of its user's, or the session has a reporter.
pub async fn report(paths: &Paths) -> Result<Reporter, ClientError> {
    let begun = async {
        let mut connection = open(paths, &Request::Session).await?;
        match connection.read::<Reply>().await? {
            Reply::Reporting { session } => Ok(Reporter { session, connection }),
            Reply::Refused(refusal) => Err(ClientError::Refused(refusal)),
            Reply::Stopping => Err(ClientError::Stopped),
            Reply::Snapshot(_) => Err(ClientError::Malformed("it answers a report with its state".into())),
        }
    };
    within(PATIENCE, begun).await
}

/// An engine that hears of a session.
#[derive(Debug)]
pub struct Reporter {
    session: String,
    connection: Connection,
}

impl Reporter {
    /// The login service's id of the session.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Reports. An engine that does not read is left after a while.
    ///
    /// # Errors
    /// When the engine has gone.
    pub async fn send(&mut self, report: &SessionReport) -> Result<(), ClientError> {
        let mut line = serde_json::to_vec(report).expect("reports have string keys only");
        line.push(b'\n');
        let sent = async { Ok(self.connection.stream.get_mut().write_all(&line).await?) };
        within(PATIENCE, sent).await.map_err(|error| match error {
            ClientError::Io(error) if error.kind() != io::ErrorKind::TimedOut => ClientError::Gone,
            error => error,
        })
    }

    /// Returns when the engine has gone or has had enough. May be dropped before it ends and called again.
    pub async fn gone(&mut self) -> ClientError {
        match self.connection.next().await {
            Err(error) => error,
            Ok(_) => ClientError::Malformed("it answers a report with its state".into()),
        }
    }
}

/// Whether an engine listens at a socket of `paths`.
#[must_use]
pub fn answers(paths: &Paths) -> bool {
    paths.control_sockets().iter().any(|socket| std::os::unix::net::UnixStream::connect(socket).is_ok())
}

/// An engine that tells its state.
#[derive(Debug)]
pub struct Connection {
    hello: Hello,
    stream: BufReader<UnixStream>,
    /// A line, as far as it was read.
    line: Vec<u8>,
}

impl Connection {
    /// Who answers.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The next state. May be dropped before it ends and called again: nothing is lost.
    ///
    /// # Errors
    /// `Stopped` or `Gone` when there will be none.
    pub async fn next(&mut self) -> Result<Snapshot, ClientError> {
        match self.read::<Reply>().await? {
            Reply::Snapshot(snapshot) => Ok(*snapshot),
            Reply::Refused(refusal) => Err(ClientError::Refused(refusal)),
            Reply::Stopping => Err(ClientError::Stopped),
            Reply::Reporting { .. } => Err(ClientError::Malformed("it hears a report that nobody makes".into())),
        }
    }

    async fn read<T: for<'de> serde::Deserialize<'de>>(&mut self) -> Result<T, ClientError> {
        let room = MAX_REPLY.saturating_sub(self.line.len() as u64);
        match (&mut self.stream).take(room).read_until(b'\n', &mut self.line).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ClientError::Gone),
            Err(error) => return Err(error.into()),
        }
        let line = std::mem::take(&mut self.line);
        if !line.ends_with(b"\n") {
            let too_long = line.len() as u64 >= MAX_REPLY;
            return Err(if too_long {
                ClientError::Malformed("its line is too long".into())
            } else {
                ClientError::Gone
            });
        }
        serde_json::from_slice(&line).map_err(|error| ClientError::Malformed(error.to_string()))
    }
}

async fn open(paths: &Paths, request: &Request) -> Result<Connection, ClientError> {
    let stream = connect(paths).await?;
    let hello = Hello { surge: wire::VERSION, version: String::new(), pid: 0, role: wire::Role::Unknown };
    let mut connection = Connection { hello, stream: BufReader::new(stream), line: Vec::new() };
    connection.hello = connection.read().await?;
    let mut line = serde_json::to_vec(request).expect("requests have string keys only");
    line.push(b'\n');
    connection.stream.get_mut().write_all(&line).await?;
    Ok(connection)
}

/// The engine's socket, which is at one of several places: the first that is to be trusted.
async fn connect(paths: &Paths) -> Result<UnixStream, ClientError> {
    let mut failed = ClientError::NotRunning { home: paths.home.clone() };
    for socket in paths.control_sockets() {
        match UnixStream::connect(&socket).await {
            Ok(stream) => match trust(&socket, stream.peer_cred()?.uid()) {
                Ok(()) => return Ok(stream),
                Err(error) => failed = error,
            },
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}

/// Whether what answers at `socket`, as the user `peer`, may be the engine.
fn trust(socket: &Path, peer: u32) -> Result<(), ClientError> {
    let untrusted = |problem: String| Err(ClientError::Untrusted { socket: socket.to_owned(), problem });
    let Some(folder) = socket.parent() else { return untrusted("it is in no folder".into()) };
    let folder_of = std::fs::metadata(folder)?;
    let me = rustix::process::getuid().as_raw();
    let (owner, mode) = (folder_of.uid(), folder_of.mode() & 0o777);
    // A system service's folder belongs to its own user, in a place where only root can make one.
    let placed_by_root = folder.parent().and_then(|parent| std::fs::metadata(parent).ok());
    let placed_by_root = placed_by_root.is_some_and(|parent| parent.uid() == 0 && parent.mode() & 0o022 == 0);
    if owner != me && owner != 0 && !placed_by_root {
        return untrusted(format!("its folder belongs to user {owner}"));
    }
    if mode & 0o022 != 0 {
        return untrusted(format!("others may write to its folder (mode {mode:o})"));
    }
    if peer != owner && peer != 0 {
        return untrusted(format!("user {peer} answers there"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use tokio::net::UnixListener;

    fn home() -> (tempfile::TempDir, Paths) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { home: folder.path().to_owned() };
        let run = paths.control_socket().parent().unwrap().to_owned();
        fs::create_dir_all(&run).unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
        (folder, paths)
    }

    /// An engine that says these lines to whoever comes, and then goes.
    fn engine(paths: &Paths, lines: &'static [&'static str]) {
        let listener = UnixListener::bind(paths.control_socket()).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for line in lines {
                stream.write_all(line.as_bytes()).await.unwrap();
            }
            if lines.is_empty() {
                return;
            }
            // Until the other side has sent its request, so that it does not meet a broken pipe.
            let mut request = Vec::new();
            let _ = BufReader::new(&mut stream).read_until(b'\n', &mut request).await;
        });
    }

    const HELLO: &str = "{\"surge\":1,\"version\":\"0.1.0\",\"pid\":1,\"role\":\"owner\"}\n";

    #[tokio::test]
    async fn an_engine_that_is_stuck_is_not_waited_for() {
        let (_folder, paths) = home();
        let _silent = UnixListener::bind(paths.control_socket()).unwrap();
        let asked = ask_within(&paths, Request::Snapshot, Duration::from_millis(50)).await;
        assert!(matches!(asked, Err(ClientError::Io(error)) if error.kind() == io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn what_only_a_newer_engine_knows_is_passed_over() {
        let (_folder, paths) = home();
        engine(
            &paths,
            &[
                "{\"surge\":2,\"version\":\"9.0.0\",\"role\":\"emperor\",\"mood\":\"good\"}\n",
                "{\"snapshot\":{\"at\":7,\"state\":\"dreaming\",\"reasons\":[{\"code\":\"full_moon\",\"phase\":3}],\"new\":[1]}}\n",
            ],
        );
        let engine = ask(&paths, Request::Snapshot).await.unwrap();
        assert_eq!((engine.hello.surge, engine.hello.role), (2, wire::Role::Unknown));
        assert_eq!((engine.snapshot.at, engine.snapshot.state), (7, crate::view::State::Unknown));
        assert_eq!(engine.snapshot.reasons[0].code, crate::view::ReasonCode::Unknown);
    }

    #[tokio::test]
    async fn an_end_within_a_line_is_a_crash_and_the_last_word_an_orderly_end() {
        for (lines, code) in [
            (&[HELLO, "{\"snapshot\":{\"at\""][..], "engine_gone"),
            (&[HELLO, "\"stopping\"\n"][..], "engine_stopped"),
            (&[HELLO, "what?\n"][..], "engine_incomprehensible"),
            (&[HELLO, "{\"refused\":{\"code\":\"not_allowed\",\"message\":\"no\"}}\n"][..], "not_allowed"),
            (&[][..], "engine_gone"),
        ] {
            let (_folder, paths) = home();
            engine(&paths, lines);
            assert_eq!(ask(&paths, Request::Snapshot).await.unwrap_err().code(), code, "{lines:?}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_others_may_write_to_is_not_trusted() {
        let (_folder, paths) = home();
        engine(&paths, &[HELLO]);
        let run = paths.control_socket().parent().unwrap().to_owned();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o722)).unwrap();
        assert_eq!(ask(&paths, Request::Snapshot).await.unwrap_err().code(), "socket_untrusted");
    }
}
