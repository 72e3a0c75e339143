//! The engine's side of the local protocol ([`surge_client::wire`]): shells see its state and send commands through a
//! socket. Its folder is 0700, and the peer must be the same user, or root.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use surge_client::wire::{self, Hello, MAX_REQUEST, Refusal, Reply, Request, Role};
use surge_platform::paths::Paths;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::view::{Command, Snapshot};

/// How long an engine that stops waits for those who watch it to hear so.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long a system that can't open one more socket is waited for.
const RETRY: Duration = Duration::from_millis(100);
/// Listens until dropped.
#[derive(Debug)]
pub(crate) struct Control {
    task: tokio::task::JoinHandle<()>,
    ending: watch::Sender<()>,
    /// What those who watch were told last.
    news: Option<watch::Sender<Option<Snapshot>>>,
    /// How many have begun to watch so far, and how many of them the last news reached.
    joined: Arc<AtomicUsize>,
    reached: usize,
    socket: PathBuf,
}

/// What those who watch hear.
#[derive(Debug, Clone)]
struct News {
    told: watch::Receiver<Option<Snapshot>>,
    joined: Arc<AtomicUsize>,
}

impl Control {
    /// Tells those who watch, if there are any and this is news to them: nobody is woken for anything else.
    pub(crate) fn publish(&mut self, now: &Snapshot) {
        // The door itself holds one receiver.
        let Some(news) = self.news.as_ref().filter(|news| news.receiver_count() > 1) else { return };
        let joined = self.joined.load(Ordering::Relaxed);
        // Who came since may have seen something else than the others were told.
        let somebody_new = std::mem::replace(&mut self.reached, joined) != joined;
        news.send_if_modified(|told| {
            let is_news = somebody_new || is_news(told.as_mut(), now);
            if is_news {
                *told = Some(now.clone());
            }
            is_news
        });
    }

    /// Takes no more questions, and lets those be answered that were asked.
    pub(crate) async fn close(mut self) {
        self.news = None;
        self.ending.send_replace(());
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
    let (ending, mut ends) = watch::channel(());
    let (tell, told) = watch::channel(None);
    let joined = Arc::new(AtomicUsize::new(0));
    let news = News { told, joined: Arc::clone(&joined) };
    let task = tokio::spawn(async move {
        let mut asked = JoinSet::new();
        let mut failed = false;
        loop {
            let stream = tokio::select! {
                stream = accept(&listener, &mut failed) => stream,
                Some(_) = asked.join_next() => continue,
                _ = ends.changed() => break,
            };
            let (commands, snapshots, news) = (commands.clone(), snapshots.clone(), news.clone());
            asked.spawn(async move {
                if let Err(error) = answer(stream, &commands, snapshots, news).await {
                    tracing::debug!(%error, "A control request failed");
                }
            });
        }
        drop((commands, snapshots));
        while asked.join_next().await.is_some() {}
    });
    Ok(Control { task, ending, news: Some(tell), joined, reached: 0, socket })
}

/// The next one who asks. That there are too many open files, say, passes: it is said once, and waited for.
async fn accept(listener: &UnixListener, failed: &mut bool) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                if !std::mem::replace(failed, true) {
                    tracing::warn!(%error, "The control socket can't be answered now; trying again");
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn answer(
    stream: UnixStream,
    commands: &mpsc::Sender<Command>,
    snapshots: watch::Receiver<Snapshot>,
    news: News,
) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    // Root could read the engine's memory: its question is answered.
    if peer != 0 && peer != rustix::process::getuid().as_raw() {
        return Err(io::Error::other("the peer is another user"));
    }
    let (mut read, mut write) = stream.into_split();
    let hello = Hello {
        surge: wire::VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        role: Role::Owner,
    };
    say(&mut write, &hello).await?;
    let mut line = String::new();
    BufReader::new((&mut read).take(MAX_REQUEST)).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Watch) => {
            return tokio::select! {
                told = tell(write, snapshots, news) => told,
                // It has nothing more to say: this is its end.
                _ = read.read_u8() => Ok(()),
            };
        }
        Ok(request) => obey(request, commands, snapshots).await,
        Err(error) => Reply::Refused(Refusal { code: "unknown_request".into(), message: error.to_string() }),
    };
    say(&mut write, &reply).await
}

async fn say(write: &mut OwnedWriteHalf, reply: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    text.push(b'\n');
    write.write_all(&text).await
}

/// Tells the state now and all news until one side goes.
async fn tell(mut write: OwnedWriteHalf, snapshots: watch::Receiver<Snapshot>, mut news: News) -> io::Result<()> {
    news.told.mark_unchanged();
    news.joined.fetch_add(1, Ordering::Relaxed);
    let now = Box::new(snapshots.borrow().clone());
    // Whoever holds the channel's other end must not be kept waiting by who reads slowly.
    drop(snapshots);
    say(&mut write, &Reply::Snapshot(now)).await?;
    while news.told.changed().await.is_ok() {
        let now = news.told.borrow_and_update().clone();
        if let Some(now) = now {
            say(&mut write, &Reply::Snapshot(Box::new(now))).await?;
        }
    }
    say(&mut write, &Reply::Stopping).await
}

/// What the one sentence for the state depends on.
fn sentence(of: &Snapshot) -> impl PartialEq + use<'_> {
    (of.state, of.finishing, of.running(), of.reasons.first().map(|first| (first.code, first.case, &first.subject)))
}

/// Whether `now` is to be told after `told`: not when only the clock moved, and once a second unless its sentence is new.
fn is_news(told: Option<&mut Snapshot>, now: &Snapshot) -> bool {
    let Some(told) = told else { return true };
    if sentence(told) != sentence(now) {
        return true;
    }
    let at = std::mem::replace(&mut told.at, now.at);
    let same = at == now.at || told == now;
    if same {
        told.at = at;
    }
    !same
}

async fn obey(request: Request, commands: &mpsc::Sender<Command>, mut snapshots: watch::Receiver<Snapshot>) -> Reply {
    if let Request::Command(command) = request {
        snapshots.mark_unchanged();
        // The engine publishes a snapshot after each command; its end closes the channel.
        if commands.send(command).await.is_err() || snapshots.changed().await.is_err() {
            return Reply::Refused(Refusal { code: "stopping".into(), message: "the engine is stopping".into() });
        }
    }
    let snapshot = snapshots.borrow().clone();
    Reply::Snapshot(Box::new(snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Reason, ReasonCode};

    fn snapshot(at: u64, reason: ReasonCode, load: f32) -> Snapshot {
        Snapshot { at, reasons: vec![Reason::new(reason)], load_percent: load, ..Snapshot::default() }
    }

    #[test]
    fn only_what_is_new_is_told_and_once_a_second_unless_the_sentence_changes() {
        use ReasonCode::{NoWork, UserActive};
        let mut told: Option<Snapshot> = None;
        let mut tell = |now: Snapshot| {
            let is_news = is_news(told.as_mut(), &now);
            if is_news {
                told = Some(now);
            }
            is_news
        };
        assert!(tell(snapshot(10, NoWork, 0.0)), "who begins to watch is told");
        assert!(!tell(snapshot(11, NoWork, 0.0)), "only the clock moved");
        assert!(tell(snapshot(12, NoWork, 5.0)));
        assert!(!tell(snapshot(12, NoWork, 9.0)), "that can wait for the next second");
        assert!(tell(snapshot(12, UserActive, 9.0)), "this can not");
        assert!(!tell(snapshot(12, UserActive, 3.0)));
        assert!(tell(snapshot(13, UserActive, 3.0)), "and what waited is told");
    }
}
