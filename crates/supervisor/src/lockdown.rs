//! How far a worker can lock itself down on this machine, asked before there is a task.
//!
//! Deliberately absent: the lock-down itself, which is the worker's, and what its owner makes of the answer.

use std::path::Path;

use surge_platform::process::Exit;
use surge_protocol::frame::Lockdown;

use crate::program::{Answer, ask};
use crate::verdict::plain;

/// The longest explanation that is taken from a worker, bytes.
const LONGEST: usize = 500;

/// What a worker reached when it locked itself down for a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockdownProbe {
    /// `None` where it could not lock itself down at all, or did not start: no task can run here then.
    pub reached: Option<Lockdown>,
    /// Why it got no further, in words for the machine's owner; empty where everything stands. Free of control characters.
    pub missing: String,
}

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
#[must_use]
pub fn probe_lockdown(path: &Path) -> LockdownProbe {
    match ask(path, "--lockdown") {
        Ok(answer) => read(&answer),
        Err(error) => nothing(&format!("the worker {} could not be started: {error}", path.display())),
    }
}

fn read(answer: &Answer) -> LockdownProbe {
    let mut lines = answer.said.lines();
    let (level, missing) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    match (answer.exit, level) {
        (Exit::Status(0), "full") => LockdownProbe { reached: Some(Lockdown::Full), missing: String::new() },
        (Exit::Status(0), "seccomp-only") => {
            LockdownProbe { reached: Some(Lockdown::SeccompOnly), missing: plain(missing, LONGEST) }
        }
        (Exit::Status(0), _) => nothing("the worker gave no answer that makes sense: is it of this version?"),
        (Exit::Status(_), _) => nothing(&answer.complained),
        // A system call that kills instead of failing is a filter that somebody else has put around this program.
        (Exit::Signal(signal), _) => {
            nothing(&format!("the worker was ended by signal {signal}: {}", answer.complained))
        }
    }
}

fn nothing(missing: &str) -> LockdownProbe {
    LockdownProbe { reached: None, missing: plain(missing, LONGEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(exit: Exit, said: &str, complained: &str) -> LockdownProbe {
        read(&Answer { exit, said: said.into(), complained: complained.into() })
    }

    #[test]
    fn an_answer_is_taken_at_its_word_only_where_it_makes_sense() {
        let full = probe(Exit::Status(0), "full\n", "");
        assert!(full.allows(Lockdown::Full) && full.allows(Lockdown::SeccompOnly) && full.missing.is_empty());
        let filter = probe(Exit::Status(0), "seccomp-only\nno landlock\x1b[2J\n", "");
        assert!(!filter.allows(Lockdown::Full) && filter.allows(Lockdown::SeccompOnly));
        assert_eq!(filter.missing, "no landlock [2J");
        for (exit, said) in [(Exit::Status(1), "full"), (Exit::Signal(31), "full"), (Exit::Status(0), "")] {
            let none = probe(exit, said, "seccomp: no");
            assert!(
                none.reached.is_none() && !none.allows(Lockdown::SeccompOnly) && !none.missing.is_empty(),
                "{said}"
            );
        }
    }
}
