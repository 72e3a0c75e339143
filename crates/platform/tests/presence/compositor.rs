//! A Wayland compositor without a screen, which has seats and speaks ext-idle-notify as the protocol says.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wayland_protocols::ext::idle_notify::v1::server::ext_idle_notification_v1::{self, ExtIdleNotificationV1};
use wayland_protocols::ext::idle_notify::v1::server::ext_idle_notifier_v1::{self, ExtIdleNotifierV1};
use wayland_server::backend::GlobalId;
use wayland_server::protocol::wl_seat::{self, WlSeat};
use wayland_server::{
    Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, ListeningSocket, New, Resource,
};

/// What happens at the compositor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody uses this seat.
    Input(u32),
    /// A program keeps the screen awake, or does so no longer.
    Inhibited(bool),
    /// It stops to answer, or does so again.
    Frozen(bool),
    SeatAdded(u32),
    SeatRemoved(u32),
    Stop,
}

/// The running compositor, with seat 0. Dropping it cuts every connection.
pub(crate) struct Compositor {
    pub(crate) socket: PathBuf,
    events: Sender<Event>,
    bell: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Compositor {
    /// One that has this version of ext-idle-notify, or none.
    pub(crate) fn start(folder: &Path, notifier: Option<u32>) -> Self {
        let socket = folder.join("wayland-7");
        let listener = ListeningSocket::bind_absolute(socket.clone()).unwrap();
        let (events, inbox) = mpsc::channel();
        let (bell, rung) = UnixStream::pair().unwrap();
        rung.set_nonblocking(true).unwrap();
        let thread = std::thread::spawn(move || run(&listener, notifier, &inbox, &rung));
        Self { socket, events, bell, thread: Some(thread) }
    }

    /// Returns when it has happened and all that it leads to was sent.
    pub(crate) fn tell(&self, event: Event) {
        self.send(event);
        (&self.bell).read_exact(&mut [0]).unwrap();
    }

    fn send(&self, event: Event) {
        self.events.send(event).unwrap();
        (&self.bell).write_all(&[1]).unwrap();
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        self.send(Event::Stop);
        self.thread.take().unwrap().join().unwrap();
        let _ = std::fs::remove_file(&self.socket);
    }
}

#[derive(Default)]
struct State {
    seats: BTreeMap<u32, GlobalId>,
    notifications: Vec<Notification>,
    inhibited: bool,
}

struct Notification {
    object: ExtIdleNotificationV1,
    seat: u32,
    timeout: Duration,
    input_only: bool,
    /// The timer runs from here on.
    from: Instant,
    idled: bool,
}

impl State {
    fn add_seat(&mut self, handle: &DisplayHandle, number: u32) {
        let global = handle.create_global::<Self, WlSeat, u32>(7, number);
        self.seats.insert(number, global);
    }

    fn happens(&mut self, handle: &DisplayHandle, event: Event) {
        let now = Instant::now();
        match event {
            Event::Input(seat) => self.restart(now, |notification| notification.seat == seat),
            Event::Inhibited(inhibited) => {
                self.inhibited = inhibited;
                self.restart(now, |notification| !notification.input_only);
            }
            Event::SeatAdded(number) => self.add_seat(handle, number),
            Event::SeatRemoved(number) => {
                let global = self.seats.remove(&number).unwrap();
                handle.remove_global::<Self>(global);
            }
            Event::Frozen(_) | Event::Stop => {}
        }
    }

    fn restart(&mut self, now: Instant, which: impl Fn(&Notification) -> bool) {
        for notification in self.notifications.iter_mut().filter(|it| which(it)) {
            notification.from = now;
            if std::mem::take(&mut notification.idled) {
                notification.object.resumed();
            }
        }
    }

    /// Sends what is due; returns when the next will be.
    fn tick(&mut self, now: Instant) -> Option<Instant> {
        self.notifications.retain(|notification| notification.object.is_alive());
        let inhibited = self.inhibited;
        let armed = |it: &&mut Notification| !it.idled && (it.input_only || !inhibited);
        for notification in self.notifications.iter_mut().filter(armed) {
            if now >= notification.from + notification.timeout {
                notification.idled = true;
                notification.object.idled();
            }
        }
        let waiting = self.notifications.iter().filter(|it| !it.idled && (it.input_only || !inhibited));
        waiting.map(|it| it.from + it.timeout).min()
    }
}

fn run(listener: &ListeningSocket, notifier: Option<u32>, events: &Receiver<Event>, bell: &UnixStream) {
    let mut display: Display<State> = Display::new().unwrap();
    let handle = display.handle();
    let mut state = State::default();
    state.add_seat(&handle, 0);
    if let Some(version) = notifier {
        handle.create_global::<State, ExtIdleNotifierV1, ()>(version, ());
    }
    let mut frozen = false;
    let mut next = None;
    loop {
        wait(listener, &mut display, bell, frozen, next);
        let rung = (&*bell).read(&mut [0; 64]).unwrap_or(0);
        for event in events.try_iter() {
            match event {
                Event::Stop => return,
                Event::Frozen(is) => frozen = is,
                event => state.happens(&handle, event),
            }
        }
        if frozen {
            next = None;
        } else {
            while let Some(stream) = listener.accept().unwrap() {
                display.handle().insert_client(stream, Arc::new(())).unwrap();
            }
            display.dispatch_clients(&mut state).unwrap();
            next = state.tick(Instant::now());
            display.flush_clients().unwrap();
        }
        (&*bell).write_all(&vec![1; rung]).unwrap();
    }
}

fn wait(
    listener: &ListeningSocket,
    display: &mut Display<State>,
    bell: &UnixStream,
    frozen: bool,
    until: Option<Instant>,
) {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.map(|left| Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() });
    let clients = display.backend().poll_fd();
    let mut all = vec![PollFd::new(bell, PollFlags::IN)];
    if !frozen {
        all.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
        all.push(PollFd::from_borrowed_fd(clients, PollFlags::IN));
    }
    poll(&mut all, left.as_ref()).unwrap();
}

impl GlobalDispatch<WlSeat, u32> for State {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        seat: New<WlSeat>,
        number: &u32,
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(seat, *number).capabilities(wl_seat::Capability::Keyboard);
    }
}

impl Dispatch<WlSeat, u32> for State {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlSeat,
        request: wl_seat::Request,
        _: &u32,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        assert!(matches!(request, wl_seat::Request::Release), "presence needs no devices");
    }
}

impl GlobalDispatch<ExtIdleNotifierV1, ()> for State {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        notifier: New<ExtIdleNotifierV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(notifier, ());
    }
}

impl Dispatch<ExtIdleNotifierV1, ()> for State {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &ExtIdleNotifierV1,
        request: ext_idle_notifier_v1::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        let (id, timeout, seat, input_only) = match request {
            ext_idle_notifier_v1::Request::GetIdleNotification { id, timeout, seat } => (id, timeout, seat, false),
            ext_idle_notifier_v1::Request::GetInputIdleNotification { id, timeout, seat } => (id, timeout, seat, true),
            _ => return,
        };
        let notification = Notification {
            object: init.init(id, ()),
            seat: *seat.data::<u32>().unwrap(),
            timeout: Duration::from_millis(timeout.into()),
            input_only,
            from: Instant::now(),
            idled: false,
        };
        state.notifications.push(notification);
    }
}

impl Dispatch<ExtIdleNotificationV1, ()> for State {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &ExtIdleNotificationV1,
        _: ext_idle_notification_v1::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
    }
}
