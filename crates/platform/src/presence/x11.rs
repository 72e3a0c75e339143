//! X11: alarms on the server's IDLETIME counter, so that the first event after idleness wakes us and nothing else does.
//!
//! One alarm fires when the counter rises to the threshold, the other when it falls, which only input does. Not used
//! in a Wayland session, where XWayland does not see input to native windows.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use thiserror::Error;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::sync::{
    self, ALARMSTATE, ConnectionExt as _, Counter, CreateAlarmAux, Int64, TESTTYPE, VALUETYPE,
};
use x11rb::rust_connection::RustConnection;

use super::Presence;

/// How long to wait before trying a display again that went away.
const RECONNECT: Duration = Duration::from_secs(5);

/// Why X11 can't be asked here, or `None` when it can.
pub(super) fn refusal() -> Option<String> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let wayland = std::env::var_os("XDG_SESSION_TYPE").is_some_and(|kind| kind == "wayland");
    if wayland || set("WAYLAND_DISPLAY") {
        return Some("this is a Wayland session, which Surge can't read yet".into());
    }
    if !set("DISPLAY") {
        return Some("no display, and presence = \"headless\" is not set".into());
    }
    None
}

/// The thread that listens, and a connection of its own to ask for the idle time.
#[derive(Debug)]
pub(super) struct Watch {
    asking: Mutex<Option<Idle>>,
    /// Closing it ends the thread.
    _stop: OwnedFd,
}

#[derive(Debug, Error)]
enum X11Error {
    #[error("the display can't be reached: {0}")]
    Connect(#[from] x11rb::errors::ConnectError),
    #[error("the display's connection broke: {0}")]
    Connection(#[from] x11rb::errors::ConnectionError),
    #[error("the display answered with an error: {0}")]
    Reply(#[from] x11rb::errors::ReplyError),
    #[error("the display answered with an error: {0}")]
    Id(#[from] x11rb::errors::ReplyOrIdError),
    #[error("the display has no IDLETIME counter")]
    NoCounter,
    #[error("the display is XWayland, which does not see input to native windows")]
    XWayland,
    #[error("waiting failed: {0}")]
    Poll(#[from] rustix::io::Errno),
}

#[derive(Debug)]
struct Idle {
    connection: RustConnection,
    counter: Counter,
}

impl Idle {
    fn connect() -> Result<Self, X11Error> {
        let (connection, _) = x11rb::connect(None)?;
        if x11rb::connection::RequestConnection::extension_information(&connection, "XWAYLAND")?.is_some() {
            return Err(X11Error::XWayland);
        }
        connection.sync_initialize(3, 1)?.reply()?;
        let counters = connection.sync_list_system_counters()?.reply()?.counters;
        let counter = counters.iter().find(|it| it.name == b"IDLETIME").ok_or(X11Error::NoCounter)?.counter;
        Ok(Self { connection, counter })
    }

    fn now(&self) -> Result<Duration, X11Error> {
        let value = self.connection.sync_query_counter(self.counter)?.reply()?.counter_value;
        Ok(Duration::from_millis(from_int64(value)))
    }

    fn alarm(&self, test: TESTTYPE, at: Duration) -> Result<sync::Alarm, X11Error> {
        let alarm = self.connection.generate_id()?;
        let settings = CreateAlarmAux::new()
            .counter(self.counter)
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
}

impl Watch {
    pub(super) fn start(idle_after: Duration, on_change: impl Fn(Presence) + Send + 'static) -> io::Result<Self> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        std::thread::Builder::new().name("presence".into()).spawn(move || listen(idle_after, &stopped, &on_change))?;
        Ok(Self { asking: Mutex::new(None), _stop: stop })
    }

    pub(super) fn idle(&self) -> Option<Duration> {
        let mut asking = self.asking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if asking.is_none() {
            *asking = Idle::connect().ok();
        }
        let idle = asking.as_ref()?.now().ok();
        if idle.is_none() {
            *asking = None;
        }
        idle
    }
}

/// Watches until `stopped` is closed; a display that goes away is unknown presence until it is back.
fn listen(idle_after: Duration, stopped: &OwnedFd, on_change: &dyn Fn(Presence)) {
    loop {
        match watch(idle_after, stopped, on_change) {
            Ok(()) => return,
            Err(error) => on_change(Presence::Unknown(error.to_string())),
        }
        if wait(&[], stopped, Some(RECONNECT)).unwrap_or(Wake::Stopped) == Wake::Stopped {
            return;
        }
    }
}

fn watch(idle_after: Duration, stopped: &OwnedFd, on_change: &dyn Fn(Presence)) -> Result<(), X11Error> {
    let idle = Idle::connect()?;
    let away = idle.alarm(TESTTYPE::POSITIVE_TRANSITION, idle_after)?;
    // Falls to the threshold or below: only input makes the counter fall.
    let back_at = idle_after.saturating_sub(Duration::from_millis(1));
    let back = idle.alarm(TESTTYPE::NEGATIVE_TRANSITION, back_at)?;
    let now = idle.now()?;
    let since = |idle: Duration| Instant::now().checked_sub(idle).unwrap_or_else(Instant::now);
    on_change(if now >= idle_after { Presence::IdleSince(since(now)) } else { Presence::Active });
    loop {
        while let Some(event) = idle.connection.poll_for_event()? {
            let Event::SyncAlarmNotify(event) = event else { continue };
            if event.state == ALARMSTATE::DESTROYED {
                continue;
            }
            if event.alarm == back {
                on_change(Presence::Active);
                idle.rearm(back, TESTTYPE::NEGATIVE_TRANSITION, back_at)?;
            } else if event.alarm == away {
                on_change(Presence::IdleSince(since(Duration::from_millis(from_int64(event.counter_value)))));
                idle.rearm(away, TESTTYPE::POSITIVE_TRANSITION, idle_after)?;
            }
        }
        idle.connection.flush()?;
        let display = PollFd::new(idle.connection.stream(), PollFlags::IN);
        if wait(&[display], stopped, None)? == Wake::Stopped {
            return Ok(());
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wake {
    Ready,
    Stopped,
}

/// Sleeps until one of `fds` is ready, `stopped` is closed, or the time is over.
fn wait(fds: &[PollFd<'_>], stopped: &OwnedFd, time: Option<Duration>) -> Result<Wake, rustix::io::Errno> {
    let mut all: Vec<PollFd<'_>> = fds.to_vec();
    let stop = stopped.as_fd();
    all.push(PollFd::from_borrowed_fd(stop, PollFlags::IN));
    let timeout = time.map(|time| rustix::event::Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: 0 });
    match poll(&mut all, timeout.as_ref()) {
        Err(rustix::io::Errno::INTR) => Ok(Wake::Ready),
        Err(error) => Err(error),
        Ok(_) if all.last().is_some_and(|stop| !stop.revents().is_empty()) => Ok(Wake::Stopped),
        Ok(_) => Ok(Wake::Ready),
    }
}

fn to_int64(time: Duration) -> Int64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 1);
    Int64 { hi: ((ms >> 32) as u32).cast_signed(), lo: ms as u32 }
}

fn from_int64(value: Int64) -> u64 {
    (u64::from(value.hi.cast_unsigned()) << 32) | u64::from(value.lo)
}
