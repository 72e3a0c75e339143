//! Whatever is heard, in any order.

use proptest::prelude::*;

use super::*;

/// Anything that can be heard, as of `now` seconds after the start.
fn anything() -> impl Strategy<Value = (u64, Told)> {
    let told = prop_oneof![
        3 => (0u64..200).prop_map(Told::Idle),
        1 => Just(Told::Active),
        1 => Just(Told::Gone),
        3 => (0u64..200).prop_map(Told::Look),
        1 => Just(Told::LookFailed),
        1 => any::<bool>().prop_map(Told::InFront),
        1 => Just(Told::Lost),
        1 => Just(Told::Asleep),
        1 => Just(Told::Disturbed),
    ];
    (0u64..40, told)
}

#[derive(Debug, Clone, Copy)]
enum Told {
    Idle(u64),
    Active,
    Gone,
    Look(u64),
    LookFailed,
    InFront(bool),
    Lost,
    Asleep,
    Disturbed,
}

proptest! {
    #[test]
    fn never_idle_within_the_threshold_of_any_input_and_never_on_a_guess(told in prop::collection::vec(anything(), 1..60)) {
        let mut world = World::new();
        // The latest moment at which something spoke against idleness, as told so far by each source.
        let (mut display, mut terminals, mut other) = (world.now, None, None);
        let (mut vouched, mut looked, mut trusted) = (None, None, true);
        let mut asleep = false;
        for (pause, told) in told {
            world.pass(pause);
            let now = world.now;
            match told {
                Told::Idle(ago) => {
                    world.idle(ago);
                    (display, vouched) = (now - Duration::from_secs(ago), Some(now));
                }
                Told::Active | Told::Gone => {
                    let gone = matches!(told, Told::Gone);
                    world.hear(Report::Display(if gone { Display::Failed("gone".into()) } else { Display::Active }));
                    vouched = None;
                }
                Told::Look(ago) => {
                    world.look(Some(ago));
                    (terminals, looked) = (Some(now - Duration::from_secs(ago)), Some(now));
                }
                Told::LookFailed => {
                    world.hear(Report::Look(Look { at: now, input: Err("broken".into()) }));
                    looked = None;
                }
                Told::InFront(is) => {
                    world.hear(Report::Session(if is { Session::InFront { console: false } } else { Session::Behind }));
                    if is && !trusted {
                        other = Some(now);
                    }
                    trusted = is;
                }
                Told::Lost => {
                    world.hear(Report::Session(Session::Lost("gone".into())));
                    trusted = false;
                }
                Told::Asleep => {
                    world.hear(Report::Asleep);
                    asleep = true;
                }
                Told::Disturbed => {
                    world.hear(Report::Disturbed);
                    (other, asleep) = (Some(now), false);
                }
            }
            let Some(Presence::IdleSince(since)) = world.presence() else { continue };
            prop_assert!(trusted && !asleep);
            prop_assert!(vouched.is_some_and(|vouched| now < vouched + STALE), "an old word of the display");
            prop_assert!(looked.is_some_and(|looked| now < looked + STALE), "an old look");
            let last = [Some(display), terminals, other].into_iter().flatten().max().unwrap();
            prop_assert_eq!(since, last);
            prop_assert!(now >= last + THRESHOLD);
        }
    }
}
