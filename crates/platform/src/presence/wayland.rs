//! Wayland: ext-idle-notify-v1, whose `idled` comes once at the threshold and whose `resumed` is what stops work.
//!
//! Nothing is sent while somebody types. Each seat has a notification of its own; all must be idle. Where the
//! compositor has version 2, only input counts, so that a program which keeps the screen awake does not look like
//! input; in version 1 it does.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use thiserror::Error;
use wayland_client::backend::WaylandError as WireError;
use wayland_client::protocol::wl_callback::{self, WlCallback};
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_seat::{self, WlSeat};
use wayland_client::{Connection, Dispatch, DispatchError, EventQueue, Proxy, QueueHandle};
use wayland_protocols::ext::idle_notify::v1::client::ext_idle_notification_v1::{self, ExtIdleNotificationV1};
use wayland_protocols::ext::idle_notify::v1::client::ext_idle_notifier_v1::{self, ExtIdleNotifierV1};

use super::combine::{Display, Report};
use super::desktop::{CONFIRM, Outcome, Wake, Wire};
use crate::sockets;

/// Why a compositor can't be watched. Each text goes on where "the compositor wayland-0" ends.
#[derive(Debug, Error)]
pub(super) enum WaylandError {
    #[error("can't be reached: {0}")]
    Socket(std::io::Error),
    #[error("can't be reached: {0}")]
    Connect(#[from] wayland_client::ConnectError),
    #[error("does not answer")]
    Silent,
    #[error("broke the connection: {0}")]
    Wire(#[from] WireError),
    #[error("broke the connection: {0}")]
    Dispatch(#[from] DispatchError),
    #[error("has no seat: nobody can sit at it")]
    NoSeat,
    #[error("can't be waited for: {0}")]
    Poll(#[from] rustix::io::Errno),
}

impl From<std::io::Error> for WaylandError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::WouldBlock { Self::Silent } else { Self::Socket(error) }
    }
}

/// A compositor that takes longer to answer counts as hung.
const ANSWER: Duration = Duration::from_secs(2);

/// Watches the compositor until told to stop. An error ends it, too; the caller tries again.
pub(super) fn watch(socket: &Path, idle_after: Duration, wire: &Wire) -> Result<Outcome, WaylandError> {
    let connection = Connection::from_socket(sockets::connect(socket)?)?;
    let mut queue = connection.new_event_queue();
    let mut state = State::new(idle_after, queue.handle());
    connection.display().get_registry(&queue.handle(), ());
    state.confirm(&connection);
    while !state.confirmed {
        let patience = state.patience().ok_or(WaylandError::Silent)?;
        match turn(&mut queue, &mut state, wire, Some(patience))? {
            Wake::Stopped => return Ok(Outcome::Stopped),
            Wake::Outdated => return Ok(Outcome::Outdated),
            Wake::Ready | Wake::Timeout | Wake::Asked => {}
        }
    }
    if state.notifier.is_none() {
        return Ok(Outcome::NoNotifier);
    }
    wire.reports.name("wayland");
    let mut told = None;
    loop {
        if state.seats.is_empty() {
            return Err(WaylandError::NoSeat);
        }
        let since = state.idle_since();
        if std::mem::take(&mut state.confirmed) {
            wire.reports.confirm(Instant::now());
        }
        if told != Some(since) {
            told = Some(since);
            wire.reports.send(Report::Display(match since {
                Some(since) => Display::Idle { since, confirmed: Instant::now() },
                None => Display::Active,
            }));
        }
        // While somebody is here nothing has to be confirmed.
        let time = since.map(|_| CONFIRM);
        match turn(&mut queue, &mut state, wire, time)? {
            Wake::Stopped => return Ok(Outcome::Stopped),
            Wake::Outdated => return Ok(Outcome::Outdated),
            Wake::Timeout if state.patience().is_none() => return Err(WaylandError::Silent),
            Wake::Timeout => state.confirm(&connection),
            Wake::Ready | Wake::Asked => {}
        }
    }
}

/// Sends what is due, waits, and takes in what came.
fn turn(
    queue: &mut EventQueue<State>,
    state: &mut State,
    wire: &Wire,
    time: Option<Duration>,
) -> Result<Wake, WaylandError> {
    queue.flush()?;
    let Some(reading) = queue.prepare_read() else {
        queue.dispatch_pending(state)?;
        return Ok(Wake::Ready);
    };
    let fd = reading.connection_fd();
    let wake = wire.wait(PollFd::from_borrowed_fd(fd, PollFlags::IN), time)?;
    if wake != Wake::Ready {
        return Ok(wake);
    }
    match reading.read() {
        Ok(_) => {}
        Err(WireError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error.into()),
    }
    queue.dispatch_pending(state)?;
    Ok(wake)
}

struct State {
    idle_after: Duration,
    handle: QueueHandle<Self>,
    notifier: Option<ExtIdleNotifierV1>,
    seats: BTreeMap<u32, Seat>,
    /// The compositor answered since this was last looked at.
    confirmed: bool,
    /// When it was asked for the answer that it still owes.
    asked: Option<Instant>,
}

struct Seat {
    seat: WlSeat,
    notification: Option<ExtIdleNotificationV1>,
    idle_since: Option<Instant>,
}

impl State {
    fn new(idle_after: Duration, handle: QueueHandle<Self>) -> Self {
        Self { idle_after, handle, notifier: None, seats: BTreeMap::new(), confirmed: false, asked: None }
    }

    /// The last moment at which any seat had input; `None` while one has.
    fn idle_since(&self) -> Option<Instant> {
        let all: Option<Vec<_>> = self.seats.values().map(|seat| seat.idle_since).collect();
        all.and_then(|all| all.into_iter().max())
    }

    /// Asks the compositor to answer. One question at a time.
    fn confirm(&mut self, connection: &Connection) {
        if self.asked.is_none() {
            self.asked = Some(Instant::now());
            connection.display().sync(&self.handle, ());
        }
    }

    /// How long to wait for the answer that it owes; `None` when it had its time.
    fn patience(&self) -> Option<Duration> {
        let waited = self.asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        ANSWER.checked_sub(waited).filter(|left| !left.is_zero())
    }

    /// Seats and the notifier come in any order.
    fn notify_seats(&mut self) {
        let Some(notifier) = &self.notifier else { return };
        let timeout = u32::try_from(self.idle_after.as_millis()).unwrap_or(u32::MAX);
        for (name, seat) in self.seats.iter_mut().filter(|(_, seat)| seat.notification.is_none()) {
            let notification = if notifier.version() >= ext_idle_notifier_v1::REQ_GET_INPUT_IDLE_NOTIFICATION_SINCE {
                notifier.get_input_idle_notification(timeout, &seat.seat, &self.handle, *name)
            } else {
                notifier.get_idle_notification(timeout, &seat.seat, &self.handle, *name)
            };
            seat.notification = Some(notification);
        }
    }

    fn remove(&mut self, name: u32) {
        let Some(seat) = self.seats.remove(&name) else { return };
        if let Some(notification) = seat.notification {
            notification.destroy();
        }
        if seat.seat.version() >= wl_seat::REQ_RELEASE_SINCE {
            seat.seat.release();
        }
    }
}

impl Dispatch<WlRegistry, ()> for State {
    fn event(
        state: &mut Self,
        registry: &WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        handle: &QueueHandle<Self>,
    ) {
        match event {
            wl_registry::Event::Global { name, interface, version } => {
                if interface == WlSeat::interface().name {
                    let seat = registry.bind(name, version.min(5), handle, ());
                    state.seats.insert(name, Seat { seat, notification: None, idle_since: None });
                } else if interface == ExtIdleNotifierV1::interface().name {
                    state.notifier = Some(registry.bind(name, version.min(2), handle, ()));
                }
                state.notify_seats();
            }
            wl_registry::Event::GlobalRemove { name } => state.remove(name),
            _ => {}
        }
    }
}

impl Dispatch<ExtIdleNotificationV1, u32> for State {
    fn event(
        state: &mut Self,
        _: &ExtIdleNotificationV1,
        event: ext_idle_notification_v1::Event,
        name: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(seat) = state.seats.get_mut(name) else { return };
        let now = Instant::now();
        match event {
            ext_idle_notification_v1::Event::Idled => {
                seat.idle_since = Some(now.checked_sub(state.idle_after).unwrap_or(now));
            }
            ext_idle_notification_v1::Event::Resumed => seat.idle_since = None,
            _ => {}
        }
    }
}

impl Dispatch<WlCallback, ()> for State {
    fn event(
        state: &mut Self,
        _: &WlCallback,
        event: wl_callback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_callback::Event::Done { .. } = event {
            (state.confirmed, state.asked) = (true, None);
        }
    }
}

wayland_client::delegate_noop!(State: ignore WlSeat);
wayland_client::delegate_noop!(State: ignore ExtIdleNotifierV1);
