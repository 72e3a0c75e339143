//! What fuzzers do with the owner's settings. It panics where a promise is broken.
//!
//! Deliberately absent from what ships: it is compiled for tests and under the feature `fuzzing`, which only `fuzz/`
//! asks for.

use std::path::Path;

use crate::settings::Settings;

/// The owner, or another program, left these bytes as the settings.
pub fn settings(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, bytes).expect("the folder can be written to");
    match Settings::load(&path) {
        Ok(settings) => {
            let saved = save_and_load(&settings, &folder.path().join("saved.toml"));
            assert_eq!(saved, settings, "what is saved is what is read");
        }
        Err(refused) => assert!(!refused.to_string().is_empty(), "a refusal without a reason"),
    }
}

fn save_and_load(settings: &Settings, path: &Path) -> Settings {
    settings.save(path).expect("the folder can be written to");
    Settings::load(path).expect("what was saved can be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzers_found_in_settings_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/settings");
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            println!("{}", file.display());
            settings(&std::fs::read(file).unwrap());
        }
    }
}
