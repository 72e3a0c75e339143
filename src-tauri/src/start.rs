//! Starts an engine that outlives this program.
//!
//! It is `surge run`, from beside this program or from the PATH, in a process group of its own, so that neither the end of
//! this program nor a signal to its terminal ends it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use surge_platform::paths::Paths;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, sleep};

use crate::lost::{Lost, LostCode};

/// How long an engine may take to answer, which is a matter of a second. A bound for one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an engine that is still ending is waited for before another one is started.
const PREDECESSOR: Duration = Duration::from_secs(15);
/// Between two looks for its socket.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The exit status of an engine that found another one.
const ENGINE_RUNS: i32 = 12;
/// How much of what it says last is kept, bytes.
const KEPT: usize = 4 << 10;

/// What can start an engine.
pub(crate) trait Starter {
    /// Starts one, and returns when an engine answers.
    fn start(&self) -> impl Future<Output = Result<(), Lost>> + Send;
}

/// Starts the installed engine for one home.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) paths: Paths,
}

impl Starter for Launcher {
    async fn start(&self) -> Result<(), Lost> {
        let program = program().ok_or(LostCode::NoProgram)?;
        let begun = Instant::now();
        loop {
            let ended = run(&program, &self.paths).await?;
            let Some((status, said)) = ended else { return Ok(()) };
            if status.code() != Some(ENGINE_RUNS) || begun.elapsed() > PREDECESSOR {
                return Err(Lost::said(LostCode::CantStart, told(&said).unwrap_or_else(|| status.to_string())));
            }
            // The one before it is ending, or another one is starting.
            sleep(LOOK_EVERY * 5).await;
            if surge_client::answers(&self.paths) {
                return Ok(());
            }
        }
    }
}

/// `surge` beside this program, else on the PATH.
fn program() -> Option<PathBuf> {
    let name = format!("surge{}", std::env::consts::EXE_SUFFIX);
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join(&name)).find(|file| file.is_file())
}

/// Starts it. `None` when it answers, else how it ended and what it said.
async fn run(program: &Path, paths: &Paths) -> Result<Option<(ExitStatus, String)>, Lost> {
    let failed = |error: std::io::Error| Lost::said(LostCode::CantStart, format!("{}: {error}", program.display()));
    let mut command = Command::new(program);
    command.arg("run").arg("--home").arg(&paths.home);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(failed)?;
    let said = tokio::spawn(last_words(child.stderr.take().expect("it is a pipe")));
    let begun = Instant::now();
    loop {
        tokio::select! {
            ended = child.wait() => {
                let status = ended.map_err(failed)?;
                return Ok(Some((status, said.await.unwrap_or_default())));
            }
            () = sleep(LOOK_EVERY) => {}
        }
        if surge_client::answers(paths) {
            tokio::spawn(bury(child));
            return Ok(None);
        }
        if begun.elapsed() > PATIENCE {
            tokio::spawn(bury(child));
            return Err(LostCode::Stuck.into());
        }
    }
}

/// Waits for its end, so that no dead process is left in the system's list.
async fn bury(mut child: Child) {
    // Fails only when somebody else has waited for it.
    let _ = child.wait().await;
}

/// Reads all that it writes to standard error, which its log has too, and keeps the end. Once this program is gone, the
/// engine writes to nobody, and goes on.
async fn last_words(mut errors: ChildStderr) -> String {
    let (mut kept, mut read) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = errors.read(&mut read).await {
        kept.extend_from_slice(&read[..count]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The sentence of its last line, without the program's name and the code for programs: `surge: SENTENCE [CODE]`.
fn told(said: &str) -> Option<String> {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let sentence = line.strip_prefix("surge: ").unwrap_or(line);
    let without_code = sentence.strip_suffix(']').and_then(|sentence| sentence.rsplit_once(" ["));
    Some(without_code.map_or(sentence, |(sentence, _)| sentence).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_says_at_its_end_is_told_as_a_sentence() {
        let said = "2026-11-27T06:00:00Z  INFO Starting\nsurge: an engine runs already: pid 7 [machine_in_use]\n\n";
        assert_eq!(told(said).as_deref(), Some("an engine runs already: pid 7"));
        assert_eq!(told("Killed").as_deref(), Some("Killed"));
        assert_eq!(told("\n"), None);
    }
}
