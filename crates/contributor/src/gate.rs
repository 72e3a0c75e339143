//! May it run, and how hard? A pure function of limits, conditions, intent and the time.

use std::time::{Duration, Instant};

use surge_platform::presence::Presence;

use crate::view::{Reason, ReasonCode};

/// What the owner allows, as the gate needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub idle_after: Duration,
    pub workers: u32,
    /// Share of one core a worker may use, 0 to 1.
    pub share: f32,
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Run,
    /// Paused until this unix second, or until resumed.
    Paused {
        until: Option<u64>,
    },
}

impl Intent {
    /// The intent at `now` (unix seconds): a pause that is over is no pause.
    #[must_use]
    pub fn at(self, now: u64) -> Self {
        match self {
            Self::Paused { until: Some(until) } if until <= now => Self::Run,
            other => other,
        }
    }
}

/// The gate's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    Run(Budget),
    /// Every reason, the decisive one first. Never empty.
    Hold(Vec<Reason>),
}

/// How hard work may run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    pub workers: u32,
    pub share: f32,
}

/// Decides. `unix` is the wall clock in seconds, for what is shown; `now` is for measuring.
#[must_use]
pub fn decide(limits: &Limits, presence: &Presence, intent: Intent, unix: u64, now: Instant) -> Decision {
    let reasons: Vec<_> = [paused(intent.at(unix)), in_use(limits, presence, now)].into_iter().flatten().collect();
    if reasons.is_empty() {
        return Decision::Run(Budget { workers: limits.workers, share: limits.share });
    }
    Decision::Hold(reasons)
}

fn paused(intent: Intent) -> Option<Reason> {
    let Intent::Paused { until } = intent else { return None };
    Some(Reason { code: ReasonCode::Paused, detail: "paused by you".into(), until, remedy: "Resume".into() })
}

fn in_use(limits: &Limits, presence: &Presence, now: Instant) -> Option<Reason> {
    let after = limits.idle_after.as_secs();
    let (code, detail, remedy) = match presence {
        Presence::Headless => return None,
        Presence::IdleSince(since) if now.saturating_duration_since(*since) >= limits.idle_after => return None,
        Presence::Active | Presence::IdleSince(_) => (
            ReasonCode::UserActive,
            format!("somebody uses this computer; work starts {after} s after the last input"),
            "Wait, or change idle_after_seconds".to_owned(),
        ),
        Presence::OtherUser => (
            ReasonCode::UserActive,
            "another session is in front, or in use beside this one".to_owned(),
            "Wait until its user has left".to_owned(),
        ),
        Presence::Unknown(why) => (
            ReasonCode::PresenceUnknown,
            format!("can't tell whether somebody uses this computer: {why}"),
            "On a machine that nobody sits at, set presence = \"headless\"".to_owned(),
        ),
    };
    Some(Reason { code, detail, until: None, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits() -> Limits {
        Limits { idle_after: Duration::from_secs(180), workers: 2, share: 0.5 }
    }

    fn first(decision: Decision) -> Option<ReasonCode> {
        match decision {
            Decision::Run(_) => None,
            Decision::Hold(reasons) => Some(reasons[0].code),
        }
    }

    #[test]
    fn nothing_runs_on_a_guess() {
        let unknown = Presence::Unknown("no display".into());
        let decision = decide(&limits(), &unknown, Intent::Run, 0, Instant::now());
        assert_eq!(first(decision), Some(ReasonCode::PresenceUnknown));
    }

    #[test]
    fn a_pause_comes_first_and_ends_by_itself() {
        let now = Instant::now();
        let until = Intent::Paused { until: Some(100) };
        let both = decide(&limits(), &Presence::Active, until, 99, now);
        let Decision::Hold(reasons) = both else { panic!("must hold") };
        assert_eq!(reasons.iter().map(|r| r.code).collect::<Vec<_>>(), [ReasonCode::Paused, ReasonCode::UserActive]);
        assert_eq!(first(decide(&limits(), &Presence::Headless, until, 100, now)), None);
        assert_eq!(
            first(decide(&limits(), &Presence::Headless, Intent::Paused { until: None }, u64::MAX, now)),
            Some(ReasonCode::Paused)
        );
    }

    proptest! {
        #[test]
        fn it_runs_only_when_idle_long_enough_and_not_paused(idle in 0u64..1_000, after in 1u64..1_000, paused in any::<bool>()) {
            let now = Instant::now() + Duration::from_secs(2_000);
            let limits = Limits { idle_after: Duration::from_secs(after), ..limits() };
            let presence = Presence::IdleSince(now - Duration::from_secs(idle));
            let intent = if paused { Intent::Paused { until: None } } else { Intent::Run };
            let runs = matches!(decide(&limits, &presence, intent, 0, now), Decision::Run(_));
            prop_assert_eq!(runs, idle >= after && !paused);
        }
    }
}
