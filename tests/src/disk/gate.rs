//! How long an operation of a disk waits.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// A name is looked for. The kernel lets nobody make a file in the same folder meanwhile.
    Name,
    /// Attributes and contents are asked for.
    Look,
    /// Contents, names or attributes change.
    Write,
    /// What was written is made safe.
    Sync,
    /// In a rule: all of them.
    Any,
}

/// How long an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pace {
    Prompt,
    /// Each operation takes so long.
    Slow(Duration),
    /// Until the rules change.
    Hangs,
}

/// How fast something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub work: Work,
    /// A file or a folder with all that is in it, by its path on the disk; everything where none is named.
    pub under: Option<PathBuf>,
    pub pace: Pace,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    waiting: usize,
}

#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn set(&self, rules: Vec<Rule>) {
        self.state().rules = rules;
        self.changed.notify_all();
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Whether this would wait now.
    pub(super) fn is_open(&self, work: Work, path: &Path) -> bool {
        self.state().pace(work, path) == Pace::Prompt
    }

    /// Waits as long as the rules say.
    pub(super) fn pass(&self, work: Work, path: &Path) {
        let begun = Instant::now();
        let mut state = self.state();
        state.waiting += 1;
        loop {
            let rest = match state.pace(work, path) {
                Pace::Prompt => Duration::ZERO,
                Pace::Slow(time) => time.saturating_sub(begun.elapsed()),
                Pace::Hangs => Duration::MAX,
            };
            state = match rest {
                Duration::ZERO => break,
                Duration::MAX => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                rest => self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        state.waiting -= 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pace(&self, work: Work, path: &Path) -> Pace {
        let fits = |rule: &&Rule| {
            let here = rule.under.as_ref().is_none_or(|under| path.starts_with(under));
            here && (rule.work == Work::Any || rule.work == work)
        };
        self.rules.iter().find(fits).map_or(Pace::Prompt, |rule| rule.pace)
    }
}
