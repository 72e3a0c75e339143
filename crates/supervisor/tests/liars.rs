//! Workers that lie, flood, crash, fall silent or do not listen: each is found out, and is gone afterwards.
//!
//! They are shell scripts that say frames which were written by the protocol's own code. What else they try, and what is
//! left of them: hostile cases 60 and 62 to 64 (`runtime/tests/tasks/hostile`).

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use surge_protocol::Outcome::{self, Done, Exit, Host, Limit, Trap};
use surge_protocol::frame::{self, FromWorker, Lockdown, NO_LOCKDOWN_STATUS, Ready, Report, ReportCode};
use surge_protocol::outcome::result_digest;
use surge_protocol::task::Meter;
use surge_protocol::{Code, Digest};
use surge_supervisor::{Checkpoints, CodeCache, Config, Finished, StartError, Supervisor, Task, runtime_class};

/// Ten times what anything here takes on a slow machine.
const HANG: Duration = Duration::from_secs(120);

/// A worker that runs `script` with frames at hand as files.
struct Liar {
    folder: tempfile::TempDir,
}

impl Liar {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A file of frames after `Ready`, to be `cat` by the script.
    fn frames(&self, frames: &[FromWorker]) -> String {
        self.more(&[&[ready()], frames].concat())
    }

    /// A file of these frames alone.
    fn more(&self, frames: &[FromWorker]) -> String {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame::write(&mut bytes, frame).unwrap());
        let path = self.folder.path().join(Digest::of(&bytes).to_string());
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    fn worker(&self, script: &str) -> PathBuf {
        let path = self.folder.path().join("worker");
        // Written by another process: a descriptor of ours would live on in every process that another test forks
        // meanwhile, and what is open for writing can't be executed.
        let mut writer = std::process::Command::new("/bin/sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(writer.stdin.take().unwrap(), "#!/bin/sh\n{script}").unwrap();
        assert!(writer.wait().unwrap().success());
        path
    }

    fn run(&self, script: &str) -> Finished {
        self.run_task(script, Task::new(*b"module"))
    }

    fn run_task(&self, script: &str, task: Task) -> Finished {
        let supervisor = self.supervisor(script);
        let running = supervisor.run(task, 1.0);
        let finished = running.wait_timeout(HANG).expect("a verdict");
        assert!(supervisor.workers().is_empty());
        assert_eq!(finished.digest, result_digest(finished.outcome, &finished.code, &finished.output));
        finished
    }

    fn supervisor(&self, script: &str) -> Supervisor {
        let stall_after = Duration::from_millis(300);
        Supervisor::start(Config { stall_after, ..Config::new(self.worker(script)) }).unwrap()
    }

    /// A worker that says these frames and leaves.
    fn says(&self, frames: &[FromWorker]) -> Finished {
        self.run(&format!("cat {}", self.frames(frames)))
    }
}

fn report(outcome: Outcome, code: ReportCode, output_bytes: u64) -> Report {
    Report { outcome, code, detail: "so\x1b[2J it\nwas".into(), fuel: 0, peak_memory_bytes: 65_536, output_bytes }
}

fn ready() -> FromWorker {
    FromWorker::Ready(Ready { runtime_class: "test/none/0".into(), lockdown: Lockdown::Full })
}

fn done(output_bytes: u64) -> FromWorker {
    FromWorker::Finished(report(Done, ReportCode::Status(0), output_bytes))
}

fn output(bytes: &[u8]) -> FromWorker {
    FromWorker::Output(bytes.to_vec())
}

fn word(word: &str) -> ReportCode {
    ReportCode::Word(word.into())
}

#[track_caller]
fn expect(finished: &Finished, outcome: Outcome, code: &str) {
    assert_eq!((finished.outcome, &finished.code), (outcome, &Code::word(code)), "{}", finished.detail);
}

#[test]
fn an_honest_worker_is_believed() {
    let liar = Liar::new();
    let finished =
        liar.says(&[FromWorker::Started, output(b"4"), FromWorker::Log(b"hm".to_vec()), output(b"2"), done(2)]);
    assert_eq!((finished.outcome, finished.code), (Done, Code::Status(0)), "{}", finished.detail);
    assert_eq!((&finished.output[..], &finished.log[..]), (&b"42"[..], &b"hm"[..]));
    assert_eq!(finished.digest, result_digest(Done, &Code::Status(0), b"42"));
    assert_eq!(finished.detail, "so [2J it was");
    assert_eq!((finished.output_bytes, finished.peak_memory_bytes), (2, 65_536));
    assert!(finished.started_after > Duration::ZERO);
}

/// What can't be true. (Hostile case 62.)
#[test]
fn a_report_that_contradicts_the_facts_is_not_believed() {
    let liar = Liar::new();
    let lies = [
        vec![FromWorker::Started, output(b"4"), done(2)],
        vec![FromWorker::Started, done(2)],
        vec![FromWorker::Started, FromWorker::Finished(report(Done, ReportCode::Status(1), 0))],
        vec![FromWorker::Started, FromWorker::Finished(report(Done, word("done"), 0))],
        vec![FromWorker::Started, FromWorker::Finished(report(Exit, ReportCode::Status(0), 0))],
        vec![FromWorker::Started, FromWorker::Finished(report(Trap, ReportCode::Status(3), 0))],
        vec![FromWorker::Started, FromWorker::Finished(report(Trap, word("Not A Word"), 0))],
        vec![FromWorker::Started, FromWorker::Finished(report(Trap, word(&"x".repeat(41)), 0))],
        vec![FromWorker::Started, FromWorker::Finished(report(Limit, word("cpu"), 0))],
        vec![FromWorker::Started, FromWorker::Finished(report(Limit, word("wall"), 0))],
        vec![FromWorker::Started, FromWorker::Finished(Report { fuel: 1, ..report(Done, ReportCode::Status(0), 0) })],
        vec![
            FromWorker::Started,
            FromWorker::Finished(Report { peak_memory_bytes: u64::MAX, ..report(Done, ReportCode::Status(0), 0) }),
        ],
        vec![ready(), FromWorker::Started, done(0)],
        vec![FromWorker::Compiled(vec![1]), FromWorker::Started, done(0)],
        vec![FromWorker::Started, FromWorker::State(vec![1]), FromWorker::Synced, done(0)],
        vec![FromWorker::Started, FromWorker::Synced, done(0)],
        vec![done(0)],
        vec![output(b"4"), FromWorker::Started, done(1)],
        vec![FromWorker::Started, FromWorker::Started, done(0)],
        vec![FromWorker::Started, done(0), done(0)],
        vec![FromWorker::Started, done(0), output(b"4")],
        vec![FromWorker::Started, output(b""), done(0)],
        vec![FromWorker::Started, FromWorker::Log(Vec::new()), done(0)],
    ];
    for lie in lies {
        let finished = liar.says(&lie);
        expect(&finished, Host, "protocol");
        assert!(finished.output.is_empty() && finished.runtime_class.is_empty(), "{lie:?}");
    }
}

/// Nothing is told to a worker that is not ready, or not as its owner wants it.
#[test]
fn a_worker_is_told_nothing_before_it_is_locked_down() {
    let liar = Liar::new();
    let heard = liar.folder.path().join("heard");
    let as_ready = |runtime_class: &str, lockdown| {
        let frames = liar.more(&[FromWorker::Ready(Ready { runtime_class: runtime_class.into(), lockdown })]);
        liar.run(&format!("cat {frames}; exec head -c 4 > {}", heard.display()))
    };
    for class in ["", "a b", &"x".repeat(101)] {
        expect(&as_ready(class, Lockdown::Full), Host, "protocol");
    }
    let refused = as_ready("test/none/0", Lockdown::SeccompOnly);
    expect(&refused, Host, "lockdown");
    assert!(refused.detail.contains("landlock") && refused.detail.contains("5.13"), "{}", refused.detail);
    // Whoever reads it may have no such option: the caller knows what its owner can change.
    assert!(!refused.detail.contains("--"), "{}", refused.detail);
    expect(
        &liar.run(&format!("cat {}; exec head -c 4 > {}", liar.more(&[done(0)]), heard.display())),
        Host,
        "protocol",
    );
    assert_eq!(fs::read(&heard).unwrap_or_default(), b"");
    // With a worker that is ready, the same script hears its task.
    expect(&as_ready("test/none/0", Lockdown::Full), Host, "crashed");
    assert_eq!(fs::read(&heard).unwrap().len(), 4);
}

#[test]
fn a_worker_that_cannot_lock_itself_down_at_all_says_why() {
    let liar = Liar::new();
    let script = format!("echo 'no seccomp here' >&2; exit {NO_LOCKDOWN_STATUS}");
    let refused = liar.run(&script);
    expect(&refused, Host, "lockdown");
    assert_eq!(refused.detail, "no seccomp here");
    // Once it is locked down it means nothing.
    expect(&liar.run(&format!("cat {}; {script}", liar.frames(&[]))), Host, "crashed");
}

/// Surge was updated while an engine runs: the worker at the path is not the one that the engine asked for its class.
#[test]
fn a_worker_of_another_version_says_that_surge_was_updated() {
    let liar = Liar::new();
    let run = |script: &str, class: &str| {
        let config = Config { runtime_class: Some(class.into()), ..Config::new(liar.worker(script)) };
        let finished = Supervisor::start(config).unwrap().run(Task::new(*b"module"), 1.0).wait();
        (finished.outcome, finished.code.to_string(), finished.detail)
    };
    let same = format!("cat {}", liar.frames(&[FromWorker::Started, done(0)]));
    assert_eq!(run(&same, "test/none/0").0, Done);
    let (outcome, code, detail) = run(&same, "test/none/1");
    assert_eq!((outcome, code.as_str()), (Host, "worker_changed"));
    assert!(detail.contains("updated") && detail.contains("restart"), "{detail}");
    assert!(detail.contains("test/none/0") && detail.contains("test/none/1"), "{detail}");
    // Its frames are of another version: what they say can't be read.
    let mut frame = Vec::new();
    frame::write(&mut frame, &ready()).unwrap();
    frame[4] = frame::VERSION + 1;
    let path = liar.folder.path().join("newer");
    fs::write(&path, frame).unwrap();
    let newer = format!("cat {}", path.display());
    assert_eq!(run(&newer, "test/none/0").1, "worker_changed");
    // Also where nobody asked for the class: a stranger's program has not been read yet.
    expect(&liar.run(&newer), Host, "worker_changed");
    // Later it is a lie.
    expect(&liar.run(&format!("cat {} {}", liar.frames(&[]), path.display())), Host, "protocol");
}

#[test]
fn an_owner_may_allow_the_weaker_lock_down() {
    let liar = Liar::new();
    let frames = liar.more(&[
        FromWorker::Ready(Ready { runtime_class: "test/none/0".into(), lockdown: Lockdown::SeccompOnly }),
        FromWorker::Started,
        done(0),
    ]);
    let worker = liar.worker(&format!("cat {frames}"));
    let config = Config { lockdown: Lockdown::SeccompOnly, ..Config::new(worker) };
    let finished = Supervisor::start(config).unwrap().run(Task::new(*b"module"), 1.0).wait();
    assert_eq!(finished.outcome, Done, "{}", finished.detail);
}

/// Without end, or all the time: hostile case 60.
#[test]
fn checkpoints_are_kept_in_two_generations_until_the_task_has_ended() {
    let liar = Liar::new();
    let folder = liar.folder.path().join("checkpoints");
    let checkpoints = Some(Checkpoints { folder, task: Digest::of(b"task"), every: Duration::ZERO });
    let task = Task { checkpoints, ..Task::new(*b"module") };
    let started = liar.frames(&[FromWorker::Started]);
    let synced = liar.more(&[FromWorker::State(vec![7; 100]), FromWorker::Synced]);
    let kept = || fs::read_dir(liar.folder.path().join("checkpoints")).map_or(0, Iterator::count);
    assert_eq!(kept(), 0);
    let killed = liar.run_task(&format!("cat {started} {synced} {synced}; kill -KILL $$"), task.clone());
    expect(&killed, Host, "killed");
    assert!(!killed.resumed);
    assert_eq!(kept(), 2, "two generations, nothing beside them");
    let done = liar.more(&[done(0)]);
    let finished = liar.run_task(&format!("cat {started} {done}"), task);
    assert!(finished.resumed && finished.outcome == Done);
    assert_eq!(kept(), 0, "a task that has ended leaves nothing");
}

#[test]
fn code_is_kept_from_a_worker_that_started_and_dropped_if_no_worker_starts_with_it() {
    let liar = Liar::new();
    let cache = Arc::new(CodeCache::open(&liar.folder.path().join("code")).unwrap());
    let kept = || {
        let files = fs::read_dir(liar.folder.path().join("code")).unwrap();
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some()).count()
    };
    let run = |frames: &[FromWorker]| {
        let worker = liar.worker(&format!("cat {}", liar.frames(frames)));
        let config = Config { code: Some(Arc::clone(&cache)), ..Config::new(worker) };
        Supervisor::start(config).unwrap().run(Task::new(*b"module"), 1.0).wait()
    };
    run(&[FromWorker::Compiled(vec![1; 100])]);
    assert_eq!(kept(), 0, "it never started");
    let compiled = [FromWorker::Compiled(vec![1; 100]), FromWorker::Compiled(vec![2]), FromWorker::Started, done(0)];
    assert_eq!(run(&compiled).outcome, Done);
    assert_eq!(kept(), 1);
    expect(&run(&compiled), Host, "protocol");
    assert_eq!(kept(), 0, "a worker that compiles although it has the code is believed as little as the code");
    assert_eq!(run(&compiled).outcome, Done);
    assert_eq!(run(&[FromWorker::Started, done(0)]).outcome, Done);
    assert_eq!(kept(), 1);
    run(&[]);
    assert_eq!(kept(), 0, "it did not get a worker to its start");
}

#[test]
fn fuel_beyond_the_budget_is_not_believed() {
    let liar = Liar::new();
    let spent = |fuel| {
        let frames = liar.frames(&[
            FromWorker::Started,
            FromWorker::Finished(Report { fuel, ..report(Done, ReportCode::Status(0), 0) }),
        ]);
        let task = Task { meter: Meter::Fuel { budget: 10 }, ..Task::new(*b"module") };
        liar.run_task(&format!("cat {frames}"), task)
    };
    assert_eq!(spent(10).outcome, Done);
    expect(&spent(11), Host, "protocol");
}

#[test]
fn a_worker_that_stays_after_its_report_is_removed_and_the_report_stands() {
    let liar = Liar::new();
    let frames = liar.frames(&[FromWorker::Started, done(0)]);
    assert_eq!(liar.run(&format!("cat {frames}; exec sleep 1000")).outcome, Done);
    assert_eq!(liar.run(&format!("cat {frames}; exec >&-; while :; do :; done")).outcome, Done);
}

#[test]
fn cpu_time_is_measured_from_outside() {
    let liar = Liar::new();
    let mut task = Task::new(*b"module");
    // Little, because a busy machine gives little to a process at idle priority.
    task.limits.cpu_ms = 20;
    let finished = liar.run_task("while :; do :; done", task);
    expect(&finished, Limit, "cpu");
    assert!(finished.cpu_ms >= 20);
}

/// What a descendant does can't hold up the verdict.
#[test]
fn a_descendant_that_keeps_the_pipes_open_holds_up_nobody() {
    let liar = Liar::new();
    let frames = liar.frames(&[FromWorker::Started, done(0)]);
    assert_eq!(liar.run(&format!("cat {frames}; sleep 1000 & exit 0")).outcome, Done);
    let escaped = liar.run("setsid sleep 3 & exit 5");
    expect(&escaped, Host, "crashed");
}

#[test]
fn one_bad_worker_does_not_disturb_another() {
    let (bad, good) = (Liar::new(), Liar::new());
    let flooding = bad.supervisor("exec yes");
    let frames = good.frames(&[FromWorker::Started, done(0)]);
    let honest = good.supervisor(&format!("cat {frames}"));
    let all: Vec<_> =
        (0..4).map(|_| (flooding.run(Task::new(*b"x"), 1.0), honest.run(Task::new(*b"x"), 1.0))).collect();
    for (lies, truth) in all {
        expect(&lies.wait(), Host, "protocol");
        assert_eq!(truth.wait().outcome, Done);
    }
}

#[test]
fn endings_are_told_exactly_once_whatever_happens() {
    let liar = Liar::new();
    let supervisor = liar.supervisor("exec sleep 1000");
    let (send, ends) = std::sync::mpsc::channel();
    for _ in 0..3 {
        let send = send.clone();
        supervisor.run_then(Task::new(*b"x"), 0, move |finished| send.send(finished).unwrap());
    }
    drop((supervisor, send));
    let ends: Vec<Finished> = ends.iter().collect();
    assert_eq!(ends.len(), 3);
    ends.iter().for_each(|finished| expect(finished, Host, "killed"));
}

#[test]
fn a_worker_that_cannot_be_started_is_the_hosts_fault() {
    let liar = Liar::new();
    let supervisor = liar.supervisor("exit 0");
    let worker = liar.folder.path().join("worker");
    fs::remove_file(&worker).unwrap();
    let finished = supervisor.run(Task::new(*b"x"), 1.0).wait();
    expect(&finished, Host, "spawn");
    assert!(finished.detail.contains("worker"), "{}", finished.detail);

    assert!(matches!(Supervisor::start(Config::new("/nowhere/worker".into())), Err(StartError::Worker { .. })));
    assert!(matches!(Supervisor::start(Config::new("/tmp".into())), Err(StartError::Worker { .. })));
}

#[test]
fn the_runtime_class_is_asked_with_patience_and_doubt() {
    let liar = Liar::new();
    assert_eq!(runtime_class(&liar.worker("echo engine-1/isa/abc")).unwrap(), "engine-1/isa/abc");
    for bad in ["exit 0", "echo two words", "echo fine; exit 1", "exec cat /dev/zero", "exec cat /dev/urandom"] {
        assert!(runtime_class(&liar.worker(bad)).is_err(), "{bad}");
    }
    assert!(runtime_class(Path::new("/nowhere/worker")).is_err());
}
