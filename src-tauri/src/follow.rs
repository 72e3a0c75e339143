//! Keeps the shell connected to the engine, for as long as the shell runs: tells its states while there is one, tells what
//! is wrong while there is none, and starts one where that is wanted.
//!
//! An engine is started when none runs at the shell's start, when a person asks for it, and after a crash. After a crash at
//! most [`CRASHES`] times within [`WITHIN`]: work that crashes the engine again and again must not keep the computer busy
//! for nothing. One that a service manager runs is left to that manager.

use std::collections::VecDeque;
use std::time::Duration;

use surge_client::view::{Command, Snapshot};
use surge_client::wire::{Hello, Request};
use surge_client::{ClientError, Connection};
use surge_platform::paths::Paths;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::host::{self, Host};
use crate::lost::{Lost, LostCode};
use crate::start::Starter;

/// How many crashes are followed by a start without asking, within which time.
const CRASHES: usize = 3;
const WITHIN: Duration = Duration::from_secs(10 * 60);
/// How long a service manager may take to start its engine again: its units wait 30 s.
const MANAGER: Duration = Duration::from_secs(60);
/// Between two tries to connect: soon after a change, then less and less often.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(4);
/// Without news for so long, the engine is asked for its state: one that is stuck must not look as if it worked.
const QUIET: Duration = Duration::from_secs(10);

/// What the shell knows of the engine: its state, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EngineStatus {
    Told(Told),
    Lost(Lost),
}

/// An engine and its state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) hello: Hello,
    pub(crate) host: Host,
    pub(crate) snapshot: Box<Snapshot>,
}

impl Told {
    /// Whether this user may ask the engine for it.
    pub(crate) fn may(&self, command: Command) -> bool {
        self.hello.role.may(&Request::Command(command))
    }
}

/// Follows the engine of `paths` until `tell` says that nobody listens any more. `asked` brings a person's wish to start one.
pub(crate) async fn follow(
    paths: &Paths,
    starter: &impl Starter,
    tell: impl Fn(EngineStatus) -> bool,
    mut asked: mpsc::UnboundedReceiver<()>,
) {
    let mut follower =
        Follower { paths, starter, tell, lost: LostCode::Connecting.into(), crashes: Crashes::default() };
    let (mut start, mut managed_until, mut retry) = (true, None, FIRST_RETRY);
    loop {
        match surge_client::watch(paths).await {
            Ok(connection) => {
                let pid = connection.hello().pid;
                let host = host::of(pid);
                let Some(error) = follower.listen(connection, host).await else { return };
                // Whoever wanted an engine meanwhile had one.
                while asked.try_recv().is_ok() {}
                retry = FIRST_RETRY;
                let crashed = matches!(error, ClientError::Gone) && follower.crashes.again(Instant::now());
                start = crashed && host == Host::User;
                managed_until = (crashed && host != Host::User).then(|| Instant::now() + MANAGER);
                follower.lost = if crashed { LostCode::Restarting.into() } else { Lost::of(&error) };
                tracing::warn!(%error, pid, "The engine has gone");
            }
            Err(error) => match Lost::of(&error) {
                Lost { code: LostCode::NotRunning, .. } if std::mem::take(&mut start) => {
                    if !follower.say(LostCode::Starting.into()) {
                        return;
                    }
                    match follower.starter.start().await {
                        Ok(()) => {
                            retry = FIRST_RETRY;
                            continue;
                        }
                        Err(lost) => {
                            tracing::error!(code = ?lost.code, said = lost.said, "No engine could be started");
                            follower.lost = lost;
                        }
                    }
                }
                Lost { code: LostCode::NotRunning, .. } => follower.none_runs(managed_until),
                // It closed the door before it said anything: it is starting or ending.
                Lost { code: LostCode::Crashed, .. } => follower.lost = LostCode::Stuck.into(),
                lost => follower.lost = lost,
            },
        }
        let lost = follower.lost.clone();
        if !follower.say(lost) {
            return;
        }
        tokio::select! {
            () = sleep(retry) => retry = (retry * 2).min(LAST_RETRY),
            wish = asked.recv() => match wish {
                Some(()) => (start, retry) = (true, FIRST_RETRY),
                None => return,
            },
        }
    }
}

struct Follower<'a, S, T> {
    paths: &'a Paths,
    starter: &'a S,
    tell: T,
    /// What is wrong, while there is no engine.
    lost: Lost,
    crashes: Crashes,
}

impl<S: Starter, T: Fn(EngineStatus) -> bool> Follower<'_, S, T> {
    fn say(&self, lost: Lost) -> bool {
        (self.tell)(EngineStatus::Lost(lost))
    }

    /// No engine listens, and none is to be started now. What was said of its end stays true.
    fn none_runs(&mut self, managed_until: Option<Instant>) {
        let waits = managed_until.is_some_and(|until| Instant::now() < until);
        match self.lost.code {
            LostCode::Restarting if waits => {}
            LostCode::Restarting => self.lost = LostCode::Crashed.into(),
            code if code.can_start() => {}
            _ => self.lost = LostCode::NotRunning.into(),
        }
    }

    /// Tells all that the engine says until it goes. `None` when nobody listens any more.
    async fn listen(&mut self, mut connection: Connection, host: Host) -> Option<ClientError> {
        let hello = connection.hello().clone();
        let told = |snapshot| EngineStatus::Told(Told { hello: hello.clone(), host, snapshot: Box::new(snapshot) });
        loop {
            let status = match timeout(QUIET, connection.next()).await {
                Ok(Ok(snapshot)) => told(snapshot),
                Ok(Err(error)) => return Some(error),
                Err(_quiet) => match surge_client::ask(self.paths, Request::Snapshot).await {
                    Ok(engine) => told(engine.snapshot),
                    // The connection says what became of it, if it ended.
                    Err(error) => EngineStatus::Lost(match Lost::of(&error) {
                        Lost { code: LostCode::NotRunning | LostCode::Crashed, .. } => LostCode::Stuck.into(),
                        lost => lost,
                    }),
                },
            };
            if !(self.tell)(status) {
                return None;
            }
        }
    }
}

/// When the engine crashed lately.
#[derive(Debug, Default)]
struct Crashes(VecDeque<Instant>);

impl Crashes {
    /// Notes one more, and says whether an engine may be started again without asking.
    fn again(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.duration_since(*at) < WITHIN);
        self.0.push_back(now);
        self.0.len() <= CRASHES
    }
}

#[cfg(test)]
mod tests;
