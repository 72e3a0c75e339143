//! `surge report`: what helps to find a fault, as one text that its owner reads before it is written.
//!
//! Nothing is sent anywhere. Every part stands alone: one that can't be read says so, and the others are there. Names and
//! secrets are taken out of the whole at the end.

mod private;
mod sections;

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use surge_contributor::files::Destination;
use surge_platform::paths::Paths;

use crate::failure::Failure;
use crate::redact::{Redacted, redact};
use crate::say::{Reader, json_line, line, plain, told};
use crate::version::VERSION;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Write it here, where no file must be yet; - is standard output; without it to surge-report-TIME.txt in this folder
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write it without asking
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn report(paths: &Paths, args: &ReportArgs, json: bool) -> Result<ExitCode> {
    let (text, private) = sections::all(paths).await;
    let Redacted { text, replaced } = redact(&plain(&text), &private);
    let text = format!("{}{text}", head(&replaced));
    let file = args
        .out
        .clone()
        .unwrap_or_else(|| jiff::Zoned::now().strftime("surge-report-%Y%m%d-%H%M%S.txt").to_string().into());
    if !json && file.as_os_str() == "-" {
        line(text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if json {
        // The document has the whole report: `-` asks for nothing more.
        let wanted = args.yes && file.as_os_str() != "-";
        let written = wanted.then(|| write(&file, &text).map(|()| file.clone())).transpose()?;
        return json_line(&json!({ "written": written, "replaced": replaced, "text": text }));
    }
    if !args.yes {
        if told(&text)? == Reader::Gone {
            return Ok(ExitCode::SUCCESS);
        }
        if !terminal && args.out.is_some() {
            let message =
                "nothing was written: nobody is at the terminal to agree; look at the preview, then add --yes";
            return Err(Failure::new("nothing_written", message).into());
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

/// Writes a new file that only its owner can read, or to a pipe or device.
fn write(path: &Path, text: &str) -> Result<()> {
    if path.is_file() {
        let message = format!("{} is there already: name another file with --out", path.display());
        return Err(Failure::new("out_exists", message).into());
    }
    let written = Destination::prepare(path, 0o600).and_then(|destination| destination.write(text.as_bytes()));
    written.map_err(|error| {
        let message = format!("{} can't be written: {error}; name another file with --out", path.display());
        Failure::new("out_unwritable", message).into()
    })
}
