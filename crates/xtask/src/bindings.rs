//! Writes `ui/src/lib/bindings.ts` from the engine's view types, or says that it is stale.
//!
//! The types are printed by an example of the client crate, so that xtask itself stays light.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{self, cargo, root, target};

const FILE: &str = "ui/src/lib/bindings.ts";

/// Writes the file; with `check`, only compares.
///
/// # Errors
/// When the file can't be written, or with `check` when it differs from what the types say.
pub(crate) fn run(check: bool) -> Result<()> {
    let mut example = cargo(&["run", "--quiet", "--locked", "-p", "surge-client", "--example", "bindings"]);
    if check {
        return compare(&mut example);
    }
    fs::write(root().join(FILE), run::output(&mut example)?).with_context(|| format!("writing {FILE}"))
}

/// Compares with the example that was built with everything else: to build it alone would build its dependencies again,
/// with fewer features.
///
/// # Errors
/// As [`run`].
pub(crate) fn built_are_fresh() -> Result<()> {
    compare(&mut Command::new(target().join("debug/examples/bindings")))
}

fn compare(example: &mut Command) -> Result<()> {
    let fresh = run::output(example)?;
    let written = fs::read_to_string(root().join(FILE)).with_context(|| format!("reading {FILE}"))?;
    ensure!(written == fresh, "{FILE} is not what crates/client/src/view.rs says: run `cargo xtask bindings`");
    Ok(())
}
