//! What is known to be private on this computer: who uses it, what it is called, where its homes are.

use std::path::Path;

use surge_client::view::{ReasonCode, Snapshot};
use surge_platform::paths::Paths;

use crate::redact::Private;

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
    let programs = [listed(&settings), listed(report), told(report), seen(snapshot)].concat();
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

/// How sentences about a program begin and end, and what they call one that they do not name.
const BEGINS: [&str; 2] = ["Waiting: ", "Waiting to finish: "];
const ENDS: [&str; 4] = [" fills the screen", " keeps the screen awake", " uses the microphone", " is running"];
const UNNAMED: [&str; 3] = ["a window", "a program", "a program of your list"];

/// Programs in the sentences that engines log.
fn told(text: &str) -> Vec<String> {
    let behind = |begin: &'static str| text.match_indices(begin).map(move |(at, _)| at + begin.len());
    let sentences = BEGINS.into_iter().flat_map(behind).filter_map(|at| text[at..].lines().next());
    let name = |sentence: &str| {
        let end = ENDS.iter().filter_map(|end| sentence.find(end)).min()?;
        Some(sentence[..end].to_owned()).filter(|name| !UNNAMED.contains(&name.as_str()))
    };
    sentences.filter_map(name).collect()
}

/// Programs that reasons name.
fn seen(snapshot: Option<&Snapshot>) -> Vec<String> {
    use ReasonCode::{Call, ExcludedProgram, Film, FullScreen};
    let reasons = snapshot.into_iter().flat_map(|it| it.reasons.iter().chain(&it.notices));
    let named = reasons.filter(|reason| matches!(reason.code, FullScreen | Film | Call | ExcludedProgram));
    named.filter_map(|reason| reason.subject.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_where_they_were_written_or_told() {
        let settings =
            "cpu_percent = 400\nexcluded_programs = [\"steam\", 'x',\n  \"my game\"]\n# ignored_programs = [\"old\"]\n";
        assert_eq!(listed(settings), ["steam", "x", "my game", "old"]);
        assert_eq!(listed("excluded_programs: {\"one\", \"two\"}, ignored_programs: {}"), ["one", "two"]);
        assert_eq!(listed("excluded_programs is wrong: [\"no\"]"), Vec::<String>::new());
        let log =
            "INFO Waiting: vlc keeps the screen awake\nINFO Waiting: a window fills the screen\nWaiting: on battery";
        assert_eq!(told(log), ["vlc"]);
    }

    #[test]
    fn every_sentence_that_can_name_a_program_is_known() {
        // What the words say of each code without a subject: where it can have one, there is a word for it.
        let about_one = |sentence: &str| {
            let rest = sentence.strip_prefix("Waiting: ")?;
            let unnamed =
                UNNAMED.into_iter().filter(|it| rest.starts_with(&format!("{it} "))).max_by_key(|it| it.len());
            Some(rest[unnamed?.len()..].to_owned())
        };
        let mut able = Vec::new();
        for code in ReasonCode::ALL.into_iter().filter(|code| *code != ReasonCode::Unknown) {
            let code = code.name();
            let sentence = surge_client::words::Words::english().stretch("held", &code);
            assert_eq!(told(&sentence), Vec::<String>::new(), "{code} names nothing here");
            let Some(end) = about_one(&sentence) else {
                let other = sentence.starts_with("Waiting: a ") && code != "sensor_stale";
                assert!(!other, "a word for a program that UNNAMED lacks? {sentence}");
                continue;
            };
            for begin in ["Waiting: ", "Waiting to finish: "] {
                assert_eq!(told(&format!("INFO {begin}zoom 5{end}\nnext")), ["zoom 5"], "{begin}{end}");
            }
            able.push(code);
        }
        assert_eq!(able, ["full_screen", "film", "call", "excluded_program"], "`seen` knows the same");
    }
}
