use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::tray::tests::hello;
use surge_client::view::{Reason, ReasonCode, State};
use surge_client::wire::{Reply, Role};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;

/// A home, and an engine that is started into it: each start serves one connection.
#[derive(Clone)]
struct Fake {
    _folder: Arc<tempfile::TempDir>,
    paths: Paths,
    /// The door of the engine that runs.
    door: Arc<Mutex<Option<UnixListener>>>,
    starts: Arc<AtomicUsize>,
    /// What a start comes to, if not an engine.
    broken: Option<Lost>,
}

impl Fake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { home: folder.path().to_owned() };
        let run = paths.control_socket().parent().unwrap().to_owned();
        fs::create_dir_all(&run).unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
        Self { _folder: Arc::new(folder), paths, door: Arc::default(), starts: Arc::default(), broken: None }
    }

    async fn run(&self) {
        *self.door.lock().await = Some(UnixListener::bind(self.paths.control_socket()).unwrap());
    }

    /// Follows it, and returns what is told and the wish to start.
    fn follow(&self) -> (mpsc::UnboundedReceiver<EngineStatus>, mpsc::UnboundedSender<()>) {
        let (tell, told) = mpsc::unbounded_channel();
        let (start, asked) = mpsc::unbounded_channel();
        let fake = self.clone();
        tokio::spawn(async move {
            follow(&fake.paths.clone(), &fake, |status| tell.send(status).is_ok(), asked).await;
        });
        (told, start)
    }

    /// The next one who watches is greeted and told a state; then the door is shut behind them.
    async fn greet(&self) -> UnixStream {
        let door = self.door.lock().await.take().expect("the engine runs");
        let (mut stream, _) = door.accept().await.unwrap();
        say(&mut stream, &hello(Role::Owner)).await;
        let mut request = String::new();
        BufReader::new(&mut stream).read_line(&mut request).await.unwrap();
        assert_eq!(request, "\"watch\"\n");
        let state = Snapshot { reasons: vec![Reason::new(ReasonCode::NoWork)], ..Snapshot::default() };
        say(&mut stream, &Reply::Snapshot(Box::new(state))).await;
        drop(door);
        fs::remove_file(self.paths.control_socket()).unwrap();
        stream
    }
}

impl Starter for Fake {
    async fn start(&self) -> Result<(), Lost> {
        self.starts.fetch_add(1, Ordering::Relaxed);
        match &self.broken {
            Some(lost) => Err(lost.clone()),
            None => {
                self.run().await;
                Ok(())
            }
        }
    }
}

async fn say(stream: &mut UnixStream, what: &impl serde::Serialize) {
    let mut line = serde_json::to_vec(what).unwrap();
    line.push(b'\n');
    stream.write_all(&line).await.unwrap();
}

/// The next code, without those that were told already.
async fn code(told: &mut mpsc::UnboundedReceiver<EngineStatus>, not: &[LostCode]) -> LostCode {
    loop {
        match told.recv().await.expect("the follower goes on") {
            EngineStatus::Lost(lost) if !not.contains(&lost.code) => return lost.code,
            EngineStatus::Lost(_) | EngineStatus::Told(_) => {}
        }
    }
}

async fn state(told: &mut mpsc::UnboundedReceiver<EngineStatus>) -> State {
    loop {
        if let EngineStatus::Told(told) = told.recv().await.expect("the follower goes on") {
            return told.snapshot.state;
        }
    }
}

#[tokio::test]
async fn where_no_engine_runs_one_is_started_and_shown() {
    let fake = Fake::new();
    let (mut told, _start) = fake.follow();
    assert_eq!(told.recv().await, Some(EngineStatus::Lost(LostCode::Starting.into())));
    let _engine = fake.greet().await;
    assert_eq!(state(&mut told).await, State::Held);
    assert_eq!(fake.starts.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_engine_that_runs_already_is_not_started() {
    let fake = Fake::new();
    fake.run().await;
    let (mut told, _start) = fake.follow();
    let _engine = fake.greet().await;
    assert!(matches!(told.recv().await, Some(EngineStatus::Told(told)) if told.hello == hello(Role::Owner)));
    assert_eq!(fake.starts.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn one_that_was_stopped_stays_so_until_somebody_starts_it() {
    let fake = Fake::new();
    let (mut told, start) = fake.follow();
    assert_eq!(code(&mut told, &[]).await, LostCode::Starting);
    let mut engine = fake.greet().await;
    say(&mut engine, &Reply::Stopping).await;
    drop(engine);
    assert_eq!(code(&mut told, &[]).await, LostCode::Stopped);
    assert_eq!(code(&mut told, &[]).await, LostCode::Stopped, "it is not forgotten why");
    assert_eq!(fake.starts.load(Ordering::Relaxed), 1);
    start.send(()).unwrap();
    assert_eq!(code(&mut told, &[LostCode::Stopped]).await, LostCode::Starting);
}

#[tokio::test]
async fn one_that_crashes_is_started_again_three_times_and_then_by_its_owner_only() {
    let fake = Fake::new();
    let (mut told, start) = fake.follow();
    for crash in 0..=CRASHES {
        assert_eq!(code(&mut told, &[LostCode::Restarting]).await, LostCode::Starting, "after {crash} crashes");
        drop(fake.greet().await);
    }
    assert_eq!(code(&mut told, &[LostCode::Restarting]).await, LostCode::Crashed);
    assert_eq!(fake.starts.load(Ordering::Relaxed), 1 + CRASHES);
    start.send(()).unwrap();
    assert_eq!(code(&mut told, &[LostCode::Crashed]).await, LostCode::Starting);
}

#[tokio::test]
async fn one_that_can_not_start_says_why_and_is_tried_again_only_when_asked() {
    let why = Lost::said(LostCode::CantStart, "the folder can't be written");
    let fake = Fake { broken: Some(why.clone()), ..Fake::new() };
    let (mut told, start) = fake.follow();
    assert_eq!(told.recv().await, Some(EngineStatus::Lost(LostCode::Starting.into())));
    assert_eq!(told.recv().await, Some(EngineStatus::Lost(why.clone())));
    assert_eq!(told.recv().await, Some(EngineStatus::Lost(why)));
    assert_eq!(fake.starts.load(Ordering::Relaxed), 1);
    start.send(()).unwrap();
    assert_eq!(code(&mut told, &[LostCode::CantStart]).await, LostCode::Starting);
}

#[tokio::test]
async fn one_that_falls_silent_is_asked_and_found_stuck() {
    let fake = Fake::new();
    fake.run().await;
    let (mut told, _start) = fake.follow();
    // Its door stays, and nobody answers there.
    let engine = fake.greet().await;
    assert_eq!(state(&mut told).await, State::Held);
    fake.run().await;
    tokio::time::pause();
    assert_eq!(code(&mut told, &[]).await, LostCode::Stuck);
    drop(engine);
}

#[test]
fn crashes_of_long_ago_do_not_count() {
    let (mut crashes, now) = (Crashes::default(), Instant::now());
    assert!((0..CRASHES).all(|_| crashes.again(now)));
    assert!(!crashes.again(now + WITHIN / 2));
    assert!(crashes.again(now + WITHIN * 2));
}
