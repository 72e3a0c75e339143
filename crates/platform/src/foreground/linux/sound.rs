//! Who records, as the sound server tells: PulseAudio, or PipeWire, which speaks PulseAudio's protocol. A headset by
//! Bluetooth is seen here as well, and the program has a name.
//!
//! The server says when something changes; nothing is polled. Without a server, or when it dies, nobody says anything,
//! and the sound cards are looked at instead. Deliberately absent: sound, and starting a server that is not asked for.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

mod pulse;

use pulse::{Server, Stream};

/// A server that takes longer to answer does not answer.
const ANSWER: Duration = Duration::from_secs(5);
/// What changes all the time is asked about no more often than this.
const CALM: Duration = Duration::from_secs(1);
/// How long to wait before a server that went, or is not there, is looked for: the first time and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Listens to the session's sound server until dropped.
#[derive(Debug)]
pub(super) struct Sound {
    told: Arc<Recorders>,
    listener: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Recorders {
    /// `None` while no server says anything.
    recorders: Mutex<Option<Vec<String>>>,
    changed: Notify,
}

impl Sound {
    /// Must be called inside a tokio runtime.
    pub(super) fn new(socket: Option<PathBuf>) -> Self {
        let told = Arc::<Recorders>::default();
        Self { listener: tokio::spawn(listen(socket, Arc::clone(&told))), told }
    }

    /// The programs that record from a microphone; `None` where no sound server says.
    pub(super) fn recorders(&self) -> Option<Vec<String>> {
        self.told.recorders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns when that has changed.
    pub(super) async fn stirred(&self) {
        self.told.changed.notified().await;
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Recorders {
    /// Whether a server spoke before.
    fn set(&self, recorders: Option<Vec<String>>) -> bool {
        let mut known = self.recorders.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == recorders {
            return known.is_some();
        }
        let before = std::mem::replace(&mut *known, recorders);
        self.changed.notify_one();
        before.is_some()
    }
}

async fn listen(socket: Option<PathBuf>, told: Arc<Recorders>) {
    let Some(socket) = socket else {
        tracing::debug!("this session has no sound server of its own");
        return;
    };
    let mut wait = RETRY.0;
    let mut hangs = false;
    loop {
        let Err(error) = follow(&socket, &told).await;
        let hung = std::mem::replace(&mut hangs, error.kind() == io::ErrorKind::TimedOut);
        if told.set(None) {
            tracing::warn!(%error, "The sound server is gone: a call is known by the sound card alone until it is back");
            wait = RETRY.0;
        } else if hangs && !hung {
            let socket = socket.display();
            tracing::warn!(%socket, "The sound server does not answer: a call is known by the sound card alone");
        } else {
            tracing::debug!(%error, ?wait, "no sound server");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

/// Tells who records until the server goes.
async fn follow(socket: &PathBuf, told: &Recorders) -> io::Result<std::convert::Infallible> {
    let connect = async { Server::greet(UnixStream::connect(socket).await?).await };
    let mut server = in_time(connect).await?;
    loop {
        let calm_at = Instant::now() + CALM;
        let recorders = in_time(recorders(&mut server)).await?;
        if !told.set(Some(recorders)) {
            tracing::info!("The sound server tells who records");
        }
        server.changed().await?;
        tokio::time::sleep_until(calm_at).await;
    }
}

/// The programs whose streams record from something that is no monitor of what is played.
async fn recorders(server: &mut Server) -> io::Result<Vec<String>> {
    let mut programs = Vec::new();
    for Stream { program, source } in server.streams().await? {
        if !server.is_monitor(source).await? && !programs.contains(&program) {
            programs.push(program);
        }
    }
    Ok(programs)
}

async fn in_time<T>(answer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
