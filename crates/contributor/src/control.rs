//! The engine's side of the local protocol ([`surge_client::wire`]): shells see its state and send commands through a
//! socket.
//!
//! Who the peer is decides what it may ask. Each peer is bounded: the length of its request, the time until it is there, and
//! how many may be connected.

mod audience;
mod door;
mod orders;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use surge_client::wire::{self, Hello, MAX_REQUEST, Refusal, Reply, Request, Role};
use surge_platform::paths::Paths;
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

/// How long an engine that stops waits for those who watch it to hear so.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long a peer may take to send its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How many peers may be connected at once, those who watch among them.
const MOST_PEERS: usize = 128;

/// What the peer of a connection may do; `None` where it may not even look.
pub(crate) type WhoIs = Arc<dyn Fn(&UnixStream) -> Option<Role> + Send + Sync>;

/// On an engine of the user's own: everything for that user and for root, nothing for anybody else.
pub(crate) fn own_user() -> WhoIs {
    let me = rustix::process::getuid().as_raw();
    // Root could read the engine's memory: its question is answered.
    Arc::new(move |stream| {
        stream.peer_cred().ok().filter(|peer| peer.uid() == 0 || peer.uid() == me).map(|_| Role::Owner)
    })
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
}

impl Control {
    /// Opens the socket. The home's lock is held, so that one that is found there is a leftover.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn listen(paths: &Paths, desk: Desk, part: Part) -> io::Result<Self> {
        let door = Door::open(paths)?;
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
        let (desk, place) = (desk.clone(), Arc::clone(&places).try_acquire_owned());
        connections.spawn(async move {
            if let Err(error) = answer(stream, desk, place.is_ok()).await {
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

async fn answer(stream: UnixStream, desk: Desk, has_place: bool) -> io::Result<()> {
    let Some(role) = (desk.who)(&stream) else { return Err(io::Error::other("this user may not ask")) };
    let (mut read, mut write) = stream.into_split();
    let hello =
        Hello { surge: wire::VERSION, version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id(), role };
    say(&mut write, &hello).await?;
    if !has_place {
        return refuse(&mut write, "busy", "too many shells are connected").await;
    }
    let mut line = String::new();
    let mut request = BufReader::new((&mut read).take(MAX_REQUEST));
    tokio::time::timeout(REQUEST_WITHIN, request.read_line(&mut line)).await??;
    let request: Request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => return refuse(&mut write, "unknown_request", &error.to_string()).await,
    };
    if !role.may(&request) {
        return refuse(&mut write, "not_allowed", "this user may not do that here").await;
    }
    match request {
        Request::Watch => tokio::select! {
            told = desk.seat.tell(&mut write, desk.snapshots, std::convert::identity) => told,
            // It has nothing more to say: this is its end.
            _ = read.read_u8() => Ok(()),
        },
        Request::Snapshot => {
            let now = desk.snapshots.borrow().clone();
            say(&mut write, &Reply::Snapshot(Box::new(now))).await
        }
        Request::Command(command) => {
            match desk.orders.obey(command, &desk.snapshots).await {
                Some(now) => say(&mut write, &Reply::Snapshot(Box::new(now))).await?,
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
