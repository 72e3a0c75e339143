use super::*;
use crate::follow::Told;
use crate::pause::PauseChoice;
use crate::tray::tests::{hello, snapshot};
use surge_client::view::{Reason, ReasonCode, State};
use surge_client::wire::Role;

fn told(reasons: Vec<Reason>) -> Told {
    Told { hello: hello(Role::Owner), host: Host::User, snapshot: Box::new(snapshot(State::Held, reasons)) }
}

fn tells(reasons: Vec<Reason>) -> Event {
    Event::Engine(EngineStatus::Told(told(reasons)))
}

fn paused() -> Event {
    tells(vec![Reason::new(ReasonCode::Paused)])
}

fn lost(code: LostCode) -> Event {
    Event::Engine(EngineStatus::Lost(code.into()))
}

/// One whose engine is ready and has no work.
fn shell() -> Shell {
    let mut shell = Shell::new(Words::english(), LostCode::Connecting.into());
    shell.on(tells(vec![Reason::new(ReasonCode::NoWork)]), &now());
    shell
}

fn now() -> Zoned {
    "2026-11-22T14:00:00[Europe/Berlin]".parse().unwrap()
}

fn view(effects: &[Effect]) -> &View {
    let views = effects.iter().find_map(|effect| if let Effect::Show(view) = effect { Some(view) } else { None });
    views.unwrap_or_else(|| panic!("expected a view, got {effects:?}"))
}

#[test]
fn an_equal_look_is_not_shown_again() {
    let mut shell = shell();
    assert_eq!(shell.on(Event::TrayHost(true), &now()).len(), 1);
    assert_eq!(shell.on(paused(), &now()).len(), 1);
    assert_eq!(shell.on(paused(), &now()), []);
}

#[test]
fn a_tray_that_returns_gets_its_look_again() {
    let mut shell = shell();
    let first = shell.on(Event::TrayHost(true), &now());
    assert_eq!(shell.on(Event::TrayHost(false), &now()), []);
    assert_eq!(shell.on(Event::TrayHost(true), &now()), first);
}

#[test]
fn the_icon_is_drawn_so_that_it_shows_on_the_panel() {
    let mut shell = shell();
    shell.on(Event::TrayHost(true), &now());
    let night = Colours { ink: Ink::Light, dark: Some(true) };
    match &shell.on(Event::Colours(night), &now())[..] {
        [Effect::Tray(look), Effect::Dark(Some(true))] => assert_eq!(look.icon.ink, Ink::Light),
        other => panic!("expected a new look, got {other:?}"),
    }
}

#[test]
fn states_reach_the_window_only_while_there_is_one() {
    let mut shell = shell();
    assert_eq!(shell.on(paused(), &now()), []);
    assert!(view(&shell.on(Event::WindowReady, &now())).snapshot.is_some());
    assert!(view(&shell.on(paused(), &now())).snapshot.is_some());
    shell.on(Event::WindowGone, &now());
    assert_eq!(shell.on(paused(), &now()), []);
}

#[test]
fn closing_leaves_the_tray() {
    let mut shell = shell();
    shell.on(Event::TrayHost(true), &now());
    assert_eq!(shell.on(Event::CloseAsked, &now()), [Effect::DestroyWindow]);
}

#[test]
fn without_a_tray_closing_asks_first() {
    let mut shell = shell();
    shell.on(Event::WindowReady, &now());
    assert!(view(&shell.on(Event::CloseAsked, &now())).leaving_without_tray);
    assert!(!view(&shell.on(Event::Did(Action::Stay), &now())).leaving_without_tray);
    assert_eq!(shell.on(Event::Did(Action::Close), &now()), [Effect::DestroyWindow]);
    shell.on(Event::WindowGone, &now());
    let again = shell.on(Event::WindowReady, &now());
    assert!(!view(&again).leaving_without_tray, "a new window does not ask at once");
}

#[test]
fn finishing_first_is_the_engines_command() {
    assert_eq!(shell().on(Event::Did(Action::Finish), &now()), [Effect::Ask(Command::Finish)]);
}

#[test]
fn a_pause_until_tomorrow_ends_at_midnight() {
    let effects = shell().on(Event::Did(Action::Pause(PauseChoice::Tomorrow)), &now());
    assert_eq!(effects, [Effect::Ask(Command::Pause { seconds: Some(10 * 3600) })]);
}

#[test]
fn without_an_engine_the_window_opens_and_says_why_and_shows_what_was_last_known() {
    let mut shell = Shell::new(Words::english(), LostCode::Connecting.into());
    assert_eq!(shell.on(Event::Did(Action::Open), &now()), [Effect::OpenWindow]);
    let first = shell.on(Event::WindowReady, &now());
    assert_eq!((view(&first).lost.as_ref().unwrap().code, &view(&first).snapshot), (LostCode::Connecting, &None));
    let failed = Event::Engine(EngineStatus::Lost(Lost::said(LostCode::CantStart, "the folder can't be written")));
    let failed = shell.on(failed, &now());
    assert_eq!(view(&failed).lost.as_ref().unwrap().said.as_deref(), Some("the folder can't be written"));
    assert_eq!(shell.on(Event::Did(Action::Start), &now()), [Effect::Start]);
    let there = shell.on(paused(), &now());
    assert_eq!(view(&there).lost, None);
    let gone = shell.on(lost(LostCode::Crashed), &now());
    assert!(view(&gone).snapshot.is_some() && view(&gone).lost.is_some());
    assert_eq!(shell.on(lost(LostCode::Crashed), &now()), [], "said once is enough");
}

#[test]
fn a_command_that_fails_is_told_until_the_next_one() {
    let mut shell = shell();
    shell.on(Event::WindowReady, &now());
    let failure = Failure { code: "not_allowed".into(), said: "only its owner may".into() };
    assert_eq!(view(&shell.on(Event::Failed(failure.clone()), &now())).failure, Some(failure));
    shell.on(Event::Did(Action::Resume), &now());
    assert_eq!(view(&shell.on(paused(), &now())).failure, None);
}

#[test]
fn quitting_ends_ones_own_engine_first() {
    let mut shell = shell();
    let effects = shell.on(Event::Did(Action::Quit), &now());
    assert_eq!(effects, [Effect::DestroyWindow, Effect::AwaitEnd, Effect::Ask(Command::Stop)]);
    assert_eq!(shell.on(paused(), &now()), [], "it is still ending");
    assert_eq!(shell.on(lost(LostCode::Stopped), &now()), [], "its process is still there");
    assert_eq!(shell.on(Event::Ended, &now()), [Effect::Quit]);
}

#[test]
fn who_quits_twice_waits_no_longer() {
    let mut shell = shell();
    shell.on(Event::Did(Action::Quit), &now());
    assert_eq!(shell.on(Event::Did(Action::Quit), &now()), [Effect::Quit]);
}

#[test]
fn an_engine_that_is_not_ones_own_goes_on_when_the_shell_quits() {
    for (role, host) in [(Role::Viewer, Host::System), (Role::Operator, Host::User), (Role::Owner, Host::System)] {
        let mut shell = shell();
        shell.on(Event::Engine(EngineStatus::Told(Told { hello: hello(role), host, ..told(Vec::new()) })), &now());
        assert_eq!(shell.on(Event::Did(Action::Quit), &now()), [Effect::Quit], "{role:?} {host:?}");
    }
}

#[test]
fn where_no_engine_runs_there_is_nothing_to_stop() {
    let may_run = |code: &LostCode| *code == LostCode::Stuck || code.begins();
    for code in LostCode::ALL.into_iter().filter(|code| !may_run(code)) {
        let mut shell = shell();
        shell.on(lost(code), &now());
        assert_eq!(shell.on(Event::Did(Action::Quit), &now()), [Effect::Quit], "{code:?}");
    }
}

#[test]
fn an_engine_that_is_being_started_is_stopped_as_soon_as_it_answers() {
    let mut starting = Shell::new(Words::english(), LostCode::Connecting.into());
    starting.on(lost(LostCode::Starting), &now());
    assert_eq!(starting.on(Event::Did(Action::Quit), &now()), [Effect::DestroyWindow, Effect::AwaitEnd]);
    assert_eq!(starting.on(lost(LostCode::Starting), &now()), []);
    assert_eq!(starting.on(tells(Vec::new()), &now()), [Effect::Ask(Command::Stop)]);
    assert_eq!(starting.on(tells(Vec::new()), &now()), [], "it was asked already");

    let mut broken = Shell::new(Words::english(), LostCode::Starting.into());
    broken.on(Event::Did(Action::Quit), &now());
    broken.on(lost(LostCode::Starting), &now());
    assert_eq!(broken.on(lost(LostCode::CantStart), &now()), [Effect::Quit]);
}

/// Records what the shell asks of the desktop.
struct Record {
    done: mpsc::UnboundedSender<String>,
    has_tray: bool,
}

impl Record {
    fn note(&self, what: impl Into<String>) {
        self.done.send(what.into()).unwrap();
    }
}

impl Desktop for Record {
    fn tray(&mut self, look: &Look) -> bool {
        self.note(format!("tray: {}", look.tooltip));
        self.has_tray
    }
    fn dark(&mut self, dark: Option<bool>) {
        self.note(format!("dark: {dark:?}"));
    }
    fn open_window(&mut self) {
        self.note("open");
    }
    fn destroy_window(&mut self) {
        self.note("destroy");
    }
    fn show(&mut self, view: View) {
        self.note(format!("show: {}, leaving: {}", view.snapshot.is_some(), view.leaving_without_tray));
    }
}

/// Records what the shell asks of the engine.
struct Asked(mpsc::UnboundedSender<Command>);

impl Engine for Asked {
    fn ask(&self, command: Command) {
        self.0.send(command).unwrap();
    }
    fn start(&self) {}
}

struct Running {
    events: mpsc::UnboundedSender<Event>,
    done: mpsc::UnboundedReceiver<String>,
    asked: mpsc::UnboundedReceiver<Command>,
    ended: tokio::task::JoinHandle<()>,
}

fn running(has_tray: bool) -> Running {
    let (events, inbox) = mpsc::unbounded_channel();
    let (note, done) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::unbounded_channel();
    let ended = tokio::spawn(run(shell(), Record { done: note, has_tray }, Asked(ask), inbox));
    Running { events, done, asked, ended }
}

#[tokio::test]
async fn a_line_of_the_tray_menu_reaches_the_engine_and_its_answer_the_tray() {
    let mut surge = running(true);
    surge.events.send(Event::TrayHost(true)).unwrap();
    assert_eq!(surge.done.recv().await.unwrap(), "tray: Ready: no work right now");
    let line = Action::from_id("pause.until_resumed").unwrap();
    surge.events.send(Event::Did(line)).unwrap();
    assert_eq!(surge.asked.recv().await, Some(Command::Pause { seconds: None }));
    surge.events.send(paused()).unwrap();
    assert_eq!(surge.done.recv().await.unwrap(), "tray: Paused until you resume");
    surge.events.send(lost(LostCode::Crashed)).unwrap();
    assert_eq!(surge.done.recv().await.unwrap(), "tray: Surge has crashed");
}

#[tokio::test]
async fn a_tray_that_can_not_be_built_counts_as_none() {
    let mut surge = running(false);
    for event in [Event::WindowReady, Event::TrayHost(true), Event::CloseAsked] {
        surge.events.send(event).unwrap();
    }
    assert_eq!(surge.done.recv().await.unwrap(), "show: true, leaving: false");
    assert_eq!(surge.done.recv().await.unwrap(), "tray: Ready: no work right now");
    assert_eq!(surge.done.recv().await.unwrap(), "show: true, leaving: true");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_end_is_told_and_left_to_itself_by_the_next_quit() {
    let mut surge = running(true);
    surge.events.send(Event::Did(Action::Quit)).unwrap();
    assert_eq!(surge.asked.recv().await, Some(Command::Stop));
    assert_eq!(surge.done.recv().await.unwrap(), "destroy");
    assert_eq!(surge.done.recv().await.unwrap(), "open");
    surge.events.send(Event::Did(Action::Quit)).unwrap();
    surge.ended.await.unwrap();
}

#[test]
fn an_engine_that_refuses_to_end_is_told() {
    let mut shell = shell();
    shell.on(Event::WindowReady, &now());
    shell.on(Event::Did(Action::Quit), &now());
    let refused = Failure { code: "unknown_request".into(), said: "no such command".into() };
    let effects = shell.on(Event::Failed(refused.clone()), &now());
    assert_eq!(effects[..2], [Effect::AwaitNothing, Effect::OpenWindow]);
    assert_eq!((view(&effects).failure.clone(), view(&effects).lost.clone()), (Some(refused), None));
    assert!(!view(&effects).quit_stops_work);
}
