//! Standard output: lines for people, one JSON document for programs. A reader that left is no error.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

/// Prints a line.
///
/// # Errors
/// Standard output's, except that its reader is gone.
pub(crate) fn line(text: &str) -> Result<()> {
    quiet_pipe(writeln!(io::stdout(), "{text}"))
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// As [`line`].
pub(crate) fn json_line(value: &impl Serialize) -> Result<ExitCode> {
    line(&serde_json::to_string(value)?)?;
    Ok(ExitCode::SUCCESS)
}

fn quiet_pipe(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
