//! Use without input: a full screen, a film, a call, a game controller.
//!
//! Behind a locked screen only a call and a controller are signs of somebody: music and a window that was left
//! full-screen are not.

use std::time::Duration;

use surge_platform::conditions::Use;

use super::Situation;
use super::latch::{Delays, Held, Latch};
use crate::view::{Case, Reason, ReasonCode, Unit};

/// At once, and not again before half a minute without a sign: films have chapters, calls have pauses.
const DELAYS: Delays = Delays { stop: Duration::ZERO, start: Duration::from_secs(30) };

/// The kinds of use that may be told apart in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UseKind {
    FullScreen,
    Film,
    Call,
    Gamepad,
}

impl UseKind {
    pub const ALL: [Self; 4] = [Self::FullScreen, Self::Film, Self::Call, Self::Gamepad];

    /// Its name in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullScreen => "full-screen",
            Self::Film => "film",
            Self::Call => "call",
            Self::Gamepad => "gamepad",
        }
    }

    fn of(sign: &Use) -> (Self, &str) {
        match sign {
            Use::FullScreen(program) => (Self::FullScreen, program),
            Use::Inhibited(program) => (Self::Film, program),
            Use::Call(program) => (Self::Call, program),
            Use::Gamepad(program) => (Self::Gamepad, program),
        }
    }

    const fn code(self) -> ReasonCode {
        match self {
            Self::FullScreen => ReasonCode::FullScreen,
            Self::Film => ReasonCode::Film,
            Self::Call => ReasonCode::Call,
            Self::Gamepad => ReasonCode::Gamepad,
        }
    }

    const fn counts_when_locked(self) -> bool {
        matches!(self, Self::Call | Self::Gamepad)
    }
}

/// One latch a kind, with the program that it was last about.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct UsesSeen([(Latch, String); 4]);

pub(super) fn rule(look: &Situation<'_>, memory: &mut UsesSeen) -> Vec<Reason> {
    let kinds = UseKind::ALL.into_iter().zip(&mut memory.0);
    kinds.filter_map(|(kind, (latch, program))| one(look, kind, latch, program)).collect()
}

fn one(look: &Situation<'_>, kind: UseKind, latch: &mut Latch, program: &mut String) -> Option<Reason> {
    let sign = sign(look, kind);
    if let Some(found) = sign {
        found.clone_into(program);
    }
    let held = latch.step(sign.is_some(), DELAYS, look.now.at)?;
    let reason = Reason::new(kind.code()).set_by("pause_for");
    let reason = match held {
        Held::Now => reason,
        Held::Lately { ago, until } => {
            let (ago, after) = (super::presence::seconds(ago), super::presence::seconds(DELAYS.start));
            reason.case(Case::Ended).measured(ago, after, Unit::Seconds).until(look.now.unix_at(until))
        }
    };
    Some(if program.is_empty() { reason } else { reason.about(program.as_str()) })
}

/// The program of the first sign of this kind that counts.
fn sign<'a>(look: &Situation<'a>, kind: UseKind) -> Option<&'a str> {
    let (limits, foreground) = (look.limits, &look.conditions.foreground.value);
    if !limits.pause_for.contains(&kind) || (foreground.locked && !kind.counts_when_locked()) {
        return None;
    }
    let of_kind = foreground.uses.iter().map(UseKind::of).filter(|(found, _)| *found == kind);
    of_kind.map(|(_, program)| program).find(|program| !limits.ignored_programs.contains(*program))
}
