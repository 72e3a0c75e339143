use super::*;
use crate::view::{Case, SettingSource};
use proptest::prelude::*;

const MACHINE: Machine = Machine { cores: 8, memory_bytes: 16 << 30, portable: true };

fn problems(text: &str) -> String {
    let problems = Settings::parse(text, &MACHINE).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_saved_is_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    assert_eq!(Settings::load(&path).unwrap(), Settings::default());
    let changed = Settings {
        presence: PresenceSetting::Headless,
        workers: 3,
        cpu_percent: 40,
        schedule: Schedule::new(vec!["mon-fri 22:00-07:00".parse().unwrap()]),
        pause_for: [UseKind::Call].into(),
        excluded_programs: ["a \"quoted\" one".into(), "blender".into()].into(),
        gentle: false,
        sandbox: SandboxSetting::SeccompOnly,
        ..Settings::default()
    };
    changed.save(&path).unwrap();
    assert_eq!(Settings::load(&path).unwrap(), changed);
}

#[test]
fn the_file_explains_itself() {
    insta::assert_snapshot!(Settings::default().to_commented_toml());
}

#[test]
fn every_problem_is_told_with_its_line() {
    let text = "idle_after_seconds = 0\nworker = 2\n\ncpu_percent = \"much\"\nschedule = [\"mon 7-8\"]\npause_for = [\"films\"]\ntarget_celsius = 40\ngentle = 1\nleave_free_mib = 1\n";
    insta::assert_snapshot!(problems(text), @r#"
    line 1: idle_after_seconds is 0, allowed is 1 to 86400
    line 2: worker is no setting; is workers meant?
    line 4: cpu_percent is "much", it must be a whole number
    line 5: schedule is wrong: "7" is no time of day: write 07:30
    line 6: pause_for has "films", allowed is "full-screen", "film", "call", "gamepad"
    line 7: target_celsius is 40, allowed is 0, and 50 to 95
    line 8: gentle is 1, it must be true or false
    line 9: leave_free_mib is 1, allowed is 0, and 64 to 1048576
    "#);
}

#[test]
fn what_is_no_toml_is_told_with_the_rest() {
    let said = problems("workers = \ncpu_percent = 0\nworkers = 1\nworkers = 2\n");
    for part in ["line 1: ", "line 2: cpu_percent is 0", "line 4: "] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn settings_that_can_never_run_are_refused_with_the_pair() {
    let text = "other_load_percent = 30\n\nother_load_resume_percent = 40\n";
    assert_eq!(
        problems(text),
        "line 3: other_load_resume_percent against other_load_percent (line 1): \
         it would start again at 40 % and stop above 30 %"
    );
    assert!(
        problems("memory_mib = 4096\nleave_free_mib = 15000\n").contains("memory_mib against leave_free_mib (line 2)")
    );
    assert!(problems("excluded_programs = [\"surge\"]\n").contains("Surge itself"));
    assert!(problems("excluded_programs = [\"vlc\"]\nignored_programs = [\"vlc\"]\n").contains("\"vlc\""));
    assert!(problems("cpu_percent = 10\nin_use_cpu_percent = 20\n").contains("in_use_cpu_percent against cpu_percent"));
}

#[test]
fn a_change_keeps_the_owners_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, "# Mine.\nworkers = 1   # one is enough\n\n# Quiet nights.\ncpu_percent = 40\n").unwrap();
    let changes = ["workers=2", "excluded_programs=blender,darktable", "schedule=mon-fri 22:00-07:00"];
    let changes: Vec<_> = changes.into_iter().map(|text| Change::parse(text).unwrap()).collect();
    change(&path, &changes).unwrap();
    insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap(), @r#"
    # Mine.
    workers = 2   # one is enough

    # Quiet nights.
    cpu_percent = 40
    excluded_programs = ["blender", "darktable"]
    schedule = ["mon-fri 22:00-07:00"]
    "#);
}

#[test]
fn a_change_that_makes_no_sense_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, "workers = 1\n").unwrap();
    for wrong in ["workers", "worker=2", "workers=-1", "presence=maybe", "schedule=mon"] {
        assert!(Change::parse(wrong).is_err(), "{wrong}");
    }
    let pair = [Change::parse("cpu_percent=10").unwrap(), Change::parse("in_use_cpu_percent=20").unwrap()];
    let error = change(&path, &pair).unwrap_err();
    assert_eq!(error.code(), "bad_change", "the file is sound: {error}");
    assert_eq!(
        error.to_string(),
        "cpu_percent = 10, in_use_cpu_percent = 20 can't be set: in_use_cpu_percent against cpu_percent: more would run \
         while somebody is here than while nobody is; nothing was changed"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "workers = 1\n");
}

/// The value of a setting after `typed` was applied to the defaults, as it stands in the file.
fn set(key: &str, typed: &[&str]) -> Result<String, String> {
    let texts: Vec<_> = typed.iter().map(|value| format!("{key}={value}")).collect();
    let changes = Change::parse_all(&texts).map_err(|error| error.to_string())?;
    assert_eq!(changes.len(), 1);
    Ok(changes[0].value().to_owned())
}

#[test]
fn lists_are_typed_in_every_way_that_people_try() {
    let weekend = Ok("[\"sat-sun 00:00-24:00\"]".to_owned());
    for typed in [
        "sat,sun 00:00-24:00",
        "[\"sat,sun 00:00-24:00\"]",
        "\"sat,sun 00:00-24:00\"",
        "[sat,sun 00:00-24:00]",
        "Sat, Sun 00:00-24:00;",
    ] {
        assert_eq!(set("schedule", &[typed]), weekend, "{typed}");
    }
    let two = Ok("[\"mon-fri 22:00-07:00\", \"sat-sun 00:00-24:00\"]".to_owned());
    for typed in [
        &["mon-fri 22:00-07:00; sat,sun 00:00-24:00"][..],
        &["mon-fri 22:00-07:00, sat,sun 00:00-24:00"],
        &["[\"mon-fri 22:00-07:00\", \"sat,sun 00:00-24:00\"]"],
        &["mon-fri 22:00-07:00", "sat,sun 00:00-24:00"],
        &["mon-fri 22:00-07:00\nsat,sun 00:00-24:00"],
    ] {
        assert_eq!(set("schedule", typed), two, "{typed:?}");
    }
    let programs = Ok("[\"blender\", \"my game, the second\", \"steam\"]".to_owned());
    for typed in [
        &["blender, steam,\"my game, the second\""][..],
        &["[\"steam\", \"blender\", \"my game, the second\"]"],
        &["steam", "\"my game, the second\"", "blender"],
    ] {
        assert_eq!(set("excluded_programs", typed), programs, "{typed:?}");
    }
    for empty in ["", "[]", " "] {
        assert_eq!(set("schedule", &[empty]), Ok("[]".to_owned()), "{empty:?}");
    }
    assert_eq!(set("pause_for", &["call;film"]), Ok("[\"film\", \"call\"]".to_owned()));
    assert_eq!(set("workers", &["2", "3"]), Ok("3".to_owned()), "of single values the last counts");
}

#[test]
fn the_most_particular_message_is_the_one_that_is_told() {
    for (key, typed, said) in [
        ("schedule", "mon 8:00-9:00", "schedule is wrong: \"8:00\" is no time of day: write 08:00"),
        ("schedule", "[\"mon 8:00-9:00\"]", "write 08:00"),
        ("schedule", "sat,san 00:00-24:00", "\"san\" is no day"),
        ("schedule", "mon 07:00-07:00", "begins when it ends"),
        ("schedule", "always", "\"always\" is no window"),
        ("schedule", "[1]", "schedule has 1 in its list"),
        ("pause_for", "films", "pause_for has \"films\", allowed is \"full-screen\", \"film\""),
        ("excluded_programs", "/usr/bin/vlc", "a program is named without its folder"),
        ("cpu_percent", "50%", "cpu_percent is \"50%\", it must be a whole number"),
        ("cpu_percent", "400", "cpu_percent is 400, allowed is 1 to 100"),
        ("gentle", "yes", "gentle is \"yes\", it must be true or false"),
        ("presence", "maybe", "presence is \"maybe\", allowed is \"auto\", \"sessions\", \"headless\""),
        ("cpu_precent", "50", "is cpu_percent meant?"),
        ("", "50", "\"=50\" is no change: write KEY=VALUE"),
        ("extra_ca", "~/ca.pem", "only a shell knows what ~ is"),
    ] {
        let told = set(key, &[typed]).unwrap_err();
        assert!(told.contains(said), "{key}={typed}: {told}");
    }
    let file = problems("schedule = \"sat,sun 00:00-24:00\"\n");
    assert!(file.contains("it must be a list: [\"sat-sun 00:00-24:00\"]"), "{file}");
}

/// The rows of the table of settings in docs/limits.md: key, and what it may be set to.
fn documented() -> Vec<(String, Vec<String>)> {
    let text = include_str!("../../../../docs/limits.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("| setting |")).skip(2);
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect();
        let (key, _) = cells[1].split("` `").next().unwrap().split_once('=').expect("KEY=VALUE");
        assert_eq!(key, cells[0], "{line}");
        (key.to_owned(), cells[1].split("` `").map(str::to_owned).collect())
    };
    rows.take_while(|line| line.starts_with('|')).map(row).collect()
}

#[test]
fn every_setting_can_be_typed_as_its_documentation_shows_and_is_read_back() {
    let rows = documented();
    let keys: Vec<_> = rows.iter().map(|(key, _)| key.as_str()).collect();
    let all: Vec<_> = shown(&Settings::default()).iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, all, "docs/limits.md has a row for each setting, in their order");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    for (key, examples) in rows {
        for example in examples {
            // As a shell hands it over.
            let typed = example.replace('\'', "");
            let changes =
                Change::parse_all(std::slice::from_ref(&typed)).unwrap_or_else(|error| panic!("{example}: {error}"));
            Settings::default().save(&path).unwrap();
            let changed = change(&path, &changes).unwrap_or_else(|error| panic!("{example}: {error}"));
            assert_eq!(Settings::load(&path).unwrap(), changed.after, "{example}");
            let [difference] = &changed.differences()[..] else { panic!("{example} changes one setting") };
            assert_eq!((difference.key, difference.after.as_str()), (key.as_str(), changes[0].value()), "{example}");
            // And as `surge limits` shows it.
            assert_eq!(Change::parse(&format!("{key}={}", difference.after)).unwrap().value(), difference.after);
        }
    }
}

#[test]
fn changes_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    let wanted = ["workers=3", "cpu_percent=33", "memory_mib=333", "battery_min_percent=33", "gentle=false"];
    std::thread::scope(|scope| {
        for text in wanted {
            scope.spawn(|| change(&path, &[Change::parse(text).unwrap()]).unwrap());
        }
    });
    let settings = Settings::load(&path).unwrap();
    assert_eq!((settings.workers, settings.cpu_percent, settings.memory_mib), (3, 33, 333));
    assert_eq!((settings.battery_min_percent, settings.gentle), (33, false));
}

#[test]
fn a_settings_file_that_is_none_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    std::fs::write(&path, b"# gr\xfcn\nworkers = 1\n").unwrap();
    let error = Settings::load(&path).unwrap_err();
    assert_eq!(error.code(), "bad_settings");
    assert!(error.to_string().contains("is not text (UTF-8): byte 4"), "{error}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = change(&path, &[Change::parse("workers=1").unwrap()]).unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
}

#[test]
fn presets_are_valid_and_recognised() {
    for portable in [true, false] {
        for cores in [1, 2, 16] {
            let machine = Machine { portable, cores, ..MACHINE };
            for preset in Preset::ALL {
                let mut settings = Settings::default();
                for change in preset.changes(&machine) {
                    change.apply(&mut settings).unwrap();
                }
                assert_eq!(Settings::parse(&settings.to_commented_toml(), &machine), Ok(settings.clone()));
                assert_eq!(Preset::of(&settings, &machine), Some(preset));
            }
        }
    }
    assert_eq!(Preset::of(&Settings::default(), &MACHINE), Some(Preset::Balanced));
    assert_eq!(Preset::of(&Settings { cpu_percent: 41, ..Settings::default() }, &MACHINE), None);
}

#[test]
fn a_changed_file_is_taken_over_and_an_invalid_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.toml");
    let overrides = vec![Change::parse("workers=7").unwrap()];
    let mut file = SettingsFile::new(path.clone(), overrides);
    let started = file.look().unwrap().unwrap();
    assert!(file.look().is_none(), "it has not changed");

    std::fs::write(&path, "cpu_percent = 40\nworkers = 1\n").unwrap();
    let settings = file.look().unwrap().unwrap();
    assert_eq!((settings.cpu_percent, settings.workers), (40, 7), "the command line holds over the file");
    assert_eq!(restart_needed(&started, &settings), None);
    let source = |key: &str| file.layers(&settings).into_iter().find(|view| view.key == key).map(|view| view.source);
    let sources = ["cpu_percent", "workers", "gentle"].map(source);
    assert_eq!(sources, [SettingSource::File, SettingSource::CommandLine, SettingSource::Default].map(Some));
    assert!(file.look().is_none());
    file.forget();
    assert_eq!(file.look().unwrap().unwrap(), settings, "asked to, it reads what seems to be the same");

    std::fs::write(&path, "cpu_percent = 400\n").unwrap();
    let error = file.look().unwrap().unwrap_err();
    assert!(error.to_string().contains("line 1: cpu_percent is 400"), "{error}");

    std::fs::write(&path, "memory_mib = 2048\n").unwrap();
    let notice = restart_needed(&started, &file.look().unwrap().unwrap()).unwrap();
    assert_eq!((notice.case, notice.subject.as_deref()), (Some(Case::SettingChanged), Some("memory_mib")));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(restart_needed(&started, &file.look().unwrap().unwrap()), None);
}

proptest! {
    /// Whatever is accepted can run at some moment: nobody is here, all is well, and the week has gone by.
    #[test]
    fn what_is_accepted_can_run_some_time(
        idle in 1u64..86_400, workers in 0u32..64, cpu in 1u8..=100, in_use in 0u8..=100, battery in 0u8..=100,
        load in 5u8..=100, resume in 2u8..=99, celsius in prop_oneof![Just(0u8), 50u8..=95], leave in prop_oneof![Just(0u64), 64u64..20_000],
        memory in 16u64..=4096, from in 0u16..1440, to in 0u16..1440, day in 0usize..7, scheduled in any::<bool>(),
    ) {
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let window = format!("{} {:02}:{:02}-{:02}:{:02}", days[day], from / 60, from % 60, to / 60, to % 60);
        let schedule = if scheduled { format!("[\"{window}\"]") } else { "[]".into() };
        let text = format!(
            "idle_after_seconds = {idle}\nworkers = {workers}\ncpu_percent = {cpu}\nin_use_cpu_percent = {in_use}\n\
             battery_cpu_percent = {battery}\nother_load_percent = {load}\nother_load_resume_percent = {resume}\n\
             target_celsius = {celsius}\nleave_free_mib = {leave}\nmemory_mib = {memory}\nschedule = {schedule}\n"
        );
        let accepted = Settings::parse(&text, &MACHINE);
        let impossible = from == to && scheduled || in_use > cpu || load < 100 && resume >= load || {
            let free = if leave == 0 { 1638 } else { leave };
            free + memory > 16 << 10
        };
        prop_assert_eq!(accepted.is_err(), impossible, "{}", text);
        if let Ok(settings) = accepted {
            let limits = settings.limits(&MACHINE);
            prop_assert!(crate::gate::tests::runs_some_time(&limits, MACHINE.memory_bytes), "{}", text);
        }
    }
}
