//! What the owner says, and what nobody can tell.

use std::sync::mpsc;

use surge_platform::presence::{Presence, Source, Surroundings, Watcher};

use crate::{AWAY, Watched};

#[test]
fn headless_is_the_owners_word_and_nothing_is_watched() {
    let (sender, changes) = mpsc::channel();
    let watcher = Watcher::start(Source::Headless, AWAY, move |presence| sender.send(presence).unwrap()).unwrap();
    assert_eq!(changes.iter().collect::<Vec<_>>(), [Presence::Headless], "said once, and nobody is left to say more");
    assert_eq!((watcher.source(), watcher.idle()), ("headless", None));
}

#[test]
fn without_any_source_presence_is_unknown_and_says_what_to_do() {
    let watched = Watched::start(&Surroundings::none());
    assert!(matches!(watched.next(), Presence::Unknown(why) if why.contains("no display") && why.contains("headless")));
    assert_eq!(watched.watcher.source(), "none");
    let wayland =
        Surroundings { session_type: Some("wayland".into()), display: Some(":0".into()), ..Surroundings::none() };
    assert!(matches!(Watched::start(&wayland).next(), Presence::Unknown(why) if why.contains("Wayland")));
}
