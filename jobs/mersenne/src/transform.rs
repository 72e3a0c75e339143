//! A cyclic convolution square modulo [`crate::field::P`]: a number-theoretic transform and back, radix 4, without reordering.

use crate::field::{add, inverse, mul, mul_i, sub, unity_root};

/// Squares sequences of `n` values under cyclic convolution. Built once for a length.
pub(crate) struct Squarer {
    /// For each stage, from the longest, the powers w, w², w³ of each butterfly; and their inverses.
    forward: Vec<Vec<[u64; 3]>>,
    backward: Vec<Vec<[u64; 3]>>,
    scale: u64,
}

impl Squarer {
    /// `n` is a power of four times one or two, at least 4.
    pub(crate) fn new(n: usize) -> Self {
        let stages = |root: u64| -> Vec<Vec<[u64; 3]>> {
            let lengths = std::iter::successors(Some((n, root)), |&(n, root)| Some((n / 4, fourth_power(root))));
            lengths.take_while(|&(n, _)| n >= 4).map(|(n, root)| twiddles(n / 4, root)).collect()
        };
        let root = unity_root(n as u64);
        Self { forward: stages(root), backward: stages(inverse(root)), scale: inverse(n as u64) }
    }

    /// What each value of the square must still be multiplied by.
    pub(crate) fn scale(&self) -> u64 {
        self.scale
    }

    /// Replaces `values` by their convolution square, times n.
    pub(crate) fn square(&self, values: &mut [u64]) {
        for powers in &self.forward {
            values.chunks_exact_mut(powers.len() * 4).for_each(|block| split(block, powers));
        }
        self.square_points(values);
        for powers in self.backward.iter().rev() {
            values.chunks_exact_mut(powers.len() * 4).for_each(|block| join(block, powers));
        }
    }

    /// The pointwise squares; where the length has an odd power of two, its last radix-2 stage and back as well.
    fn square_points(&self, values: &mut [u64]) {
        if values.len().trailing_zeros() % 2 == 0 {
            return values.iter_mut().for_each(|value| *value = mul(*value, *value));
        }
        for pair in values.chunks_exact_mut(2) {
            let (sum, difference) = (add(pair[0], pair[1]), sub(pair[0], pair[1]));
            let (sum, difference) = (mul(sum, sum), mul(difference, difference));
            (pair[0], pair[1]) = (add(sum, difference), sub(sum, difference));
        }
    }
}

fn fourth_power(root: u64) -> u64 {
    let square = mul(root, root);
    mul(square, square)
}

fn twiddles(count: usize, root: u64) -> Vec<[u64; 3]> {
    let powers = std::iter::successors(Some(1), |&power| Some(mul(power, root)));
    powers.take(count).map(|w| [w, mul(w, w), mul(w, mul(w, w))]).collect()
}

/// One block from time towards frequency.
fn split(block: &mut [u64], powers: &[[u64; 3]]) {
    let quarter = powers.len();
    let (first, second) = block.split_at_mut(2 * quarter);
    let ((a, b), (c, d)) = (first.split_at_mut(quarter), second.split_at_mut(quarter));
    for ((((a, b), c), d), [w1, w2, w3]) in a.iter_mut().zip(b).zip(c).zip(d).zip(powers) {
        let (ac, bd) = (add(*a, *c), add(*b, *d));
        let (a_c, b_d) = (sub(*a, *c), mul_i(sub(*b, *d)));
        *a = add(ac, bd);
        *b = mul(sub(ac, bd), *w2);
        *c = mul(add(a_c, b_d), *w1);
        *d = mul(sub(a_c, b_d), *w3);
    }
}

/// One block from frequency towards time: the inverse of [`split`], times 4.
fn join(block: &mut [u64], powers: &[[u64; 3]]) {
    let quarter = powers.len();
    let (first, second) = block.split_at_mut(2 * quarter);
    let ((a, b), (c, d)) = (first.split_at_mut(quarter), second.split_at_mut(quarter));
    for ((((a, b), c), d), [w1, w2, w3]) in a.iter_mut().zip(b).zip(c).zip(d).zip(powers) {
        let (y0, y1, y2, y3) = (*a, mul(*c, *w1), mul(*b, *w2), mul(*d, *w3));
        let (even, odd) = (add(y0, y2), add(y1, y3));
        let (even_, odd_) = (sub(y0, y2), mul_i(sub(y3, y1)));
        *a = add(even, odd);
        *c = sub(even, odd);
        *b = add(even_, odd_);
        *d = sub(even_, odd_);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::P;

    #[test]
    fn squares_like_the_definition() {
        for n in [4, 8, 16, 32, 128, 256] {
            let values: Vec<u64> = (0..n as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % P).collect();
            let mut expected = vec![0; n];
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    expected[(i + j) % n] = add(expected[(i + j) % n], mul(*a, *b));
                }
            }
            let squarer = Squarer::new(n);
            let mut actual = values.clone();
            squarer.square(&mut actual);
            let actual: Vec<u64> = actual.into_iter().map(|value| mul(value, squarer.scale())).collect();
            assert_eq!(actual, expected, "length {n}");
        }
    }
}
