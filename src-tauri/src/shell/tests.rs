use super::*;
use crate::pause::PauseChoice;
use crate::tray::tests::snapshot;
use surge_client::view::State;

fn shell() -> Shell {
    Shell::new(Words::of("C"), snapshot(State::Held, "Ready: no work right now"))
}

fn now() -> Zoned {
    "2026-11-22T14:00:00[Europe/Berlin]".parse().unwrap()
}

fn earning() -> Event {
    Event::Snapshot(Box::new(snapshot(State::Earning, "Earning: one task running")))
}

#[test]
fn an_equal_look_is_not_shown_again() {
    let mut shell = shell();
    assert_eq!(shell.on(Event::TrayHost(true), &now()).len(), 1);
    assert_eq!(shell.on(earning(), &now()).len(), 1);
    assert_eq!(shell.on(earning(), &now()), []);
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
fn snapshots_reach_the_window_only_while_there_is_one() {
    let mut shell = shell();
    assert_eq!(shell.on(earning(), &now()), []);
    assert!(matches!(shell.on(Event::WindowReady, &now())[..], [Effect::Show(_)]));
    assert!(matches!(shell.on(earning(), &now())[..], [Effect::Show(_)]));
    shell.on(Event::WindowGone, &now());
    assert_eq!(shell.on(earning(), &now()), []);
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
    let asks = |effects: Vec<Effect>| match &effects[..] {
        [Effect::Show(view)] => view.leaving_without_tray,
        other => panic!("expected a view, got {other:?}"),
    };
    assert!(asks(shell.on(Event::CloseAsked, &now())));
    assert!(!asks(shell.on(Event::Did(Action::Stay), &now())));
    assert_eq!(shell.on(Event::Did(Action::Close), &now()), [Effect::DestroyWindow]);
    shell.on(Event::WindowGone, &now());
    assert!(!asks(shell.on(Event::WindowReady, &now())), "a new window does not ask at once");
}

#[test]
fn finishing_first_is_the_engines_command() {
    assert_eq!(shell().on(Event::Did(Action::Finish), &now()), [Effect::Tell(Command::Finish)]);
}

#[test]
fn a_pause_until_tomorrow_ends_at_midnight() {
    let effects = shell().on(Event::Did(Action::Pause(PauseChoice::Tomorrow)), &now());
    assert_eq!(effects, [Effect::Tell(Command::Pause { seconds: Some(10 * 3600) })]);
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
        self.note(format!("show: {}, leaving: {}", view.snapshot.headline, view.leaving_without_tray));
    }
}

struct Running {
    engine: watch::Sender<Snapshot>,
    events: mpsc::UnboundedSender<Event>,
    done: mpsc::UnboundedReceiver<String>,
    told: mpsc::UnboundedReceiver<Command>,
    ended: tokio::task::JoinHandle<Ended>,
}

fn running(has_tray: bool) -> Running {
    let (engine, snapshots) = watch::channel(snapshot(State::Held, "Ready: no work right now"));
    let (events, inbox) = mpsc::unbounded_channel();
    let (note, done) = mpsc::unbounded_channel();
    let (tell, told) = mpsc::unbounded_channel();
    let desktop = Record { done: note, has_tray };
    let ended = tokio::spawn(run(shell(), desktop, snapshots, move |command| tell.send(command).unwrap(), inbox));
    Running { engine, events, done, told, ended }
}

#[tokio::test]
async fn a_line_of_the_tray_menu_reaches_the_engine_and_its_answer_the_tray() {
    let mut surge = running(true);
    surge.events.send(Event::TrayHost(true)).unwrap();
    assert_eq!(surge.done.recv().await.unwrap(), "tray: Ready: no work right now");
    let line = Action::from_id("pause.until_resumed").unwrap();
    surge.events.send(Event::Did(line)).unwrap();
    assert_eq!(surge.told.recv().await, Some(Command::Pause { seconds: None }));
    surge.engine.send(snapshot(State::Paused, "Paused until you resume")).unwrap();
    assert_eq!(surge.done.recv().await.unwrap(), "tray: Paused until you resume");
}

#[tokio::test]
async fn a_tray_that_can_not_be_built_counts_as_none() {
    let mut surge = running(false);
    for event in [Event::WindowReady, Event::TrayHost(true), Event::CloseAsked] {
        surge.events.send(event).unwrap();
    }
    assert_eq!(surge.done.recv().await.unwrap(), "show: Ready: no work right now, leaving: false");
    assert_eq!(surge.done.recv().await.unwrap(), "tray: Ready: no work right now");
    assert_eq!(surge.done.recv().await.unwrap(), "show: Ready: no work right now, leaving: true");
}

#[tokio::test]
async fn it_ends_when_it_is_quit_or_when_the_engine_is_gone() {
    let surge = running(true);
    surge.events.send(Event::Did(Action::Quit)).unwrap();
    assert_eq!(surge.ended.await.unwrap(), Ended::Quit);
    let surge = running(true);
    drop(surge.engine);
    assert_eq!(surge.ended.await.unwrap(), Ended::EngineGone);
}
