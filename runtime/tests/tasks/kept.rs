//! What one worker leaves to the next: compiled code and checkpoints, through the real worker.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use surge_protocol::Digest;
use surge_protocol::Outcome::{Done, Host, Limit};
use surge_protocol::task::Meter;
use surge_supervisor::{Checkpoints, CodeCache, Config, Finished, Supervisor, Task};

use crate::door::{SUPERVISOR, expect, print, program, program_with, run, until, wat, worker};

fn supervisor(code: &Path) -> Supervisor {
    let code = Some(Arc::new(CodeCache::open(code).unwrap()));
    Supervisor::start(Config { code, ..Config::new(worker()) }).unwrap()
}

fn codes(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "code")).collect()
}

#[test]
fn compiled_code_is_used_again_for_the_same_module_and_meter() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor(folder.path());
    let task = || wat(&program(&print(0, 100)));
    let run = |task| supervisor.run(task, 1.0).wait();
    let first = run(task());
    expect(&first, Done, 0);
    let [kept] = &codes(folder.path())[..] else { panic!("one module, one file") };
    let before = fs::metadata(kept).unwrap().modified().unwrap();
    let second = run(task());
    assert_eq!((second.digest, second.peak_memory_bytes), (first.digest, first.peak_memory_bytes));
    assert!(fs::metadata(kept).unwrap().modified().unwrap() > before, "a use is noted");

    let metered = || Task { meter: Meter::Fuel { budget: 1_000_000 }, ..task() };
    let (compiled, loaded) = (run(metered()), run(metered()));
    assert_eq!((compiled.digest, compiled.fuel), (first.digest, loaded.fuel));
    assert!(loaded.fuel > 0);
    assert_eq!(codes(folder.path()).len(), 2);
}

/// What a task may have is checked for each task, not for each module.
#[test]
fn compiled_code_does_not_carry_its_first_tasks_limits_along() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor(folder.path());
    let mut task = wat(&program(&print(0, 100)));
    expect(&supervisor.run(task.clone(), 1.0).wait(), Done, 0);
    assert_eq!(codes(folder.path()).len(), 1);
    task.limits.memory_bytes = 65_536;
    let refused = supervisor.run(task, 1.0).wait();
    assert_eq!((refused.outcome, refused.code.to_string().as_str()), (Limit, "memory"), "{}", refused.detail);
    assert_eq!(codes(folder.path()).len(), 1, "the code is as good as before");
}

/// Compiled code that somebody changed is not run, and the task does not notice.
#[test]
fn changed_code_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor(folder.path());
    let task = || wat(&program(&print(0, 100)));
    let first = supervisor.run(task(), 1.0).wait();
    let path = &codes(folder.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(path, &bytes).unwrap();
    let second = supervisor.run(task(), 1.0).wait();
    assert_eq!(second.digest, first.digest);
    assert_ne!(fs::read(path).unwrap(), bytes, "there is good code again");
}

/// Counts to `rounds` in a file of `/state`, with a sum over pseudo-random numbers beside it, and syncs now and then; then
/// writes both.
fn counting(rounds: u32) -> Task {
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

fn kept_in(folder: &Path, every: Duration) -> Option<Checkpoints> {
    Some(Checkpoints { folder: folder.to_owned(), task: Digest::of(b"counting"), every })
}

/// 58: killed at many moments, it ends as if nothing had happened.
#[test]
fn a_task_that_was_killed_goes_on_from_its_last_sync() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = run(counting(400_000));
    expect(&undisturbed, Done, 0);
    assert_eq!(undisturbed.output[..8], 400_000_u64.to_le_bytes());
    let task = || Task { checkpoints: kept_in(folder.path(), Duration::ZERO), ..counting(400_000) };
    let files = || fs::read_dir(folder.path()).unwrap().count();
    let mut resumed = 0;
    for kill in 0..12_u64 {
        let running = SUPERVISOR.run(task(), 1.0);
        // From before the first checkpoint to long after.
        let moment = kill * 25;
        let ended = until(|| match running.wait_timeout(Duration::ZERO) {
            Some(finished) => Some(Some(finished)),
            None => {
                let used = SUPERVISOR.workers().into_iter().find(|worker| worker.id == running.id());
                used.is_some_and(|worker| worker.cpu_ms >= moment).then_some(None)
            }
        });
        let ended: Finished = ended.unwrap_or_else(|| {
            SUPERVISOR.kill(running.id());
            running.wait()
        });
        resumed += u32::from(ended.resumed);
        if ended.outcome == Done {
            assert_eq!(ended.digest, undisturbed.digest);
            assert_eq!(files(), 0, "nothing is left of a task that has ended");
        }
    }
    let finished = SUPERVISOR.run(task(), 1.0).wait();
    expect(&finished, Done, 0);
    assert_eq!(finished.digest, undisturbed.digest);
    assert!(resumed > 0, "it went on at least once");
    assert_eq!(files(), 0);
}

/// 60: a program that syncs all the time gets no more than its share of them, and can't notice.
#[test]
fn checkpoints_keep_their_distance() {
    let folder = tempfile::tempdir().unwrap();
    let task = Task { checkpoints: kept_in(folder.path(), Duration::from_secs(3_600)), ..counting(40_000) };
    let running = SUPERVISOR.run(task, 1.0);
    let finished = running.wait();
    assert_eq!(finished.digest, run(counting(40_000)).digest);
    assert!(!finished.resumed);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// 59: an image that is whole on the disk and no tree is the host's fault once, and is not met again.
#[test]
fn an_image_that_can_t_be_used_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let kept = kept_in(folder.path(), Duration::ZERO).unwrap();
    let class = run(counting(1)).runtime_class;
    let mut hasher = blake3::Hasher::new_derive_key("surge 2026-11 checkpoint of a task v1");
    hasher.update(&kept.task.0).update(class.as_bytes());
    let task = *hasher.finalize().as_bytes();
    let mut file = [&b"SURGE-C1"[..], &task, &0_u64.to_le_bytes(), b"no image of anything"].concat();
    file.extend_from_slice(blake3::hash(&file).as_bytes());
    fs::write(folder.path().join(format!("{}.0", Digest(task))), &file).unwrap();

    let broken = SUPERVISOR.run(Task { checkpoints: Some(kept.clone()), ..counting(100) }, 1.0).wait();
    assert_eq!((broken.outcome, broken.code.to_string().as_str()), (Host, "checkpoint"), "{}", broken.detail);
    let again = SUPERVISOR.run(Task { checkpoints: Some(kept), ..counting(100) }, 1.0).wait();
    expect(&again, Done, 0);
    assert!(!again.resumed);
}
