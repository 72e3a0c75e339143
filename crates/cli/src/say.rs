//! Standard output: lines for people, one JSON document for programs. A reader that left is no error.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

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
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        written => Ok(written.map(|()| Reader::There)?),
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
