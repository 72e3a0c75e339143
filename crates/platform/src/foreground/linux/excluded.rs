//! Programs of the owner's list that run now. Not a file is read while the list is empty.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::kernel;

/// The kernel cuts a process's own name to this many bytes.
const CUT: usize = 15;

/// Those of `names` that run, as the owner wrote them. Upper and lower case are the same, and so are a Windows
/// program's name with and without `.exe`.
pub(super) fn running(names: &BTreeSet<String>) -> BTreeSet<String> {
    if names.is_empty() {
        return BTreeSet::new();
    }
    let mut wanted: Vec<(String, &String)> = names.iter().map(|name| (folded(name), name)).collect();
    let mut found = BTreeSet::new();
    let Ok(processes) = fs::read_dir("/proc") else { return found };
    for process in processes.flatten() {
        if wanted.is_empty() {
            break;
        }
        if !process.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        let names = Names::of(&process.path());
        wanted.retain(|(folded, name)| {
            let runs = names.contain(folded);
            if runs {
                found.insert((*name).clone());
            }
            !runs
        });
    }
    found
}

/// What a process is called: by itself, by the file that it runs, and, where that can't be read or is an interpreter or
/// Wine, by the word that started it.
struct Names {
    own: String,
    file: Option<String>,
    word: Option<String>,
}

impl Names {
    fn of(process: &Path) -> Self {
        let own = kernel::text(&process.join("comm")).unwrap_or_default();
        let file = fs::read_link(process.join("exe")).ok();
        let file = file.and_then(|file| Some(folded(file.file_name()?.to_str()?.trim_end_matches(" (deleted)"))));
        let whole = own.len() < CUT;
        let word = if whole { None } else { first_word(process) };
        Self { own: folded(&own), file, word }
    }

    fn contain(&self, folded: &str) -> bool {
        let is = |name: &Option<String>| name.as_deref() == Some(folded);
        self.own == folded || is(&self.file) || is(&self.word)
    }
}

/// The file's name in the first word of the command line.
fn first_word(process: &Path) -> Option<String> {
    let line = fs::read(process.join("cmdline")).ok()?;
    let word = line.split(|byte| *byte == 0).next()?;
    let name = word.rsplit(|byte| matches!(byte, b'/' | b'\\')).next()?;
    Some(folded(&String::from_utf8_lossy(name)))
}

fn folded(name: &str) -> String {
    let name = name.trim().to_lowercase();
    name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_found_by_any_spelling_of_its_file() {
        let own = std::env::current_exe().unwrap();
        let own = own.file_name().unwrap().to_str().unwrap().to_uppercase();
        let names = BTreeSet::from([own.clone(), format!("{own}.exe"), "surely-nobody-runs-this".to_owned()]);
        assert_eq!(running(&names), BTreeSet::from([own.clone(), format!("{own}.exe")]));
        assert_eq!(running(&BTreeSet::new()), BTreeSet::new());
    }

    #[test]
    fn a_name_is_whole_or_no_match() {
        let names = Names { own: "a-long-program-".into(), file: None, word: Some("a-long-program-name".into()) };
        assert!(names.contain("a-long-program-name") && !names.contain("a-long-program") && !names.contain(""));
        assert_eq!(folded(" Game.EXE "), "game");
    }
}
