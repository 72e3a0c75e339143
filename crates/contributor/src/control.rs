//! The engine's side of the local protocol ([`surge_client::wire`]): shells see its state and send commands through a
//! socket.
//!
//! Who the peer is decides what it may ask. Each peer is bounded: the length of its request, the time until it is there, and
//! how many may be connected.

mod audience;
mod door;
mod orders;
mod peers;
mod reporters;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use surge_client::wire::{self, Hello, MAX_REQUEST, Refusal, Reply, Request, Role};
use surge_platform::paths::Paths;
use surge_platform::peer::Peer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::engine::Part;
use crate::view::{Command, Snapshot};

pub(crate) use audience::{Audience, Seat, audience};
use door::Door;
pub(crate) use orders::Orders;
use peers::{Access, redacted};
pub(crate) use reporters::{Listener, Reporters};

/// How long an engine that stops waits for those who watch it to hear so.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long a peer may take to send its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How many peers may be connected at once, those who watch among them.
const MOST_PEERS: usize = 128;

/// What the peer of a connection may do; `None` where it may not even look.
pub(crate) type WhoIs = Arc<dyn Fn(&Peer) -> Option<Role> + Send + Sync>;

/// By the user that the kernel says is there.
pub(crate) fn by_user(paths: &Paths) -> WhoIs {
    let access = Access::to(paths);
    Arc::new(move |peer| access.role(peer))
}

/// Listens until dropped.
#[derive(Debug)]
pub(crate) struct Control {
    task: JoinHandle<()>,
    ending: watch::Sender<()>,
}

/// What each connection needs.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) orders: Orders,
    pub(crate) snapshots: watch::Receiver<Snapshot>,
    pub(crate) seat: Seat,
    pub(crate) who: WhoIs,
    pub(crate) reporters: Reporters,
}

impl Control {
    /// Opens the socket. The home's lock is held, so that one that is found there is a leftover.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn listen(paths: &Paths, desk: Desk, part: Part) -> io::Result<Self> {
        let door = Door::open(paths, Access::to(paths))?;
        let (ending, ends) = watch::channel(());
        Ok(Self { task: tokio::spawn(serve(door, desk, ends, part)), ending })
    }

    /// Takes no more questions, and lets those be answered that were asked.
    pub(crate) async fn close(mut self) {
        self.ending.send_replace(());
        // Who does not listen is not waited for.
        let _ = tokio::time::timeout(GOODBYE, &mut self.task).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut door: Door, desk: Desk, mut ends: watch::Receiver<()>, part: Part) {
    let places = Arc::new(Semaphore::new(MOST_PEERS));
    let mut connections = JoinSet::new();
    loop {
        part.check();
        let stream = tokio::select! {
            stream = door.next() => stream,
            Some(ended) = connections.join_next() => {
                pass_on_panic(ended);
                continue;
            }
            _ = ends.changed() => break,
        };
        let (desk, place, ends) = (desk.clone(), Arc::clone(&places).try_acquire_owned(), ends.clone());
        connections.spawn(async move {
            if let Err(error) = answer(stream, desk, place.is_ok(), ends).await {
                tracing::debug!(%error, "A request failed");
            }
            drop(place);
        });
    }
    part.may_end();
    drop(desk);
    while connections.join_next().await.is_some() {}
}

fn pass_on_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(Ok(panic)) = ended.map_err(tokio::task::JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
}

async fn answer(stream: UnixStream, desk: Desk, has_place: bool, mut ends: watch::Receiver<()>) -> io::Result<()> {
    let peer = Peer::of(&stream)?;
    let Some(role) = (desk.who)(&peer) else { return Err(io::Error::other("this user may not ask")) };
    let (mut read, mut write) = stream.into_split();
    let hello =
        Hello { surge: wire::VERSION, version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id(), role };
    say(&mut write, &hello).await?;
    if !has_place {
        return refuse(&mut write, "busy", "too many shells are connected").await;
    }
    let mut line = String::new();
    let mut reader = BufReader::new(&mut read);
    tokio::time::timeout(REQUEST_WITHIN, (&mut reader).take(MAX_REQUEST).read_line(&mut line)).await??;
    let request: Request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => return refuse(&mut write, "unknown_request", &error.to_string()).await,
    };
    if !role.may(&request) {
        tracing::warn!(uid = peer.uid, ?request, "A request was refused");
        return refuse(&mut write, "not_allowed", peers::who_may(&request)).await;
    }
    match request {
        Request::Watch => tokio::select! {
            told = desk.seat.tell(&mut write, desk.snapshots, |now| redacted(now, role)) => told,
            // It has nothing more to say: this is its end.
            _ = read.read_u8() => Ok(()),
        },
        Request::Snapshot => {
            let now = redacted(desk.snapshots.borrow().clone(), role);
            say(&mut write, &Reply::Snapshot(Box::new(now))).await
        }
        Request::Session => {
            let reporters = desk.reporters.clone();
            // What keeps the engine's parts going is not held by who only reports.
            drop(desk);
            let stopping = async { drop(ends.changed().await) };
            reporters.hear(peer.session(), peer.uid, reader, write, stopping).await
        }
        Request::Command(command) => {
            match desk.orders.obey(command, &desk.snapshots).await {
                Some(now) => say(&mut write, &Reply::Snapshot(Box::new(redacted(now, role)))).await?,
                None => return refuse(&mut write, "stopping", "the engine is stopping").await,
            }
            if command == Command::Stop {
                // Whoever asked sees the end of this process as the end of its connection.
                std::mem::forget((read, write));
            }
            Ok(())
        }
    }
}

async fn refuse(write: &mut OwnedWriteHalf, code: &str, message: &str) -> io::Result<()> {
    say(write, &Reply::Refused(Refusal { code: code.into(), message: message.into() })).await
}

async fn say(write: &mut OwnedWriteHalf, reply: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    text.push(b'\n');
    write.write_all(&text).await
}
