//! The coordinator itself: the store, the board and the outside world, put together.
//!
//! Config → build → run: [`Coordinator::build`] recovers the state, [`Coordinator::run`] serves until it is told to
//! stop. What it does for callers is in the modules named after it (`leases`, `jobs`, …). Whatever changes the store and
//! then the board runs to its end even when the caller hangs up, so that the two never part.

use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::sol_types::Eip712Domain;
use surge_protocol::epoch::EpochFile;
use surge_protocol::network::SignedNetwork;
use surge_protocol::sign::Key;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::blobs::Blobs;
use crate::board::Board;
use crate::chain::Chain;
use crate::clock::{Clock, Millis};
use crate::config::Rules;
use crate::error::{Code, Error, Result};
use crate::replay::{self, Replay};
use crate::session::Sessions;
use crate::store::{Store, Terms};
use crate::{api, settle, sweep};

/// What requests that are open when the coordinator stops may still take.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Where the coordinator keeps its things, below its home folder.
#[derive(Debug, Clone)]
pub struct Config {
    pub home: PathBuf,
    pub network: SignedNetwork,
    pub rules: Rules,
}

/// The outside world.
#[derive(Debug, Clone)]
pub struct World {
    pub chain: Arc<dyn Chain>,
    pub replay: Arc<dyn Replay>,
    pub clock: Arc<dyn Clock>,
}

/// See the module.
#[derive(Debug)]
pub struct Coordinator {
    pub(crate) rules: Arc<Rules>,
    pub(crate) manifest: SignedNetwork,
    pub(crate) domain: Eip712Domain,
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) sessions: Sessions,
    pub(crate) world: World,
    board: Mutex<Board>,
    /// Counts changes, so that whoever waits for one wakes.
    changes: watch::Sender<u64>,
    /// The newest finalized epoch.
    pub(crate) settled: watch::Sender<Option<Arc<EpochFile>>>,
    /// Why the chain cannot be used now.
    pub(crate) chain_trouble: Mutex<Option<String>>,
    pub(crate) stopping: watch::Sender<bool>,
    /// Questions about accounts that may ask the chain at the same time.
    pub(crate) escrow_turns: Semaphore,
}

impl Coordinator {
    /// Opens the store and the blobs in the home folder and recovers what was undecided.
    ///
    /// # Errors
    /// When the manifest is not this key's, or the home folder cannot be used.
    pub async fn build(config: Config, key: Key, world: World) -> anyhow::Result<Arc<Self>> {
        let Config { home, network: manifest, rules } = config;
        let network = manifest.clone().verified()?;
        anyhow::ensure!(
            network.coordinator_key == key.address(),
            "the manifest names the coordinator key {}, but the key in {} is {}: use the home that `deploy` wrote",
            network.coordinator_key,
            home.display(),
            key.address()
        );
        let domain = network.domain();
        let sessions = Sessions::new(&key);
        let store = Store::open(&home.join("coordinator.sqlite"), Arc::new(Terms { network, key }))?;
        let blobs = Blobs::open(&home.join("blobs"))?;
        let rules = Arc::new(rules);
        let now = world.clock.now();
        let board = Board::rebuild(store.recover().await?, rules.clone(), now);
        let settled = settle::newest(&store).await?;
        Ok(Arc::new(Self {
            rules,
            manifest,
            domain,
            store,
            blobs,
            sessions,
            world,
            board: Mutex::new(board),
            changes: watch::Sender::new(0),
            settled: watch::Sender::new(settled),
            chain_trouble: Mutex::default(),
            stopping: watch::Sender::new(false),
            escrow_turns: Semaphore::new(4),
        }))
    }

    /// Serves on `listener` and does the background work until `stop` completes and the open requests are answered, or
    /// took too long.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let (replays, queue) = mpsc::unbounded_channel();
        let mut work = tokio::task::JoinSet::new();
        work.spawn(sweep::run(self.clone(), replays));
        work.spawn(replay::run(self.clone(), queue));
        work.spawn(settle::run(self.clone()));
        let (stopping, overdue) = (self.clone(), self.clone());
        let stop = async move {
            stop.await;
            stopping.stopping.send_replace(true);
        };
        let served = axum::serve(listener, api::routes(self)).with_graceful_shutdown(stop);
        let overdue = async move {
            overdue.stopped().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        };
        let served = tokio::select! {
            served = served.into_future() => served,
            () = overdue => Ok(()),
        };
        work.shutdown().await;
        served
    }

    #[must_use]
    pub fn now(&self) -> Millis {
        self.world.clock.now()
    }

    /// A number that changes whenever something about jobs, leases or epochs does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The store, for audits.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        // A panic while it was held would be a bug in a pure method; what it left is still the best there is.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when the coordinator is told to stop.
    pub(crate) async fn stopped(&self) {
        // The sender lives in `self`.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Runs `act` to its end, whether or not the caller stays to hear of it.
    pub(crate) async fn finish<T, F, A>(self: &Arc<Self>, act: A) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
        A: FnOnce(Arc<Self>) -> F + Send + 'static,
        F: 'static,
    {
        let done = tokio::spawn(act(self.clone())).await;
        done.unwrap_or_else(|_| Err(Error::new(Code::StorageFailed, "the request failed inside: try again")))
    }
}
