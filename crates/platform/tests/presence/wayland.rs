//! A Wayland compositor that speaks ext-idle-notify.

use surge_platform::presence::{Presence, Surroundings};

use crate::compositor::{Compositor, Event};
use crate::program::{example_that_sees_somebody, wakes};
use crate::{AWAY, Watched};

fn on(compositor: &Compositor) -> Surroundings {
    Surroundings {
        wayland_display: Some(compositor.socket.to_str().unwrap().into()),
        // Always there in such a session, and never to be believed.
        display: Some(":987".into()),
        ..Surroundings::none()
    }
}

#[test]
fn input_ends_idleness() {
    let folder = tempfile::tempdir().unwrap();
    for version in [1, 2] {
        let compositor = Compositor::start(folder.path(), Some(version));
        let watched = Watched::start(&on(&compositor));
        watched.becomes_active();
        for _ in 0..3 {
            watched.becomes_idle();
            assert_eq!(watched.watcher.source(), "wayland");
            assert!(watched.watcher.idle().is_some_and(|idle| idle >= AWAY));
            compositor.tell(Event::Input(0));
            watched.becomes_active();
        }
    }
}

#[test]
fn what_keeps_the_screen_awake_is_not_input_where_the_compositor_can_tell() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), Some(2));
    compositor.tell(Event::Inhibited(true));
    let watched = Watched::start(&on(&compositor));
    watched.becomes_idle();
    drop(compositor);

    let compositor = Compositor::start(folder.path(), Some(1));
    let watched = Watched::start(&on(&compositor));
    watched.becomes_idle();
    compositor.tell(Event::Inhibited(true));
    watched.becomes_active();
    compositor.tell(Event::Inhibited(false));
    watched.becomes_idle();
}

#[test]
fn a_compositor_that_dies_is_unknown_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), Some(2));
    let watched = Watched::start(&on(&compositor));
    watched.becomes_idle();
    drop(compositor);
    watched.becomes_unknown("compositor");
    let compositor = Compositor::start(folder.path(), Some(2));
    watched.becomes_active();
    watched.becomes_idle();
    compositor.tell(Event::Input(0));
    watched.becomes_active();
}

#[test]
fn a_compositor_that_hangs_is_unknown_until_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), Some(2));
    let watched = Watched::start(&on(&compositor));
    watched.becomes_idle();
    compositor.tell(Event::Frozen(true));
    watched.becomes_unknown("does not answer");
    compositor.tell(Event::Frozen(false));
    watched.becomes_idle();
}

#[test]
fn every_seat_counts() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), Some(2));
    let watched = Watched::start(&on(&compositor));
    watched.becomes_idle();
    compositor.tell(Event::SeatAdded(1));
    watched.becomes_active();
    watched.becomes_idle();
    for seat in [1, 0] {
        compositor.tell(Event::Input(seat));
        watched.becomes_active();
        watched.becomes_idle();
    }
    compositor.tell(Event::SeatRemoved(1));
    compositor.tell(Event::SeatRemoved(0));
    watched.becomes_unknown("no seat");
    compositor.tell(Event::SeatAdded(2));
    watched.becomes_idle();
}

#[test]
fn a_compositor_that_tells_no_idle_time_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), None);
    let watched = Watched::start(&on(&compositor));
    assert!(matches!(watched.next(), Presence::Unknown(why) if why.contains("ext-idle-notify")));
}

#[test]
fn typing_wakes_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), Some(2));
    let program = example_that_sees_somebody("WAYLAND_DISPLAY", compositor.socket.to_str().unwrap());
    let before = wakes(&program);
    (0..100).for_each(|_| compositor.tell(Event::Input(0)));
    assert!(wakes(&program) - before < 20, "{before} wakes became {}", wakes(&program));
}
