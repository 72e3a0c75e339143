//! The table: a command line, the home that it meets, and how it must fail. A list for each group of commands.

mod engine;
mod jobs;
mod settings;
mod wallet;

use crate::home::Kind;

/// One way to fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) home: Kind,
    /// `{desk}` is a folder with the files of `home.rs`.
    pub(crate) args: &'static [&'static str],
    pub(crate) stdin: &'static str,
    pub(crate) status: i32,
    pub(crate) code: &'static str,
}

/// A failure of `args` in `home`.
pub(crate) const fn fails(home: Kind, args: &'static [&'static str], status: i32, code: &'static str) -> Row {
    Row { home, args, stdin: "", status, code }
}

impl Row {
    /// The same with something on standard input.
    pub(crate) const fn with_input(self, stdin: &'static str) -> Self {
        Self { stdin, ..self }
    }
}

/// All rows of all groups.
pub(crate) fn all() -> Vec<Row> {
    [engine::ROWS, settings::ROWS, wallet::ROWS, jobs::ROWS].concat()
}
