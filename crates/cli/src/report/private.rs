//! What is known to be private on this computer: who uses it, what it is called, where its homes are.

use std::path::Path;

use surge_contributor::settings::Settings;
use surge_contributor::view::{ReasonCode, Snapshot};
use surge_platform::paths::Paths;

use crate::redact::Private;

/// Names that say nothing of a person or a computer.
const COMMON: [&str; 5] = ["root", "surge", "localhost", "localdomain", "user"];

/// Gathers it; programs that the owner named and those that an engine saw are in it.
pub(super) fn gather(paths: &Paths, settings: Option<&Settings>, snapshot: Option<&Snapshot>) -> Private {
    let (names, mut homes) = user();
    homes.push(paths.home.display().to_string());
    homes.retain(|home| home.len() > 1);
    homes.sort();
    homes.dedup();
    let mut words: Vec<_> = names.into_iter().map(|name| ("user", name)).collect();
    words.extend(computer().into_iter().map(|name| ("computer", name)));
    words.retain(|(_, word)| word.len() > 1 && !COMMON.contains(&word.to_lowercase().as_str()));
    let listed = settings.into_iter().flat_map(|it| it.excluded_programs.iter().chain(&it.ignored_programs));
    words.extend(listed.map(|name| ("program", name.clone())));
    words.extend(seen(snapshot).into_iter().map(|name| ("program", name)));
    Private { homes, words }
}

/// The user's names and home folders, by the environment and by the system.
fn user() -> (Vec<String>, Vec<String>) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut names: Vec<_> = ["USER", "LOGNAME", "SUDO_USER"].into_iter().filter_map(variable).collect();
    let mut homes: Vec<_> = variable("HOME").into_iter().collect();
    let id = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    for line in passwd.lines() {
        let fields: Vec<_> = line.split(':').collect();
        if let [name, _, uid, _, full, home, ..] = fields[..]
            && uid == id
        {
            names.push(name.to_owned());
            names.extend(full.split(',').next().filter(|full| !full.is_empty()).map(str::to_owned));
            homes.push(home.to_owned());
        }
    }
    (names, homes)
}

/// The computer's name, whole and without its domain.
fn computer() -> Vec<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"].map(Path::new);
    let told = files.into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let whole: Vec<_> = told.chain(std::env::var("HOSTNAME")).map(|name| name.trim().to_owned()).collect();
    let short: Vec<_> = whole.iter().filter_map(|name| name.split('.').next().map(str::to_owned)).collect();
    [whole, short].concat()
}

/// Programs that reasons name.
fn seen(snapshot: Option<&Snapshot>) -> Vec<String> {
    use ReasonCode::{Call, ExcludedProgram, Film, FullScreen};
    let reasons = snapshot.into_iter().flat_map(|it| it.reasons.iter().chain(&it.notices));
    let named = reasons.filter(|reason| matches!(reason.code, FullScreen | Film | Call | ExcludedProgram));
    named.filter_map(|reason| reason.subject.clone()).collect()
}
