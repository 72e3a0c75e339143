//! Standard output: lines for people, one JSON document for programs. A reader that left is no error.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use crate::failure::Failure;

/// Whether anybody still reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    There,
    Gone,
}

/// Prints a line.
///
/// # Errors
/// Standard output's, except that its reader is gone.
pub(crate) fn line(text: &str) -> Result<()> {
    told(text).map(|_| ())
}

/// Prints a line, and says whether anybody was there to read it.
///
/// # Errors
/// As [`line`].
pub(crate) fn told(text: &str) -> Result<Reader> {
    match writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => {
            Err(Failure::new("output_unwritable", format!("standard output can't be written: {error}")).into())
        }
        Ok(()) => Ok(Reader::There),
    }
}

/// A text in which nothing moves a terminal's cursor, hides or turns around what stands there: some of what is shown comes
/// from a network.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => plain.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => plain.extend(c.escape_unicode()),
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

/// A number and what is counted, as in "1 task" and "2 tasks".
pub(crate) fn counted(count: impl TryInto<u64>, what: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// As [`line`].
pub(crate) fn json_line(value: &impl Serialize) -> Result<ExitCode> {
    line(&serde_json::to_string(value)?)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let said = [counted(0_u64, "task"), counted(1_usize, "task"), counted(2_u32, "task")];
        assert_eq!(said, ["0 tasks", "1 task", "2 tasks"]);
    }

    #[test]
    fn a_terminal_only_prints_what_a_network_sent() {
        assert_eq!(plain("a\tb\nc é 日"), "a\tb\nc é 日");
        assert_eq!(plain("job \u{1b}[2J\r\u{202e}x\u{9b}"), "job \\u{1b}[2J\\r\\u{202e}x\\u{9b}");
    }
}
