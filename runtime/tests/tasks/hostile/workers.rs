//! Broken workers, hands from outside, and the end of the supervisor.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use surge_protocol::Outcome::Done;
use surge_protocol::frame::{self, FromWorker, Report, ReportCode};
use surge_supervisor::{Finished, Task};

use super::case::Case;
use super::case::Run::{Act, Elsewhere};
use super::liar::Liar;
use super::second::{STALL, Second, send};
use super::stand::Stand;
use crate::determinism::mixture;
use crate::door::{program, until, wait_for_in, wait_until_stopped, wat};

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 12,
        tries: "filling memory for ever while it is held",
        ends: &["done/0", "host/killed"],
        note: "stopped in the middle of the operation, twenty times",
        run: Act(held_while_filling),
    },
    Case {
        number: 62,
        tries: "a worker that sends malformed, oversized, endless, empty frames, that lies, that does not read",
        ends: &["host/protocol", "host/worker_changed", "host/stalled", "done/0"],
        note: "every lie that a frame can hold: *liars*",
        run: Act(frames_that_are_none),
    },
    Case {
        number: 63,
        tries: "a worker that stops, breaks or kills itself, that is killed for want of memory, that others continue",
        ends: &["host/crashed", "host/killed", "host/stalled"],
        note: "one that others continue while it is held is stopped again",
        run: Act(bad_ends),
    },
    Case {
        number: 64,
        tries: "the supervisor is killed, or stopped",
        ends: &["done/0"],
        note: "killed, its worker dies with it; dropped in good order it kills it: `runtime/tests/tasks/throttle.rs`; stopped, its worker stops itself within three seconds of CPU time: `hostile/stopped.rs`",
        run: Act(without_a_supervisor),
    },
    Case {
        number: 65,
        tries: "from inside the worker: files, sockets, fork, exec, ptrace, signals, new code, namespaces, io_uring, keyrings",
        ends: &[],
        note: "each gets through without the lock-down and is refused with it",
        run: Elsewhere("runtime/tests/lockdown.rs"),
    },
    Case {
        number: 66,
        tries: "reading the environment and inherited descriptors",
        ends: &["done/0", "host/crashed"],
        note: "there is nothing but three pipes; also *process*",
        run: Act(nothing_inherited),
    },
    Case {
        number: 70,
        tries: "a clock that jumps, a machine that sleeps, in the middle of a task",
        ends: &["done/0"],
        note: "the program's clock is virtual (42); frozen together with its supervisor for longer than any patience, it ends as undisturbed. Limits are measured by a clock that stands while the machine sleeps",
        run: Act(a_frozen_machine),
    },
];

fn held_while_filling(stand: &Stand) -> Vec<Finished> {
    let filling = "(loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 262144)) (br $l))";
    let running = stand.supervisor.run(wat(&program(filling)), 1.0);
    let status = || wait_for_in(&stand.supervisor, running.id());
    let pid = status().pid;
    let mut all = Vec::new();
    for _ in 0..20 {
        let before = status().cpu_ms;
        until(|| (status().cpu_ms > before + 2).then_some(()));
        stand.supervisor.set_share(running.id(), 0.0);
        wait_until_stopped(pid);
        let held = status();
        assert!(held.share.abs() < f32::EPSILON);
        // Another worker's whole life passes, and this one has not moved.
        all.push(stand.run(wat(&program(""))));
        assert_eq!(status().cpu_ms, held.cpu_ms);
        stand.supervisor.set_share(running.id(), 1.0);
    }
    stand.supervisor.kill(running.id());
    all.push(running.wait());
    all
}

fn done() -> FromWorker {
    let code = ReportCode::Status(0);
    let detail = "so\x1b[2J it\nwas".into();
    FromWorker::Finished(Report { outcome: Done, code, detail, fuel: 0, peak_memory_bytes: 65_536, output_bytes: 0 })
}

fn frames_that_are_none(stand: &Stand) -> Vec<Finished> {
    let liar = Liar::new();
    let mut all = Vec::new();
    let mut run = |script: &str, ends: &str| {
        let mut task = Task::new(vec![0; 4 << 20]);
        (task.limits.output_bytes, task.limits.log_bytes) = (1_000_000, 1_000_000);
        let worker = liar.worker(script);
        let finished = if ends == "stalled" { stand.run_impatiently(worker, task) } else { stand.run_in(worker, task) };
        assert_eq!(finished.code.to_string(), ends, "{script}: {}", finished.detail);
        assert!(finished.output.is_empty() && finished.log.len() <= 1_000_000);
        all.push(finished);
    };
    let malformed = [&[0, 0, 0, 0][..], &[255, 255, 255, 255], &[3, 0, 0, 0, frame::VERSION, 0, 9], b"Hello, world!\n"];
    for bytes in malformed {
        run(&format!("cat {}; exec sleep 1000", liar.bytes(bytes)), "protocol");
    }
    // As a worker of another version would begin.
    run(&format!("cat {}; exec sleep 1000", liar.bytes(&[2, 0, 0, 0, 99, 0])), "worker_changed");
    run("exec cat /dev/zero", "protocol");
    run("exec yes", "protocol");
    for flood in
        [FromWorker::Output(vec![7; 100_000]), FromWorker::Log(vec![7; 100_000]), FromWorker::Output(Vec::new())]
    {
        let (started, flood) = (liar.started(&[]), liar.frames(&[flood]));
        run(&format!("cat {started}; while :; do cat {flood}; done"), "protocol");
    }
    // The real worker's frames, and one too many.
    run(&format!("cat {}", liar.started(&[done(), done()])), "protocol");
    run(&format!("cat {}", liar.frames(&[done()])), "protocol");
    // It closes its mouth and goes on.
    run("exec >&-; while :; do :; done", "protocol");
    // It does not read its task, and waits for nothing; it floods the pipe that nobody reads.
    run(&format!("cat {}; exec sleep 1000", liar.started(&[])), "stalled");
    run("exec cat /dev/zero >&2", "stalled");
    // It does not read its task and needs none.
    run(&format!("cat {}", liar.started(&[done()])), "0");
    all
}

fn bad_ends(stand: &Stand) -> Vec<Finished> {
    let liar = Liar::new();
    let mut all = Vec::new();
    let mut run = |script: &str, ends: &str, says: &str| {
        let (worker, task) = (liar.worker(script), Task::new(*b"module"));
        let finished = if ends == "stalled" { stand.run_impatiently(worker, task) } else { stand.run_in(worker, task) };
        assert_eq!(finished.code.to_string(), ends, "{script}: {}", finished.detail);
        assert!(finished.detail.contains(says), "{}", finished.detail);
        all.push(finished);
    };
    run("kill -SEGV $$", "crashed", "signal 11");
    run("kill -ABRT $$", "crashed", "signal 6");
    run("kill -KILL $$", "killed", "often for want of memory");
    run("exit 0", "crashed", "status 0 and no report");
    run(&format!("cat {}; echo 'a\tdefect' >&2; exit 101", liar.started(&[])), "crashed", "saying: a defect");
    run("while :; do kill -STOP $$; done", "stalled", "without a word");
    // In the middle of a word.
    let half = liar.bytes(&fs::read(liar.started(&[])).unwrap()[..8]);
    run(&format!("cat {half}; exit 9"), "crashed", "status 9");

    // The real worker, by another hand: the kernel kills like this when memory runs out.
    // (A fault that it did not make itself is none to the engine in it.)
    for (signal, ends) in [(Signal::KILL, "killed"), (Signal::ABORT, "crashed"), (Signal::TERM, "crashed")] {
        let running = stand.supervisor.run(wat(&program("(loop $l (br $l))")), 1.0);
        let pid = until(|| Some(wait_for_in(&stand.supervisor, running.id())).filter(|worker| worker.cpu_ms > 50)).pid;
        send(pid, signal);
        let finished = running.wait_timeout(crate::door::HANG).unwrap();
        assert_eq!(finished.code.to_string(), ends, "{}", finished.detail);
        all.push(finished);
    }
    all.push(continued_by_others(stand));
    all.extend(continued_by_its_child(&liar));
    all
}

fn continued_by_others(stand: &Stand) -> Finished {
    let running = stand.supervisor.run(wat(&program("(loop $l (br $l))")), 0.0);
    let status = || wait_for_in(&stand.supervisor, running.id());
    let pid = status().pid;
    wait_until_stopped(pid);
    let before = status().cpu_ms;
    for _ in 0..50 {
        send(pid, Signal::CONT);
        wait_until_stopped(pid);
    }
    // Each time it may run until the supervisor sees it. Undisturbed it would have used many times as much.
    assert!(status().cpu_ms - before < 50 * 100);
    stand.supervisor.kill(running.id());
    running.wait()
}

/// The nearest that a worker comes to continuing itself. The real one can't have a child.
fn continued_by_its_child(liar: &Liar) -> [Finished; 2] {
    let script = "(while :; do kill -CONT $$; done) & while :; do :; done";
    let supervisor = surge_supervisor::Supervisor::start(surge_supervisor::Config::new(liar.worker(script))).unwrap();
    let running = supervisor.run(Task::new(*b"module"), 1.0);
    until(|| (wait_for_in(&supervisor, running.id()).cpu_ms > 20).then_some(()));
    supervisor.set_share(running.id(), 0.0);
    // The supervisor is busy with it, and does its work all the same.
    let other = supervisor.run(Task::new(*b"module"), 0.0);
    wait_for_in(&supervisor, other.id());
    [other, running].map(|worker| {
        supervisor.kill(worker.id());
        worker.wait()
    })
}

/// Waits for a worker whose supervisor is dead, which has become this process's child.
pub(crate) fn reap_orphan(pid: u32) {
    // Ten times what it may take.
    let deadline = Instant::now() + Duration::from_secs(10);
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    while !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))) {
        assert!(Instant::now() < deadline, "a worker outlived its supervisor");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn without_a_supervisor(stand: &Stand) -> Vec<Finished> {
    let folder = tempfile::tempdir().unwrap();
    for held in [false, true] {
        let mut second = Second::start("endless", folder.path());
        let pid = second.worker();
        if held {
            send(pid, Signal::STOP);
            wait_until_stopped(pid);
        }
        second.child.kill().unwrap();
        second.child.wait().unwrap();
        let start = Instant::now();
        reap_orphan(pid);
        println!("   a worker died {:?} after its supervisor", start.elapsed());
    }
    vec![stand.run(wat(&program("")))]
}

fn nothing_inherited(stand: &Stand) -> Vec<Finished> {
    // Something that this process has open, and lets every child have.
    let secret = fs::File::open("/proc/self/status").unwrap();
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    let body = format!(
        "(i64.store (i32.const 0) (i64.const -1)) (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
         (if (call $environ_get (i32.const 100) (i32.const 200)) (then unreachable)) {}",
        crate::door::print(0, 8)
    );
    let guest = stand.run(wat(&program(&body)));
    assert_eq!(guest.output, [0; 8]);
    // A worker that says what it was started with: its descriptors, its folder and its environment.
    let liar = Liar::new();
    let inside = "for fd in /proc/$$/fd/*; do readlink $fd >&2; done
        readlink /proc/$$/cwd >&2; wc -c < /proc/$$/environ >&2; exit 1";
    let worker = liar.worker(inside);
    let said = stand.run_in(worker.clone(), Task::new(*b"module"));
    let (_, words) = said.detail.split_once("saying: ").unwrap();
    let words: Vec<&str> = words.split_whitespace().filter(|word| !word.starts_with("pipe:")).collect();
    assert_eq!(said.detail.matches("pipe:").count(), 3, "{}", said.detail);
    // The script itself is the one thing that a shell has besides.
    assert_eq!(words, [worker.to_str().unwrap(), "/", "0"], "{}", said.detail);
    drop(secret);
    vec![guest, said]
}

fn a_frozen_machine(stand: &Stand) -> Vec<Finished> {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = stand.run(mixture(10_000_000));
    let digest = undisturbed.digest;
    let mut all = vec![undisturbed];
    let mut second = Second::start("mixture", folder.path());
    let worker = second.worker();
    for pid in [second.child.id(), worker] {
        send(pid, Signal::STOP);
        wait_until_stopped(pid);
    }
    // The world goes on for longer than the frozen supervisor has patience.
    let start = Instant::now();
    while start.elapsed() < 2 * STALL {
        all.push(stand.run(wat(&program(""))));
    }
    assert!(Path::new(&format!("/proc/{worker}")).exists());
    second.signal(Signal::CONT);
    send(worker, Signal::CONT);
    assert_eq!(second.says("ended "), format!("done/0 {digest}"));
    assert!(second.child.wait().unwrap().success());
    all
}
