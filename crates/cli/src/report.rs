//! `surge report`: what helps to find a fault, as one text that its owner reads before it is written.
//!
//! Nothing is sent anywhere. Every part stands alone: one that can't be read says so, and the others are there. Names and
//! secrets are taken out of the whole at the end.

mod private;
mod sections;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use surge_platform::paths::Paths;
use thiserror::Error;

use crate::redact::{Redacted, redact};
use crate::say::{Reader, json_line, line, plain, told};
use crate::version::VERSION;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Write it here; without it to surge-report-TIME.txt in this folder
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write it without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Error)]
#[error("nothing was written: nobody is at the terminal to agree; look at the preview, then add --yes")]
pub(crate) struct NothingWritten;

pub(crate) async fn report(paths: &Paths, args: &ReportArgs, json: bool) -> Result<ExitCode> {
    let (text, private) = sections::all(paths).await;
    let Redacted { text, replaced } = redact(&plain(&text), &private);
    let text = format!("{}{text}", head(&replaced));
    let file = args
        .out
        .clone()
        .unwrap_or_else(|| jiff::Zoned::now().strftime("surge-report-%Y%m%d-%H%M%S.txt").to_string().into());
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if json {
        let written = args.yes.then(|| write(&file, &text).map(|()| file.clone())).transpose()?;
        return json_line(&json!({ "written": written, "replaced": replaced, "text": text }));
    }
    if !args.yes {
        if told(&text)? == Reader::Gone {
            return Ok(ExitCode::SUCCESS);
        }
        if !terminal && args.out.is_some() {
            return Err(NothingWritten.into());
        }
        if !terminal {
            // Standard output has the whole report, which may be all that was wanted.
            eprintln!(
                "surge: this is the preview, and no file was written; add --yes to write one, --out FILE to name it"
            );
            return Ok(ExitCode::SUCCESS);
        }
        if !agreed(&file)? {
            line("Nothing was written.")?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    write(&file, &text)?;
    line(&format!(
        "Written to {} ({} KiB). It is sent nowhere: give it to whom you want.",
        file.display(),
        text.len().div_ceil(1024)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn head(replaced: &BTreeMap<&str, usize>) -> String {
    let replaced: Vec<_> = replaced.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let replaced = if replaced.is_empty() { "nothing".to_owned() } else { replaced.join(", ") };
    format!(
        "Surge report, {}, by surge {VERSION}\n\
         Names, addresses, keys and the like are replaced by <kind-number>, the same thing by the same name: {replaced}\n\
         Read it before you give it away: a program cannot know everything that is private to you.\n",
        jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ")
    )
}

fn agreed(file: &Path) -> Result<bool> {
    write!(io::stdout(), "\nThis is the whole report. Write it to {}? [y/N] ", file.display())?;
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("the terminal can't be read")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Writes a new file that only its owner can read.
fn write(path: &Path, text: &str) -> Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.with_context(|| format!("{} can't be written", path.display()))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a report is none.
        let _ = std::fs::remove_file(path);
    }
    written.with_context(|| format!("{} can't be written", path.display()))
}
