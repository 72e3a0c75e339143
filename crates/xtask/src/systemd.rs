//! `cargo xtask systemd`: Surge on a machine that boots systemd, in a container. It needs root, and a system of this one's
//! release, which is made once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{self, cargo, say, step, target};
use crate::setup;

/// What boots a container, and makes its system.
const TOOLS: &[&str] = &["systemd-container", "debootstrap"];
/// What the system has: services, logins, users' managers, and a desktop's display with somebody who types.
const SYSTEM: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,procps,ca-certificates,xvfb,xdotool";
/// The programs that are tried, and those that they need.
const PROGRAMS: [&str; 4] = ["surge-cli", "surge-coordinator", "surge-runtime", "surge-tests"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the system; it is made where there is none
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Writes what was found here as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !rustix::process::getuid().is_root() {
        bail!("only root can boot a container: run this as root");
    }
    setup::for_contracts()?;
    setup::packages(&[("a machine that boots systemd", TOOLS)])?;
    let root = args.root.clone().unwrap_or_else(|| target().join("systemd/root"));
    let root = std::path::absolute(root)?;
    make(&root)?;
    step("build");
    let packages = PROGRAMS.iter().flat_map(|package| ["-p", package]);
    run::run(cargo(&["build", "--locked", "--bins"]).args(packages))?;
    step("systemd");
    let mut program = Command::new(target().join("debug/systemd"));
    program.arg("--root").arg(root);
    if let Some(json) = &args.json {
        program.arg("--json").arg(json);
    }
    run::run(&mut program)
}

/// Makes the system, unless it is there in full.
fn make(root: &Path) -> Result<()> {
    let complete = root.with_extension("complete");
    if fs::read_to_string(&complete).is_ok_and(|packages| packages == SYSTEM) {
        return Ok(());
    }
    let release = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let source = source(&release)?;
    say(format_args!("making a system of {} in {}", source.suite, root.display()));
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::create_dir_all(root.parent().context("a folder lies in a folder")?)?;
    let include = format!("--include={SYSTEM}");
    let components = format!("--components={}", source.components);
    run::run(
        Command::new("debootstrap")
            .args(["--variant=minbase", &include, &components, &source.suite])
            .arg(root)
            .arg(source.mirror),
    )?;
    fs::write(complete, SYSTEM).context("the folder can't be written")
}

/// Where a system of this one's release comes from: programs that are built here run there.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    suite: String,
    mirror: &'static str,
    components: &'static str,
}

fn source(release: &str) -> Result<Source> {
    let fields: BTreeMap<_, _> = release
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    let suite = fields.get("VERSION_CODENAME").copied().unwrap_or_default().to_owned();
    let (mirror, components) = match fields.get("ID").copied() {
        Some("debian") => ("http://deb.debian.org/debian", "main"),
        Some("ubuntu") => ("http://archive.ubuntu.com/ubuntu", "main,universe"),
        other => bail!("a system can be made on Debian and Ubuntu, not on {other:?}"),
    };
    if suite.is_empty() {
        bail!("/etc/os-release names no release");
    }
    Ok(Source { suite, mirror, components })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_of_this_ones_release() {
        let debian = source("PRETTY_NAME=\"Debian 12\"\nID=debian\nVERSION_CODENAME=bookworm\n").unwrap();
        assert_eq!((debian.suite.as_str(), debian.components), ("bookworm", "main"));
        let ubuntu = source("VERSION_CODENAME=\"noble\"\nID=ubuntu\n").unwrap();
        assert_eq!((ubuntu.suite.as_str(), ubuntu.components), ("noble", "main,universe"));
        for unknown in ["", "ID=fedora\nVERSION_CODENAME=x\n", "ID=debian\n"] {
            assert!(source(unknown).is_err(), "{unknown}");
        }
    }
}
