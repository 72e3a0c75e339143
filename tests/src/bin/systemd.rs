//! Tries Surge on a machine that boots systemd: `cargo xtask systemd` prepares it and runs this.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::json;
use surge_tests::machine::why_not;
use surge_tests::systemd::{Length, Row, run};

#[derive(Debug, Parser)]
struct Args {
    /// The prepared system
    #[arg(long)]
    root: PathBuf,
    /// Writes what was found here as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(why) = why_not(&args.root) {
        bail!("{why}");
    }
    let rows = run(&args.root, Length::Whole, |row| {
        let (mark, text) = match &row.found {
            Ok(text) => ("ok    ", text),
            Err(text) => ("FAILED", text),
        };
        // Nobody has to listen.
        let _ = writeln!(std::io::stdout(), "{mark}  {}\n        {text}", row.name);
    })?;
    if let Some(file) = &args.json {
        let rows: Vec<_> = rows.iter().map(document).collect();
        std::fs::write(file, serde_json::to_vec_pretty(&rows)?).with_context(|| file.display().to_string())?;
    }
    let failed = rows.iter().filter(|row| row.found.is_err()).count();
    writeln!(std::io::stdout(), "{} rows, {failed} failed", rows.len())?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn document(row: &Row) -> serde_json::Value {
    let text = row.found.as_ref().unwrap_or_else(|text| text);
    json!({ "name": row.name, "ok": row.found.is_ok(), "found": text })
}
