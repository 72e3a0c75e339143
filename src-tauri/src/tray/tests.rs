use super::*;
use surge_client::view::{Earnings, PresenceView, Reason, WorkerView};
use surge_protocol::Digest;

pub(crate) fn snapshot(state: State, headline: &str) -> Snapshot {
    Snapshot {
        at: 1_790_000_000,
        version: "0.1.0".into(),
        network: Some("local".into()),
        payout: None,
        state,
        headline: headline.into(),
        reasons: Vec::new(),
        notices: Vec::new(),
        presence: PresenceView { source: "x11".into(), idle_seconds: Some(1), idle_after_seconds: 180 },
        machine: Default::default(),
        paused_until: None,
        finishing: false,
        workers: Vec::new(),
        max_workers: 2,
        load_percent: 0.0,
        load_history: Vec::new(),
        worked_ms: 0,
        undelivered: 0,
        earnings: Earnings { today: Amount(412_345_678_901_234_567), ..Earnings::default() },
    }
}

fn text(snapshot: &Snapshot, locale: &str) -> String {
    let line = |line: &Line| match line {
        Line::Text(text) => format!("({text})"),
        Line::Separator => "---".into(),
        Line::Item(item) => item.label.clone(),
        Line::Submenu(label, items) => {
            let items: Vec<_> = items.iter().map(|item| format!("\n    {}", item.label)).collect();
            format!("{label} >{}", items.concat())
        }
    };
    let menu = menu(snapshot, &Words::of(locale));
    menu.0.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn while_earning_the_menu_offers_to_pause() {
    insta::assert_snapshot!(text(&snapshot(State::Earning, "Earning: 2 tasks running"), "C"), @r"
    (Earning: 2 tasks running)
    (Today: 0.4123 tokens)
    ---
    Pause >
        For 30 minutes
        For 2 hours
        Until tomorrow
        Until I resume
    (Finish task, then pause)
    ---
    Open Surge
    Quit Surge
    ");
}

/// A snapshot in which tasks are in memory.
pub(crate) fn working(tasks: u32) -> Snapshot {
    let worker = |index: u32| WorkerView {
        pid: 4200 + index,
        lease: Digest([0; 32]),
        job_name: "mersenne".into(),
        index: index.into(),
        share: 1.0,
        cpu_ms: 0,
    };
    Snapshot { workers: (0..tasks).map(worker).collect(), ..snapshot(State::Earning, "Earning") }
}

#[test]
fn running_tasks_can_be_finished_first_and_that_can_be_taken_back() {
    let words = Words::of("C");
    let offers = |snapshot: &Snapshot, action, key| menu(snapshot, &words).0.contains(&item(action, key, &words));
    assert!(offers(&working(1), Action::Finish, "action.finish.one"));
    assert!(offers(&working(3), Action::Finish, "action.finish.other"));
    let finishing = Snapshot { finishing: true, ..working(1) };
    assert!(offers(&finishing, Action::Resume, "action.go_on"));
    assert!(!text(&finishing, "C").contains("Finish task"), "it is finishing already");
    assert!(text(&finishing, "C").contains("Until I resume"), "it can still be paused at once");
}

#[test]
fn while_paused_the_menu_offers_to_resume_instead() {
    insta::assert_snapshot!(text(&snapshot(State::Paused, "Paused until you resume"), "de_DE.UTF-8"), @r"
    (Paused until you resume)
    (Heute: 0,4123 Token)
    ---
    Fortsetzen
    ---
    Surge öffnen
    Surge beenden
    ");
}

#[test]
fn a_pause_behind_a_graver_reason_still_offers_to_resume() {
    let paused = Reason::new(ReasonCode::Paused, "", "");
    let broken = Snapshot { reasons: vec![paused], ..snapshot(State::NeedsYou, "Stopped: the disk is full") };
    assert!(menu(&broken, &Words::of("C")).0.contains(&item(Action::Resume, "tray.resume", &Words::of("C"))));
}

#[test]
fn the_menu_never_grows_past_eight_lines_and_knows_all_its_words() {
    for state in [State::Earning, State::Held, State::Paused, State::NeedsYou] {
        for locale in ["C", "de_DE.UTF-8"] {
            let snapshot = Snapshot { state, ..working(2) };
            assert!(menu(&snapshot, &Words::of(locale)).0.len() <= 8);
            for key in ["tray.", "pause.", "action.", "format."] {
                assert!(!text(&snapshot, locale).contains(key), "a sentence is missing in {locale}");
            }
        }
    }
}

#[test]
fn every_line_that_can_be_clicked_has_an_id_that_leads_back() {
    for state in [State::Earning, State::Paused] {
        for line in menu(&Snapshot { state, ..working(2) }, &Words::of("C")).0 {
            let items = match line {
                Line::Item(item) => vec![item],
                Line::Submenu(_, items) => items,
                Line::Text(_) | Line::Separator => Vec::new(),
            };
            for item in items {
                assert_eq!(item.action.id().and_then(Action::from_id), Some(item.action));
            }
        }
    }
}

#[test]
fn money_is_cut_and_never_rounded_up() {
    let shown = |base| shown(Amount(base), &Words::of("C"));
    assert_eq!(shown(0), "0");
    assert_eq!(shown(1), "< 0.0001");
    assert_eq!(shown(ONE - 1), "0.9999");
    assert_eq!(shown(12 * ONE + ONE / 2), "12.5");
}
