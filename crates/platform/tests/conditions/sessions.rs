//! An engine that belongs to no session, and the reporter of one: a real display (Xvfb), a login service on a real bus.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use surge_platform::conditions::{Conditions, Use};
use surge_platform::presence::{Presence, SessionInput, SessionReport, Source, Surroundings};
use surge_platform::sensors::{Sensors, SessionWatch, Wanted};

use crate::machine::PATIENCE;
use crate::screen::{Manager, xvfb};

const AWAY: Duration = Duration::from_secs(2);

fn engine(greeter_idle: bool) -> (Sensors, Receiver<Conditions>) {
    let source = Source::Sessions { greeter_idle };
    let wanted = Wanted { source, idle_after: AWAY, excluded: BTreeSet::new() };
    let (sender, conditions) = mpsc::channel();
    let sensors = Sensors::start_in(&Surroundings::none(), wanted, move |it| drop(sender.send(it))).unwrap();
    (sensors, conditions)
}

fn until(conditions: &Receiver<Conditions>, wanted: impl Fn(&Conditions) -> bool) -> Conditions {
    loop {
        let it = conditions.recv_timeout(PATIENCE).expect("conditions");
        if wanted(&it) {
            return it;
        }
    }
}

fn idle(conditions: &Conditions) -> bool {
    matches!(conditions.presence.value, Presence::IdleSince(_))
}

fn active(conditions: &Conditions) -> bool {
    conditions.presence.value == Presence::Active
}

fn report(seconds: u64) -> SessionReport {
    SessionReport { input: SessionInput::IdleFor(Duration::from_secs(seconds)), locked: false, uses: Vec::new() }
}

#[test]
fn at_the_greeter_the_setting_decides() {
    let (_sensors, conditions) = engine(true);
    let it = until(&conditions, idle);
    assert_eq!(it.presence.source, "sessions");
    let (sensors, conditions) = engine(false);
    until(&conditions, active);
    sensors.session_report("2", report(60));
    until(&conditions, idle);
    sensors.session_ended("2");
    until(&conditions, active);
}

#[test]
fn a_reporter_that_falls_silent_or_is_lost_is_somebody() {
    let (sensors, conditions) = engine(true);
    sensors.session_report("2", report(60));
    until(&conditions, idle);
    // It says nothing more, and gets old.
    until(&conditions, active);
    sensors.session_report("2", report(70));
    until(&conditions, idle);
    sensors.session_lost("2");
    until(&conditions, active);
}

#[test]
fn what_a_reporter_sees_is_what_the_engine_knows() {
    let (_server, display) = xvfb();
    let manager = Manager::start(&display);
    let (sensors, conditions) = engine(true);
    let around = Surroundings { display: Some(display), ..Surroundings::none() };
    let (sender, reports) = mpsc::channel();
    let reporter = SessionWatch::start_in(&around, move |report| drop(sender.send(report))).unwrap();
    let (stop, stopped) = mpsc::channel::<()>();
    let relay = std::thread::spawn(move || {
        let mut all = Vec::new();
        while stopped.try_recv().is_err() {
            let Ok(report) = reports.recv_timeout(PATIENCE) else { break };
            sensors.session_report("2", report.clone());
            all.push(report);
        }
        all
    });
    until(&conditions, idle);
    manager.press_a_key();
    until(&conditions, active);
    until(&conditions, idle);
    let film = manager.window("Player");
    manager.states(film, &["FULLSCREEN"]);
    manager.show(&[film]);
    until(&conditions, |it| it.foreground.value.uses == [Use::FullScreen("Player".into())]);
    stop.send(()).unwrap();
    let all = relay.join().unwrap();
    drop(reporter);
    // While nobody is there it speaks each second, and its idleness grows.
    let idle: Vec<_> = all
        .iter()
        .filter_map(|report| match report.input {
            SessionInput::IdleFor(idle) => Some(idle),
            _ => None,
        })
        .collect();
    assert!(idle.windows(2).any(|pair| pair[1] > pair[0]), "{all:?}");
    assert!(all.iter().any(|report| report.input == SessionInput::Active), "{all:?}");
}

#[test]
fn a_display_that_says_nothing_is_reported_and_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let display = format!("127.0.0.1:{}", listener.local_addr().unwrap().port() - 6000);
    let around = Surroundings { display: Some(display.clone()), ..Surroundings::none() };
    let (sender, reports) = mpsc::channel();
    let _reporter = SessionWatch::start_in(&around, move |report: SessionReport| drop(sender.send(report))).unwrap();
    let (sensors, conditions) = engine(true);
    loop {
        let report = reports.recv_timeout(PATIENCE).expect("a report");
        let named = matches!(&report.input, SessionInput::Unknown(why) if why.contains(&display));
        sensors.session_report("2", report);
        if named {
            break;
        }
    }
    until(&conditions, |it| matches!(&it.presence.value, Presence::Unknown(why) if why.contains(&display)));
}
