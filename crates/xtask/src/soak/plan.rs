//! The ten runs, and what makes one kind of run another.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Processes that compute beside a busy run.
const SPINNERS: usize = 4;

/// The conditions of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Idle,
    /// Beside processes that keep all processors busy.
    Busy,
    OneCore,
    /// From a clone on a machine that has nothing, as root.
    FreshRoot,
    /// The same as a user who may use sudo.
    FreshUser,
}

pub(super) const PLAN: [Kind; 10] = [
    Kind::Idle,
    Kind::Idle,
    Kind::Idle,
    Kind::Busy,
    Kind::Busy,
    Kind::Busy,
    Kind::OneCore,
    Kind::OneCore,
    Kind::FreshRoot,
    Kind::FreshUser,
];

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::OneCore => "one core",
            Self::FreshRoot => "fresh, root",
            Self::FreshUser => "fresh, user",
        }
    }

    pub(super) const fn is_fresh(self) -> bool {
        matches!(self, Self::FreshRoot | Self::FreshUser)
    }

    /// What runs `suite` in these conditions.
    pub(super) fn command(self, suite: &[String], fresh_machine: Option<&Path>) -> Command {
        let mut command = match (self, fresh_machine) {
            (Self::FreshRoot | Self::FreshUser, Some(program)) => {
                let mut command = Command::new(program);
                if self == Self::FreshUser {
                    command.arg("--user");
                }
                command.arg(".");
                command
            }
            (Self::OneCore, _) => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]);
                command
            }
            _ => Command::new("env"),
        };
        command.args(suite);
        command
    }
}

/// The processes beside a busy run; they end when this is dropped, and with us.
pub(super) struct Busy(Vec<Child>);

impl Busy {
    pub(super) fn start() -> Result<Self> {
        let spinner =
            || Command::new(super::own_program()).arg("spin").stdin(Stdio::piped()).spawn().context("a spinner");
        Ok(Self((0..SPINNERS).map(|_| spinner()).collect::<Result<_>>()?))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for spinner in &mut self.0 {
            // It may have been killed by somebody else.
            let _ = spinner.kill();
            let _ = spinner.wait();
        }
    }
}
