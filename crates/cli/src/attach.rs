//! `surge attach`: takes a network's signed manifest from a coordinator or a file and keeps it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;
use surge_contributor::files::write_atomic;
use surge_platform::paths::Paths;
use surge_protocol::network::SignedNetwork;

use crate::coordinator::Coordinator;
use crate::say::{json_line, line};

/// Attaches to the network at `source`, a URL or a file.
pub(crate) async fn attach(paths: &Paths, source: &str, json: bool) -> Result<ExitCode> {
    let signed = if source.starts_with("http://") || source.starts_with("https://") {
        Coordinator::at(paths, source)?.network().await?
    } else {
        read(Path::new(source))?
    };
    let network = signed.clone().verified().with_context(|| format!("the manifest from {source} is not valid"))?;
    let text = serde_json::to_vec_pretty(&signed)?;
    write_atomic(&paths.network(), &text, 0o644)
        .with_context(|| format!("{} can't be written", paths.network().display()))?;
    if json {
        return json_line(&json!({ "network": network.name, "chain_id": network.chain_id, "token": network.token }));
    }
    line(&format!("Attached to {} (chain {}).", network.name, network.chain_id))?;
    line("Next: `surge wallet new` or `surge wallet import`, then `surge run`.")?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<SignedNetwork> {
    let bytes = std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is no network manifest", path.display()))
}
