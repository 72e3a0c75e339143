//! Those who watch the engine's state: each is told of what is news to it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use surge_client::wire::Reply;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::watch;

use super::say;
use crate::view::Snapshot;

/// Tells those who watch, until it is dropped.
#[derive(Debug)]
pub(crate) struct Audience {
    told: watch::Sender<Option<Snapshot>>,
    /// How many have begun to watch so far, and how many of them the newest snapshot reached.
    joined: Arc<AtomicUsize>,
    reached: usize,
}

/// A seat in the audience.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    told: watch::Receiver<Option<Snapshot>>,
    joined: Arc<AtomicUsize>,
}

/// An audience without anybody, and the seat that those who come get a copy of.
pub(crate) fn audience() -> (Audience, Seat) {
    let (tell, told) = watch::channel(None);
    let joined = Arc::new(AtomicUsize::new(0));
    (Audience { told: tell, joined: Arc::clone(&joined), reached: 0 }, Seat { told, joined })
}

impl Audience {
    /// Tells those who watch, if there are any and this is news to them: nobody is woken for anything else.
    pub(crate) fn publish(&mut self, now: &Snapshot) {
        // The socket's own task holds one seat.
        if self.told.receiver_count() <= 1 {
            return;
        }
        let joined = self.joined.load(Ordering::Relaxed);
        // Who came since may have seen something else than the others were told.
        let somebody_new = std::mem::replace(&mut self.reached, joined) != joined;
        self.told.send_if_modified(|told| {
            let is_news = somebody_new || is_news(told.as_mut(), now);
            if is_news {
                *told = Some(now.clone());
            }
            is_news
        });
    }
}

impl Seat {
    /// Tells the state now and all news, until one side goes. `seen` changes what is shown to this peer.
    pub(super) async fn tell(
        mut self,
        write: &mut OwnedWriteHalf,
        snapshots: watch::Receiver<Snapshot>,
        seen: impl Fn(Snapshot) -> Snapshot,
    ) -> io::Result<()> {
        self.told.mark_unchanged();
        self.joined.fetch_add(1, Ordering::Relaxed);
        let now = snapshots.borrow().clone();
        // Whoever holds the channel's other end must not be kept waiting by who reads slowly.
        drop(snapshots);
        say(write, &Reply::Snapshot(Box::new(seen(now)))).await?;
        while self.told.changed().await.is_ok() {
            let now = self.told.borrow_and_update().clone();
            if let Some(now) = now {
                say(write, &Reply::Snapshot(Box::new(seen(now)))).await?;
            }
        }
        say(write, &Reply::Stopping).await
    }
}

/// What the one sentence for the state depends on.
fn sentence(of: &Snapshot) -> impl PartialEq + use<'_> {
    (of.state, of.finishing, of.running(), of.reasons.first().map(|first| (first.code, first.case, &first.subject)))
}

/// Whether `now` is to be told after `told`: not when only the clock moved, and once a second unless its sentence is new.
fn is_news(told: Option<&mut Snapshot>, now: &Snapshot) -> bool {
    let Some(told) = told else { return true };
    if sentence(told) != sentence(now) {
        return true;
    }
    let at = std::mem::replace(&mut told.at, now.at);
    let same = at == now.at || told == now;
    if same {
        told.at = at;
    }
    !same
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Reason, ReasonCode};

    fn snapshot(at: u64, reason: ReasonCode, load: f32) -> Snapshot {
        Snapshot { at, reasons: vec![Reason::new(reason)], load_percent: load, ..Snapshot::default() }
    }

    #[test]
    fn only_what_is_new_is_told_and_once_a_second_unless_the_sentence_changes() {
        use ReasonCode::{NoWork, UserActive};
        let mut told: Option<Snapshot> = None;
        let mut tell = |now: Snapshot| {
            let is_news = is_news(told.as_mut(), &now);
            if is_news {
                told = Some(now);
            }
            is_news
        };
        assert!(tell(snapshot(10, NoWork, 0.0)), "who begins to watch is told");
        assert!(!tell(snapshot(11, NoWork, 0.0)), "only the clock moved");
        assert!(tell(snapshot(12, NoWork, 5.0)));
        assert!(!tell(snapshot(12, NoWork, 9.0)), "that can wait for the next second");
        assert!(tell(snapshot(12, UserActive, 9.0)), "this can not");
        assert!(!tell(snapshot(12, UserActive, 3.0)));
        assert!(tell(snapshot(13, UserActive, 3.0)), "and what waited is told");
    }
}
