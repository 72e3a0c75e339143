//! Small files in which the Linux kernel tells: one line, a number or a word, that may be missing or garbage at any time.

use std::fs;
use std::path::Path;
use std::str::FromStr;

/// The file's text without the line's end; `None` where it is missing, refused or not text.
pub(crate) fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The file's number.
pub(crate) fn number<N: FromStr>(path: &Path) -> Option<N> {
    text(path)?.parse().ok()
}

/// The folder's entries that carry `prefix` and a number, such as `hwmon3`, by number.
pub(crate) fn numbered(folder: &Path, prefix: &str) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let number =
        |entry: &fs::DirEntry| -> Option<u32> { entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok() };
    let mut found: Vec<_> = entries.flatten().filter_map(|entry| Some((number(&entry)?, entry.path()))).collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}
