//! Compiled code, which one worker leaves to the next.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use surge_protocol::Outcome::{Done, Limit};
use surge_protocol::task::Meter;
use surge_supervisor::{CodeCache, Config, Supervisor, Task};

use crate::door::{expect, print, program, wat, worker};

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
