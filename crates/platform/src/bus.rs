//! The two D-Bus buses: how they are connected to, how their services are asked, and a wake-up when a service signals
//! that something changed.
//!
//! Nothing is polled: a service is asked again after one of its signals. A service that does not exist is an answer
//! (nobody there keeps the screen awake); a service that does not answer is an error. No service is ever started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::SelectAll;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use zbus::message::Type;
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::zvariant::{DynamicDeserialize, DynamicType, OwnedValue};
use zbus::{Connection, MatchRule, MessageStream, Proxy};

use crate::surroundings::Surroundings;

/// A service that takes longer does not answer. Presence must be confirmed in less than three seconds, whatever hangs.
pub(crate) const ANSWER: Duration = Duration::from_millis(600);
/// How long to wait before trying a bus again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// A bus that hangs or is gone for longer than this counts as absent: nobody can say anything over it.
const FORGET: Duration = Duration::from_secs(60);
/// A service that signals all the time wakes us no more often than this.
const CALM: Duration = Duration::from_secs(1);

/// Why a question has no answer.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("{0}")]
    Bus(zbus::Error),
    #[error("it does not answer")]
    TooLate,
}

impl From<zbus::Error> for NoAnswer {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::InputOutput(error) if error.kind() == std::io::ErrorKind::TimedOut => Self::TooLate,
            error => Self::Bus(error),
        }
    }
}

impl From<tokio::time::error::Elapsed> for NoAnswer {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::TooLate
    }
}

pub(crate) type Asked<T> = Result<T, NoAnswer>;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    System,
    Session,
}

impl Which {
    /// Where the bus listens as of now.
    fn address(self, around: &Surroundings) -> Option<String> {
        match self {
            Self::System => Some(around.system_bus.clone()),
            Self::Session => around.session_bus(),
        }
    }
}

/// What is listened to of a service: each signal of `interface`, and its coming and going.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignalSource {
    pub(crate) service: &'static str,
    pub(crate) path: Option<&'static str>,
    pub(crate) interface: &'static str,
}

/// The interface whose one signal says that properties changed.
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// One of the buses.
#[derive(Debug)]
pub(crate) struct Bus {
    which: Which,
    around: Surroundings,
    sources: &'static [SignalSource],
    wake_up: Arc<Notify>,
    link: Option<Link>,
    retry_at: Instant,
    pause: Duration,
    /// Since when it hangs or is gone, although it was there.
    lost: Option<Instant>,
}

#[derive(Debug)]
struct Link {
    connection: Connection,
    signals: Arc<Signals>,
    listener: JoinHandle<()>,
}

/// What the listener noted since it was last looked at.
#[derive(Debug, Default)]
struct Signals {
    changed: AtomicBool,
    closed: AtomicBool,
}

/// Whether a bus can be asked.
#[derive(Debug, Clone)]
pub(crate) enum BusState {
    /// Ask what is wanted; `changed` when something was signalled since the last time.
    There { connection: Connection, changed: bool },
    /// It was there and is not now.
    Lost,
    /// There is none.
    Absent,
}

impl Bus {
    pub(crate) fn new(
        which: Which,
        around: &Surroundings,
        sources: &'static [SignalSource],
        wake_up: Arc<Notify>,
    ) -> Self {
        let around = around.clone();
        Self { which, around, sources, wake_up, link: None, retry_at: Instant::now(), pause: RETRY.0, lost: None }
    }

    /// The bus as it is now; connects where that is due.
    pub(crate) async fn state(&mut self) -> BusState {
        if self.link.as_ref().is_some_and(|link| link.signals.closed.load(Ordering::Acquire)) {
            tracing::debug!(bus = ?self.which, "lost");
            self.link = None;
            self.lost = Some(Instant::now());
        }
        let mut fresh = false;
        if self.link.is_none() && Instant::now() >= self.retry_at {
            let address = self.which.address(&self.around);
            match tokio::time::timeout(ANSWER, self.connect(address.as_deref())).await {
                Ok(Ok(link)) => {
                    if self.lost.is_some() {
                        tracing::info!(bus = ?self.which, address, "The bus answers again");
                    }
                    (self.link, self.lost, self.pause, fresh) = (link, None, RETRY.0, true);
                }
                Ok(Err(NoAnswer::Bus(error))) => tracing::debug!(bus = ?self.which, %error, "not there"),
                Ok(Err(NoAnswer::TooLate)) | Err(_) => self.hangs(address.as_deref()),
            }
            self.retry_at = Instant::now() + self.pause;
            self.pause = (self.pause * 2).min(RETRY.1);
        }
        match (&self.link, self.lost) {
            (Some(link), _) => {
                let changed = link.signals.changed.swap(false, Ordering::AcqRel) || fresh;
                BusState::There { connection: link.connection.clone(), changed }
            }
            (None, Some(lost)) if lost.elapsed() < FORGET => BusState::Lost,
            (None, _) => BusState::Absent,
        }
    }

    fn hangs(&mut self, address: Option<&str>) {
        if self.lost.is_none() {
            tracing::warn!(bus = ?self.which, address, "A bus does not answer: it is tried again later");
            self.lost = Some(Instant::now());
        }
    }

    async fn connect(&self, address: Option<&str>) -> Asked<Option<Link>> {
        let Some(address) = address else { return Ok(None) };
        let connection = connect(address, ANSWER).await?;
        let mut streams = SelectAll::new();
        for source in self.sources {
            for rule in source.rules()? {
                streams.push(MessageStream::for_match_rule(rule, &connection, None).await?);
            }
        }
        let signals = Arc::new(Signals::default());
        let listener = tokio::spawn(listen(streams, Arc::clone(&signals), Arc::clone(&self.wake_up)));
        Ok(Some(Link { connection, signals, listener }))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl SignalSource {
    fn rules(&self) -> zbus::Result<[MatchRule<'static>; 2]> {
        let signals = MatchRule::builder().msg_type(Type::Signal).sender(self.service)?.interface(self.interface)?;
        let signals = match self.path {
            Some(path) => signals.path(path)?,
            None => signals,
        };
        Ok([signals.build(), owner_changed(self.service)?])
    }
}

/// The coming and going of a service.
pub(crate) fn owner_changed(service: &str) -> zbus::Result<MatchRule<'static>> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.DBus")?
        .interface("org.freedesktop.DBus")?
        .member("NameOwnerChanged")?
        .arg(0, service.to_owned())?;
    Ok(rule.build())
}

/// Connects to the bus at `address`, whose services have `answer` for each answer.
pub(crate) async fn connect(address: &str, answer: Duration) -> Asked<Connection> {
    let built = zbus::connection::Builder::address(address)?.method_timeout(answer).build();
    Ok(tokio::time::timeout(answer, built).await??)
}

/// Takes every signal, so that the connection never waits for us. The first wakes the reader at once; those that follow
/// within a second wake it once more, together.
async fn listen(mut streams: SelectAll<MessageStream>, signals: Arc<Signals>, wake_up: Arc<Notify>) {
    let mut calm_at = Instant::now();
    let mut untold = false;
    loop {
        tokio::select! {
            signal = streams.next() => match signal {
                Some(Ok(_)) => {
                    signals.changed.store(true, Ordering::Release);
                    untold = true;
                }
                Some(Err(_)) | None => break,
            },
            () = tokio::time::sleep_until(calm_at.into()), if untold => {
                (untold, calm_at) = (false, Instant::now() + CALM);
                wake_up.notify_one();
            }
        }
    }
    signals.closed.store(true, Ordering::Release);
    wake_up.notify_one();
}

/// Calls a method; `None` where the service, the object or the method does not exist or refuses.
pub(crate) async fn call<B, R>(
    bus: &Connection,
    [service, path, interface, method]: [&str; 4],
    body: &B,
) -> Asked<Option<R>>
where
    B: serde::Serialize + DynamicType + Sync,
    R: for<'d> DynamicDeserialize<'d>,
{
    let called = async {
        let proxy: Proxy<'_> = zbus::proxy::Builder::new(bus)
            .destination(service)?
            .path(path)?
            .interface(interface)?
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        proxy.call_with_flags(method, MethodFlags::NoAutoStart.into(), body).await
    };
    match called.await {
        Ok(answer) => Ok(answer),
        Err(zbus::Error::MethodError(name, ..)) => {
            tracing::trace!(service, method, error = %name, "refused");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// A property; `None` where there is no such thing.
pub(crate) async fn property<T>(
    bus: &Connection,
    service: &str,
    path: &str,
    interface: &str,
    name: &str,
) -> Asked<Option<T>>
where
    T: TryFrom<OwnedValue>,
{
    let value: Option<OwnedValue> = call(bus, [service, path, PROPERTIES, "Get"], &(interface, name)).await?;
    Ok(value.and_then(|value| T::try_from(value).ok()))
}
