//! `surge limits`: the settings file, shown and changed. A running engine takes a change over within a second.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use surge_contributor::settings::{Change, Changed, Machine, Preset, Settings, change, shown};
use surge_platform::home;
use surge_platform::paths::Paths;

use crate::say::{json_line, line};

const EXAMPLES: &str = "\
Examples:
  surge limits set cpu_percent=50 workers=2
  surge limits set schedule='mon-fri 22:00-07:00; sat,sun 00:00-24:00'
  surge limits set excluded_programs=blender,steam

docs/limits.md shows each setting as it is typed; `surge limits` shows what holds now.";

#[derive(Debug, Args)]
pub(crate) struct LimitsArgs {
    #[command(subcommand)]
    command: Option<LimitsCommand>,
}

#[derive(Debug, Subcommand)]
enum LimitsCommand {
    /// Change settings; a list is given with commas, or by the same key again
    #[command(after_help = EXAMPLES)]
    Set {
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
    /// Take limits that belong together
    Preset { name: PresetArg },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PresetArg {
    /// Nobody should ever hear or feel it
    Quiet,
    /// The defaults
    Balanced,
    /// All that this computer can spare
    Everything,
}

/// Shows the limits, or changes them and shows what has changed.
pub(crate) fn run(paths: &Paths, args: LimitsArgs, json: bool) -> Result<ExitCode> {
    let changes = match args.command {
        None => return show(paths, &Settings::load(&paths.settings())?, json),
        Some(LimitsCommand::Set { changes }) => Change::parse_all(&changes)?,
        Some(LimitsCommand::Preset { name }) => preset(name).changes(&Machine::here()),
    };
    home::prepare(paths)?;
    answer(paths, &changes, &change(&paths.settings(), &changes)?, json)
}

/// What has changed, and what was asked for and is so already.
fn answer(paths: &Paths, changes: &[Change], changed: &Changed, json: bool) -> Result<ExitCode> {
    let differences = changed.differences();
    if json {
        let mut document = document(paths, &changed.after)?;
        let limits = &document["limits"];
        let values: Map<String, Value> =
            differences.iter().map(|it| (it.key.to_owned(), limits[it.key]["value"].clone())).collect();
        document["changed"] = values.into();
        return json_line(&document);
    }
    for difference in &differences {
        let later = if difference.live { "" } else { " (counts from the next start)" };
        line(&format!("{}: {} → {}{later}", difference.key, difference.before, difference.after))?;
    }
    for change in changes {
        if !differences.iter().any(|difference| difference.key == change.key()) {
            line(&format!("{}: {} already", change.key(), change.value()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn preset(name: PresetArg) -> Preset {
    match name {
        PresetArg::Quiet => Preset::Quiet,
        PresetArg::Balanced => Preset::Balanced,
        PresetArg::Everything => Preset::Everything,
    }
}

fn show(paths: &Paths, settings: &Settings, json: bool) -> Result<ExitCode> {
    if json {
        return json_line(&document(paths, settings)?);
    }
    let preset = Preset::of(settings, &Machine::here()).map(Preset::name);
    line(&format!("Preset: {}", preset.unwrap_or("none, these limits are your own")))?;
    for (key, shown) in shown(settings) {
        let changed = if shown.value == shown.default { "" } else { " *" };
        line(&format!("{key} = {}{changed}\n    {}", shown.toml, shown.about))?;
    }
    line(&format!("\n* differs from the default. The file is {}", paths.settings().display()))?;
    Ok(ExitCode::SUCCESS)
}

/// All limits, for programs.
fn document(paths: &Paths, settings: &Settings) -> Result<Value> {
    let preset = Preset::of(settings, &Machine::here()).map(Preset::name);
    let limits: Map<String, Value> = shown(settings)
        .iter()
        .map(|(key, shown)| Ok(((*key).to_owned(), serde_json::to_value(shown)?)))
        .collect::<Result<_>>()?;
    Ok(json!({ "file": paths.settings(), "preset": preset, "limits": limits }))
}
