//! Writes `ui/src/lib/bindings.ts` from the engine's view types, or says that it is stale.
//!
//! The types are printed by an example of the client crate, so that xtask itself stays light.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::run::{self, cargo, root};

const FILE: &str = "ui/src/lib/bindings.ts";

/// Writes the file; with `check`, only compares.
///
/// # Errors
/// When the file can't be written, or with `check` when it differs from what the types say.
pub(crate) fn run(check: bool) -> Result<()> {
    let fresh =
        run::output(&mut cargo(&["run", "--quiet", "--locked", "-p", "surge-client", "--example", "bindings"]))?;
    let path = root().join(FILE);
    if !check {
        return fs::write(&path, fresh).with_context(|| format!("writing {FILE}"));
    }
    let written = fs::read_to_string(&path).with_context(|| format!("reading {FILE}"))?;
    ensure!(written == fresh, "{FILE} is not what crates/client/src/view.rs says: run `cargo xtask bindings`");
    Ok(())
}
