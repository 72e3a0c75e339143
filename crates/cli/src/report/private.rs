//! What is known to be private on this computer: who uses it, what it is called, where its homes are.

use std::path::Path;

use surge_client::view::Snapshot;
use surge_platform::paths::Paths;

use crate::redact::{Private, fields};
use crate::say::plain;

/// Names that say nothing of a person or a computer.
const COMMON: [&str; 5] = ["root", "surge", "localhost", "localdomain", "user"];

/// Gathers it. Programs that the owner lists, and those that an engine saw now or told of in `report`, are in it.
pub(super) fn gather(paths: &Paths, snapshot: Option<&Snapshot>, report: &str) -> Private {
    let (names, mut homes) = user();
    homes.push(paths.home.display().to_string());
    homes.retain(|home| home.len() > 1);
    homes.sort();
    homes.dedup();
    let mut words: Vec<_> = names.into_iter().map(|name| ("user", name)).collect();
    let parts: Vec<_> =
        words.iter().flat_map(|(kind, name)| name.split(' ').map(|part| (*kind, part.to_owned()))).collect();
    words.extend(parts);
    words.extend(computer().into_iter().map(|name| ("computer", name)));
    words.retain(|(_, word)| word.len() > 1 && !COMMON.contains(&word.to_lowercase().as_str()));
    // The file as it stands, whether or not it is valid.
    let settings = std::fs::read_to_string(paths.settings()).unwrap_or_default();
    let programs = forms([listed(&settings), listed(report), told(report), seen(snapshot)].concat());
    words.extend(programs.into_iter().map(|name| ("program", name)));
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

/// Programs in the owner's lists, as settings and logs write them.
fn listed(text: &str) -> Vec<String> {
    let keys = ["excluded_programs", "ignored_programs"];
    let places = keys.into_iter().flat_map(|key| text.match_indices(key).map(move |(at, _)| at + key.len()));
    let lists = places.filter_map(|at| {
        let (_, list) = text[at..].split_once(['[', '{']).filter(|(between, _)| between.trim().len() <= 1)?;
        list.split([']', '}']).next()
    });
    let name = |item: &str| {
        let item = item.trim();
        let quote = item.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        Some(item.trim_matches(quote).to_owned())
    };
    lists.flat_map(|list| list.split(',')).filter_map(name).collect()
}

/// Programs in the fields of log lines.
fn told(report: &str) -> Vec<String> {
    fields::values(report).into_iter().filter(|value| value.kind == "program").map(|value| value.text).collect()
}

/// Names in all the ways in which a report may have them: several in one list, broken into lines, escaped.
fn forms(names: Vec<String>) -> Vec<String> {
    let listed = |name: &String| name.split(", ").map(str::to_owned).collect::<Vec<_>>();
    let lines = |name: &String| name.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let written = |name: &String| [plain(name), name.escape_debug().to_string()];
    let mut all = names;
    all.extend(all.iter().flat_map(listed).collect::<Vec<_>>());
    all.extend(all.iter().flat_map(lines).collect::<Vec<_>>());
    all.extend(all.iter().flat_map(written).collect::<Vec<_>>());
    all.sort();
    all.dedup();
    all.retain(|name| name.trim().len() > 1);
    all
}

/// Programs that reasons name.
fn seen(snapshot: Option<&Snapshot>) -> Vec<String> {
    let reasons = snapshot.into_iter().flat_map(|it| it.reasons.iter().chain(&it.notices));
    reasons.filter_map(|reason| reason.program().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use surge_client::view::{Reason, ReasonCode};

    use super::*;

    #[test]
    fn programs_are_found_where_they_were_written_or_told() {
        let settings =
            "cpu_percent = 400\nexcluded_programs = [\"steam\", 'x',\n  \"my game\"]\n# ignored_programs = [\"old\"]\n";
        assert_eq!(listed(settings), ["steam", "x", "my game", "old"]);
        assert_eq!(listed("excluded_programs: {\"one\", \"two\"}, ignored_programs: {}"), ["one", "two"]);
        assert_eq!(listed("excluded_programs is wrong: [\"no\"]"), Vec::<String>::new());
    }

    #[test]
    fn a_program_that_a_reason_or_a_field_names_is_private_in_every_form_in_which_it_may_be_written() {
        let reason = Reason::new(ReasonCode::Film).about("a \"b\"\nsecond line");
        let snapshot = Snapshot { reasons: vec![reason], ..Snapshot::default() };
        let log = "INFO held program=\"one, t\\u{1b}wo\"";
        let words = forms([seen(Some(&snapshot)), told(log)].concat());
        for word in
            ["a \"b\"\nsecond line", "second line", "a \\\"b\\\"\\nsecond line", "one", "t\u{1b}wo", "t\\u{1b}wo"]
        {
            assert!(words.iter().any(|it| it == word), "{word:?} is not in {words:?}");
        }
    }
}
