//! macOS: the time since the last input as the window server and the input driver have it, whichever is less, and the
//! terminals of remote logins. All of it is asked.
//!
//! Compiled, and never run yet: nothing here is verified.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use objc2_core_foundation::{CFBoolean, CFDictionary, CFNumber, CFString, CFType};
use objc2_core_graphics::{CGEventSource, CGEventSourceStateID, CGEventType, CGSessionCopyCurrentDictionary};
use objc2_io_kit::{
    IOObjectRelease, IORegistryEntryCreateCFProperty, IOServiceGetMatchingService, IOServiceMatching,
    kIOMainPortDefault,
};

use super::Watched;
use super::combine::{Display, Look, LookPace, Report, Session};
use super::terminals::Terminals;
use super::watcher_thread::{Ask, Reports};

/// What is asked sees all input of this session, and costs little.
pub(super) const LOOKS: LookPace =
    LookPace { close: Duration::from_millis(100), far: Duration::from_secs(1), early: Duration::ZERO, suffice: true };

/// `kCGAnyInputEventType`.
const ANY_INPUT: CGEventType = CGEventType(u32::MAX);

/// How far the time of day may run from the time that the machine was awake before it slept or was set.
const JUMPED: Duration = Duration::from_secs(2);

/// What surrounds this process. macOS needs to be told nothing.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings;

impl Surroundings {
    #[must_use]
    pub fn here() -> Self {
        Self
    }
}

/// Nothing runs beside the looks.
#[derive(Debug)]
pub(super) struct Sources;

impl Sources {
    #[expect(clippy::unnecessary_wraps, reason = "other systems can fail here")]
    pub(super) fn start(_: &Surroundings, _: Duration, _: Watched, reports: &Reports) -> io::Result<Self> {
        reports.send(Report::Display(Display::Absent("macOS tells no time of the last input".into())));
        reports.send(Report::Session(session()));
        Ok(Self)
    }

    /// Every look is fresh.
    pub(super) fn refresh(&self) {
        let Self = self;
    }
}

/// What has to be asked.
#[expect(clippy::unnecessary_wraps, reason = "other systems can fail here")]
pub(super) fn ask(_: &Surroundings, _: Duration, _: Watched, _: &Reports) -> io::Result<Box<dyn Ask>> {
    let terminals = Terminals::new(Path::new("/dev"), ("/dev".into(), "ttys"), Path::new("/nonexistent"));
    Ok(Box::new(LastInput { terminals, session: None, clocks: (Instant::now(), SystemTime::now()) }))
}

struct LastInput {
    terminals: Terminals,
    session: Option<Session>,
    clocks: (Instant, SystemTime),
}

impl Ask for LastInput {
    fn name(&self) -> &'static str {
        "macos"
    }

    fn ask(&mut self, now: Instant, reports: &Reports) {
        let session = session();
        if self.session.as_ref() != Some(&session) {
            self.session = Some(session.clone());
            reports.send(Report::Session(session));
        }
        if self.jumped(now, SystemTime::now()) {
            reports.send(Report::Disturbed);
        }
        reports.send(Report::Look(self.look(now)));
    }
}

impl LastInput {
    fn look(&mut self, now: Instant) -> Look {
        let Some(driver) = driver_idle() else {
            return Look { at: now, input: Err("the input driver does not tell the last input".into()) };
        };
        let input = now.checked_sub(server_idle().min(driver)).unwrap_or(now);
        let terminals = self.terminals.look(now);
        Look { at: now, input: terminals.input.map(|terminals| terminals.max(Some(input))) }
    }

    /// Whether the machine slept or its clock was set since the look before: this `Instant` stands still in sleep.
    fn jumped(&mut self, now: Instant, wall: SystemTime) -> bool {
        let (then, wall_then) = std::mem::replace(&mut self.clocks, (now, wall));
        let awake = now.saturating_duration_since(then);
        wall.duration_since(wall_then).map_or(true, |passed| passed.abs_diff(awake) > JUMPED)
    }
}

/// As the window server has it.
fn server_idle() -> Duration {
    let state = CGEventSourceStateID::CombinedSessionState;
    let seconds = CGEventSource::seconds_since_last_event_type(state, ANY_INPUT);
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// As the driver has it, which counts in nanoseconds.
fn driver_idle() -> Option<Duration> {
    #[expect(unsafe_code, reason = "calls of the system")]
    // SAFETY: the name is a valid C string, the port is the system's own constant, and the dictionary is consumed.
    let service = unsafe {
        IOServiceGetMatchingService(
            kIOMainPortDefault,
            IOServiceMatching(c"IOHIDSystem".as_ptr()).map(|it| {
                // A mutable dictionary is one.
                objc2_core_foundation::CFRetained::cast_unchecked::<CFDictionary>(it)
            }),
        )
    };
    if service == 0 {
        return None;
    }
    let key = CFString::from_static_str("HIDIdleTime");
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the service is valid until it is released below.
    let value = unsafe { IORegistryEntryCreateCFProperty(service, Some(&key), None, 0) };
    IOObjectRelease(service);
    let nanoseconds = value?.downcast::<CFNumber>().ok()?.as_i64()?;
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

/// Whether this session has the screen. Fast user switching takes it away.
fn session() -> Session {
    let Some(told) = CGSessionCopyCurrentDictionary() else {
        return Session::Lost("this process belongs to no session of the window server".into());
    };
    #[expect(unsafe_code, reason = "the dictionary has no types")]
    // SAFETY: its keys are strings, and a value of any type is read as such.
    let told: &CFDictionary<CFString, CFType> = unsafe { told.cast_unchecked() };
    let in_front = told.get(&CFString::from_static_str("kCGSSessionOnConsoleKey"));
    match in_front.and_then(|value| value.downcast::<CFBoolean>().ok()) {
        Some(yes) if yes.as_bool() => Session::InFront { console: false },
        _ => Session::Behind,
    }
}
