//! Kills engine, workers and coordinator at random moments while they work, and counts what is lost: nothing may be.
//!
//! Everything is looked at from outside: processes by `/proc`, the engine's database in a copy taken after the kill, the
//! books at the coordinator. Deliberately absent: power cuts; a killed process leaves what it wrote to the kernel.

mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use surge_client::ask;
use surge_client::view::Snapshot;
use surge_client::wire::Request;
use surge_platform::paths::Paths;

use crate::bench::process::children;
use crate::counting;
use crate::network::{Network, Person, Running, wait_for};

pub use tally::{Plan, Tally};

/// What it takes for the last tasks to be done, at most: also a lease that nobody holds must run out first.
const END_PATIENCE: Duration = Duration::from_secs(1_800);
/// An orphaned worker that is still there then would stay for ever.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);
/// Open tasks below which more are ordered, and how many.
const FEW: u64 = 4;
const ORDER: u64 = 8;

/// What happened to a lease.
#[derive(Debug, Default)]
struct Story {
    /// CPU time of its workers that were killed.
    spent_ms: u64,
    kills: u32,
    /// There was a checkpoint, and no result yet, when the engine was killed.
    can_resume: bool,
}

struct Run {
    network: Network,
    requester: Person,
    contributor: Person,
    module: PathBuf,
    plan: Plan,
    random: u64,
    engine: Option<Running>,
    jobs: Vec<String>,
    ordered: u64,
    stories: BTreeMap<String, Story>,
    finished: BTreeSet<String>,
    tally: Tally,
}

/// Kills as planned in a network of its own in `folder`, lets the work end, and counts. `say` hears how it goes.
///
/// # Panics
/// When something does not come up again, or a task that could have been resumed was not.
#[must_use]
pub fn run(folder: &Path, plan: &Plan, mut say: impl FnMut(&str)) -> Tally {
    let mut run = Run::start(folder, plan.clone());
    for kill in 0..plan.kills {
        run.top_up();
        run.kill_something();
        if kill % 50 == 49 {
            let Tally { engine_kills, worker_kills, coordinator_kills, .. } = run.tally;
            let seen = run.finished.len();
            say(&format!(
                "{} kills: engine {engine_kills}, worker {worker_kills}, coordinator {coordinator_kills}; {seen} finished results seen",
                kill + 1
            ));
        }
    }
    say("no more kills: waiting for the last tasks");
    run.end()
}

impl Run {
    fn start(folder: &Path, plan: Plan) -> Self {
        let network = Network::start(folder);
        let requester = network.person("requester", 100_000);
        let contributor = network.person("contributor", 0);
        let _ = requester.answer(&["wallet", "deposit", "90000"]);
        let module = folder.join("counting.wasm");
        fs::write(&module, counting::module(plan.rounds, plan.steps)).expect("the folder can be written");
        let mut run = Self {
            network,
            requester,
            contributor,
            module,
            random: plan.seed,
            plan,
            engine: None,
            jobs: Vec::new(),
            ordered: 0,
            stories: BTreeMap::new(),
            finished: BTreeSet::new(),
            tally: Tally::default(),
        };
        run.top_up();
        run.start_engine();
        run
    }

    /// A number below `below`, by splitmix64.
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn start_engine(&mut self) {
        let every = self.plan.checkpoint.as_millis().to_string();
        let mut engine = self.contributor.engine(&["--workers", "2", "--checkpoint-ms", &every]);
        self.engine = Some(Running(engine.spawn().expect("surge starts")));
    }

    /// Sees to it that there is work.
    fn top_up(&mut self) {
        let open = |network: &Network| {
            let status = network.get("/v1/status")?;
            Some(status["tasks_waiting"].as_u64()? + status["tasks_running"].as_u64()?)
        };
        if open(&self.network).is_none_or(|open| open >= FEW) && !self.jobs.is_empty() {
            return;
        }
        self.order(ORDER);
    }

    fn order(&mut self, tasks: u64) {
        let inputs: Vec<_> = (0..tasks).map(|n| (self.ordered + n).to_le_bytes().to_vec()).collect();
        self.ordered += tasks;
        self.jobs.push(self.requester.submit(&self.module, &inputs, 1));
    }

    fn kill_something(&mut self) {
        let victim = self.random(10);
        // A third of the engine's kills meet it while it starts.
        if victim >= 2 {
            wait_for("the engine", || self.snapshot());
        }
        let most = u64::try_from(self.plan.pause.as_millis()).unwrap_or(u64::MAX);
        let pause = self.random(most);
        sleep(Duration::from_millis(pause));
        match victim {
            0..6 => self.kill_engine(),
            6..9 => self.kill_worker(),
            _ => {
                self.network.coordinator = None;
                self.tally.coordinator_kills += 1;
                self.network.start_coordinator();
            }
        }
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        let engine = self.engine.as_mut().expect("there is an engine");
        if let Some(status) = engine.0.try_wait().expect("our own child") {
            let log = fs::read_to_string(self.contributor.home.join("engine.log")).unwrap_or_default();
            panic!("the engine ended by itself with {status}: {}", &log[log.len().saturating_sub(2_000)..]);
        }
        let paths = Paths { home: self.contributor.home.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(ask(&paths, Request::Snapshot)).ok().map(|engine| engine.snapshot)
    }

    fn kill_engine(&mut self) {
        let workers = self.snapshot().map(|snapshot| snapshot.workers).unwrap_or_default();
        let used: Vec<_> = workers
            .iter()
            // One that is gone by now was not met by this kill.
            .filter_map(|worker| Some((worker.lease.to_string(), worker.pid, cpu_ms(worker.pid)?)))
            .collect();
        // By the kernel's account, which also has a worker that the engine has not told of yet.
        let orphans = children(self.engine.as_ref().expect("there is an engine").0.id());
        let killed = Instant::now();
        self.engine = None;
        self.tally.engine_kills += 1;
        self.watch_orphans(orphans, killed);
        self.look_at_the_store();
        for (lease, _, cpu) in used {
            // A task whose result was kept had ended before the kill.
            if !self.finished.contains(&lease) {
                self.hit(&lease, cpu);
            }
        }
        self.start_engine();
    }

    /// Until the last of them has ended, and how long each took.
    fn watch_orphans(&mut self, mut orphans: Vec<u32>, killed: Instant) {
        while !orphans.is_empty() {
            assert!(killed.elapsed() < ORPHAN_PATIENCE, "workers {orphans:?} stay without an engine");
            orphans.retain(|pid| {
                let there = cpu_ms(*pid).is_some();
                if !there {
                    self.tally.orphans_ms.push(killed.elapsed().as_millis().try_into().unwrap_or(u64::MAX));
                }
                there
            });
            sleep(Duration::from_millis(1));
        }
    }

    fn kill_worker(&mut self) {
        let workers = self.snapshot().map(|snapshot| snapshot.workers).unwrap_or_default();
        let at = usize::try_from(self.random(workers.len() as u64)).expect("a small number");
        let Some(worker) = workers.get(at) else { return self.kill_engine() };
        let Some(cpu) = cpu_ms(worker.pid) else { return self.kill_engine() };
        let pid = i32::try_from(worker.pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        if rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_err() {
            return self.kill_engine();
        }
        self.tally.worker_kills += 1;
        // It may have ended by itself in the moment before, with its result on its way to the engine.
        let had = |snapshot: &Snapshot| snapshot.workers.iter().any(|other| other.pid == worker.pid);
        wait_for("the engine to miss its worker", || self.snapshot().filter(|now| !had(now)));
        let lease = worker.lease.to_string();
        if !self.has_result(&lease) {
            self.hit(&lease, cpu);
        }
    }

    /// Whether the living engine has kept a result of this lease.
    fn has_result(&self, lease: &str) -> bool {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = Connection::open_with_flags(self.contributor.home.join("engine.sqlite"), flags);
        let count = db.and_then(|db| {
            db.query_row("SELECT count(*) FROM results WHERE lease = ?1", [lease], |row| row.get::<_, u32>(0))
        });
        count.expect("the engine's database can be read") > 0
    }

    fn hit(&mut self, lease: &str, cpu_ms: u64) {
        self.tally.tasks_hit += 1;
        let story = self.stories.entry(lease.to_owned()).or_default();
        story.spent_ms += cpu_ms;
        story.kills += 1;
    }

    /// Reads a copy of the database as the kill left it, as an engine that starts would find it.
    fn look_at_the_store(&mut self) {
        let home = &self.contributor.home;
        if !home.join("engine.sqlite").is_file() {
            return;
        }
        let copy = tempfile::tempdir().expect("a folder");
        for name in ["engine.sqlite", "engine.sqlite-wal"] {
            if home.join(name).is_file() {
                fs::copy(home.join(name), copy.path().join(name)).expect("it can be copied");
            }
        }
        let db = Connection::open(copy.path().join("engine.sqlite")).expect("it can be opened");
        let whole = db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        if whole.as_deref() != Ok("ok") {
            self.tally.corrupt += 1;
            return;
        }
        // Tables are missing where the kill met the very first start.
        self.finished.extend(column(&db, "SELECT lease FROM results WHERE state <> 'refused'"));
        for lease in column(&db, "SELECT lease FROM leases") {
            let folder = home.join("checkpoints").join(&lease);
            // A file that is being written has another name.
            let images = fs::read_dir(folder).into_iter().flatten().flatten();
            let kept = images.into_iter().any(|file| file.path().extension().is_some());
            if kept {
                self.stories.entry(lease).or_default().can_resume = true;
            }
        }
    }

    /// Lets the work end, and counts.
    fn end(mut self) -> Tally {
        // What nothing happens to any more, to compare with.
        self.order(1);
        let begun = Instant::now();
        while !self.jobs.iter().all(|job| self.job(job)["state"] != "running") {
            assert!(begun.elapsed() < END_PATIENCE, "the tasks did not end");
            let _ = self.snapshot();
            sleep(Duration::from_millis(500));
        }
        let books: Vec<Value> = self.jobs.iter().map(|job| self.job(job)).collect();
        let sum = |key: &str| books.iter().map(|job| job[key].as_u64().unwrap_or(0)).sum::<u64>();
        self.tally.tasks_done = sum("validated");
        assert_eq!((sum("validated"), sum("failed"), sum("rejected")), (self.ordered, 0, 0), "{books:?}");
        // Half a token each, in the smallest unit.
        let spent: u128 =
            books.iter().map(|job| job["spent"].as_str().unwrap_or("0").parse::<u128>().unwrap_or(0)).sum();
        let paid = i64::try_from(spent / 500_000_000_000_000_000).expect("a small number");
        let due = i64::try_from(self.ordered).expect("a small number");
        let accepted = self.network.get(&format!("/v1/accounts/{}", self.contributor.address()));
        let accepted = accepted.and_then(|account| account["accepted"].as_i64()).unwrap_or(0);
        self.tally.paid_twice = (paid - due).max(accepted - due);
        wait_for("the last delivery", || {
            (self.snapshot()?.networks.iter().all(|network| network.undelivered == 0)).then_some(())
        });
        self.stop_engine();
        self.look_at_the_store();
        let db = Connection::open(self.contributor.home.join("engine.sqlite")).expect("it can be opened");
        let delivered: BTreeSet<_> =
            column(&db, "SELECT lease FROM results WHERE state = 'delivered'").into_iter().collect();
        self.tally.finished_seen = self.finished.len();
        self.tally.lost = self.finished.difference(&delivered).count();
        let aside = fs::read_dir(&self.contributor.home).into_iter().flatten().flatten();
        let damaged = |name: &str| name.contains(".damaged-") && !name.contains("-wal");
        self.tally.corrupt += aside.filter(|file| file.file_name().to_str().is_some_and(damaged)).count() as u32;
        self.weigh(&db);
        self.tally.orphans_ms.sort_unstable();
        self.tally
    }

    /// Ends the engine in order, as its owner would.
    fn stop_engine(&mut self) {
        let mut engine = self.engine.take().expect("there is an engine");
        let pid = rustix::process::Pid::from_child(&engine.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let left = engine.0.wait().expect("our own child");
        assert!(left.success(), "the engine left with {left}");
    }

    /// What the kills cost, from the signed results in the engine's own database.
    fn weigh(&mut self, db: &Connection) {
        let results: Vec<Value> = column(db, "SELECT signed FROM results")
            .iter()
            .filter_map(|text| serde_json::from_str(text).ok())
            .collect();
        let mut undisturbed = Vec::new();
        let mut disturbed = Vec::new();
        for signed in &results {
            let result = &signed["result"];
            let lease = result["lease"].as_str().unwrap_or_default();
            let (cpu, resumed) = (result["cpu_ms"].as_u64().unwrap_or(0), result["resumed"] == true);
            self.tally.resumed += u32::from(resumed);
            match self.stories.get(lease) {
                None => undisturbed.push(cpu),
                Some(story) => {
                    assert!(resumed || !story.can_resume, "{lease} had a checkpoint and began again: {story:?}");
                    if story.kills > 0 {
                        disturbed.push((story.spent_ms, cpu, u64::from(story.kills)));
                    }
                }
            }
        }
        let mean = |values: &mut dyn Iterator<Item = u64>| {
            let (sum, count) = values.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
            sum / std::cmp::max(count, 1)
        };
        let plain = mean(&mut undisturbed.iter().copied());
        let lost = |(spent, cpu, kills): &(u64, u64, u64)| (spent + cpu).saturating_sub(plain) / kills;
        self.tally.undisturbed_cpu_ms = plain;
        self.tally.lost_cpu_ms_mean = mean(&mut disturbed.iter().map(lost));
        self.tally.worst = disturbed.iter().copied().max_by_key(lost);
        self.tally.lost_cpu_ms_max = self.tally.worst.as_ref().map_or(0, lost);
    }

    fn job(&self, id: &str) -> Value {
        self.network.get(&format!("/v1/jobs/{id}")).unwrap_or_else(|| serde_json::json!({ "state": "running" }))
    }
}

fn column(db: &Connection, sql: &str) -> Vec<String> {
    let Ok(mut query) = db.prepare(sql) else { return Vec::new() };
    let rows = query.query_map([], |row| row.get(0)).map(|rows| rows.filter_map(Result::ok).collect());
    rows.unwrap_or_default()
}

/// CPU time of a process by the kernel's account, milliseconds; `None` when it is gone.
fn cpu_ms(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    // In ticks, of which Linux tells programs that there are a hundred a second.
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks * 10)
}
