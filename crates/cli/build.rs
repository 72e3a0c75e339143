//! Names the build: the commit it was made from, where that can be known.
//!
//! `SURGE_COMMIT` tells it to a build without git. Deliberately absent: whether files were changed since; a build script
//! is not run again for each of them, and would say it wrongly.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SURGE_COMMIT");
    let told = std::env::var("SURGE_COMMIT").ok().filter(|told| !told.is_empty());
    let commit = told.or_else(from_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=SURGE_BUILD={}", commit.split_whitespace().next().unwrap_or("unknown"));
}

fn from_git() -> Option<String> {
    // Written at every commit and checkout. Where there is none, nothing is watched: a missing file would mean a build
    // each time.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if std::path::Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let told = Command::new("git").args(args).output().ok().filter(|told| told.status.success())?;
    Some(String::from_utf8(told.stdout).ok()?.trim().to_owned())
}
