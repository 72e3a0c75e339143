//! Kills engine, workers, coordinator and shells at random moments while they work, and counts what is lost: nothing may be.
//!
//! Everything is looked at from outside: processes by `/proc`, the engine's database in a copy taken after the kill, the
//! books at the coordinator. Deliberately absent: power cuts; a killed process leaves what it wrote to the kernel.

mod costs;
mod engine;
mod shells;
mod store;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use surge_client::view::Snapshot;
use surge_client::wire::Request;
use surge_platform::paths::Paths;

use crate::counting;
use crate::graphical::Graphical;
use crate::network::{Network, Person, Running, wait_for};
use crate::process::children;

use engine::{Engine, StartedBy};
use store::column;
pub use tally::{Plan, Tally, Victim};

/// What it takes for the last tasks to be done, at most: also a lease that nobody holds must run out first.
const END_PATIENCE: Duration = Duration::from_secs(1_800);
/// An orphaned worker that is still there then would stay for ever.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);
/// Open tasks below which more are ordered, and how many.
const FEW: u64 = 4;
const ORDER: u64 = 8;
/// Kills between two words on how it goes.
const TELL_EVERY: u32 = 50;

/// What happened to a lease.
#[derive(Debug, Default)]
struct Story {
    /// CPU time of its workers that were killed.
    spent_ms: u64,
    kills: u32,
    /// There was a checkpoint, and no result yet, when the engine was killed.
    can_resume: bool,
    /// Its engine made checkpoints as seldom as usual.
    seldom_synced: bool,
}

struct Run {
    network: Network,
    requester: Person,
    contributor: Person,
    module: PathBuf,
    plan: Plan,
    random: u64,
    engine: Option<Engine>,
    /// Where the desktop app can run.
    graphical: Option<Graphical>,
    /// Victims that are still to be dealt before each has its turn again.
    deck: Vec<Victim>,
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
    say(&run.tally.no_desktop.as_ref().map_or_else(
        || "the desktop app is among the victims".to_owned(),
        |why| format!("of the shells, only those of the command line are among the victims: {why}"),
    ));
    let mut told = 0;
    while run.tally.total() < plan.kills {
        run.top_up();
        run.kill_something();
        let total = run.tally.total();
        if total / TELL_EVERY > told {
            told = total / TELL_EVERY;
            say(&format!("{total} kills: {:?}; {} finished results seen", run.tally.kills, run.finished.len()));
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
        // A shell that starts an engine gives it no options.
        let settings = contributor.home.join("settings.toml");
        let settings = fs::OpenOptions::new().append(true).open(settings);
        let text = "presence = \"headless\"\nshare_machine = true\nworkers = 2\n";
        settings.and_then(|mut file| file.write_all(text.as_bytes())).expect("the home can be written");
        let (graphical, no_desktop) = match shells::display() {
            Ok(graphical) => (Some(graphical), None),
            Err(why) => (None, Some(why)),
        };
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
            graphical,
            deck: Vec::new(),
            jobs: Vec::new(),
            ordered: 0,
            stories: BTreeMap::new(),
            finished: BTreeSet::new(),
            tally: Tally { no_desktop, ..Tally::default() },
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

    fn engine_command(&self) -> Command {
        let every = self.plan.checkpoint.as_millis().to_string();
        self.contributor.engine(&["--workers", "2", "--checkpoint-ms", &every])
    }

    fn start_engine(&mut self) {
        let child = self.engine_command().spawn().expect("surge starts");
        self.engine = Some(Engine { pid: child.id(), started_by: StartedBy::Test(Running(child)) });
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
        match self.deal() {
            Victim::Engine => {
                // Some meet it while it starts.
                if self.random(2) > 0 {
                    self.wait_for_engine();
                }
                self.pause();
                self.crash_engine();
                self.start_engine();
            }
            Victim::Worker => {
                self.wait_for_engine();
                self.pause();
                self.kill_worker();
            }
            Victim::Coordinator => {
                self.wait_for_engine();
                self.pause();
                self.network.coordinator = None;
                self.tally.count(Victim::Coordinator);
                self.network.start_coordinator();
            }
            Victim::Watcher => self.kill_watcher(),
            Victim::Terminal => self.kill_terminal(),
            Victim::Desktop => self.kill_desktop(),
            Victim::DesktopThatStarted => self.kill_desktop_that_started(),
        }
    }

    /// The next victim: in random order, but each in its turn.
    fn deal(&mut self) -> Victim {
        if self.deck.is_empty() {
            let can_be = |victim: Victim| self.graphical.is_some() || !victim.needs_display();
            let dealt = Victim::DEALT.into_iter().filter(|(victim, _)| can_be(*victim));
            self.deck = dealt.flat_map(|(victim, times)| [victim].repeat(times)).collect();
        }
        let at = self.random(self.deck.len() as u64);
        self.deck.swap_remove(usize::try_from(at).expect("a small number"))
    }

    /// For a random time.
    fn pause(&mut self) {
        let most = u64::try_from(self.plan.pause.as_millis()).unwrap_or(u64::MAX);
        let pause = self.random(most);
        sleep(Duration::from_millis(pause));
    }

    fn wait_for_engine(&mut self) {
        wait_for("the engine", || self.ask());
    }

    fn ask(&mut self) -> Option<surge_client::Engine> {
        if self.engine.as_ref().is_some_and(|engine| !engine.is_there()) {
            let log = fs::read_to_string(self.contributor.home.join("engine.log")).unwrap_or_default();
            panic!("the engine ended by itself: {}", &log[log.len().saturating_sub(2_000)..]);
        }
        let paths = Paths { home: self.contributor.home.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(surge_client::ask(&paths, Request::Snapshot)).ok()
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        self.ask().map(|engine| engine.snapshot)
    }

    /// Kills the engine, and looks at what it leaves.
    fn crash_engine(&mut self) {
        let workers = self.snapshot().map(|snapshot| snapshot.workers).unwrap_or_default();
        let used: Vec<_> = workers
            .iter()
            // One that is gone by now was not met by this kill.
            .filter_map(|worker| Some((worker.lease.to_string(), worker.pid, cpu_ms(worker.pid)?)))
            .collect();
        // By the kernel's account, which also has a worker that the engine has not told of yet.
        let engine = self.engine.take().expect("there is an engine");
        let seldom_synced = matches!(engine.started_by, StartedBy::Desktop);
        let orphans = children(engine.pid);
        let killed = Instant::now();
        drop(engine);
        self.tally.count(Victim::Engine);
        self.watch_orphans(orphans, killed);
        self.look_at_the_store();
        for (lease, _, cpu) in used {
            // A task whose result was kept had ended before the kill.
            if !self.finished.contains(&lease) {
                self.hit(&lease, cpu).seldom_synced |= seldom_synced;
            }
        }
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
        let Some(worker) = workers.get(at) else { return };
        let Some(cpu) = cpu_ms(worker.pid) else { return };
        let pid = i32::try_from(worker.pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        if rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_err() {
            return;
        }
        self.tally.count(Victim::Worker);
        // It may have ended by itself in the moment before, with its result on its way to the engine.
        let had = |snapshot: &Snapshot| snapshot.workers.iter().any(|other| other.pid == worker.pid);
        wait_for("the engine to miss its worker", || self.snapshot().filter(|now| !had(now)));
        let lease = worker.lease.to_string();
        if !self.has_result(&lease) {
            let _ = self.hit(&lease, cpu);
        }
    }

    fn hit(&mut self, lease: &str, cpu_ms: u64) -> &mut Story {
        self.tally.tasks_hit += 1;
        let story = self.stories.entry(lease.to_owned()).or_default();
        story.spent_ms += cpu_ms;
        story.kills += 1;
        story
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
        self.engine.take().expect("there is an engine").stop();
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

    fn job(&self, id: &str) -> Value {
        self.network.get(&format!("/v1/jobs/{id}")).unwrap_or_else(|| serde_json::json!({ "state": "running" }))
    }
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
