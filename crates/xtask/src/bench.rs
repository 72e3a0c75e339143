//! The one door for benchmarks. Each runs the release build as users do, measures from outside, prints what it found
//! and never fails on a time.

mod figures;
mod outside;
mod sandbox;
mod start;
mod throttle;

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;

pub(crate) use outside::Rows;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Name {
    /// From the worker's spawn to the first guest instruction; compile speed
    Start,
    /// Speed of programs in the worker against native code, wasmtime and V8; the cost of the meter
    Sandbox,
    /// How closely a worker keeps its share of a processor
    Throttle,
    /// From the owner's first input to the last tick of work, beside BOINC's client
    Yield,
    /// Memory, CPU and wake-ups of the engine, beside BOINC's client
    Footprint,
}

pub(crate) fn run(name: Name, rows: &Rows, json: Option<&Path>) -> Result<()> {
    let figures = match name {
        Name::Start => start::run()?,
        Name::Sandbox => sandbox::run()?,
        Name::Throttle => throttle::run()?,
        Name::Yield => outside::yielding(rows)?,
        Name::Footprint => outside::footprint()?,
    };
    if let Some(file) = json {
        let text = serde_json::to_vec_pretty(&figures)?;
        std::fs::write(file, text).with_context(|| format!("{} can't be written", file.display()))?;
    }
    Ok(())
}
