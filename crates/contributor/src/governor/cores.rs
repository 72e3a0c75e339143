//! Over how many workers a level is spread. All of them at a low share is cooler and quieter than a few at full
//! speed; yet a share too small only stretches every task, and then fewer workers do.

/// A worker should have at least this share of a core.
const WORTH_IT: f32 = 0.25;
/// The number of workers stays while their share is between these: they must not come and go.
const STAYS: std::ops::RangeInclusive<f32> = 0.15..=0.4;

/// Workers and the share of each, so that they use `level` × `most` cores. `before` is how many it was.
pub(super) fn spread(level: f32, most: u32, before: u32) -> (u32, f32) {
    if most == 0 || level <= 0.0 {
        return (0, 0.0);
    }
    if level >= WORTH_IT {
        return (most, level);
    }
    let total = level * most as f32;
    if (1..=most).contains(&before) && STAYS.contains(&(total / before as f32)) {
        return (before, total / before as f32);
    }
    let workers = ((total / WORTH_IT).ceil() as u32).clamp(1, most);
    (workers, total / workers as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_whole_stays_the_same_however_it_is_spread(level in 0.01f32..1.0, most in 1u32..64, before in 0u32..64) {
            let (workers, share) = spread(level, most, before);
            prop_assert!((1..=most).contains(&workers));
            prop_assert!(share <= 1.0);
            prop_assert!((workers as f32 * share - level * most as f32).abs() < 1e-3);
        }

        #[test]
        fn no_share_is_too_small_to_be_worth_it(level in 0.05f32..1.0, most in 2u32..64) {
            let (workers, share) = spread(level, most, 0);
            prop_assert!(workers == 1 || share >= WORTH_IT / 2.0, "{workers} at {share}");
        }
    }

    #[test]
    fn a_level_that_wavers_does_not_change_their_number() {
        let (workers, _) = spread(0.125, 8, 0);
        for level in [0.12, 0.13, 0.124, 0.126] {
            assert_eq!(spread(level, 8, workers).0, workers);
        }
    }
}
