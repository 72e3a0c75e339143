//! Checkpoints: killed at any moment, damaged, exchanged, without end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use surge_protocol::Digest;
use surge_protocol::frame::FromWorker;
use surge_supervisor::{Checkpoints, Finished, Task};

use super::case::Case;
use super::case::Run::Act;
use super::liar::Liar;
use super::second::Second;
use super::stand::{Dice, Stand};
use crate::door::{print, program_with, until, wat};

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 58,
        tries: "kill -9 of the worker, and of its supervisor, at random moments",
        ends: &["done/0", "host/killed"],
        note: "resumed from its last sync it gives the digest of the undisturbed run, and leaves no file",
        run: Act(killed_at_random),
    },
    Case {
        number: 59,
        tries: "a checkpoint that is cut, damaged, exchanged, of an older version, of another job",
        ends: &["done/0", "host/killed", "host/checkpoint"],
        note: "the other generation, or the beginning; an image that is whole and no image costs one try",
        run: Act(damaged),
    },
    Case {
        number: 60,
        tries: "checkpoints of 10 GB; one every microsecond",
        ends: &["exit/51", "limit/cpu", "host/protocol"],
        note: "a program is held to the quota of files, and its syncs to one checkpoint in so much CPU time; a worker that sends more is not believed",
        run: Act(without_end),
    },
];

/// Counts to `rounds` in a file of `/state`, with a sum over pseudo-random numbers beside it, and syncs now and then; then
/// writes both.
pub(crate) fn counting(rounds: u32) -> Task {
    let more = "(data (i32.const 1024) \"state/sum\")";
    let io = |call: &str, at: u32, offset: &str| {
        format!(
            "(i32.store (i32.const 0) (i32.const {at})) (i32.store (i32.const 4) (i32.const 16))
             (drop (call ${call} (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) {offset} (i32.const 8)))"
        )
    };
    // Rounds done and sum are at 2000 and 2008, in the file and here.
    let body = format!(
        "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 9) (i32.const 1)
           (i64.const 0x6001ff) (i64.const 0) (i32.const 0) (i32.const 16)))
         {read}
         (loop $l
           (if (i64.lt_u (i64.load (i32.const 2000)) (i64.const {rounds})) (then
             (i64.store (i32.const 2008) (i64.add (i64.mul (i64.load (i32.const 2008)) (i64.const 6364136223846793005))
               (i64.add (i64.load (i32.const 2000)) (i64.const 1442695040888963407))))
             (i64.store (i32.const 2000) (i64.add (i64.load (i32.const 2000)) (i64.const 1)))
             {write}
             (if (i64.eqz (i64.and (i64.load (i32.const 2000)) (i64.const 8191)))
               (then (drop (call $fd_sync (i32.load (i32.const 16))))))
             (br $l))))
         {said}",
        read = io("fd_pread", 2_000, "(i64.const 0)"),
        write = io("fd_pwrite", 2_000, "(i64.const 0)"),
        said = print(2_000, 16),
    );
    wat(&program_with(more, &body))
}

pub(crate) fn kept_in(folder: &Path, every: Duration) -> Option<Checkpoints> {
    Some(Checkpoints { folder: folder.to_owned(), task: Digest::of(b"counting"), every })
}

/// As [`counting`], with every sync kept in `folder`.
fn kept_counting(rounds: u32, folder: &Path) -> Task {
    Task { checkpoints: kept_in(folder, Duration::ZERO), ..counting(rounds) }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Runs a task until it has used so much CPU time, and kills its worker then by a signal from outside.
fn run_and_kill(stand: &Stand, task: Task, cpu_ms: u64) -> Finished {
    let running = stand.supervisor.run(task, 1.0);
    until(|| {
        let worker = stand.supervisor.workers().into_iter().find(|worker| worker.id == running.id());
        match worker {
            Some(worker) if worker.cpu_ms < cpu_ms => return None,
            Some(worker) => send_to_the_living(worker.pid, Signal::KILL),
            // Not started yet, or ended already: the channel knows.
            None => return running.wait_timeout(Duration::ZERO),
        }
        Some(running.wait_timeout(crate::door::HANG).unwrap())
    })
}

/// It may have ended in this moment.
fn send_to_the_living(pid: u32, signal: Signal) {
    let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(pid.cast_signed()).unwrap(), signal);
}

fn killed_at_random(stand: &Stand) -> Vec<Finished> {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = stand.run(counting(400_000));
    assert_eq!(undisturbed.output[..8], 400_000_u64.to_le_bytes());
    let task = || kept_counting(400_000, folder.path());
    let mut dice = Dice::new(58);
    let mut all = Vec::new();
    let mut resumed = 0;
    // From before the first checkpoint to long after the last.
    for round in 0..15 {
        let moment = if round == 0 { 0 } else { dice.below(undisturbed.cpu_ms * 5 / 4) };
        all.push(run_and_kill(stand, task(), moment));
        if round % 5 == 4 {
            // Then the supervisor itself, wherever it is: in the middle of a file, perhaps.
            let mut second = Second::start("counting", folder.path());
            let pid = second.worker();
            let image =
                || fs::read_dir(folder.path()).unwrap().count() > 1 || !Path::new(&format!("/proc/{pid}")).exists();
            until(|| image().then_some(()));
            second.child.kill().unwrap();
            second.child.wait().unwrap();
            super::workers::reap_orphan(pid);
        }
    }
    all.push(stand.run(task()));
    for finished in &all {
        resumed += u32::from(finished.resumed);
        assert!(finished.code.to_string() == "killed" || finished.digest == undisturbed.digest, "{}", finished.detail);
    }
    assert!(resumed > 0, "it went on at least once");
    assert!(files(folder.path()).is_empty(), "nothing is left of a task that has ended");
    all.push(undisturbed);
    all
}

fn damaged(stand: &Stand) -> Vec<Finished> {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let undisturbed = stand.run(counting(200_000));
    let (digest, class) = (undisturbed.digest, undisturbed.runtime_class.clone());
    let mut all = vec![undisturbed];
    // Two generations of this task, and of another, long before its end.
    let mut keep = |folder: &Path, task: Task| {
        let running = stand.supervisor.run(task, 0.2);
        // By their names only: what is being written is renamed at any moment.
        let whole = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|end| end != "new");
        until(|| {
            (fs::read_dir(folder).unwrap().filter(|entry| whole(entry.as_ref().unwrap())).count() == 2).then_some(())
        });
        stand.supervisor.kill(running.id());
        all.push(running.wait());
        let kept = files(folder);
        assert_eq!(kept.len(), 2);
        kept
    };
    let kept = keep(folder.path(), kept_counting(200_000, folder.path()));
    let mut foreign = kept_counting(200_000, other.path());
    foreign.checkpoints.as_mut().unwrap().task = Digest::of(b"another job");
    let foreign: Vec<Vec<u8>> = keep(other.path(), foreign).into_values().collect();

    type Change<'a> = &'a dyn Fn(usize, &[u8]) -> Vec<u8>;
    let cut: Change<'_> = &|_, bytes| bytes[..bytes.len() - 1].to_vec();
    let empty: Change<'_> = &|_, _| Vec::new();
    let flipped: Change<'_> = &|_, bytes| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let older: Change<'_> = &|_, bytes| [b"SURGE-C0", &bytes[8..]].concat();
    let exchanged: Change<'_> = &|n, _| foreign[n].clone();
    let swapped: Change<'_> = &|n, _| kept.values().nth(1 - n).unwrap().clone();
    let first_cut: Change<'_> = &|n, bytes| if n == 0 { cut(n, bytes) } else { bytes.to_vec() };
    for (change, goes_on) in [
        (cut, false),
        (empty, false),
        (flipped, false),
        (older, false),
        (exchanged, false),
        (swapped, true),
        (first_cut, true),
    ] {
        for (n, (path, bytes)) in kept.iter().enumerate() {
            fs::write(path, change(n, bytes)).unwrap();
        }
        let finished = stand.run(kept_counting(200_000, folder.path()));
        assert_eq!((finished.resumed, finished.digest), (goes_on, digest), "{}", finished.detail);
        assert!(files(folder.path()).is_empty());
        all.push(finished);
    }
    all.extend(no_image(stand, folder.path(), &class));
    all
}

/// Whole on the disk, and nothing that a worker could read.
fn no_image(stand: &Stand, folder: &Path, class: &str) -> [Finished; 2] {
    let mut hasher = blake3::Hasher::new_derive_key("surge 2026-11 checkpoint of a task v1");
    hasher.update(&Digest::of(b"counting").0).update(class.as_bytes());
    let task = *hasher.finalize().as_bytes();
    let mut file = [&b"SURGE-C1"[..], &task, &0_u64.to_le_bytes(), b"no image of anything"].concat();
    file.extend_from_slice(blake3::hash(&file).as_bytes());
    fs::write(folder.join(format!("{}.0", Digest(task))), &file).unwrap();
    let (broken, again) = (stand.run(kept_counting(100, folder)), stand.run(kept_counting(100, folder)));
    assert_eq!(broken.code.to_string(), "checkpoint");
    assert!(!again.resumed && files(folder).is_empty());
    [broken, again]
}

fn without_end(stand: &Stand) -> Vec<Finished> {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    let mut program = |every, body: &str, cpu_ms: u64| {
        let more = "(data (i32.const 1024) \"state/f\")";
        let open = "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 7) (i32.const 1)
            (i64.const 0x6001ff) (i64.const 0) (i32.const 0) (i32.const 16))) (i32.store (i32.const 4) (i32.const 60000))";
        let mut task = wat(&program_with(more, &format!("{open} {body}")));
        (task.limits.files_bytes, task.limits.cpu_ms) = (1 << 20, cpu_ms);
        task.checkpoints = kept_in(folder.path(), every);
        all.push(stand.run(task));
        assert!(files(folder.path()).is_empty());
    };
    // Ever larger images, each of them kept, to the end of the quota.
    let growing = "(loop $l
        (local.set $n (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $fd_sync (i32.load (i32.const 16)))) (br_if $l (i32.eqz (local.get $n))))
        (call $exit (local.get $n))";
    program(Duration::ZERO, growing, 60_000);
    // All the time, and nobody keeps them before ten seconds.
    program(Duration::from_secs(10), "(loop $l (drop (call $fd_sync (i32.load (i32.const 16)))) (br $l))", 200);

    let liar = Liar::new();
    let mut lies = |every, script: &str| {
        let mut task = Task::new(*b"module");
        task.limits.files_bytes = 1_000_000;
        task.checkpoints = kept_in(folder.path(), every);
        all.push(stand.run_in(liar.worker(script), task));
        assert!(files(folder.path()).is_empty());
    };
    let (started, image) = (liar.started(&[]), liar.frames(&[FromWorker::State(vec![7; 100_000])]));
    lies(Duration::ZERO, &format!("cat {started}; while :; do cat {image}; done"));
    let synced = liar.frames(&[FromWorker::State(vec![7; 100]), FromWorker::Synced]);
    lies(Duration::from_secs(10), &format!("cat {started} {synced}; exec sleep 1000"));
    all
}
