//! The loop with a coordinator and workers that do what the test says, in virtual time, on a real store.

use std::sync::Arc;
use std::time::Duration;

use surge_protocol::api::{Lease, LeaseState};
use surge_supervisor::Budget;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::gate::{Decision, NewWork};
use crate::store::Store;
use crate::store::tests::{a_lease, a_network, device};
use crate::view::{Reason, ReasonCode};

mod asking;
mod fakes;
mod networks;
mod unheard;
use fakes::{FakeClock, FakeCoordinator, FakeWorkers, Fault, TRAVEL};

/// An engine's work loop on a home of its own.
struct World {
    home: tempfile::TempDir,
    coordinator: FakeCoordinator,
    workers: FakeWorkers,
    clock: FakeClock,
    load: watch::Sender<Option<Load>>,
    work: Arc<Work>,
    running: JoinHandle<()>,
}

fn parts(
    network: u8,
    home: &std::path::Path,
    coordinator: &FakeCoordinator,
    workers: &FakeWorkers,
    clock: &FakeClock,
    load: watch::Receiver<Option<Load>>,
) -> Parts {
    let store = Store::open(&home.join("engine.sqlite")).unwrap();
    Parts {
        link: Box::new(coordinator.clone()),
        supervisor: Box::new(workers.clone()),
        clock: Box::new(clock.clone()),
        lock: surge_platform::lock::file(&home.join("engine.lock")).unwrap().path().clone(),
        store: NetworkStore::new(store.into(), a_network(network), device().address()),
        blobs: Blobs::open(&home.join("blobs"), 1 << 20).unwrap(),
        outputs: Blobs::open(&home.join("outputs"), u64::MAX).unwrap(),
        checkpoints: home.join("checkpoints"),
        checkpoint_every: Duration::from_secs(10),
        runtime_class: "test".into(),
        memory_limit: 4 << 30,
        load,
        disk_patience: Duration::from_millis(10),
    }
}

fn run(workers: u32) -> Decision {
    Decision::Run(crate::gate::Budget { workers, share: 1.0, new_work: NewWork::Fetched })
}

fn hold(code: ReasonCode) -> Decision {
    Decision::Hold(vec![Reason::new(code)])
}

impl World {
    fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap(), 1, FakeCoordinator::default())
    }

    fn start_on(home: tempfile::TempDir, network: u8, coordinator: FakeCoordinator) -> Self {
        let (workers, clock) = (FakeWorkers::default(), FakeClock::new());
        let load = watch::Sender::new(Some(Load { cpu_percent: 5.0, available_bytes: 8 << 30, memory_pressure: None }));
        let (work, driver) = recover(parts(network, home.path(), &coordinator, &workers, &clock, load.subscribe()));
        let running = tokio::spawn(driver.run());
        Self { home, coordinator, workers, clock, load, work, running }
    }

    /// The engine is killed, and another starts on its home.
    async fn kill_and_start(self) -> Self {
        let Self { home, coordinator, running, work, .. } = self;
        running.abort();
        let _ = running.await;
        drop(work);
        Self::start_on(home, 1, coordinator)
    }

    /// Waits, in virtual time.
    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if condition(self) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not happen: {:?}", self.coordinator.state());
    }

    /// Offers a task, and waits until it has a worker.
    async fn begin_a_task(&self) -> Lease {
        let lease = self.coordinator.offer();
        let id = lease.lease;
        self.until("the task's start", |world| world.work.running().iter().any(|task| task.lease == id)).await;
        lease
    }

    async fn stop(&self) {
        stop(&self.work).await;
    }

    fn checkpoint(&self, lease: &Lease) -> std::path::PathBuf {
        let folder = self.work.checkpoints_of(lease.lease);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("state.1"), "synced").unwrap();
        folder
    }

    fn sql(&self, statement: &str) {
        let db = rusqlite::Connection::open(self.home.path().join("engine.sqlite")).unwrap();
        db.execute_batch(statement).unwrap();
    }

    fn trouble(&self) -> Vec<ReasonCode> {
        self.work.troubles.reasons().iter().map(|reason| reason.code).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_fetched_run_stored_and_delivered() {
    let world = World::start();
    world.work.decide(run(1));
    assert_eq!(world.workers.crew().budget, Some(Budget { workers: 1, share: 1.0 }), "at once, without the loop");
    let lease = world.begin_a_task().await;
    assert_eq!(world.work.begun(), 1);
    world.workers.finish_first(b"the answer");
    world.until("the delivery", |world| world.coordinator.state().delivered == [lease.lease]).await;
    world.until("the table", |world| world.work.running().is_empty() && world.work.begun() == 0).await;
    assert!(world.work.store.recorded().unwrap().recorded.is_empty());
}

/// Whoever has put another home in its place may have started another engine.
#[tokio::test(start_paused = true)]
async fn a_home_that_was_replaced_asks_for_no_task() {
    let world = World::start();
    let next = world.home.path().join("next.lock");
    std::fs::write(&next, "").unwrap();
    std::fs::rename(&next, world.home.path().join("engine.lock")).unwrap();
    world.coordinator.offer();
    world.work.decide(run(1));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.coordinator.count("lease"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_open_request_and_then_gives_back_what_is_held() {
    for workers in [1, 2] {
        let world = World::start();
        world.work.decide(run(workers));
        let lease = world.begin_a_task().await;
        world
            .until("the request for the next", |world| {
                let state = world.coordinator.state();
                state.calls.iter().filter(|call| *call == "lease").count() == 2
            })
            .await;
        world.work.decide(Decision::Hold(Vec::new()));
        world.stop().await;
        world.running.await.unwrap();
        let state = world.coordinator.state();
        assert!(state.live.is_empty(), "a stopped node has no live lease: {state:?}");
        assert_eq!(state.waiting.len(), 1, "somebody else may have it at once: {state:?}");
        drop(state);
        let ended = world.coordinator.state().calls.iter().rposition(|call| call == "lease ends");
        assert!(ended < world.coordinator.position(&format!("give back {}", lease.lease)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_while_the_engine_stops_goes_back() {
    let world = World::start();
    world.work.decide(run(1));
    world.until("the request", |world| world.coordinator.count("lease") == 1).await;
    sleep(Duration::from_secs(1)).await;
    world.coordinator.offer();
    world.coordinator.comes("granted").await;
    tokio::time::advance(TRAVEL).await;
    world.coordinator.comes("given").await;
    // It is being recorded now.
    world.stop().await;
    world.running.await.unwrap();
    let state = world.coordinator.state();
    assert!(state.live.is_empty() && state.waiting.len() == 1, "{state:?}");
    drop(state);
    assert!(world.work.store.recorded().unwrap().recorded.is_empty());
}

/// In real time: virtual time stands still while a thread waits for the disk.
#[tokio::test]
async fn a_stop_does_not_wait_for_a_disk_that_takes_no_result() {
    let world = World::start();
    world.work.decide(run(1));
    let lease = world.begin_a_task().await;
    world.sql("CREATE TRIGGER refuse BEFORE INSERT ON results BEGIN SELECT RAISE(FAIL, 'refused'); END");
    world.workers.finish_first(b"the answer");
    world.until("the trouble", |world| world.trouble() == [ReasonCode::HomeUnusable]).await;
    world.stop().await;
    assert_eq!(world.coordinator.count(&format!("give back {}", lease.lease)), 0);
    assert_eq!(world.work.store.recorded().unwrap().recorded[0].lease.lease, lease.lease, "the next engine goes on");
    // Its thread goes on until the process ends, or the disk takes it.
    world.sql("DROP TRIGGER refuse");
    world.until("the result", |world| !world.work.store.waiting().unwrap().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_being_stored_at_the_stop_is_kept_and_its_lease_not_given_back() {
    let world = World::start();
    world.work.decide(run(1));
    let lease = world.begin_a_task().await;
    // Whoever stores it waits for this thread.
    let (kept, is_kept) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let keeper = std::thread::spawn({
        let work = Arc::clone(&world.work);
        move || {
            let _keeping = work.keeping();
            kept.send(()).unwrap();
            // The other end is dropped.
            let _ = released.recv();
        }
    });
    is_kept.recv().unwrap();
    world.workers.finish_first(b"the answer");
    let work = Arc::clone(&world.work);
    let stopping = tokio::spawn(async move { stop(&work).await });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished());
    drop(release);
    keeper.join().unwrap();
    stopping.await.unwrap();
    let returns = world.coordinator.count(&format!("give back {}", lease.lease));
    assert_eq!(returns, 0, "{:?}", world.coordinator.state());
    assert_eq!(world.work.store.waiting().unwrap()[0].signed.result.lease, lease.lease);
}

#[tokio::test(start_paused = true)]
async fn a_task_with_a_checkpoint_is_left_to_the_next_engine() {
    let world = World::start();
    world.work.decide(run(1));
    let lease = world.begin_a_task().await;
    let folder = world.checkpoint(&lease);
    world.stop().await;
    assert_eq!(world.coordinator.count(&format!("give back {}", lease.lease)), 0);
    let world = world.kill_and_start().await;
    assert_eq!(world.work.begun(), 1, "before anything is decided");
    assert!(folder.exists());
    world.work.decide(Decision::Run(crate::gate::Budget { workers: 1, share: 1.0, new_work: NewWork::None }));
    world.until("its start", |world| world.workers.count() == 1).await;
    world.workers.finish_first(b"the answer");
    world.until("the delivery", |world| world.coordinator.state().delivered == [lease.lease]).await;
    world.until("the end of the checkpoint", |_| !folder.exists()).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_gives_back_what_the_engine_before_had_not_begun() {
    let world = World::start();
    world.work.decide(run(1));
    let lease = world.begin_a_task().await;
    let world = world.kill_and_start().await;
    assert_eq!(world.work.begun(), 0);
    // What "finish, then pause" becomes where nothing has begun.
    world.work.decide(hold(ReasonCode::Paused));
    world.until("its return", |world| world.coordinator.count(&format!("give back {}", lease.lease)) == 1).await;
    world.until("the end of its record", |world| world.work.store.recorded().unwrap().recorded.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn leases_that_cannot_be_read_cost_no_checkpoint() {
    let world = World::start();
    world.work.decide(run(2));
    let [one, two] = [world.begin_a_task().await, world.begin_a_task().await];
    let folders = [&one, &two].map(|lease| world.checkpoint(lease));
    let orphan = world.checkpoint(&a_lease(77));
    world.sql("ALTER TABLE leases RENAME TO hidden");
    let world = world.kill_and_start().await;
    assert!(folders.iter().chain([&orphan]).all(|folder| folder.exists()), "nothing is known, so nothing goes");
    assert_eq!(world.trouble(), [ReasonCode::HomeUnusable]);

    world.sql("ALTER TABLE hidden RENAME TO leases; UPDATE leases SET body = '{}' WHERE rowid = 1");
    let world = world.kill_and_start().await;
    assert!(folders.iter().all(|folder| folder.exists()), "one has a record, the other one that can't be read");
    assert!(!orphan.exists());
    assert_eq!(world.work.begun(), 1);
}

/// In real time: virtual time stands still while a thread waits for the disk.
#[tokio::test]
async fn only_a_full_disk_empties_the_cache() {
    let world = World::start();
    world.work.decide(run(1));
    let _lease = world.begin_a_task().await;
    let unused = world.work.blobs.put(b"can be fetched again").unwrap();
    world.sql("CREATE TRIGGER refuse BEFORE INSERT ON results BEGIN SELECT RAISE(FAIL, 'refused'); END");
    world.workers.finish_first(b"the answer");
    world.until("the trouble", |world| world.trouble() == [ReasonCode::HomeUnusable]).await;
    assert!(world.work.blobs.held().contains(&unused.digest));
    world.sql("DROP TRIGGER refuse");
    world.until("the delivery", |world| world.coordinator.state().delivered.len() == 1).await;
    assert_eq!(world.trouble(), []);
}

#[tokio::test(start_paused = true)]
async fn a_local_error_is_no_trouble_of_the_line() {
    let world = World::start();
    world.coordinator.fail("fetch", &[Fault::LocalDisk]);
    world.coordinator.offer();
    world.work.decide(run(1));
    world.until("the trouble", |world| world.trouble() == [ReasonCode::CacheUnusable]).await;
    world.coordinator.fail("lease", &[Fault::Silent]);
    let both = [ReasonCode::CacheUnusable, ReasonCode::CoordinatorUnreachable];
    world.until("both troubles", |world| world.trouble() == both).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_an_io_task_ends_the_loop() {
    let world = World::start();
    world.coordinator.fail("lease", &[Fault::Panic]);
    world.work.decide(run(1));
    assert!(world.running.await.unwrap_err().is_panic());
    // The engine finds out, and stops: there is nobody to wait for.
    stop(&world.work).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_at_the_end_of_a_task_ends_the_loop() {
    let world = World::start();
    world.work.decide(run(1));
    let _lease = world.begin_a_task().await;
    world.coordinator.state().signs_badly = true;
    world.workers.finish_first(b"the answer");
    assert!(world.running.await.unwrap_err().is_panic());
}

#[tokio::test(start_paused = true)]
async fn a_night_counts_and_the_first_heartbeat_goes_out_at_once() {
    let world = World::start();
    world.work.decide(run(1));
    let lease = world.begin_a_task().await;
    world.until("a heartbeat", |world| world.coordinator.count("heartbeat") == 1).await;
    sleep(Duration::from_secs(1)).await;
    let before = world.clock.now();
    world.clock.sleep(Duration::from_secs(600));
    world.until("the next", |world| world.coordinator.count("heartbeat") == 2).await;
    assert!(world.clock.now() - before < Duration::from_secs(601), "at once after the night");
    assert_eq!(world.coordinator.state().beats.last(), Some(&(lease.lease, LeaseState::Running)));
    world.clock.sleep(Duration::from_secs(3_600));
    world.until("the end of a task whose deadline passed", |world| world.workers.count() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_is_refused_for_another_reason_costs_no_task() {
    let world = World::start();
    world.work.decide(run(1));
    let _lease = world.begin_a_task().await;
    world.coordinator.fail("heartbeat", &[Fault::Refused("not_registered"), Fault::None]);
    world.until("two heartbeats", |world| world.coordinator.count("heartbeat") == 3).await;
    assert_eq!(world.workers.count(), 1);
    world.coordinator.fail("heartbeat", &[Fault::Refused("unknown_lease")]);
    world.until("its end", |world| world.workers.count() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_given_back_over_a_bad_line() {
    let world = World::start();
    world.work.decide(run(1));
    let lease = world.begin_a_task().await;
    // Nobody may run for so long that it is for somebody else: its deadline leaves no slack.
    world.work.decide(hold(ReasonCode::UserActive));
    world.until("the end of the request for the next", |world| world.coordinator.count("give back") == 1).await;
    world.coordinator.fail("give back", &[Fault::Silent, Fault::Silent, Fault::None]);
    world.until("its return", |world| !world.coordinator.state().live.contains(&lease.lease)).await;
    assert_eq!(world.coordinator.count(&format!("give back {}", lease.lease)), 3);
}

#[tokio::test(start_paused = true)]
async fn what_must_go_for_memory_is_the_newest() {
    let world = World::start();
    world.work.decide(run(2));
    let [first, second] = [world.begin_a_task().await, world.begin_a_task().await];
    assert_eq!(world.work.running().iter().map(|task| task.lease).collect::<Vec<_>>(), [first.lease, second.lease]);
    world.work.decide(run(1));
    world.work.shed(1);
    world.until("the end of the second", |world| world.work.running().len() == 1).await;
    assert_eq!(world.work.running()[0].lease, first.lease);
}
