//! Which waiting task should this node compute? A pure choice.
//!
//! First what the node can and may run at all; among that, tasks that lack only a replica, then tasks whose data the
//! node holds (for a while: a task that waited long enough goes to anybody), then the requester with the least running,
//! then the earliest deadline. Deliberately absent: regions, prices and speed; every node of the class is alike.

use std::cmp::Reverse;
use std::collections::HashSet;

use surge_protocol::api::TaskId;
use surge_protocol::{Address, Digest};

use crate::clock::Millis;

/// A node that asks.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub node: Address,
    pub payout: Address,
    pub free_memory: u64,
    pub load_percent: f32,
    pub held: &'a HashSet<Digest>,
}

/// A task that wants one more execution.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub task: TaskId,
    pub requester: Address,
    pub memory_bytes: u64,
    /// Unix milliseconds.
    pub deadline: Millis,
    pub index: u64,
    /// Module and data sets: what a node may hold from earlier tasks.
    pub blobs: &'a [Digest],
    pub waiting_since: Millis,
    /// Node and payout of every lease and result so far.
    pub participants: Vec<(Address, Address)>,
    /// It has results that lack agreement by number only.
    pub half_done: bool,
    /// This node failed at it before.
    pub failed_here: bool,
    /// Leases of the same requester that are running.
    pub requester_running: usize,
    pub breaker_open: bool,
}

/// The network's part in the choice.
#[derive(Debug, Clone, Copy)]
pub struct Preference {
    pub highest_load: f32,
    pub locality_wait: Millis,
}

/// The best of `candidates` for `asker`.
pub fn choose<'a>(
    asker: &Asker<'_>,
    candidates: impl IntoIterator<Item = Candidate<'a>>,
    preference: Preference,
    now: Millis,
) -> Option<TaskId> {
    // A load that is no number is no low load.
    if asker.load_percent.is_nan() || asker.load_percent > preference.highest_load {
        return None;
    }
    let fitting = candidates.into_iter().filter(|candidate| fits(asker, candidate, now));
    fitting.min_by_key(|candidate| rank(asker, candidate, preference, now)).map(|candidate| candidate.task)
}

/// Whether the node can and may run it.
#[must_use]
pub fn fits(asker: &Asker<'_>, candidate: &Candidate<'_>, now: Millis) -> bool {
    let taken = |(node, payout): &(Address, Address)| *node == asker.node || *payout == asker.payout;
    candidate.memory_bytes <= asker.free_memory
        && now < candidate.deadline
        && !candidate.breaker_open
        && !candidate.participants.iter().any(taken)
}

type Rank = (bool, Reverse<bool>, bool, usize, Millis, u64, TaskId);

/// Smaller is better.
fn rank(asker: &Asker<'_>, candidate: &Candidate<'_>, preference: Preference, now: Millis) -> Rank {
    let holds = candidate.blobs.iter().all(|blob| asker.held.contains(blob));
    let waited = now.saturating_sub(candidate.waiting_since) >= preference.locality_wait;
    (
        candidate.failed_here,
        Reverse(candidate.half_done),
        !(holds || waited),
        candidate.requester_running,
        candidate.deadline,
        candidate.index,
        candidate.task,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PREFERENCE: Preference = Preference { highest_load: 90.0, locality_wait: 5_000 };

    fn candidate(n: u8) -> Candidate<'static> {
        Candidate {
            task: Digest([n; 32]),
            requester: Address::repeat_byte(n),
            memory_bytes: 100,
            deadline: 1_000_000,
            index: n.into(),
            blobs: &[],
            waiting_since: 0,
            participants: Vec::new(),
            half_done: false,
            failed_here: false,
            requester_running: 0,
            breaker_open: false,
        }
    }

    fn pick(held: &[Digest], candidates: Vec<Candidate<'_>>, now: Millis) -> Option<u8> {
        let held = held.iter().copied().collect();
        let asker = Asker {
            node: Address::repeat_byte(200),
            payout: Address::repeat_byte(201),
            free_memory: 100,
            load_percent: 10.0,
            held: &held,
        };
        choose(&asker, candidates, PREFERENCE, now).map(|task| task.0[0])
    }

    fn any_candidate() -> impl Strategy<Value = Candidate<'static>> {
        let places = prop::collection::vec((0u8..4, 0u8..4), 0..3);
        (any::<u8>(), 0u64..200, 0u64..100, 0u64..100, places, any::<(bool, bool, bool)>(), 0usize..4).prop_map(
            |(n, memory_bytes, deadline, waiting_since, places, (half_done, failed_here, breaker_open), running)| {
                let account = |n: u8| Address::repeat_byte(n);
                Candidate {
                    memory_bytes,
                    deadline,
                    waiting_since,
                    participants: places
                        .into_iter()
                        .map(|(node, payout)| (account(node), account(10 + payout)))
                        .collect(),
                    half_done,
                    failed_here,
                    breaker_open,
                    requester_running: running,
                    ..candidate(n)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_chosen_may_run_there_and_nothing_fitting_is_left_waiting(
            candidates in prop::collection::vec(any_candidate(), 0..12),
            node in 0u8..4,
            payout in 0u8..4,
            free_memory in 0u64..200,
            load_percent in prop_oneof![0f32..120.0, Just(f32::NAN)],
            now in 0u64..100,
        ) {
            let held = HashSet::new();
            let (node, payout) = (Address::repeat_byte(node), Address::repeat_byte(10 + payout));
            let asker = Asker { node, payout, free_memory, load_percent, held: &held };
            let chosen = choose(&asker, candidates.clone(), PREFERENCE, now);
            let may_run = |candidate: &&Candidate<'_>| {
                candidate.memory_bytes <= free_memory
                    && now < candidate.deadline
                    && !candidate.breaker_open
                    && candidate.participants.iter().all(|(other, paid)| *other != node && *paid != payout)
            };
            let loaded = load_percent.is_nan() || load_percent > PREFERENCE.highest_load;
            let possible: Vec<_> = candidates.iter().filter(may_run).map(|candidate| candidate.task).collect();
            match chosen {
                Some(task) => prop_assert!(!loaded && possible.contains(&task)),
                None => prop_assert!(loaded || possible.is_empty()),
            }
        }

        #[test]
        fn the_order_in_which_tasks_are_looked_at_does_not_matter(
            candidates in prop::collection::vec(any_candidate(), 0..8),
            now in 0u64..100,
        ) {
            let mut reversed = candidates.clone();
            reversed.reverse();
            prop_assert_eq!(pick(&[], candidates, now), pick(&[], reversed, now));
        }
    }

    #[test]
    fn a_holder_of_the_data_is_preferred_until_the_task_waited_long_enough() {
        let data = [Digest([9; 32])];
        let elsewhere = Candidate { deadline: 500_000, blobs: &data, ..candidate(1) };
        let here = candidate(2);
        assert_eq!(pick(&[], vec![elsewhere.clone(), here.clone()], 10), Some(2));
        assert_eq!(pick(&data, vec![elsewhere.clone(), here.clone()], 10), Some(1));
        assert_eq!(pick(&[], vec![elsewhere, here], 5_000), Some(1), "its deadline is earlier");
    }

    #[test]
    fn replicas_come_first_then_fairness_then_the_deadline() {
        let started = Candidate { half_done: true, deadline: 900_000, requester_running: 7, ..candidate(1) };
        let hungry = Candidate { deadline: 900_000, ..candidate(2) };
        let urgent = Candidate { deadline: 100_000, requester_running: 1, ..candidate(3) };
        let later = Candidate { deadline: 200_000, requester_running: 1, ..candidate(4) };
        let all = [started, hungry, urgent, later];
        for (left, expected) in [(0, 1), (1, 2), (2, 3)] {
            assert_eq!(pick(&[], all[left..].to_vec(), 10), Some(expected));
        }
    }

    #[test]
    fn what_the_node_failed_at_comes_last() {
        let again = Candidate { failed_here: true, half_done: true, ..candidate(1) };
        assert_eq!(pick(&[], vec![again.clone(), candidate(2)], 10), Some(2));
        assert_eq!(pick(&[], vec![again], 10), Some(1));
    }
}
