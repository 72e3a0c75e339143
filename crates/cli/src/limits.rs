//! `surge limits`: the settings file, shown and changed. A running engine takes a change over within a second.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use surge_contributor::settings::{Change, Machine, Preset, Settings, change, shown};
use surge_platform::paths::Paths;

use crate::say::{json_line, line};

#[derive(Debug, Args)]
pub(crate) struct LimitsArgs {
    #[command(subcommand)]
    command: Option<LimitsCommand>,
}

#[derive(Debug, Subcommand)]
enum LimitsCommand {
    /// Change settings: cpu_percent=50, schedule="mon-fri 22:00-07:00", excluded_programs=blender,steam
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

/// Shows the limits, after changing them where that is asked for.
pub(crate) fn run(paths: &Paths, args: LimitsArgs, json: bool) -> Result<ExitCode> {
    let file = paths.settings();
    let settings = match args.command {
        None => Settings::load(&file)?,
        Some(LimitsCommand::Set { changes }) => {
            let changes = changes.iter().map(|text| Change::parse(text)).collect::<Result<Vec<_>, _>>()?;
            change(&file, &changes)?
        }
        Some(LimitsCommand::Preset { name }) => change(&file, &preset(name).changes(&Machine::here()))?,
    };
    show(paths, &settings, json)
}

fn preset(name: PresetArg) -> Preset {
    match name {
        PresetArg::Quiet => Preset::Quiet,
        PresetArg::Balanced => Preset::Balanced,
        PresetArg::Everything => Preset::Everything,
    }
}

fn show(paths: &Paths, settings: &Settings, json: bool) -> Result<ExitCode> {
    let preset = Preset::of(settings, &Machine::here()).map(Preset::name);
    let limits = shown(settings);
    if json {
        let limits: Map<String, Value> = limits
            .iter()
            .map(|(key, shown)| Ok(((*key).to_owned(), serde_json::to_value(shown)?)))
            .collect::<Result<_>>()?;
        return json_line(&json!({ "file": paths.settings(), "preset": preset, "limits": limits }));
    }
    line(&format!("Preset: {}", preset.unwrap_or("none, these limits are your own")))?;
    for (key, shown) in limits {
        let changed = if shown.value == shown.default { "" } else { " *" };
        line(&format!("{key} = {}{changed}\n    {}", shown.toml, shown.about))?;
    }
    line(&format!("\n* differs from the default. The file is {}", paths.settings().display()))?;
    Ok(ExitCode::SUCCESS)
}
