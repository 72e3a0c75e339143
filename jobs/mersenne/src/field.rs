//! Arithmetic modulo P = 2^64 − 2^32 + 1, in which 2 has roots of order 2^26: exact convolutions with integer weights.
//! Values are always reduced.

pub(crate) const P: u64 = 0xffff_ffff_0000_0001;
/// 2^64 mod P.
const EPSILON: u64 = 0xffff_ffff;
/// Generates the multiplicative group, of order 2^32 · 3 · 5 · 17 · 257 · 65537.
const GENERATOR: u64 = 7;

#[inline(always)]
pub(crate) fn add(a: u64, b: u64) -> u64 {
    sub(a, P - b)
}

#[inline(always)]
pub(crate) fn sub(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b).wrapping_add(mask(a < b) & P)
}

#[inline(always)]
pub(crate) fn mul(a: u64, b: u64) -> u64 {
    let (low, high) = wide(a, b);
    reduce(low, high)
}

/// a · 2^48: a square root of −1, by shifts.
#[inline(always)]
pub(crate) fn mul_i(a: u64) -> u64 {
    reduce(a << 48, a >> 16)
}

pub(crate) fn pow(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul(result, base);
        }
        base = mul(base, base);
        exponent >>= 1;
    }
    result
}

pub(crate) fn inverse(a: u64) -> u64 {
    pow(a, P - 2)
}

/// A primitive root of unity of order `n`, a power of two up to 2^32, whose quarter power is the [`mul_i`] root.
pub(crate) fn unity_root(n: u64) -> u64 {
    let root = pow(GENERATOR, (P - 1) / n);
    if n < 4 || pow(root, n / 4) == 1 << 48 { root } else { inverse(root) }
}

/// r with r^n = 2, for `n` a power of two up to 2^26.
pub(crate) fn root_of_two(n: u64) -> u64 {
    // 2 has order 192, so it is a power of this element; so is its n-th root of the element of order 192·n.
    let element = pow(GENERATOR, (P - 1) / (192 * n));
    let step = pow(element, n);
    let (mut power, mut root) = (step, element);
    while power != 2 {
        power = mul(power, step);
        root = mul(root, element);
    }
    root
}

/// The 128-bit product as (low, high). WebAssembly multiplies 64 bits to 64, so it is put together from halves.
#[inline(always)]
fn wide(a: u64, b: u64) -> (u64, u64) {
    let (a0, a1, b0, b1) = (a & EPSILON, a >> 32, b & EPSILON, b >> 32);
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 32);
    let other = a0 * b1 + (middle & EPSILON);
    ((other << 32) | (low & EPSILON), a1 * b1 + (middle >> 32) + (other >> 32))
}

/// low + high · 2^64 modulo P, by 2^64 ≡ 2^32 − 1 and 2^96 ≡ −1.
#[inline(always)]
fn reduce(low: u64, high: u64) -> u64 {
    let top = high >> 32;
    let folded = low.wrapping_sub(top).wrapping_sub(mask(low < top) & EPSILON);
    let middle = (high & EPSILON) * EPSILON;
    let sum = folded.wrapping_add(middle);
    let sum = sum.wrapping_add(mask(sum < middle) & EPSILON);
    sum.wrapping_sub(mask(sum >= P) & P)
}

/// All ones for true: a branch on random bits would be mispredicted half of the time.
#[inline(always)]
fn mask(condition: bool) -> u64 {
    u64::from(condition).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow_mul(a: u64, b: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(P)) as u64
    }

    #[test]
    fn agrees_with_128_bit_arithmetic_at_every_edge() {
        let edges = [0, 1, 2, EPSILON, EPSILON + 1, 1 << 63, P - EPSILON - 1, P - 2, P - 1, 0x0123_4567_89ab_cdef];
        for a in edges {
            assert_eq!(mul_i(a), slow_mul(a, 1 << 48), "{a:x}");
            for b in edges {
                assert_eq!(mul(a, b), slow_mul(a, b), "{a:x} * {b:x}");
                assert_eq!(add(a, b), ((u128::from(a) + u128::from(b)) % u128::from(P)) as u64, "{a:x} + {b:x}");
                assert_eq!(add(sub(a, b), b), a, "{a:x} - {b:x}");
            }
        }
    }

    #[test]
    fn roots_are_roots() {
        for log in 2..20 {
            let n = 1 << log;
            assert_eq!(pow(root_of_two(n), n), 2);
            let unity = unity_root(n);
            assert_eq!(pow(unity, n / 2), P - 1);
            assert_eq!(pow(unity, n / 4), 1 << 48);
        }
    }
}
