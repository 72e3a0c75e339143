//! For how long the owner wants quiet, and what that is in seconds.

use jiff::Zoned;
use serde::Deserialize;
use ts_rs::TS;

/// The choices that tray and window offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PauseChoice {
    HalfHour,
    TwoHours,
    /// Until local midnight, where the day of the earnings ends too.
    Tomorrow,
    UntilResumed,
}

impl PauseChoice {
    pub(crate) const ALL: [Self; 4] = [Self::HalfHour, Self::TwoHours, Self::Tomorrow, Self::UntilResumed];

    /// Its name in messages and menu ids.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HalfHour => "half_hour",
            Self::TwoHours => "two_hours",
            Self::Tomorrow => "tomorrow",
            Self::UntilResumed => "until_resumed",
        }
    }

    /// Seconds from `now`; `None` is until resumed.
    pub(crate) fn seconds(self, now: &Zoned) -> Option<u64> {
        match self {
            Self::HalfHour => Some(30 * 60),
            Self::TwoHours => Some(2 * 60 * 60),
            Self::Tomorrow => until_midnight(now),
            Self::UntilResumed => None,
        }
    }
}

/// `None` on the last day that the calendar can name.
fn until_midnight(now: &Zoned) -> Option<u64> {
    let midnight = now.tomorrow().ok()?.start_of_day().ok()?;
    u64::try_from(now.duration_until(&midnight).as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(choice: PauseChoice, now: &str) -> Option<u64> {
        choice.seconds(&now.parse().unwrap())
    }

    #[test]
    fn tomorrow_begins_at_local_midnight() {
        assert_eq!(seconds(PauseChoice::Tomorrow, "2026-11-22T22:30:00[Europe/Berlin]"), Some(90 * 60));
    }

    #[test]
    fn a_day_with_a_clock_change_has_its_own_length() {
        assert_eq!(seconds(PauseChoice::Tomorrow, "2026-10-25T00:00:00[Europe/Berlin]"), Some(25 * 60 * 60));
    }

    #[test]
    fn a_choice_is_read_by_its_name() {
        for choice in PauseChoice::ALL {
            let read: PauseChoice = serde_json::from_value(choice.name().into()).unwrap();
            assert_eq!(read, choice);
        }
    }
}
