//! One row of the table: what is tried, how it ends, and how to try it.

use std::collections::BTreeSet;

use surge_supervisor::{Finished, Task};

use super::stand::Stand;
use crate::door::{program, program_with, wat};

/// A hostile case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) number: u8,
    /// What it tries.
    pub(crate) tries: &'static str,
    /// Every way in which it ends, as `outcome/code`; each of them is seen.
    pub(crate) ends: &'static [&'static str],
    /// What else is checked, or why it can't occur.
    pub(crate) note: &'static str,
    pub(crate) run: Run,
}

/// How a case is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Run {
    /// By these tasks, one after the other.
    Tasks(fn() -> Vec<Try>),
    /// By hand; gives back every ending that the supervisor told.
    Act(fn(&Stand) -> Vec<Finished>),
    /// By the test in this file.
    Elsewhere(&'static str),
    /// Not at all: it can't occur.
    Never,
}

impl Case {
    /// Tries it, and checks that it ends as the row says, and that the log says so too.
    pub(crate) fn run(&self, stand: &Stand) {
        let finished = match self.run {
            Run::Tasks(tries) => tries().into_iter().map(|one| one.run(stand, self.ends)).collect(),
            Run::Act(act) => act(stand),
            Run::Elsewhere(_) | Run::Never => return,
        };
        let mut told: Vec<String> = finished.iter().map(ending).collect();
        let seen: BTreeSet<&str> = told.iter().map(String::as_str).collect();
        let listed = self.ends.iter().copied().collect();
        assert_eq!(seen, listed, "the ways in which it ends, and those that the row lists");
        assert!(finished.iter().all(|finished| !finished.detail.contains(char::is_control)));
        told.sort();
        assert_eq!(stand.logged(), told, "what the log says, and what was told");
    }
}

/// One task of a case.
pub(crate) struct Try {
    task: Task,
    ends: Option<&'static str>,
    says: &'static str,
    holds: Option<fn(&Finished)>,
}

impl Try {
    /// A task that ends as the row of its case says.
    pub(crate) fn of(task: Task) -> Self {
        Self { task, ends: None, says: "", holds: None }
    }

    /// A program of this body.
    pub(crate) fn body(body: &str) -> Self {
        Self::of(wat(&program(body)))
    }

    /// A program of this body, with something beside it.
    pub(crate) fn with(more: &str, body: &str) -> Self {
        Self::of(wat(&program_with(more, body)))
    }

    /// For rows with several endings: this one.
    pub(crate) fn ends(self, ends: &'static str) -> Self {
        Self { ends: Some(ends), ..self }
    }

    /// The detail holds these words.
    pub(crate) fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    /// Something else is so.
    pub(crate) fn holds(self, holds: fn(&Finished)) -> Self {
        Self { holds: Some(holds), ..self }
    }

    /// The task is another one in this.
    pub(crate) fn given(mut self, change: impl FnOnce(&mut Task)) -> Self {
        change(&mut self.task);
        self
    }

    fn run(self, stand: &Stand, ends: &[&str]) -> Finished {
        let finished = stand.run(self.task);
        let expected = self.ends.unwrap_or(ends[0]);
        assert_eq!(ending(&finished), expected, "{}", finished.detail);
        assert!(finished.detail.contains(self.says), "{:?} is not in {:?}", self.says, finished.detail);
        if let Some(holds) = self.holds {
            holds(&finished);
        }
        finished
    }
}

/// An ending in one word.
pub(crate) fn ending(finished: &Finished) -> String {
    format!("{}/{}", finished.outcome.name(), finished.code)
}
