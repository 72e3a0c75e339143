use super::*;
use surge_client::view::{Case, Earnings, NetworkView, Reason, WorkerView};
use surge_client::wire::{self, Hello, Role};
use surge_protocol::Digest;

pub(crate) fn hello(role: Role) -> Hello {
    Hello { surge: wire::VERSION, version: env!("CARGO_PKG_VERSION").into(), pid: std::process::id(), role }
}

pub(crate) fn snapshot(state: State, reasons: Vec<Reason>) -> Snapshot {
    let network =
        |today| NetworkView { earnings: Earnings { today: Amount(today), ..Default::default() }, ..Default::default() };
    Snapshot {
        at: 1_790_000_000,
        state,
        reasons,
        networks: vec![network(400_000_000_000_000_000), network(12_345_678_901_234_567)],
        ..Snapshot::default()
    }
}

fn paused() -> Snapshot {
    snapshot(State::Paused, vec![Reason::new(ReasonCode::Paused)])
}

fn now(snapshot: &Snapshot) -> Now<'_> {
    Now { snapshot, skew: None, may_pause: true }
}

fn look_of(snapshot: &Snapshot, words: &Words) -> Look {
    look(Ok(now(snapshot)), Quit::StopsWork, Ink::Middle, words)
}

fn text(look: &Look) -> String {
    let line = |line: &Line| match line {
        Line::Text(text) => format!("({text})"),
        Line::Separator => "---".into(),
        Line::Item(item) => item.label.clone(),
        Line::Submenu(label, items) => {
            let items: Vec<_> = items.iter().map(|item| format!("\n    {}", item.label)).collect();
            format!("{label} >{}", items.concat())
        }
    };
    look.menu.0.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn while_earning_the_menu_offers_to_pause() {
    insta::assert_snapshot!(text(&look_of(&working(2), &Words::english())), @r"
    (Earning: 2 tasks running)
    (Today: 0.4123 tokens)
    ---
    Pause >
        For 30 minutes
        For 2 hours
        Until tomorrow
        Until I resume
    Finish tasks, then pause
    ---
    Open Surge
    Quit Surge and stop work
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
    Snapshot { workers: (0..tasks).map(worker).collect(), ..snapshot(State::Earning, Vec::new()) }
}

#[test]
fn running_tasks_can_be_finished_first_and_that_can_be_taken_back() {
    let words = Words::english();
    let offers =
        |snapshot: &Snapshot, action, key| look_of(snapshot, &words).menu.0.contains(&item(action, key, &words));
    assert!(offers(&working(1), Action::Finish, "action.finish.one"));
    assert!(offers(&working(3), Action::Finish, "action.finish.other"));
    let finishing = Snapshot { finishing: true, ..working(1) };
    assert!(offers(&finishing, Action::Resume, "action.go_on"));
    let text = text(&look_of(&finishing, &words));
    assert!(!text.contains("Finish task"), "it is finishing already");
    assert!(text.contains("Until I resume"), "it can still be paused at once");
    let nothing = snapshot(State::Held, vec![Reason::new(ReasonCode::NoWork)]);
    assert!(look_of(&nothing, &words).menu.0.contains(&Line::Text("Finish task, then pause".into())));
}

#[test]
fn while_paused_the_menu_offers_to_resume_instead() {
    insta::assert_snapshot!(text(&look_of(&paused(), &Words::of("de_DE.UTF-8"))), @r"
    (Pausiert, bis du fortsetzt)
    (Heute: 0,4123 Token)
    ---
    Fortsetzen
    ---
    Surge öffnen
    Surge beenden und Arbeit anhalten
    ");
}

#[test]
fn what_an_update_has_left_to_do_is_said_below_the_headline() {
    let words = Words::english();
    let updated = Snapshot { notices: vec![Reason::new(ReasonCode::RestartNeeded).case(Case::Updated)], ..working(1) };
    let second = |snapshot: &Snapshot, skew| {
        let look = look(Ok(Now { skew, ..now(snapshot) }), Quit::StopsWork, Ink::Middle, &words);
        text(&look).lines().nth(1).map(str::to_owned).unwrap()
    };
    assert_eq!(second(&updated, None), "(Surge needs to be started again)");
    assert_eq!(second(&updated, Some(SkewCode::EngineOlder)), "(The engine is older than this program)");
    assert_eq!(second(&working(1), Some(SkewCode::EngineNewer)), "(The engine is newer than this program)");
    assert_eq!(second(&working(1), None), "(Today: 0.4123 tokens)");
}

#[test]
fn without_an_engine_the_menu_says_why_and_offers_to_start_one() {
    let words = Words::english();
    let lost = |code: LostCode| look(Err(code.into()), Quit::NothingRuns, Ink::Middle, &words);
    insta::assert_snapshot!(text(&lost(LostCode::Crashed)), @r"
    (Surge has crashed)
    Start Surge
    ---
    Open Surge
    Quit
    ");
    assert_eq!(lost(LostCode::Crashed).icon.shape, State::NeedsYou);
    insta::assert_snapshot!(text(&lost(LostCode::Starting)), @r"
    (Starting Surge)
    ---
    Open Surge
    Quit
    ");
    assert_eq!(lost(LostCode::Starting).icon.shape, State::Held);
}

#[test]
fn the_engine_of_a_service_is_shown_and_left_alone() {
    let look = look(Ok(Now { may_pause: false, ..now(&working(1)) }), Quit::LeavesWork, Ink::Middle, &Words::english());
    insta::assert_snapshot!(text(&look), @r"
    (Earning: one task running)
    (Today: 0.4123 tokens)
    ---
    Open Surge
    Close; work goes on
    ");
}

#[test]
fn a_pause_behind_a_graver_reason_still_offers_to_resume() {
    let broken = snapshot(State::NeedsYou, [ReasonCode::DiskFull, ReasonCode::Paused].map(Reason::new).to_vec());
    let words = Words::english();
    assert!(look_of(&broken, &words).menu.0.contains(&item(Action::Resume, "tray.resume", &words)));
}

/// Every look that there is, in every language.
fn looks() -> Vec<Look> {
    let mut looks = Vec::new();
    for words in [Words::english(), Words::of("de_DE.UTF-8")] {
        for state in [State::Earning, State::Held, State::Paused, State::NeedsYou, State::Unknown] {
            for quit in [Quit::StopsWork, Quit::LeavesWork] {
                let notices = vec![Reason::new(ReasonCode::RestartNeeded)];
                let snapshot = Snapshot { state, notices, ..working(2) };
                for skew in [None, Some(SkewCode::EngineNewer), Some(SkewCode::EngineOlder)] {
                    let look =
                        |may_pause| look(Ok(Now { snapshot: &snapshot, skew, may_pause }), quit, Ink::Middle, &words);
                    looks.extend([true, false].map(look));
                }
            }
        }
        for code in LostCode::ALL {
            looks.push(look(Err(code.into()), Quit::NothingRuns, Ink::Middle, &words));
        }
    }
    looks
}

#[test]
fn the_menu_never_grows_past_nine_lines_and_knows_all_its_words() {
    for look in looks() {
        assert!(look.menu.0.len() <= 9);
        for key in ["tray.", "quit.", "pause.", "action.", "format.", "lost.", "headline."] {
            assert!(!text(&look).contains(key), "a sentence is missing in {look:?}");
        }
    }
}

#[test]
fn every_line_that_can_be_clicked_has_an_id_that_leads_back() {
    for line in looks().into_iter().flat_map(|look| look.menu.0) {
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

#[test]
fn money_is_cut_and_never_rounded_up() {
    let shown = |base| shown(Amount(base), &Words::english());
    assert_eq!(shown(0), "0");
    assert_eq!(shown(1), "< 0.0001");
    assert_eq!(shown(ONE - 1), "0.9999");
    assert_eq!(shown(12 * ONE + ONE / 2), "12.5");
}
