//! How the price of an accepted execution is split. Integers only; what does not divide goes to the contributor.

use crate::Amount;

/// Basis points in a whole.
pub const WHOLE_BPS: u128 = 10_000;

/// The split of one accepted execution. `fee + net` is the gross, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    pub fee: Amount,
    pub net: Amount,
}

/// Splits `gross` into the network's fee (`fee_bps` basis points, rounded down) and what the contributor gets.
///
/// # Panics
/// When `fee_bps` is above 10 000: a network manifest with such a fee is refused when it is read.
#[must_use]
pub fn split(gross: Amount, fee_bps: u16) -> Split {
    assert!(u128::from(fee_bps) <= WHOLE_BPS, "fee of {fee_bps} basis points is more than the whole");
    // Two steps, because gross * bps may not fit: the quotient and the remainder are each in range.
    let bps = u128::from(fee_bps);
    let fee = gross.0 / WHOLE_BPS * bps + gross.0 % WHOLE_BPS * bps / WHOLE_BPS;
    Split { fee: Amount(fee), net: Amount(gross.0 - fee) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_fee_is_never_rounded_up(gross in any::<u128>(), bps in 0u16..=10_000) {
            let split = split(Amount(gross), bps);
            prop_assert_eq!(split.fee.checked_add(split.net), Some(Amount(gross)));
            if let Some(product) = gross.checked_mul(u128::from(bps)) {
                prop_assert_eq!(split.fee.0, product / WHOLE_BPS);
            }
        }
    }
}
