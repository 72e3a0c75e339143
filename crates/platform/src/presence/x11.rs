//! X11: alarms on the server's IDLETIME counter, so that the first event after idleness wakes us and nothing else does.
//!
//! One alarm fires when the counter rises to the threshold, the other when it falls, which only input does. Where the
//! counter is missing the screen saver's clock is asked instead, again and again; where it is there the saver is a
//! second opinion. Not used in a Wayland session, where XWayland does not see input to native windows.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::screensaver::ConnectionExt as _;
use x11rb::protocol::sync::{
    self, ALARMSTATE, ConnectionExt as _, Counter, CreateAlarmAux, Int64, TESTTYPE, VALUETYPE,
};
use x11rb::protocol::xproto::Window;

use super::combine::{Display, Report};
use super::desktop::{CONFIRM, Outcome, Wake, Wire};
use crate::x11::{self, X11Error, XConnection, XDisplay};

/// How often to ask where no event tells: the time that somebody waits who types.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Watches the display until told to stop. An error ends it, too; the caller tries again.
pub(super) fn watch(display: &XDisplay, idle_after: Duration, wire: &Wire) -> Result<Outcome, X11Error> {
    let server = Server::connect(display)?;
    wire.reports.name("x11");
    match server.counter {
        Some(counter) => by_alarms(&server, counter, idle_after, wire),
        None => by_asking(&server, idle_after, wire),
    }
}

fn by_alarms(server: &Server, counter: Counter, idle_after: Duration, wire: &Wire) -> Result<Outcome, X11Error> {
    let away = server.alarm(counter, TESTTYPE::POSITIVE_TRANSITION, idle_after)?;
    // Falls to the threshold or below: only input makes the counter fall.
    let back_at = idle_after.saturating_sub(Duration::from_millis(1));
    let back = server.alarm(counter, TESTTYPE::NEGATIVE_TRANSITION, back_at)?;
    let mut word = LastWord::new(idle_after, wire);
    word.is(server.idle()?);
    let mut disputed = None;
    loop {
        while let Some(event) = server.connection.poll_for_event()? {
            let Event::SyncAlarmNotify(event) = event else { continue };
            if event.state == ALARMSTATE::DESTROYED {
                continue;
            }
            if event.alarm == back {
                word.input_came();
                server.rearm(back, TESTTYPE::NEGATIVE_TRANSITION, back_at)?;
            } else if event.alarm == away {
                server.rearm(away, TESTTYPE::POSITIVE_TRANSITION, idle_after)?;
                let idle = server.idle()?;
                word.is(idle);
                // The two clocks round apart, or the saver knows of input: ask again when both could agree.
                disputed = idle_after.checked_sub(idle).map(|left| left.max(ASK_AGAIN));
            }
        }
        server.connection.flush()?;
        // While somebody is here nothing has to be confirmed, and their typing wakes nobody.
        let confirm = if word.since.is_some() { Some(CONFIRM) } else { disputed.take() };
        match server.wait(wire, confirm)? {
            Wake::Stopped => return Ok(Outcome::Stopped),
            Wake::Outdated => return Ok(Outcome::Outdated),
            Wake::Ready => {}
            Wake::Timeout => word.is(server.idle()?),
            Wake::Asked => word.show(server.idle()?),
        }
    }
}

/// Without the counter. Nobody types faster than the threshold passes, so it is asked only when it could have.
fn by_asking(server: &Server, idle_after: Duration, wire: &Wire) -> Result<Outcome, X11Error> {
    let mut word = LastWord::new(idle_after, wire);
    loop {
        let idle = server.idle()?;
        word.is(idle);
        let pause = idle_after.checked_sub(idle).map_or(ASK_AGAIN, |left| left.max(ASK_AGAIN));
        let until = Instant::now() + pause;
        loop {
            match server.wait(wire, Some(until.saturating_duration_since(Instant::now())))? {
                Wake::Stopped => return Ok(Outcome::Stopped),
                Wake::Outdated => return Ok(Outcome::Outdated),
                Wake::Timeout => break,
                Wake::Asked => word.show(server.idle()?),
                // Nothing was asked for; reading it keeps the connection from filling.
                Wake::Ready => while server.connection.poll_for_event()?.is_some() {},
            }
        }
    }
}

/// What was said last, so that only changes and confirmations are told.
struct LastWord<'a> {
    idle_after: Duration,
    wire: &'a Wire,
    since: Option<Instant>,
    said: bool,
}

impl<'a> LastWord<'a> {
    fn new(idle_after: Duration, wire: &'a Wire) -> Self {
        Self { idle_after, wire, since: None, said: false }
    }

    /// The display was just asked and has been idle for so long.
    fn is(&mut self, idle: Duration) {
        if idle < self.idle_after {
            if self.since.is_some() || !self.said {
                self.input_came();
            }
            return self.show(idle);
        }
        let now = Instant::now();
        if self.since.is_some() {
            return self.wire.reports.confirm(now);
        }
        // The same idleness keeps its start: two clocks in milliseconds would make it tremble.
        let since = *self.since.get_or_insert_with(|| now.checked_sub(idle).unwrap_or(now));
        self.said = true;
        self.wire.reports.send(Report::Display(Display::Idle { since, confirmed: now }));
    }

    fn input_came(&mut self) {
        (self.since, self.said) = (None, true);
        self.wire.reports.send(Report::Display(Display::Active));
    }

    fn show(&self, idle: Duration) {
        if let Some(input) = Instant::now().checked_sub(idle) {
            self.wire.reports.send(Report::Seen(input));
        }
    }
}

struct Server {
    connection: XConnection,
    root: Window,
    counter: Option<Counter>,
    saver: bool,
}

impl Server {
    fn connect(display: &XDisplay) -> Result<Self, X11Error> {
        let (connection, screen) = x11::connect(display)?;
        if connection.extension_information("XWAYLAND")?.is_some() {
            return Err(X11Error::XWayland);
        }
        let root = connection.setup().roots[screen].root;
        let counter = idle_counter(&connection)?;
        let saver = connection.extension_information("MIT-SCREEN-SAVER")?.is_some();
        if counter.is_none() && !saver {
            return Err(X11Error::NoCounter);
        }
        Ok(Self { connection, root, counter, saver })
    }

    /// Time since the last input: the least that any clock of the display shows.
    fn idle(&self) -> Result<Duration, X11Error> {
        let counter = self.counter.map(|counter| self.connection.sync_query_counter(counter)).transpose()?;
        let saver = self.saver.then(|| self.connection.screensaver_query_info(self.root)).transpose()?;
        let counter = counter.map(|cookie| cookie.reply()).transpose()?.map(|reply| from_int64(reply.counter_value));
        let saver = saver.map(|cookie| cookie.reply()).transpose()?.map(|reply| u64::from(reply.ms_since_user_input));
        counter.into_iter().chain(saver).min().map(Duration::from_millis).ok_or(X11Error::NoCounter)
    }

    fn alarm(&self, counter: Counter, test: TESTTYPE, at: Duration) -> Result<sync::Alarm, X11Error> {
        let alarm = self.connection.generate_id()?;
        let settings = CreateAlarmAux::new()
            .counter(counter)
            .value_type(VALUETYPE::ABSOLUTE)
            .value(to_int64(at))
            .test_type(test)
            .delta(Int64 { hi: 0, lo: 0 })
            .events(1);
        self.connection.sync_create_alarm(alarm, &settings)?.check()?;
        Ok(alarm)
    }

    /// An alarm whose delta is 0 goes inactive when it fires; this arms it again.
    fn rearm(&self, alarm: sync::Alarm, test: TESTTYPE, at: Duration) -> Result<(), X11Error> {
        let settings = sync::ChangeAlarmAux::new().value(to_int64(at)).test_type(test);
        self.connection.sync_change_alarm(alarm, &settings)?.check()?;
        Ok(())
    }

    fn wait(&self, wire: &Wire, time: Option<Duration>) -> Result<Wake, X11Error> {
        let display = PollFd::new(self.connection.stream(), PollFlags::IN);
        Ok(wire.wait(display, time)?)
    }
}

fn idle_counter(connection: &XConnection) -> Result<Option<Counter>, X11Error> {
    if connection.extension_information(sync::X11_EXTENSION_NAME)?.is_none() {
        return Ok(None);
    }
    connection.sync_initialize(3, 1)?.reply()?;
    let counters = connection.sync_list_system_counters()?.reply()?.counters;
    Ok(counters.iter().find(|it| it.name == b"IDLETIME").map(|it| it.counter))
}

fn to_int64(time: Duration) -> Int64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 1);
    Int64 { hi: ((ms >> 32) as u32).cast_signed(), lo: ms as u32 }
}

fn from_int64(value: Int64) -> u64 {
    (u64::from(value.hi.cast_unsigned()) << 32) | u64::from(value.lo)
}
