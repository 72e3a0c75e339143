//! What the owner wants, in a form that outlives restarts of the engine and of the computer.
//!
//! A pause for a time is a length of time, not an hour of the day: it is counted on the clock of this boot, which no one can
//! set and which goes on while the computer sleeps. Only the time between two boots has to be taken from the wall clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gate::Intent;

/// The clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// Unix seconds. Can be set, by its owner or by the network.
    pub wall: u64,
    /// Since the computer started, sleep included. Can't be set.
    pub boot: Duration,
    /// Which start of the computer this is; any two differ.
    pub boot_id: u128,
}

/// What the owner asked for last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wish {
    #[default]
    Run,
    /// Lets the running tasks end, starts none, and pauses then.
    Finish,
    Pause(Pause),
}

/// How long a pause lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pause {
    /// Until the owner resumes.
    Open,
    /// Until this unix second, whatever sets the clock.
    Until(u64),
    /// For a length of time.
    For(Countdown),
}

/// What is left of a length of time, with the moment at which that was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Countdown {
    left_ms: u64,
    boot_id: u128,
    boot_ms: u64,
    wall: u64,
}

/// A wall clock that moved by this much against the clock of the boot was set.
const CLOCK_SET: u64 = 2;
/// A countdown is written down again after this much of it, so that a clock that is wrong after the next start of the
/// computer can't make the pause much longer.
const NOTE_EVERY: Duration = Duration::from_secs(600);

impl Countdown {
    fn new(length: Duration, now: &Clocks) -> Self {
        Self { left_ms: millis(length), boot_id: now.boot_id, boot_ms: millis(now.boot), wall: now.wall }
    }

    /// What is left now. Never more than was left when it was noted.
    fn left(&self, now: &Clocks) -> Duration {
        let passed = if self.boot_id == now.boot_id {
            millis(now.boot).saturating_sub(self.boot_ms)
        } else {
            // The computer was off for a while that only the wall clock knows.
            now.wall.saturating_sub(self.wall).saturating_mul(1_000)
        };
        Duration::from_millis(self.left_ms.saturating_sub(passed))
    }

    /// The unix second at which it is over. While the clocks go together it is the same at each look: rounding does not move
    /// it to and fro.
    fn end(&self, now: &Clocks) -> u64 {
        let (from, left_ms) =
            if self.outdated(now) { (now.wall, millis(self.left(now))) } else { (self.wall, self.left_ms) };
        from.saturating_add(left_ms.div_ceil(1_000)).max(now.wall.saturating_add(1))
    }

    /// Whether what is noted would mislead after a new start of the computer.
    fn outdated(&self, now: &Clocks) -> bool {
        if self.boot_id != now.boot_id {
            return true;
        }
        let passed = millis(now.boot).saturating_sub(self.boot_ms);
        let expected = self.wall.saturating_add(passed / 1_000);
        now.wall.abs_diff(expected) > CLOCK_SET || passed >= millis(NOTE_EVERY)
    }
}

impl Wish {
    /// A pause for `seconds` from now on.
    #[must_use]
    pub(crate) fn pause_for(seconds: u64, now: &Clocks) -> Self {
        Self::Pause(Pause::For(Countdown::new(Duration::from_secs(seconds), now)))
    }

    /// What it means now. A pause that is over means to run.
    #[must_use]
    pub(crate) fn intent(&self, now: &Clocks) -> Intent {
        match self {
            Self::Run => Intent::Run,
            Self::Finish => Intent::Finish,
            Self::Pause(Pause::Open) => Intent::Paused { until: None },
            Self::Pause(Pause::Until(until)) => Intent::Paused { until: Some(*until) }.at(now.wall),
            Self::Pause(Pause::For(countdown)) => {
                if countdown.left(now).is_zero() {
                    return Intent::Run;
                }
                Intent::Paused { until: Some(countdown.end(now)) }
            }
        }
    }

    /// The wish as it is to be remembered from now on: a pause that is over is forgotten, and a countdown is noted again
    /// when the clocks have moved apart.
    #[must_use]
    pub(crate) fn renewed(self, now: &Clocks) -> Self {
        match self {
            Self::Pause(_) if self.intent(now) == Intent::Run => Self::Run,
            Self::Pause(Pause::For(countdown)) if countdown.outdated(now) => {
                Self::Pause(Pause::For(Countdown::new(countdown.left(now), now)))
            }
            other => other,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3_600;

    fn clocks(wall: u64, boot: u64, boot_id: u128) -> Clocks {
        Clocks { wall, boot: Duration::from_secs(boot), boot_id }
    }

    fn left(wish: &Wish, now: &Clocks) -> u64 {
        match wish.intent(now) {
            Intent::Paused { until: Some(until) } => until - now.wall,
            Intent::Run => 0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_end_that_is_shown_does_not_move_while_the_clocks_go_together() {
        let pause = Wish::pause_for(HOUR, &Clocks { wall: 1_000, boot: Duration::from_millis(7_900), boot_id: 1 });
        for (wall, boot) in [(1_000, 7_950), (1_001, 8_100), (1_001, 8_899), (1_300, 307_901)] {
            let now = Clocks { wall, boot: Duration::from_millis(boot), boot_id: 1 };
            assert_eq!(pause.intent(&now), Intent::Paused { until: Some(1_000 + HOUR) }, "{now:?}");
        }
    }

    #[test]
    fn a_pause_until_an_hour_of_the_day_follows_the_clock_that_is_set() {
        let wish = Wish::Pause(Pause::Until(10_000));
        assert_eq!(wish.intent(&clocks(9_999, 5, 1)), Intent::Paused { until: Some(10_000) });
        assert_eq!(wish.intent(&clocks(10_000, 6, 1)), Intent::Run);
        assert_eq!(wish.renewed(&clocks(10_000, 6, 1)), Wish::Run, "it does not come back when the clock is set back");
    }

    #[test]
    fn a_night_that_the_computer_was_off_counts() {
        let wish = Wish::pause_for(2 * HOUR, &clocks(100_000, 50, 1));
        assert_eq!(left(&wish, &clocks(100_000 + HOUR, 10, 2)), HOUR);
        assert_eq!(wish.renewed(&clocks(100_000 + 3 * HOUR, 10, 2)), Wish::Run);
    }

    #[test]
    fn a_clock_that_was_set_before_the_computer_was_started_again_is_known_to_have_been() {
        let begun = clocks(100_000, 50, 1);
        let wish = Wish::pause_for(10 * HOUR, &begun);
        // An hour later the clock is set a day ahead; ten minutes later the computer starts again.
        let set = clocks(100_000 + 25 * HOUR, 50 + HOUR, 1);
        let wish = wish.renewed(&set);
        assert_eq!(left(&wish, &set), 9 * HOUR);
        assert_eq!(left(&wish, &clocks(set.wall + 600, 5, 2)), 9 * HOUR - 600);
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let now = clocks(100, 5, u128::MAX);
        for wish in
            [Wish::Run, Wish::Finish, Wish::Pause(Pause::Open), Wish::Pause(Pause::Until(7)), Wish::pause_for(60, &now)]
        {
            let text = serde_json::to_string(&wish).unwrap();
            assert_eq!(serde_json::from_str::<Wish>(&text).unwrap(), wish, "{text}");
        }
    }

    proptest! {
        /// Within one boot, whatever sets the wall clock and however often the engine is started again.
        #[test]
        fn a_pause_for_a_time_lasts_as_long_as_was_said(
            length in 1u64..1_000_000,
            steps in prop::collection::vec((1u64..50_000, any::<u32>(), any::<bool>()), 1..20),
        ) {
            let mut boot = 1_000;
            let mut wish = Wish::pause_for(length, &clocks(1_700_000_000, boot, 1));
            for (step, wall, restarted) in steps {
                boot += step;
                let now = clocks(wall.into(), boot, 1);
                prop_assert_eq!(left(&wish, &now), length.saturating_sub(boot - 1_000));
                wish = wish.renewed(&now);
                if restarted {
                    wish = serde_json::from_str(&serde_json::to_string(&wish).unwrap()).unwrap();
                }
            }
        }

        /// Over boots: never longer than was said, whatever the clock says; and as long as was said when it is right.
        #[test]
        fn a_new_start_of_the_computer_never_stretches_a_pause(
            length in 1u64..1_000_000,
            boots in prop::collection::vec((0u64..100_000, 0u64..100_000, any::<Option<u32>>()), 1..10),
        ) {
            let mut wall = 1_700_000_000;
            let mut wish = Wish::pause_for(length, &clocks(wall, 10, 0));
            let (mut passed, mut right) = (0, true);
            for (boot_id, (off, on, wrong)) in (1u128..).zip(boots) {
                wall += off;
                passed += off;
                right &= wrong.is_none();
                let told = wrong.map_or(wall, u64::from);
                let before = left(&wish, &clocks(told, 5, boot_id));
                prop_assert!(before <= length);
                if right {
                    prop_assert_eq!(before, length.saturating_sub(passed));
                }
                wish = wish.renewed(&clocks(told, 5, boot_id));
                wall += on;
                passed += on;
                let after = clocks(told + on, 5 + on, boot_id);
                prop_assert!(left(&wish, &after) <= before.saturating_sub(on));
                wish = wish.renewed(&after);
            }
        }
    }
}
