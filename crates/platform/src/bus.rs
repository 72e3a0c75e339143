//! The two D-Bus buses, where they are there: what is asked of their services, and a nudge when something changed.
//!
//! Nothing is polled: a service is asked again after one of its signals. A service that does not exist is an answer
//! (nobody there keeps the screen awake); one that does not answer is not. Never starts a service.

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

/// A service that takes longer does not answer. Presence must be confirmed in less than three seconds, whatever hangs.
pub(crate) const ANSWER: Duration = Duration::from_millis(600);
/// How long to wait before trying a bus again.
const RETRY: Duration = Duration::from_secs(5);
/// A bus that was lost for longer is not coming back: nobody can say anything over it.
const FORGET: Duration = Duration::from_secs(60);
/// A service that signals all the time wakes us no more often than this.
const CALM: Duration = Duration::from_secs(1);

/// Why a question has no answer.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("the bus has no answer: {0}")]
    Bus(#[from] zbus::Error),
    #[error("the service takes too long")]
    TooLate(#[from] tokio::time::error::Elapsed),
}

pub(crate) type Asked<T> = Result<T, NoAnswer>;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    System,
    Session,
}

/// What is heard of a service: each signal of `interface`, and its coming and going.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
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
    heard: &'static [Heard],
    nudge: Arc<Notify>,
    link: Option<Link>,
    tried: Option<Instant>,
    lost: Option<Instant>,
}

#[derive(Debug)]
struct Link {
    connection: Connection,
    news: Arc<News>,
    listener: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct News {
    changed: AtomicBool,
    closed: AtomicBool,
}

/// Whether a bus can be asked.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Ask what is wanted; `changed` when something was signalled since the last time.
    There { connection: Connection, changed: bool },
    /// It was there and is not now.
    Lost,
    /// There is none.
    Absent,
}

impl Bus {
    pub(crate) const fn new(which: Which, heard: &'static [Heard], nudge: Arc<Notify>) -> Self {
        Self { which, heard, nudge, link: None, tried: None, lost: None }
    }

    /// The bus as it is now; connects where that is due.
    pub(crate) async fn state(&mut self) -> State {
        if self.link.as_ref().is_some_and(|link| link.news.closed.load(Ordering::Acquire)) {
            tracing::debug!(bus = ?self.which, "lost");
            self.link = None;
            self.lost = Some(Instant::now());
        }
        let mut fresh = false;
        if self.link.is_none() && self.tried.is_none_or(|tried| tried.elapsed() >= RETRY) {
            self.tried = Some(Instant::now());
            match tokio::time::timeout(ANSWER, self.connect()).await {
                Ok(Ok(link)) => (self.link, self.lost, fresh) = (Some(link), None, true),
                Ok(Err(error)) => tracing::debug!(bus = ?self.which, %error, "not there"),
                Err(_) => {
                    tracing::debug!(bus = ?self.which, "does not answer");
                    self.lost = Some(Instant::now());
                }
            }
        }
        match (&self.link, self.lost) {
            (Some(link), _) => {
                let changed = link.news.changed.swap(false, Ordering::AcqRel) || fresh;
                State::There { connection: link.connection.clone(), changed }
            }
            (None, Some(lost)) if lost.elapsed() < FORGET => State::Lost,
            (None, _) => State::Absent,
        }
    }

    async fn connect(&self) -> zbus::Result<Link> {
        let builder = match self.which {
            Which::System => zbus::connection::Builder::system()?,
            Which::Session => zbus::connection::Builder::session()?,
        };
        let connection = builder.method_timeout(ANSWER).build().await?;
        let mut signals = SelectAll::new();
        for heard in self.heard {
            for rule in heard.rules()? {
                signals.push(MessageStream::for_match_rule(rule, &connection, None).await?);
            }
        }
        let news = Arc::new(News::default());
        let listener = tokio::spawn(listen(signals, Arc::clone(&news), Arc::clone(&self.nudge)));
        Ok(Link { connection, news, listener })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Heard {
    fn rules(&self) -> zbus::Result<[MatchRule<'static>; 2]> {
        let signals = MatchRule::builder().msg_type(Type::Signal).sender(self.service)?.interface(self.interface)?;
        let signals = match self.path {
            Some(path) => signals.path(path)?,
            None => signals,
        };
        let owner = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")?
            .interface("org.freedesktop.DBus")?
            .member("NameOwnerChanged")?
            .add_arg(self.service)?;
        Ok([signals.build(), owner.build()])
    }
}

/// Takes every signal, so that the connection never waits for us, and tells of them: of the first at once, of those
/// that follow it closely together.
async fn listen(mut signals: SelectAll<MessageStream>, news: Arc<News>, nudge: Arc<Notify>) {
    let mut calm_at = Instant::now();
    let mut untold = false;
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Some(Ok(_)) => {
                    news.changed.store(true, Ordering::Release);
                    untold = true;
                }
                Some(Err(_)) | None => break,
            },
            () = tokio::time::sleep_until(calm_at.into()), if untold => {
                (untold, calm_at) = (false, Instant::now() + CALM);
                nudge.notify_one();
            }
        }
    }
    news.closed.store(true, Ordering::Release);
    nudge.notify_one();
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
