//! The Lucas–Lehmer test: 2^p − 1 is prime if and only if s(p−2) = 0, where s(0) = 4 and s(k+1) = s(k)² − 2 modulo 2^p − 1.
//! Squares by an irrational-base transform (Crandall and Fagin 1994) over an integer field, so that every digit is exact.

use crate::field::{inverse, mul, root_of_two};
use crate::transform::Squarer;

/// The largest exponent that the transform is exact for and that a task can finish.
pub(crate) const MAX_EXPONENT: u64 = 10_000_000;

/// The low 64 bits of s(p−2) modulo 2^p − 1; 0 for a prime, and by chance alone otherwise for a composite number.
pub(crate) struct Residue {
    pub prime: bool,
    pub low64: u64,
}

/// Tests 2^p − 1 for a prime `p` up to [`MAX_EXPONENT`].
pub(crate) fn test(p: u64) -> Residue {
    if p == 2 {
        // The theorem is about odd exponents; 2² − 1 = 3 is prime.
        return Residue { prime: true, low64: 0 };
    }
    let mut number = Number::four(p);
    for _ in 0..p - 2 {
        number.square_minus_two();
    }
    number.residue()
}

/// A residue modulo 2^p − 1 in a mixed base: digit j has ⌈p(j+1)/n⌉ − ⌈pj/n⌉ bits, so that n digits have p bits in all
/// and a cyclic convolution wraps exactly at 2^p.
struct Number {
    digits: Vec<u64>,
    bits: Vec<u32>,
    /// Digit j is weighted by 2^(⌈pj/n⌉ − pj/n), a power of an n-th root of two.
    weights: Vec<u64>,
    /// Undo the weights and the transform's factor.
    unweights: Vec<u64>,
    squarer: Squarer,
}

impl Number {
    fn four(p: u64) -> Self {
        let n = digits_for(p);
        let start = |j: u64| (p * j).div_ceil(n);
        let root = root_of_two(n);
        let roots: Vec<u64> = std::iter::successors(Some(1), |&w| Some(mul(w, root))).take(n as usize).collect();
        let weights: Vec<u64> = (0..n).map(|j| roots[(start(j) * n - p * j) as usize]).collect();
        let squarer = Squarer::new(n as usize);
        let unweights = weights.iter().map(|&w| mul(inverse(w), squarer.scale())).collect();
        let bits = (0..n).map(|j| (start(j + 1) - start(j)) as u32).collect();
        let mut number = Self { digits: vec![0; n as usize], bits, weights, unweights, squarer };
        number.digits[0] = 4;
        number.carry(0);
        number
    }

    fn square_minus_two(&mut self) {
        for (digit, weight) in self.digits.iter_mut().zip(&self.weights) {
            *digit = mul(*digit, *weight);
        }
        self.squarer.square(&mut self.digits);
        self.unweight();
        self.subtract_two();
    }

    /// Back to digits: removes the weights and carries, in one pass.
    fn unweight(&mut self) {
        let mut carry = 0;
        for ((digit, unweight), bits) in self.digits.iter_mut().zip(&self.unweights).zip(&self.bits) {
            let value = mul(*digit, *unweight) + carry;
            *digit = value & ((1 << bits) - 1);
            carry = value >> bits;
        }
        self.carry(carry);
    }

    /// Adds `carry` at the lowest digit and restores every digit to its bits; what leaves at the top returns at the bottom.
    fn carry(&mut self, mut carry: u64) {
        // The first digit of a small exponent may be too narrow for the 4 that the sequence starts with.
        while carry > 0 || self.digits[0] >> self.bits[0] > 0 {
            for (digit, bits) in self.digits.iter_mut().zip(&self.bits) {
                let value = *digit + carry;
                *digit = value & ((1 << bits) - 1);
                carry = value >> bits;
                if carry == 0 {
                    break;
                }
            }
        }
    }

    /// Borrows upwards; what is borrowed at the top returns at the bottom, as 2^p is 1.
    fn subtract_two(&mut self) {
        let mut borrow = 2;
        while borrow > 0 {
            for (digit, bits) in self.digits.iter_mut().zip(&self.bits) {
                let value = digit.wrapping_sub(borrow);
                *digit = value & ((1 << bits) - 1);
                borrow = value >> 63;
                if borrow == 0 {
                    break;
                }
            }
        }
    }

    fn residue(&self) -> Residue {
        // 2^p − 1 itself, all bits set, is another name of zero.
        let ones = self.digits.iter().zip(&self.bits).all(|(digit, bits)| *digit == (1 << bits) - 1);
        let zero = ones || self.digits.iter().all(|&digit| digit == 0);
        Residue { prime: zero, low64: if zero { 0 } else { self.low64() } }
    }

    fn low64(&self) -> u64 {
        let places = self.bits.iter().scan(0, |place, bits| Some(std::mem::replace(place, *place + bits)));
        let low = self.digits.iter().zip(places).take_while(|&(_, place)| place < 64);
        low.fold(0, |sum, (digit, place)| sum | digit << place)
    }
}

/// The number of digits for exponent `p`: the least power of two (4 or more) with room in the field for every sum of
/// products: n terms below 2^b · 2^b, and the weights' factor of up to 2, stay below 2^63.
fn digits_for(p: u64) -> u64 {
    let fits = |log: u64| log + 2 * p.div_ceil(1 << log) < 63;
    1 << (2..27).find(|&log| fits(log)).expect("MAX_EXPONENT fits in 2^20 digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// s(p−2) in one machine word, for p below 64.
    fn small(p: u64) -> u64 {
        let modulus = (1u128 << p) - 1;
        (0..p - 2).fold(4u128 % modulus, |s, _| (s * s + modulus - 2) % modulus) as u64
    }

    #[test]
    fn agrees_with_machine_words_for_small_exponents() {
        for p in [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61] {
            assert_eq!(test(p).low64, small(p), "2^{p} - 1");
            assert_eq!(test(p).prime, small(p) == 0, "2^{p} - 1");
        }
    }

    #[test]
    fn finds_the_published_primes_below_2300() {
        let published = [2, 3, 5, 7, 13, 17, 19, 31, 61, 89, 107, 127, 521, 607, 1279, 2203, 2281];
        let primes = (2..2300).filter(|&p| crate::is_prime(p) && test(p).prime);
        assert_eq!(primes.collect::<Vec<_>>(), published);
    }
}
