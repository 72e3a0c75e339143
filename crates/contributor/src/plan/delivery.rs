//! Finished results on their way to the coordinator: a few at a time, oldest first. Their leases are kept alive meanwhile.

use std::collections::{BTreeSet, VecDeque};

use surge_protocol::api::{LeaseId, LeaseState};

use super::{Action, Heard, MINUTE, Millis, Moment, delay, third};

/// Results whose leases are kept alive: the next to be delivered. Of more there can be in an outage only, which nothing
/// keeps a lease alive through.
const MOST_BEATS: usize = 8;
/// Results that are delivered at once: one connection that stands and leads nowhere holds up no other result.
const MOST_DELIVERIES: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// In the order in which they are delivered.
    pub(super) queue: VecDeque<Parcel>,
    delivering: BTreeSet<LeaseId>,
    /// No delivery begins before.
    deliver_at: Millis,
    failures: u32,
    /// After a failure one result at a time tries whether the line is there again.
    probe: Option<LeaseId>,
}

/// A finished result that waits for its delivery. Its lease is kept alive, so that nobody computes it once more.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    lease: LeaseId,
    /// `None` when its lease is over: it may still be taken.
    beat_at: Option<Millis>,
    beating: bool,
    beat_failures: u32,
}

impl Parcel {
    const fn new(lease: LeaseId, beat_at: Millis, beating: bool) -> Self {
        Self { lease, beat_at: Some(beat_at), beating, beat_failures: 0 }
    }

    fn beat_due(&self) -> Option<Millis> {
        self.beat_at.filter(|_| !self.beating)
    }
}

impl Delivery {
    /// `waiting` are the results that the engine before did not deliver, oldest first.
    pub(super) fn new(waiting: Vec<LeaseId>) -> Self {
        let queue = waiting.into_iter().map(|lease| Parcel::new(lease, MINUTE / 3, false)).collect();
        Self { queue, delivering: BTreeSet::new(), deliver_at: 0, failures: 0, probe: None }
    }

    /// A result more; its lease's next heartbeat is due then, or under way.
    pub(super) fn add(&mut self, lease: LeaseId, beat_at: Millis, beating: bool) {
        self.queue.push_back(Parcel::new(lease, beat_at, beating));
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Option<Millis> {
        let deliver = self.next().map(|_| self.deliver_at);
        let beat = self.queue.iter().take(MOST_BEATS).filter_map(Parcel::beat_due).min();
        deliver.into_iter().chain(beat).min()
    }

    /// The result that is delivered next, if another may be.
    fn next(&self) -> Option<LeaseId> {
        if self.probe.is_some() || self.delivering.len() >= MOST_DELIVERIES {
            return None;
        }
        self.queue.iter().map(|parcel| parcel.lease).find(|lease| !self.delivering.contains(lease))
    }

    pub(super) fn begin(&mut self, now: Millis, actions: &mut VecDeque<Action>) {
        while self.deliver_at <= now
            && let Some(lease) = self.next()
        {
            self.delivering.insert(lease);
            self.probe = (self.failures > 0).then_some(lease);
            actions.push_back(Action::Deliver(lease));
        }
    }

    pub(super) fn delivered(&mut self, lease: LeaseId, now: Millis) {
        self.queue.retain(|parcel| parcel.lease != lease);
        self.delivering.remove(&lease);
        (self.failures, self.deliver_at, self.probe) = (0, now, None);
    }

    pub(super) fn failed(&mut self, lease: LeaseId, after: Option<Millis>, moment: Moment) {
        self.delivering.remove(&lease);
        self.probe = self.probe.filter(|probe| *probe != lease);
        // Deliveries that were under way together fail together: that is one failure of the line.
        if self.deliver_at <= moment.now {
            self.failures += 1;
            self.deliver_at = moment.now + delay(after, self.failures, moment.jitter);
        }
        // The others have their turn: it may be this one's fault.
        if let Some(at) = self.queue.iter().position(|parcel| parcel.lease == lease) {
            let parcel = self.queue.remove(at);
            self.queue.extend(parcel);
        }
    }

    pub(super) fn keep_alive(&mut self, now: Millis, actions: &mut VecDeque<Action>) {
        let parcels = self.queue.iter_mut().take(MOST_BEATS);
        for parcel in parcels.filter(|parcel| parcel.beat_due().is_some_and(|due| due <= now)) {
            parcel.beating = true;
            actions.push_back(Action::Beat(parcel.lease, LeaseState::Delivering));
        }
    }

    /// The answer to a heartbeat; whether it was for one of these.
    pub(super) fn beaten(&mut self, lease: LeaseId, heard: Heard, moment: Moment) -> bool {
        let Some(parcel) = self.queue.iter_mut().find(|parcel| parcel.lease == lease) else { return false };
        parcel.beating = false;
        match heard {
            Heard::Extended(term) => {
                parcel.beat_failures = 0;
                parcel.beat_at = Some(moment.now + third(term));
            }
            Heard::Over => parcel.beat_at = None,
            Heard::Failed => {
                parcel.beat_failures += 1;
                parcel.beat_at = Some(moment.now + delay(None, parcel.beat_failures, moment.jitter));
            }
        }
        true
    }
}
