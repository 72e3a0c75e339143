//! `surge attach`: takes a network's signed manifest from a coordinator, a file or standard input, and keeps it.

use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use surge_contributor::files::{lock, read_text, write_atomic};
use surge_contributor::read_network;
use surge_platform::home;
use surge_platform::paths::Paths;
use surge_protocol::network::{SignedNetwork, is_base_url};

use crate::coordinator::{Coordinator, MANIFEST};
use crate::exit_status::ExitStatus;
use crate::failure::Failure;
use crate::say::{json_line, line};

const EXAMPLES: &str = "\
Examples:
  surge attach https://coordinator.example
  surge attach 127.0.0.1:8080
  surge attach network.json
  ssh server cat network.json | surge attach -";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AttachArgs {
    /// The coordinator's URL (without http:// it is https://, for addresses of numbers and localhost http://), or the file
    /// of the network's manifest; - reads the manifest from standard input
    source: String,
}

/// Where a manifest comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Url(String),
    File(PathBuf),
    StandardInput,
}

/// Attaches to the network whose manifest is at the source.
pub(crate) async fn attach(paths: &Paths, args: &AttachArgs, json: bool) -> Result<ExitCode> {
    let signed = match source(&args.source)? {
        Source::Url(url) => Coordinator::at(paths, &url)?.network().await?,
        Source::File(path) => parse(&read_text(&path, MANIFEST)?, &args.source)?,
        Source::StandardInput => parse(&standard_input()?, "standard input")?,
    };
    let network = signed.clone().verified().map_err(|error| not_valid(&args.source, error))?;
    home::prepare(paths)?;
    let _mine = lock(&paths.network()).with_context(|| format!("{} can't be held", paths.network().display()))?;
    let before = read_network(&paths.network()).ok();
    let text = serde_json::to_vec_pretty(&signed)?;
    write_atomic(&paths.network(), &text, 0o600)
        .with_context(|| format!("{} can't be written", paths.network().display()))?;
    if json {
        return json_line(&json!({ "network": network.name, "chain_id": network.chain_id, "token": network.token }));
    }
    line(&format!("Attached to {} (chain {}).", network.name, network.chain_id))?;
    let moved = before.is_some_and(|before| before.domain() != network.domain());
    line(match paths.payout().exists() {
        true if moved => {
            "Next: `surge wallet bind`, since the payout account was bound to another network; then `surge run`."
        }
        true => "Next: `surge run`.",
        false => "Next: `surge wallet new` or `surge wallet import`, then `surge run`.",
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What `text` means: people leave out the scheme of a URL and add spaces and slashes.
fn source(text: &str) -> Result<Source, Failure> {
    let text = text.trim();
    if text == "-" {
        return Ok(Source::StandardInput);
    }
    if text.is_empty() {
        return Err(Failure::new("usage", "the source is empty: write a coordinator's URL or the path of a manifest"));
    }
    let url = match text.split_once("://") {
        Some((scheme, rest)) => Some(format!("{}://{rest}", scheme.to_ascii_lowercase())),
        None if Path::new(text).exists() => None,
        None => without_scheme(text),
    };
    let Some(url) = url else { return Ok(Source::File(text.into())) };
    let url = url.trim_end_matches('/');
    if !is_base_url(url) {
        let message = format!(
            "{text:?} is no URL of a coordinator and no file: write https://HOST, http://HOST:PORT, or the path of a manifest"
        );
        return Err(Failure::new("usage", message));
    }
    Ok(Source::Url(url.to_owned()))
}

/// The URL that a text without a scheme means, unless it looks like a file's name.
fn without_scheme(text: &str) -> Option<String> {
    let authority = text.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && port.parse::<u16>().is_ok() => (host, true),
        _ => (authority, false),
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    if address || host.eq_ignore_ascii_case("localhost") {
        let bare_v6 = address && host.contains(':') && !host.starts_with('[');
        return Some(if bare_v6 { format!("http://[{host}]") } else { format!("http://{text}") });
    }
    let labels = host
        .split('.')
        .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_'));
    let file = Path::new(host).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    (labels && !file && (port || host.contains('.'))).then(|| format!("https://{text}"))
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MANIFEST + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::new("bad_file", format!("no manifest can be read from standard input: {error}")))?;
    if text.len() as u64 > MANIFEST {
        let message = format!("standard input has more than {} KiB, which no manifest has", MANIFEST >> 10);
        return Err(Failure::new("bad_file", message));
    }
    Ok(text)
}

fn parse(text: &str, from: &str) -> Result<SignedNetwork, Failure> {
    serde_json::from_str(text).map_err(|error| not_valid(from, error))
}

fn not_valid(from: &str, error: impl std::fmt::Display) -> Failure {
    let message =
        format!("the manifest from {from} is not valid: {error}; ask whoever runs the network for a sound one");
    Failure::new("bad_network", message).with_status(ExitStatus::BadFile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Source {
        Source::Url(text.to_owned())
    }

    #[test]
    fn a_coordinator_is_named_in_every_way_that_people_try() {
        for (text, meant) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost:8080", "http://localhost:8080"),
            ("localhost", "http://localhost"),
            ("[::1]:80", "http://[::1]:80"),
            ("::1", "http://[::1]"),
            ("HTTP://a.example/", "http://a.example"),
            (" https://a.example:1/path// ", "https://a.example:1/path"),
            ("coordinator.example", "https://coordinator.example"),
            ("coordinator.example/network/", "https://coordinator.example/network"),
            ("surge:8080", "https://surge:8080"),
        ] {
            assert_eq!(source(text).unwrap(), url(meant), "{text:?}");
        }
    }

    #[test]
    fn a_file_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let dotted = folder.path().join("network.example");
        std::fs::write(&dotted, "").unwrap();
        for path in [dotted.to_str().unwrap(), "network.json", "./here.example", "/a.b/c", "../up", "network", "a b.c"]
        {
            assert_eq!(source(path).unwrap(), Source::File(path.into()));
        }
        assert_eq!(source("-").unwrap(), Source::StandardInput);
    }

    #[test]
    fn what_is_neither_is_refused_with_what_would_be_right() {
        for text in ["ftp://a", "file:///etc/passwd", "http://", "https://a b", "http://a:0", "http://a?b=c", "://"] {
            assert!(source(text).unwrap_err().to_string().contains("write https://HOST"), "{text}");
        }
    }
}
