//! The door: a module by its name goes in, its ending comes out.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use surge_protocol::Outcome;
use surge_supervisor::{CodeCache, Config, Finished, Supervisor, Task};
use tempfile::TempDir;

/// One supervisor for all tests, as one engine has one. It compiles each module once.
pub(crate) static DOOR: LazyLock<Door> = LazyLock::new(Door::open);

pub(crate) struct Door {
    pub(crate) supervisor: Supervisor,
    /// Where the compiled code is kept while the tests run.
    _code: TempDir,
}

impl Door {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let code = Some(Arc::new(CodeCache::open(folder.path()).unwrap()));
        let config = Config { code, ..Config::new(env!("CARGO_BIN_EXE_surge-worker").into()) };
        Self { supervisor: Supervisor::start(config).unwrap(), _code: folder }
    }
}

/// A task of a module in `modules/`.
pub(crate) fn program(name: &str, args: &[&str], stdin: impl AsRef<[u8]>) -> Task {
    task(&Path::new("tests/programs/modules").join(name).with_extension("wasm"), args, stdin)
}

/// A task of a module in `jobs/`.
pub(crate) fn example(name: &str, stdin: impl AsRef<[u8]>) -> Task {
    task(&Path::new("../jobs").join(name).with_extension("wasm"), &[], stdin)
}

fn task(module: &Path, args: &[&str], stdin: impl AsRef<[u8]>) -> Task {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(module);
    let module = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let args = args.iter().copied().map(String::from).collect();
    Task { args, stdin: stdin.as_ref().into(), ..Task::new(module) }
}

/// Runs a task to its end.
pub(crate) fn run(task: Task) -> Finished {
    DOOR.supervisor.run(task, 1.0).wait()
}

/// Runs a task that is done, and gives what it wrote.
#[track_caller]
pub(crate) fn output(task: Task) -> Vec<u8> {
    let finished = run(task);
    let log = String::from_utf8_lossy(&finished.log);
    assert_eq!(finished.outcome, Outcome::Done, "{} [{}]\n{log}", finished.detail, finished.code);
    finished.output
}

/// As [`output`], as text.
#[track_caller]
pub(crate) fn text(task: Task) -> String {
    String::from_utf8(output(task)).unwrap()
}
