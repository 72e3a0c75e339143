//! Whether somebody uses this computer by its keys and pointers. What is not known to be idle is in use.

use std::time::{Duration, Instant};

use surge_platform::conditions::Disturbance;
use surge_platform::presence::Presence;

use super::latch::{Delays, Latch};
use super::{Situation, headless};
use crate::view::{Case, Reason, ReasonCode, Unit};

/// A reading of presence is trusted for so long without a confirmation: its sources tell changes at once.
const TRUSTED_FOR: Duration = Duration::from_secs(3);
/// Not again before five seconds of trusted readings.
const STALE: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(5) };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occupancy {
    Away,
    InUse,
}

/// Who sits there, and the reasons to hold if that is one.
pub(super) fn rule(look: &Situation<'_>, stale: &mut Latch) -> (Occupancy, Vec<Reason>) {
    if look.conditions.presence.value == Presence::OtherUser {
        return (Occupancy::InUse, vec![other_user()]);
    }
    let reasons = in_use(look, stale);
    match reasons.is_empty() {
        true => (Occupancy::Away, reasons),
        // With a budget for it, use is no reason to hold.
        false if look.limits.in_use.is_some() => (Occupancy::InUse, Vec::new()),
        false => (Occupancy::InUse, reasons),
    }
}

fn other_user() -> Reason {
    Reason::new(ReasonCode::OtherUser)
}

fn in_use(look: &Situation<'_>, latch: &mut Latch) -> Vec<Reason> {
    if headless(look.conditions) {
        return Vec::new();
    }
    let presence = &look.conditions.presence;
    let (age, idle_after) = (presence.age(look.now.at), look.limits.idle_after);
    let since = match &presence.value {
        Presence::Unknown(why) => return vec![unknown(why)],
        Presence::IdleSince(since) => *since,
        _ => return vec![active(look, look.now.idle)],
    };
    // Use needs no fresh reading to be believed, idleness does.
    let untrusted = latch.step(age > TRUSTED_FOR, STALE, look.now.at).map(|_| stale(presence.source, age));
    let idle = look.now.at.saturating_duration_since(since);
    if idle < idle_after {
        return vec![active(look, Some(idle))];
    }
    // Idleness from before a disturbance is worth nothing.
    let recent = |at: Instant| look.now.at.saturating_duration_since(at) < idle_after;
    let disturbed = look.conditions.disturbed.filter(|(_, at)| recent(*at));
    let disturbed = disturbed.map(|(what, at)| disturbed_by(look, what, at));
    untrusted.into_iter().chain(disturbed).collect()
}

fn active(look: &Situation<'_>, idle: Option<Duration>) -> Reason {
    let after = look.limits.idle_after;
    // The source may already count longer than its last event said: that event is what decides.
    let idle = idle.map(|idle| idle.min(after));
    let until = idle.map(|idle| look.now.unix_at(look.now.at + after.saturating_sub(idle)));
    let reason = Reason::new(ReasonCode::UserActive).until(until).set_by("idle_after_seconds");
    match idle {
        Some(idle) => reason.measured(seconds(idle), seconds(after), Unit::Seconds),
        None => reason,
    }
}

fn unknown(why: &str) -> Reason {
    Reason::new(ReasonCode::PresenceUnknown).said(why).set_by("presence")
}

fn stale(source: &str, age: Duration) -> Reason {
    let (age, most) = (seconds(age), seconds(TRUSTED_FOR));
    let reason =
        Reason::new(ReasonCode::SensorStale).measured(age, most, Unit::Seconds).about(format!("presence ({source})"));
    if age > most { reason } else { reason.case(Case::Recovered) }
}

fn disturbed_by(look: &Situation<'_>, what: Disturbance, at: Instant) -> Reason {
    let (ago, after) = (look.now.at.saturating_duration_since(at), look.limits.idle_after);
    let case = match what {
        Disturbance::Woke => Case::Woke,
        Disturbance::ClockJumped => Case::ClockJumped,
    };
    Reason::new(ReasonCode::Disturbed)
        .case(case)
        .measured(seconds(ago), seconds(after), Unit::Seconds)
        .until(look.now.unix_at(at + after))
        .set_by("idle_after_seconds")
}

pub(super) fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
