//! How a supervisor's workers share what their owner gives: a pure decision over ranks.
//!
//! Deliberately absent: where a budget comes from, and the signals by which it is applied.

use std::cmp::Reverse;

use crate::WorkerId;

/// What the workers of one supervisor may use, except for those that were started with a share of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// How many of them may run at the same time. 0 holds all.
    pub workers: u32,
    /// The share of one core that each of these may use, 0 to 1.
    pub share: f32,
}

impl Budget {
    /// Every worker is held.
    pub const HOLD: Self = Self { workers: 0, share: 0.0 };
    /// Every worker may use a whole core.
    pub const ALL: Self = Self { workers: u32::MAX, share: 1.0 };

    pub(crate) fn clamped(self) -> Self {
        Self { share: clamp(self.share), ..self }
    }

    /// The share of each worker under this budget, those that get nothing first, so that whoever applies the shares in
    /// this order suspends before anything is resumed. Of two workers with the same rank the older one goes first.
    pub(crate) fn shares(self, mut ranked: Vec<(u64, WorkerId)>) -> Vec<(WorkerId, f32)> {
        ranked.sort_unstable();
        let places = (0u64..).zip(ranked);
        let mut shares: Vec<_> = places
            .map(|(place, (_, id))| (id, if place < u64::from(self.workers) { self.share } else { 0.0 }))
            .collect();
        shares.sort_by_key(|(_, share)| Reverse(*share <= 0.0));
        shares
    }
}

/// By what a worker's share is decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Allotment {
    /// By whoever started it.
    Fixed(f32),
    /// By the budget and this rank. The lowest runs first.
    Ranked(u64),
}

/// `share` as a share: 0 to 1.
pub(crate) fn clamp(share: f32) -> f32 {
    // NaN is not a share: hold.
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shares(budget: Budget, ranked: &[(u64, u64)]) -> Vec<(u64, f32)> {
        let ranked = ranked.iter().map(|&(rank, id)| (rank, WorkerId(id))).collect();
        budget.shares(ranked).into_iter().map(|(id, share)| (id.0, share)).collect()
    }

    #[test]
    fn the_lowest_ranks_run_and_the_others_are_suspended_first() {
        let budget = Budget { workers: 2, share: 0.5 };
        assert_eq!(shares(budget, &[(9, 1), (3, 2), (5, 3)]), [(1, 0.0), (2, 0.5), (3, 0.5)]);
        assert_eq!(shares(budget, &[(3, 8), (3, 7), (3, 9)]), [(9, 0.0), (7, 0.5), (8, 0.5)], "the same rank: by age");
        assert_eq!(shares(Budget::HOLD, &[(1, 1)]), [(1, 0.0)]);
        assert_eq!(shares(Budget::ALL, &[(1, 1)]), [(1, 1.0)]);
    }

    #[test]
    fn what_is_no_share_is_none() {
        let clamped =
            [f32::NAN, f32::NEG_INFINITY, -0.1, 1.5].map(|share| Budget { workers: 1, share }.clamped().share);
        assert_eq!(clamped, [0.0, 0.0, 0.0, 1.0]);
    }

    proptest! {
        #[test]
        fn no_more_run_than_the_budget_says_and_none_before_a_lower_rank(
            ranks in prop::collection::vec(any::<u64>(), 0..20),
            workers in 0u32..25,
        ) {
            let ranked: Vec<_> = ranks.iter().copied().zip(0..).collect();
            let given = shares(Budget { workers, share: 0.7 }, &ranked);
            prop_assert_eq!(given.len(), ranks.len());
            let (run, held): (Vec<_>, Vec<_>) = given.into_iter().partition(|(_, share)| *share > 0.0);
            prop_assert_eq!(run.len(), ranks.len().min(workers as usize));
            let rank_of = |(id, _): &(u64, f32)| ranks[*id as usize];
            prop_assert!(run.iter().map(rank_of).max() <= held.iter().map(rank_of).min() || held.is_empty());
        }
    }
}
