//! Random histories, and what holds in all of them.

use proptest::prelude::*;

use super::*;

/// Something that may happen.
#[derive(Debug, Clone)]
pub(super) enum Chance {
    Gate(u32),
    Finish,
    Stop,
    Answer { give: bool, expires_in: Millis, deadline_in: Millis },
    AskFails,
    AnswerLost(Option<Millis>),
    Fetch(u8, Option<Obstacle>),
    End(u8, Ending),
    Beat(u8, Heard),
    Deliver(bool),
    Pass(Millis),
}

fn any_ending() -> impl Strategy<Value = Ending> {
    let (outcome, code) = (Outcome::Host, Code::word("crashed"));
    let no_vote = |here| Ending::NoVote { outcome: Outcome::Limit, code: Code::word("cpu"), here };
    prop_oneof![
        4 => Just(Ending::Stored),
        2 => any::<bool>().prop_map(move |further| Ending::Lost { outcome, code: code.clone(), further }),
        1 => any::<bool>().prop_map(no_vote),
    ]
}

fn any_chance() -> impl Strategy<Value = Chance> {
    let obstacle = prop_oneof![
        6 => Just(None),
        2 => Just(Some(Obstacle::Line)),
        1 => Just(Some(Obstacle::Host)),
        1 => Just(Some(Obstacle::Unfit)),
    ];
    let heard = prop_oneof![
        6 => (0u64..120_000).prop_map(Heard::Extended),
        1 => Just(Heard::Over),
        2 => Just(Heard::Failed),
    ];
    prop_oneof![
        2 => (0..=MOST_WORKERS).prop_map(Chance::Gate),
        1 => Just(Chance::Finish),
        6 => (prop::bool::weighted(0.8), 0u64..120_000, 0u64..20_000_000)
            .prop_map(|(give, expires_in, deadline_in)| Chance::Answer { give, expires_in, deadline_in }),
        1 => Just(Chance::AskFails),
        2 => prop::option::of(0u64..120_000).prop_map(Chance::AnswerLost),
        6 => (any::<u8>(), obstacle).prop_map(|(n, obstacle)| Chance::Fetch(n, obstacle)),
        4 => (any::<u8>(), any_ending()).prop_map(|(n, ending)| Chance::End(n, ending)),
        6 => (any::<u8>(), heard).prop_map(|(n, heard)| Chance::Beat(n, heard)),
        3 => prop::bool::weighted(0.7).prop_map(Chance::Deliver),
        4 => (0u64..30_000).prop_map(Chance::Pass),
        1 => (0u64..2_000_000).prop_map(Chance::Pass),
    ]
}

proptest! {
    /// The rules that hold at every step are in [`World`].
    #[test]
    fn every_lease_ends_delivered_given_back_or_over(
        history in prop::collection::vec(any_chance(), 0..200),
        jitter in any::<u8>(),
    ) {
        let mut world = World { jitter, ..World::new() };
        for chance in &history {
            world.happen(chance);
        }
        world.run_down();
        for (lease, life) in &world.lives {
            prop_assert!(matches!(life, Life::Delivered | Life::Forgotten), "{} is {:?}", lease, life);
        }
        prop_assert!(world.workers.is_empty());
        prop_assert!(world.plan.tasks.is_empty() && world.plan.delivery.queue.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever keeps failing, it is not tried more often than a person would.
    #[test]
    fn nothing_that_fails_is_repeated_in_a_storm(
        failing in prop::collection::vec(prop_oneof![
            Just(Chance::AskFails),
            Just(Chance::AnswerLost(None)),
            Just(Chance::Fetch(0, Some(Obstacle::Line))),
            Just(Chance::Fetch(0, Some(Obstacle::Host))),
            Just(Chance::Fetch(0, None)),
            Just(Chance::End(0, Ending::Lost { outcome: Outcome::Host, code: Code::word("crashed"), further: false })),
            Just(Chance::End(0, Ending::NoVote { outcome: Outcome::Host, code: Code::word("spawn"), here: true })),
            Just(Chance::Beat(0, Heard::Failed)),
            Just(Chance::Deliver(false)),
            Just(Chance::Answer { give: true, expires_in: 60_000, deadline_in: 7_200_000 }),
        ], 1..6),
        flapping in any::<bool>(),
    ) {
        let mut world = World::new();
        world.happen(&Chance::Gate(2));
        for second in 0..3_600u32 {
            if flapping {
                world.happen(&Chance::Gate(second % 2 * 2));
            }
            for chance in &failing {
                world.happen(chance);
            }
            world.pass(1_000);
        }
        for (what, count) in &world.counted {
            // What succeeds now and then is allowed a minute's worth of quick tries after each success.
            prop_assert!(*count <= 1_300, "{} {} times in an hour", what, count);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens before and during a stop: no request is open in the end, and no lease is held but those whose tasks
    /// go on from a checkpoint.
    #[test]
    fn a_stop_leaves_no_lease_behind(
        before in prop::collection::vec(any_chance(), 0..80),
        during in prop::collection::vec(any_chance(), 0..20),
    ) {
        let mut world = World::new();
        for chance in before.iter().chain([&Chance::Stop]).chain(&during) {
            world.happen(chance);
        }
        while let Some(lease) = world.workers.first().copied() {
            world.end(lease, Ending::Lost { outcome: Outcome::Host, code: Code::word("killed"), further: false });
        }
        world.happen(&Chance::AskFails);
        prop_assert!(world.plan.has_stopped() && !world.asking && !world.unheard);
        for (lease, life) in &world.lives {
            let left = *life == Life::Held && world.synced.contains(lease);
            prop_assert!(left || matches!(life, Life::Stored | Life::Delivered | Life::Forgotten), "{} is {:?}", lease, life);
        }
    }
}
