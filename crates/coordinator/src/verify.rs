//! When is a task's result known to be true? Pure decisions over the results that arrived.
//!
//! This network checks every task: either as many nodes as the order asked for agree, each with a payout of its own, or
//! the coordinator computes the task itself and that decides. Deliberately absent: sampling and trust in nodes.

use std::collections::BTreeSet;

use surge_protocol::{Address, Digest};

use crate::clock::Millis;

/// A result that says something about the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    pub payout: Address,
    pub digest: Digest,
}

/// What the votes on a task amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// Too few yet, all alike.
    Short,
    /// As many as the order asked for, all alike.
    Agreed(Digest),
    /// Some differ.
    Split,
}

/// Counts votes. An order of quorum 1 pays for one execution; its check is a replay, so one vote never suffices.
#[must_use]
pub fn tally(votes: &[Vote], quorum: u8) -> Tally {
    let Some(first) = votes.first() else { return Tally::Short };
    if votes.iter().any(|vote| vote.digest != first.digest) {
        return Tally::Split;
    }
    let payouts = votes.iter().map(|vote| vote.payout).collect::<BTreeSet<_>>().len();
    if quorum >= 2 && payouts >= usize::from(quorum) { Tally::Agreed(first.digest) } else { Tally::Short }
}

/// An undecided task, as far as checking it goes.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    pub votes: &'a [Vote],
    pub quorum: u8,
    /// A replay knows the true digest already, but no vote matched it.
    pub truth_known: bool,
    /// Leases on the task that are running.
    pub live: usize,
    /// Other payouts with a node that could take a replica, busy or not.
    pub available: usize,
    /// How long the task has had votes and room for a replica that nobody took.
    pub starved_for: Millis,
    pub past_deadline: bool,
}

/// Why the coordinator computes a task itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Disagreement,
    /// The order asks for one execution.
    QuorumOfOne,
    TooFewNodes,
    /// There are enough nodes, but none took a replica for long.
    Patience,
    Deadline,
}

/// How many times longer than with too few nodes a task waits for nodes that are there but busy.
const PATIENCE: u64 = 20;

/// Replicas that may still be leased out.
#[must_use]
pub fn wanted(case: &Case<'_>) -> usize {
    if case.past_deadline {
        return 0;
    }
    if case.truth_known {
        return 1usize.saturating_sub(case.live);
    }
    match tally(case.votes, case.quorum) {
        Tally::Short => usize::from(case.quorum).saturating_sub(case.votes.len() + case.live),
        Tally::Agreed(_) | Tally::Split => 0,
    }
}

/// Whether the coordinator should compute the task now. It waits for running leases: their results may settle it, and
/// a result inside its lease is to be judged with the others.
#[must_use]
pub fn replay(case: &Case<'_>, replay_after: Millis) -> Option<Reason> {
    if case.votes.is_empty() || case.truth_known || case.live > 0 {
        return None;
    }
    match tally(case.votes, case.quorum) {
        Tally::Agreed(_) => None,
        Tally::Split => Some(Reason::Disagreement),
        Tally::Short if case.quorum <= 1 => Some(Reason::QuorumOfOne),
        Tally::Short if case.past_deadline => Some(Reason::Deadline),
        Tally::Short => starved(case, replay_after),
    }
}

fn starved(case: &Case<'_>, replay_after: Millis) -> Option<Reason> {
    let few = case.votes.len() + case.available < usize::from(case.quorum);
    if few && case.starved_for >= replay_after {
        return Some(Reason::TooFewNodes);
    }
    (case.starved_for >= replay_after.saturating_mul(PATIENCE)).then_some(Reason::Patience)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vote(payout: u8, digest: u8) -> Vote {
        Vote { payout: Address::repeat_byte(payout), digest: Digest([digest; 32]) }
    }

    fn case(votes: &[Vote], quorum: u8) -> Case<'_> {
        Case { votes, quorum, truth_known: false, live: 0, available: 9, starved_for: 0, past_deadline: false }
    }

    proptest! {
        #[test]
        fn agreement_needs_the_quorum_of_payouts_and_no_dissent(
            raw in prop::collection::vec((0u8..4, 0u8..2), 0..6),
            quorum in 1u8..=5,
        ) {
            let votes: Vec<_> = raw.iter().map(|(payout, digest)| vote(*payout, *digest)).collect();
            if let Tally::Agreed(digest) = tally(&votes, quorum) {
                prop_assert!(votes.iter().all(|vote| vote.digest == digest));
                let payouts: BTreeSet<_> = votes.iter().map(|vote| vote.payout).collect();
                prop_assert!(payouts.len() >= usize::from(quorum) && quorum >= 2);
            }
        }

        #[test]
        fn leases_and_votes_never_exceed_what_the_order_pays(
            raw in prop::collection::vec((0u8..4, 0u8..2), 0..6),
            quorum in 1u8..=5,
            live in 0usize..6,
        ) {
            let votes: Vec<_> = raw.iter().map(|(payout, digest)| vote(*payout, *digest)).collect();
            let wanted = wanted(&Case { live, ..case(&votes, quorum) });
            prop_assert!(wanted == 0 || wanted + votes.len() + live == usize::from(quorum));
        }
    }

    #[test]
    fn one_vote_is_replayed_at_once_when_the_order_asks_for_one() {
        assert_eq!(replay(&case(&[vote(1, 1)], 1), 5_000), Some(Reason::QuorumOfOne));
        assert_eq!(replay(&case(&[], 1), 5_000), None);
    }

    #[test]
    fn dissent_is_replayed_once_no_lease_runs() {
        let votes = [vote(1, 1), vote(2, 2)];
        assert_eq!(replay(&case(&votes, 2), 5_000), Some(Reason::Disagreement));
        assert_eq!(replay(&Case { live: 1, ..case(&votes, 3) }, 5_000), None);
    }

    #[test]
    fn too_few_nodes_are_waited_for_and_busy_nodes_longer() {
        let votes = [vote(1, 1)];
        let alone = Case { available: 0, ..case(&votes, 2) };
        assert_eq!(replay(&alone, 5_000), None);
        assert_eq!(replay(&Case { starved_for: 5_000, ..alone }, 5_000), Some(Reason::TooFewNodes));
        assert_eq!(replay(&Case { available: 1, starved_for: 5_000, ..alone }, 5_000), None);
        assert_eq!(replay(&Case { available: 1, starved_for: 100_000, ..alone }, 5_000), Some(Reason::Patience));
    }

    #[test]
    fn a_known_truth_wants_one_more_result_and_no_second_replay() {
        let votes = [vote(1, 1)];
        let known = Case { truth_known: true, starved_for: u64::MAX, ..case(&votes, 3) };
        assert_eq!(wanted(&known), 1);
        assert_eq!(wanted(&Case { live: 1, ..known }), 0);
        assert_eq!(replay(&known, 0), None);
    }

    #[test]
    fn after_the_deadline_nothing_is_leased_and_votes_are_still_judged() {
        let votes = [vote(1, 1)];
        let late = Case { past_deadline: true, ..case(&votes, 2) };
        assert_eq!(wanted(&late), 0);
        assert_eq!(replay(&late, 5_000), Some(Reason::Deadline));
    }
}
