//! How far a worker can lock itself down on this machine, asked before there is a task.
//!
//! Deliberately absent: the lock-down itself, which is the worker's, and what its owner makes of the answer.

use std::path::Path;

use surge_platform::process::Exit;
use surge_protocol::frame::{Lockdown, NO_LOCKDOWN_STATUS};
use thiserror::Error;

use crate::program::{Answer, ask};
use crate::verdict::plain;

/// The longest explanation that is taken from a worker, bytes.
const LONGEST: usize = 500;
/// What a filter over system calls sends that kills.
const SIGSYS: i32 = 31;

/// What a worker reached when it locked itself down for a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockdownProbe {
    /// `None` where this machine refuses every lock-down: no task can run here then.
    pub reached: Option<Lockdown>,
    /// Why it got no further, in words for the machine's owner; empty where everything stands. Free of control characters.
    pub missing: String,
}

/// The worker did not say how far it can lock itself down: for want of memory, for one. Nothing is known of this machine,
/// and the next try may succeed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the worker could not try to lock itself down: {0}")]
pub struct LockdownUntold(String);

impl LockdownProbe {
    /// Whether tasks can run where the owner asks for at least `least`.
    #[must_use]
    pub fn allows(&self, least: Lockdown) -> bool {
        self.reached >= Some(least)
    }
}

/// Has the worker at `path` lock itself down, in a process of its own that ends at once, and says how far it came.
///
/// What it takes: `close_range` (Linux 5.9 or newer) to start a worker at all, seccomp filters (every kernel of a
/// distribution) for [`Lockdown::SeccompOnly`], and landlock (Linux 5.13 or newer, not switched off) for
/// [`Lockdown::Full`].
///
/// # Errors
/// When the worker does not start, or ends for a reason that may pass.
pub fn probe_lockdown(path: &Path) -> Result<LockdownProbe, LockdownUntold> {
    match ask(path, "--lockdown") {
        Ok(answer) => read(&answer),
        Err(error) => Err(untold(&format!("the worker {} could not be started: {error}", path.display()))),
    }
}

fn read(answer: &Answer) -> Result<LockdownProbe, LockdownUntold> {
    let mut lines = answer.said.lines();
    let (level, missing) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    match (answer.exit, level) {
        (Exit::Status(0), "full") => Ok(LockdownProbe { reached: Some(Lockdown::Full), missing: String::new() }),
        (Exit::Status(0), "seccomp-only") => {
            Ok(LockdownProbe { reached: Some(Lockdown::SeccompOnly), missing: plain(missing, LONGEST) })
        }
        (Exit::Status(0), _) => Err(untold("it gave no answer that makes sense: is it of this version?")),
        (Exit::Status(status), _) if status == i32::from(NO_LOCKDOWN_STATUS) => Ok(refused(&answer.complained)),
        (Exit::Status(status), _) => Err(untold(&format!("it left with status {status}: {}", answer.complained))),
        // A system call that kills instead of failing is a filter that somebody else has put around this program.
        (Exit::Signal(SIGSYS), _) => Ok(refused(&format!(
            "a filter around this program ended the worker by signal {SIGSYS}: {}",
            answer.complained
        ))),
        (Exit::Signal(signal), _) => Err(untold(&format!("it was ended by signal {signal}: {}", answer.complained))),
    }
}

fn refused(missing: &str) -> LockdownProbe {
    LockdownProbe { reached: None, missing: plain(missing, LONGEST) }
}

fn untold(why: &str) -> LockdownUntold {
    LockdownUntold(plain(why, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(exit: Exit, said: &str, complained: &str) -> Result<LockdownProbe, LockdownUntold> {
        read(&Answer { exit, said: said.into(), complained: complained.into() })
    }

    #[test]
    fn an_answer_is_taken_at_its_word_only_where_it_makes_sense() {
        let full = probe(Exit::Status(0), "full\n", "").unwrap();
        assert!(full.allows(Lockdown::Full) && full.allows(Lockdown::SeccompOnly) && full.missing.is_empty());
        let filter = probe(Exit::Status(0), "seccomp-only\nno landlock\x1b[2J\n", "").unwrap();
        assert!(!filter.allows(Lockdown::Full) && filter.allows(Lockdown::SeccompOnly));
        assert_eq!(filter.missing, "no landlock [2J");
        for exit in [Exit::Status(NO_LOCKDOWN_STATUS.into()), Exit::Signal(SIGSYS)] {
            let none = probe(exit, "full", "seccomp: no").unwrap();
            assert!(!none.allows(Lockdown::SeccompOnly) && none.missing.ends_with("seccomp: no"), "{none:?}");
        }
    }

    /// A worker that has no memory for a try, or is killed for want of it, says nothing of this machine.
    #[test]
    fn what_may_pass_is_no_answer() {
        for (exit, said) in [(Exit::Status(1), "full"), (Exit::Signal(9), "full"), (Exit::Status(0), "")] {
            assert!(probe(exit, said, "no memory").is_err(), "{exit:?} {said}");
        }
    }
}
