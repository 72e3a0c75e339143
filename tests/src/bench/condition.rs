//! What goes on at the computer while the owner comes back.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::disk::{Pace, Rule, Work};

/// What an operation of the slow disk takes: a hard disk that has much else to do.
const SLOW_WRITE: Duration = Duration::from_millis(20);
const SLOW_SYNC: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Condition {
    /// Nothing but the work.
    Quiet,
    /// Four downloads that sync to a slow disk, on which everything of the engine's is.
    Downloads,
    /// Other programs take all processors, and tasks are short, so that a worker is being spawned most of the time.
    Spawn,
    /// The file of settings is on a file system that hangs.
    Settings,
}

impl Condition {
    pub(super) const fn has_disk(self) -> bool {
        matches!(self, Self::Downloads | Self::Settings)
    }

    /// How the disk behaves from when the workers compute.
    pub(super) fn disk(self) -> Vec<Rule> {
        match self {
            Self::Quiet | Self::Spawn => Vec::new(),
            Self::Downloads => vec![
                // Those that have begun stay under way for as long as it takes to measure.
                Rule { work: Work::Sync, under: Some("blobs".into()), pace: Pace::Hangs },
                Rule { work: Work::Sync, under: None, pace: Pace::Slow(SLOW_SYNC) },
                Rule { work: Work::Write, under: None, pace: Pace::Slow(SLOW_WRITE) },
            ],
            Self::Settings => vec![Rule { work: Work::Look, under: Some("settings.toml".into()), pace: Pace::Hangs }],
        }
    }

    /// The other programs.
    pub(super) fn others(self) -> Result<Others> {
        let count = match self {
            Self::Spawn => std::thread::available_parallelism()?.get(),
            _ => 0,
        };
        let start = || Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Ok(Others((0..count).map(|_| start().context("a shell")).collect::<Result<_>>()?))
    }
}

/// Programs that compute until this is dropped.
pub(super) struct Others(Vec<Child>);

impl Others {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for other in &mut self.0 {
            // It may have been killed by somebody else.
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}
