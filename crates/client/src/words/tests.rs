use super::*;
use crate::view::{Case, WorkerView};
use crate::wire::Role;

fn snapshot(running: usize, finishing: bool, reasons: Vec<Reason>) -> Snapshot {
    let worker = WorkerView {
        pid: 1,
        lease: surge_protocol::Digest([0; 32]),
        job_name: "job".into(),
        index: 0,
        share: 1.0,
        cpu_ms: 0,
    };
    Snapshot { finishing, reasons, workers: vec![worker; running], ..Snapshot::default() }
}

#[test]
fn languages_have_the_same_keys_and_placeholders() {
    let placeholders = |text: &String| {
        let mut names: Vec<_> =
            text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).map(str::to_owned).collect();
        names.sort();
        names
    };
    let (english, german) = (Words::english(), Words::of("de_DE.UTF-8"));
    assert_eq!(english.0.keys().collect::<Vec<_>>(), german.0.keys().collect::<Vec<_>>());
    for (key, text) in &english.0 {
        assert_eq!(placeholders(text), placeholders(&german.0[key]), "{key}");
    }
}

#[test]
fn every_reason_has_words_of_its_own_with_and_without_values() {
    for words in [Words::english(), Words::of("de")] {
        for code in ReasonCode::ALL {
            let bare = Reason::new(code);
            let full = Reason::new(code).measured(3, 5, Unit::Seconds).about("it").said("no").until(60);
            for reason in [bare, full] {
                for sentence in [words.sentence(&reason, 0, false), words.detail(&reason), words.remedy(&reason)] {
                    assert!(!sentence.contains(['{', '}']) && !sentence.is_empty(), "{code:?}: {sentence}");
                    let unknown = ["headline.unknown", "detail.unknown", "remedy.unknown"].map(|key| words.say(key));
                    assert!(code == ReasonCode::Unknown || !unknown.contains(&sentence.as_str()), "{code:?}");
                }
            }
            assert!(words.0.contains_key(&format!("reason.{}", code.name())), "{code:?} has no title");
        }
    }
}

#[test]
fn a_case_has_its_words_and_what_lacks_a_value_the_bare_ones() {
    let words = Words::english();
    let active = Reason::new(ReasonCode::UserActive);
    assert_eq!(words.detail(&active), "somebody uses this computer");
    let active = active.measured(30, 180, Unit::Seconds);
    assert_eq!(words.detail(&active), "last input 30 s ago; work starts after 3 min");
    let battery = Reason::new(ReasonCode::OnBattery);
    assert_eq!(words.detail(&battery.clone().case(Case::Unreadable)), "can't tell whether it runs on its battery");
    let low = battery.case(Case::ChargeLow).measured(40, 60, Unit::Percent);
    assert_eq!(words.detail(&low), "on its battery at 40 %; work starts from 60 %");
    assert_eq!(words.remedy(&low), "Plug it in, or lower battery_min_percent");
    let braces = Reason::new(ReasonCode::Film).about("{said} {x}");
    assert_eq!(
        words.detail(&braces),
        "a program keeps the screen awake ({said} {x})",
        "a program's name is no template"
    );
}

#[test]
fn work_that_runs_is_earning_whatever_else_is_true() {
    let words = Words::english();
    let idle = vec![Reason::new(ReasonCode::NoWork)];
    assert_eq!(words.headline(&snapshot(2, false, idle.clone())), "Earning: 2 tasks running");
    assert_eq!(words.headline(&snapshot(1, true, idle)), "Finishing one task, then pausing");
    assert_eq!(words.headline(&snapshot(0, false, Vec::new())), "Ready: getting the next task");
}

#[test]
fn the_first_reason_is_the_sentence_and_finishing_says_that_it_will_not_go_on() {
    let words = Words::english();
    let (active, finishing) = (Reason::new(ReasonCode::UserActive), Reason::new(ReasonCode::Finishing));
    let held = vec![active, finishing.clone()];
    assert_eq!(words.headline(&snapshot(0, true, held.clone())), "Waiting to finish: you are using this computer");
    assert_eq!(words.headline(&snapshot(0, false, held)), "Waiting: you are using this computer");
    assert_eq!(words.headline(&snapshot(0, true, vec![finishing])), "Finishing, then pausing");
    let paused = Reason::new(ReasonCode::Paused).until(7_500);
    assert_eq!(words.headline(&snapshot(0, false, vec![paused])), "Paused for 2 h 5 min more");
}

#[test]
fn another_version_is_told_in_words() {
    let words = Words::english();
    let skew = |surge, version: &str| {
        words.skew(&Hello { surge, version: version.into(), pid: 1, role: Role::Owner }, "0.9.0 (abc)")
    };
    assert_eq!(skew(wire::VERSION, "0.9.0"), None);
    assert!(skew(wire::VERSION, "0.10.0").unwrap().contains("newer (0.10.0)"));
    assert!(skew(wire::VERSION, "0.8.12").unwrap().contains("older (0.8.12)"));
    assert!(skew(wire::VERSION + 1, "0.9.0").unwrap().contains("newer"));
}

#[test]
fn a_stretch_of_the_timeline_is_told_by_its_names() {
    let words = Words::english();
    assert_eq!(words.stretch("off", ""), "No engine ran");
    assert_eq!(words.stretch("held", "user_active"), "Waiting: you are using this computer");
    assert_eq!(words.stretch("held", ""), "Ready: getting the next task");
    assert_eq!(words.stretch("paused", "paused"), "Paused by you");
    assert_eq!(words.stretch("held", "no_such_code"), "held no_such_code");
}

#[test]
fn what_waits_for_a_network_that_is_not_attached_names_it() {
    let told = |language, name: Option<&str>, undelivered| {
        Words::of(language).unattached(&UnattachedView { name: name.map(str::to_owned), undelivered })
    };
    assert_eq!(told("en", Some("{count}"), 2), "2 finished results wait until {count} is attached again.");
    assert_eq!(told("de", None, 1), "1 fertiges Ergebnis wartet, bis ein früheres Netzwerk wieder verbunden ist.");
}

/// What the window's words are held to as well, in `ui/tests/words.test.ts`: both must say the same of the same state.
#[test]
fn the_window_says_the_same() {
    let cases: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../../ui/tests/words.cases.json")).unwrap();
    for case in cases {
        let snapshot: Snapshot = serde_json::from_value(case["snapshot"].clone()).unwrap();
        for language in ["en", "de"] {
            let (words, expected) = (Words::of(language), &case[language]);
            let of_each = |say: &dyn Fn(&Reason) -> String| snapshot.reasons.iter().map(say).collect::<Vec<_>>();
            let said = serde_json::json!({
                "headline": words.headline(&snapshot),
                "detail": of_each(&|reason| words.detail(reason)),
                "remedy": of_each(&|reason| words.remedy(reason)),
            });
            for (what, expected) in expected.as_object().into_iter().flatten() {
                assert_eq!(said[what], *expected, "{}", case["about"]);
            }
        }
    }
}
