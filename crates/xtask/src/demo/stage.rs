//! The processes of a demo: started with a log each, watched, and all ended when the stage is left.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) struct Stage {
    logs: PathBuf,
    actors: Vec<(String, Child)>,
    interrupted: Arc<AtomicBool>,
}

impl Stage {
    /// A stage whose processes log into `logs`. From here on Ctrl-C and SIGTERM end the demo in order.
    pub(crate) fn new(logs: &Path) -> Result<Self> {
        std::fs::create_dir_all(logs)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
        Ok(Self { logs: logs.to_owned(), actors: Vec::new(), interrupted })
    }

    /// Starts a process that lives until it ends or the stage does.
    pub(crate) fn enter(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = File::create(self.log(name))?;
        // A group of its own: Ctrl-C reaches us alone, and what it starts ends with it.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("could not start {name}: {command:?}"))?;
        self.actors.push((name.to_owned(), child));
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Waits until `look` finds something; looks at the processes and at Ctrl-C meanwhile.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            self.check()?;
            if let Some(found) = look()? {
                return Ok(found);
            }
            if begun.elapsed() > patience {
                bail!("{what} did not happen within {} s; the logs are in {}", patience.as_secs(), self.logs.display());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits for Ctrl-C, or for one process to end by itself when it is named.
    pub(crate) fn stay(&mut self, until_ended: Option<&str>) -> Result<()> {
        while !self.interrupted.load(Ordering::Relaxed) {
            let named = self.actors.iter_mut().find(|(name, _)| Some(name.as_str()) == until_ended);
            if let Some((_, child)) = named
                && child.try_wait()?.is_some()
            {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Fails when the demo was interrupted or a process ended that should not.
    fn check(&mut self) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        for (name, child) in &mut self.actors {
            if let Some(status) = child.try_wait()? {
                let log = self.logs.join(format!("{name}.log"));
                bail!("{name} ended with {status}:\n{}", last_lines(&log));
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    /// Asks every process to end, newest first, and kills what does not.
    fn drop(&mut self) {
        for (_, child) in self.actors.iter().rev() {
            signal(child, Signal::TERM);
        }
        let deadline = Instant::now() + GRACE;
        for (_, child) in self.actors.iter_mut().rev() {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            // The group outlives its leader when a worker did: nothing of it stays.
            signal(child, Signal::KILL);
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may be gone already.
        let _ = kill_process_group(group, signal);
    }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
