//! GNOME: Mutter's idle monitor on the session's bus, for compositors that lack ext-idle-notify.
//!
//! One watch fires at the threshold and stays; the other fires once, at the first input after it was set. The idle
//! time that is read after a watch was set closes the gap between the two. A program that keeps the screen awake keeps
//! the first watch from firing: GNOME then tells nobody that the owner is away, and nothing runs.

use std::io;
use std::time::{Duration, Instant};

use futures::StreamExt;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use zbus::message::Type;
use zbus::zvariant::DynamicType;
use zbus::{Connection, MatchRule, MessageStream};

use super::combine::{Display, Report};
use super::desktop::{CONFIRM, Outcome, Wire};
use crate::bus::{self, NoAnswer};

const SERVICE: &str = "org.gnome.Mutter.IdleMonitor";
const PATH: &str = "/org/gnome/Mutter/IdleMonitor/Core";
const INTERFACE: &str = "org.gnome.Mutter.IdleMonitor";
/// A shell that takes longer to answer is stuck.
const ANSWER: Duration = Duration::from_secs(2);

#[derive(Debug, Error)]
pub(super) enum MutterError {
    #[error("no session bus is named")]
    NoBus,
    #[error("the session bus: {0}")]
    Bus(#[from] NoAnswer),
    #[error("GNOME's shell is not on the session bus")]
    Absent,
    #[error("GNOME's shell went away")]
    Gone,
    #[error("the session bus went away")]
    BusGone,
    #[error("waiting failed: {0}")]
    Io(#[from] io::Error),
}

impl From<zbus::Error> for MutterError {
    fn from(error: zbus::Error) -> Self {
        Self::Bus(error.into())
    }
}

impl MutterError {
    /// There is no such service here, as opposed to one that fails.
    pub(super) const fn is_absence(&self) -> bool {
        matches!(self, Self::NoBus | Self::Absent)
    }
}

/// Watches GNOME's shell until told to stop. An error ends it, too; the caller tries again.
pub(super) fn watch(address: Option<&str>, idle_after: Duration, wire: &Wire) -> Result<Outcome, MutterError> {
    let address = address.ok_or(MutterError::NoBus)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let mut asks = UnixStream::from_std(wire.asks()?)?;
        let mut asked = [0; 64];
        let connected = async {
            let connection = bus::connect(address, ANSWER).await?;
            tokio::time::timeout(ANSWER, Monitor::start(connection, idle_after)).await.map_err(NoAnswer::from)?
        };
        let mut monitor = tokio::select! {
            monitor = connected => monitor?,
            () = stopped(&mut asks) => return Ok(Outcome::Stopped),
        };
        wire.reports.name("mutter");
        loop {
            monitor.tell(wire);
            tokio::select! {
                biased;
                heard = monitor.hear() => heard?,
                read = asks.read(&mut asked) => match read? {
                    0 => return Ok(Outcome::Stopped),
                    _ => monitor.look().await?,
                },
            }
        }
    })
}

async fn stopped(asks: &mut UnixStream) {
    let mut asked = [0; 64];
    while asks.read(&mut asked).await.is_ok_and(|read| read > 0) {}
}

struct Monitor {
    connection: Connection,
    idle_after: Duration,
    fired: MessageStream,
    owner: MessageStream,
    away: u32,
    /// Set while the owner is away.
    back: Option<u32>,
    since: Option<Instant>,
    /// The idleness that was reported last.
    told: Option<Instant>,
    confirmed: Instant,
    seen: Instant,
}

impl Monitor {
    async fn start(connection: Connection, idle_after: Duration) -> Result<Self, MutterError> {
        let signal = || MatchRule::builder().msg_type(Type::Signal);
        let fired = signal().sender(SERVICE)?.path(PATH)?.interface(INTERFACE)?.member("WatchFired")?.build();
        let fired = MessageStream::for_match_rule(fired, &connection, None).await?;
        let owner = MessageStream::for_match_rule(bus::owner_changed(SERVICE)?, &connection, None).await?;
        let now = Instant::now();
        let mut monitor = Self {
            connection,
            idle_after,
            fired,
            owner,
            away: 0,
            back: None,
            since: None,
            told: None,
            confirmed: now,
            seen: now,
        };
        let interval = u64::try_from(idle_after.as_millis()).unwrap_or(u64::MAX);
        monitor.away = monitor.call("AddIdleWatch", &(interval,)).await?;
        monitor.look().await?;
        Ok(monitor)
    }

    /// Waits for the next thing that happens, which may be that it is time to ask.
    async fn hear(&mut self) -> Result<(), MutterError> {
        // While somebody is here nothing has to be confirmed.
        let confirm = tokio::time::sleep(CONFIRM);
        tokio::select! {
            biased;
            fired = self.fired.next() => {
                let message = fired.ok_or(MutterError::BusGone)?.map_err(|_| MutterError::BusGone)?;
                let id: u32 = message.body().deserialize()?;
                if Some(id) == self.back {
                    // A watch for input is gone when it has fired.
                    (self.back, self.since, self.seen) = (None, None, Instant::now());
                } else if id == self.away {
                    self.look().await?;
                }
                Ok(())
            }
            owner = self.owner.next() => match owner {
                Some(Ok(_)) => Err(MutterError::Gone),
                Some(Err(_)) | None => Err(MutterError::BusGone),
            },
            () = confirm, if self.since.is_some() => self.look().await,
        }
    }

    /// Asks for the idle time, and sets the watch for input where it is needed.
    async fn look(&mut self) -> Result<(), MutterError> {
        if self.idle().await? < self.idle_after {
            self.since = None;
            return Ok(());
        }
        if self.back.is_none() {
            self.back = Some(self.call("AddUserActiveWatch", &()).await?);
        }
        // Input between the reading above and the watch would never be told.
        let idle = self.idle().await?;
        self.since = (idle >= self.idle_after).then(|| self.since.unwrap_or(self.seen));
        Ok(())
    }

    async fn idle(&mut self) -> Result<Duration, MutterError> {
        let ms: u64 = self.call("GetIdletime", &()).await?;
        let (now, idle) = (Instant::now(), Duration::from_millis(ms));
        (self.confirmed, self.seen) = (now, now.checked_sub(idle).unwrap_or(now));
        Ok(idle)
    }

    fn tell(&mut self, wire: &Wire) {
        if self.since.is_some() && self.told == self.since {
            return wire.reports.confirm(self.confirmed);
        }
        self.told = self.since;
        wire.reports.send(Report::Display(match self.since {
            Some(since) => Display::Idle { since, confirmed: self.confirmed },
            None => Display::Active,
        }));
        wire.reports.send(Report::Seen(self.seen));
    }

    async fn call<B, R>(&self, method: &str, body: &B) -> Result<R, MutterError>
    where
        B: serde::Serialize + DynamicType + Sync,
        R: for<'d> zbus::zvariant::DynamicDeserialize<'d>,
    {
        bus::call(&self.connection, [SERVICE, PATH, INTERFACE, method], body).await?.ok_or(MutterError::Absent)
    }
}
