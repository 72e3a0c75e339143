//! Starts an engine where a shell finds none: `surge run` as a process of its own, which outlives every shell.
//!
//! Deliberately absent: a service manager. Where one looks after the engine, a shell finds it running.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use surge_platform::paths::Paths;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::connection::answers;

/// How long an engine may take to answer, which is a matter of a second. A bound for one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an engine that is still ending is waited for before another one is started.
const PREDECESSOR: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What an engine says that found another one with its home.
const HOME_IN_USE: &str = "[home_in_use]";
/// How much of what it said is told, bytes.
const TOLD: usize = 4 << 10;

/// Starts of this process so far.
static STARTS: AtomicU32 = AtomicU32::new(0);

/// Why no engine was started.
#[derive(Debug, Error)]
pub enum EngineStartError {
    #[error("the program `surge` is neither beside this program nor on the PATH: install Surge again")]
    NoProgram,
    #[error("{} can't be started: {source}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    /// What it said last, which ends with a code in brackets.
    #[error("{said}")]
    Ended { status: Option<i32>, said: String },
    #[error("the engine was started, and does not answer")]
    Silent,
}

impl EngineStartError {
    /// A stable word for programs; of an engine that has ended, its own.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NoProgram | Self::Spawn { .. } => "no_engine_program",
            Self::Ended { said, .. } => code_in(said).unwrap_or("engine_ended"),
            Self::Silent => "engine_silent",
        }
    }
}

/// Starts the engine of `paths`, and returns when it answers. One that answers already will do, whoever started it: of two
/// shells that call this at once, both find the same engine.
///
/// # Errors
/// When there is no engine after that, with what it said.
pub async fn start_engine(paths: &Paths) -> Result<(), EngineStartError> {
    let program = engine_program().ok_or(EngineStartError::NoProgram)?;
    start_program(&program, paths).await
}

/// As [`start_engine`], with the program at `program`.
///
/// # Errors
/// As [`start_engine`].
pub async fn start_program(program: &Path, paths: &Paths) -> Result<(), EngineStartError> {
    let begun = Instant::now();
    loop {
        if answers(paths) {
            return Ok(());
        }
        let Some((status, said)) = spawn_and_wait(program, paths).await? else { return Ok(()) };
        // Another engine is starting, or ending.
        if !said.contains(HOME_IN_USE) || begun.elapsed() > PREDECESSOR {
            return Err(EngineStartError::Ended { status: status.code(), said: sentence(&said, status) });
        }
        sleep(LOOK_EVERY * 5).await;
    }
}

/// The program `surge`: beside this one, else on the PATH.
#[must_use]
pub fn engine_program() -> Option<PathBuf> {
    let name = format!("surge{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join(&name)).find(|file| file.is_file())
}

/// `None` when an engine answers, else how this one ended and what it said.
async fn spawn_and_wait(program: &Path, paths: &Paths) -> Result<Option<(ExitStatus, String)>, EngineStartError> {
    let failed = |source| EngineStartError::Spawn { program: program.to_owned(), source };
    // Each start has its own, so that nobody reads another's.
    let number = STARTS.fetch_add(1, Ordering::Relaxed);
    let name = format!("start-{}-{number}.txt", std::process::id());
    let (told, errors) = [paths.home.join("log"), std::env::temp_dir()]
        .into_iter()
        .find_map(|folder| Some((folder.join(&name), last_words(&folder, &name)?)))
        .map_or_else(|| (PathBuf::new(), Stdio::null()), |(told, errors)| (told, errors.into()));
    let child = Command::new(program)
        .arg("--home")
        .arg(&paths.home)
        .args(["run", "--own-session"])
        // What a service manager told this program is not meant for the engine.
        .env_remove("NOTIFY_SOCKET")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .map_err(failed)?;
    let ended = wait_aside(child);
    let outcome = tokio::select! {
        biased;
        () = answer(paths) => Ok(None),
        ended = ended => {
            let status = ended.unwrap_or_else(|_| Err(io::Error::other("nobody waited for it"))).map_err(failed)?;
            Ok(Some((status, fs::read_to_string(&told).unwrap_or_default())))
        }
        () = sleep(PATIENCE) => Err(EngineStartError::Silent),
    };
    // The engine may write to it on, and nobody reads that.
    let _ = fs::remove_file(&told);
    outcome
}

/// A new file for what an engine says while it starts, that only this user reads. In the folder of temporary files where the
/// home can't be written: that is what the engine says then.
fn last_words(folder: &Path, name: &str) -> Option<File> {
    let told = folder.join(name);
    fs::create_dir_all(folder).ok()?;
    // One of an earlier program with this number.
    let _ = fs::remove_file(&told);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&told).ok()
}

async fn answer(paths: &Paths) {
    while !answers(paths) {
        sleep(LOOK_EVERY).await;
    }
}

/// Waits for its end on a thread, so that no dead process is left in the system's list however long this program lives.
fn wait_aside(mut child: Child) -> oneshot::Receiver<io::Result<ExitStatus>> {
    let (tell, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody may want to know any more.
        let _ = tell.send(child.wait());
    });
    ended
}

/// The last line of what it said, without the program's name.
fn sentence(said: &str, status: ExitStatus) -> String {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = line.map_or_else(|| format!("the engine ended without a word ({status})"), str::to_owned);
    let line = line.strip_prefix("surge: ").unwrap_or(&line).to_owned();
    line.chars().take(TOLD).collect()
}

/// The code at the end of a sentence: `SENTENCE [CODE]`.
fn code_in(said: &str) -> Option<&str> {
    said.strip_suffix(']')?.rsplit_once('[').map(|(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("surge");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn what_an_engine_says_at_its_end_is_told_as_a_sentence_with_its_code() {
        let said = sentence("INFO Starting\nsurge: another engine runs [machine_in_use]\n\n", ExitStatus::from_raw(0));
        assert_eq!(said, "another engine runs [machine_in_use]");
        assert_eq!(EngineStartError::Ended { status: Some(12), said }.code(), "machine_in_use");
        assert_eq!(code_in("Killed"), None);
    }

    #[tokio::test]
    async fn an_engine_that_ends_at_once_is_told_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { home: folder.path().join("home") };
        let program = script(folder.path(), "echo \"surge: no room for $4 [no_room]\" >&2; exit 7");
        let error = start_program(&program, &paths).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.code()), ("no room for --own-session [no_room]", "no_room"));
        let nowhere = Paths { home: program.join("home") };
        let error = start_program(&program, &nowhere).await.unwrap_err();
        assert_eq!(error.code(), "no_room", "a home that can't be written is no reason to say nothing");
        let none = start_program(&folder.path().join("nothing"), &paths).await.unwrap_err();
        assert_eq!(none.code(), "no_engine_program");
    }
}
