//! What an owner meets who changes settings by hand and by scripts: nothing is lost, and answers are short and true.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Home(tempfile::TempDir);

struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn settings(&self) -> String {
        fs::read_to_string(self.path().join("settings.toml")).unwrap()
    }

    fn surge(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_surge"));
        command.args(args).env("SURGE_HOME", self.path()).env_remove("RUST_LOG").env_remove("TZ").stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let told = self.surge(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { status: told.status.code().unwrap(), out: text(told.stdout), err: text(told.stderr) }
    }

    fn well(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.err);
        ran.out
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn twenty_changes_at_once_are_all_kept() {
    let home = Home::new();
    let wanted = [
        "idle_after_seconds=333",
        "workers=3",
        "cpu_percent=93",
        "in_use_workers=3",
        "in_use_cpu_percent=33",
        "battery_workers=3",
        "battery_cpu_percent=33",
        "battery_min_percent=33",
        "schedule=sat,sun 00:00-24:00",
        "pause_for=call",
        "ignored_programs=radio",
        "excluded_programs=blender",
        "other_load_percent=73",
        "other_load_resume_percent=33",
        "target_celsius=73",
        "no_sensor_cpu_percent=33",
        "gentle=false",
        "memory_mib=333",
        "leave_free_mib=333",
        "use_metered_network=true",
    ];
    assert_eq!(wanted.len(), 20);
    let running: Vec<_> = wanted
        .iter()
        .map(|change| home.surge(&["limits", "set", change]).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    for change in wanted {
        let (key, _) = change.split_once('=').unwrap();
        let again = home.well(&["limits", "set", change]);
        assert!(again.starts_with(&format!("{key}: ")) && again.ends_with(" already\n"), "lost: {change}: {again}");
    }
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
}

#[test]
fn a_change_answers_what_has_changed_and_nothing_else() {
    let home = Home::new();
    assert_eq!(home.well(&["limits", "set", "cpu_percent=50"]), "cpu_percent: 100 → 50\n");
    assert_eq!(home.well(&["limits", "set", "cpu_percent=50"]), "cpu_percent: 50 already\n");
    assert_eq!(
        home.well(&["limits", "set", "memory_mib=512", "cpu_percent=50"]),
        "memory_mib: 1024 → 512 (counts from the next start)\ncpu_percent: 50 already\n"
    );
    let preset = home.well(&["limits", "preset", "balanced"]);
    assert!(preset.contains("cpu_percent: 50 → 100\n") && preset.contains("workers: 0 already\n"), "{preset}");
    let document: serde_json::Value =
        serde_json::from_str(&home.well(&["limits", "set", "workers=2", "--json"])).unwrap();
    assert_eq!(document["changed"], serde_json::json!({ "workers": 2 }));
    assert_eq!(document["limits"]["workers"]["value"], 2);
}

#[test]
fn a_refused_change_names_key_and_value_and_leaves_the_file_alone() {
    let home = Home::new();
    home.well(&["limits", "set", "cpu_percent=50"]);
    let before = home.settings();
    for (change, told) in [
        ("in_use_cpu_percent=60", "in_use_cpu_percent = 60 can't be set: in_use_cpu_percent against cpu_percent"),
        ("cpu_percent=400", "cpu_percent is 400, allowed is 1 to 100"),
        ("schedule=mon 8:00-9:00", "\"8:00\" is no time of day: write 08:00"),
    ] {
        let ran = home.run(&["limits", "set", change]);
        assert_eq!(ran.status, 2);
        assert!(ran.err.contains(told) && !ran.err.contains("is not valid"), "{}", ran.err);
        assert_eq!(home.settings(), before);
    }
}

#[test]
fn a_settings_file_that_is_a_link_stays_one_with_the_rights_that_it_has() {
    let home = Home::new();
    fs::create_dir(home.path()).unwrap();
    let shared = home.0.path().join("dotfiles.toml");
    fs::write(&shared, "# Mine.\ncpu_percent = 40\n").unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o644)).unwrap();
    symlink("../dotfiles.toml", home.path().join("settings.toml")).unwrap();
    home.well(&["limits", "set", "cpu_percent=50"]);
    assert!(fs::symlink_metadata(home.path().join("settings.toml")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&shared).unwrap(), "# Mine.\ncpu_percent = 50\n");
    assert_eq!(mode(&shared), 0o644);
}

#[test]
fn a_home_is_its_owners_alone() {
    let home = Home::new();
    home.well(&["limits", "set", "cpu_percent=50"]);
    assert_eq!((mode(&home.path()), mode(&home.path().join("settings.toml"))), (0o700, 0o600));
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o751)).unwrap();
    fs::set_permissions(home.path().join("settings.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(home.run(&["run", "--exit-when-not-set-up", "--share-machine"]).status, 10);
    assert_eq!((mode(&home.path()), mode(&home.path().join("settings.toml"))), (0o700, 0o600));
}

#[test]
fn a_variable_that_is_empty_is_none() {
    let home = Home::new();
    let mut limits = home.surge(&["limits"]);
    let told = limits.env("SURGE_HOME", "").env("HOME", home.path()).env_remove("XDG_DATA_HOME").output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let out = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(out.contains(&home.path().join(".local/share/surge/settings.toml").display().to_string()), "{out}");
    let told = home.surge(&["wallet", "claim"]).env("SURGE_PASSPHRASE_FILE", "").output().unwrap();
    assert_eq!(told.status.code(), Some(10), "{told:?}");
}

#[test]
fn who_forgets_a_unit_is_asked_for_it_and_who_has_an_unknown_zone_is_told() {
    let home = Home::new();
    let ran = home.run(&["pause", "2"]);
    assert!(ran.err.contains("2 of what? Write 2s, 2m or 2h"), "{}", ran.err);
    let mut timeline = home.surge(&["timeline"]);
    let told = timeline.env("TZ", "Europe/Berln").output().unwrap();
    let err = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.success() && err.contains("\"Europe/Berln\"") && err.contains("UTC"), "{err}");
    for known in ["Europe/Berlin", "UTC", ""] {
        let told = home.surge(&["timeline"]).env("TZ", known).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&told.stderr), "", "{known:?}");
    }
}

#[test]
fn of_wallets_that_are_made_at_once_there_is_one_and_its_words_are_its_own() {
    let home = Home::new();
    let passphrase = home.0.path().join("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let new = ["wallet", "--passphrase-file", passphrase.to_str().unwrap(), "new", "--json"];
    let running: Vec<_> =
        (0..4).map(|_| home.surge(&new).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).collect();
    let told: Vec<_> = running.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let [made] = &told.iter().filter(|told| told.status.success()).collect::<Vec<_>>()[..] else {
        panic!("one of them makes a wallet: {told:?}")
    };
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&home.well(&["wallet", "address", "--json"])).unwrap();
    assert_eq!(made["address"], kept["address"]);
}

#[test]
fn who_can_not_be_told_anything_is_told_so_by_the_status() {
    let home = Home::new();
    for args in [&["limits"][..], &["limits", "--json"], &["--help"], &["timeline"], &["report", "--out", "-"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let told = home.surge(args).stdout(full).output().unwrap();
        let err = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.ends_with("[output_unwritable]\n") && err.lines().count() == 1, "{args:?}: {err}");
    }
}

#[test]
fn a_report_goes_where_it_was_asked_to_and_harms_nothing_there() {
    let home = Home::new();
    let out = home.0.path().join("report.txt");
    let text = home.well(&["report", "--out", "-"]);
    assert!(text.starts_with("Surge report"), "{text}");
    assert!(!Path::new("-").exists());
    let name = out.to_str().unwrap();
    home.well(&["report", "--yes", "--out", name]);
    assert_eq!(mode(&out), 0o600);
    fs::write(&out, "kept").unwrap();
    let ran = home.run(&["report", "--yes", "--out", name]);
    assert!(ran.status == 2 && ran.err.contains("is there already"), "{}", ran.err);
    assert_eq!(fs::read_to_string(&out).unwrap(), "kept");
    home.well(&["report", "--yes", "--out", "/dev/null"]);
}
