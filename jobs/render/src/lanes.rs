//! Four numbers at a time: one WebAssembly vector where the target has them, an array elsewhere. Each operation is the
//! same IEEE operation either way, so that the results are the same bits.

pub(crate) use chosen::Lanes;

/// The lowest number and its lane's number of `which`.
pub(crate) fn least(numbers: Lanes, which: Lanes) -> (f32, f32) {
    let (numbers, which) = (numbers.to_array(), which.to_array());
    let nearer = |a: usize, b: usize| if numbers[b] < numbers[a] { b } else { a };
    let lane = nearer(nearer(0, 1), nearer(2, 3));
    (numbers[lane], which[lane])
}

#[cfg(target_feature = "simd128")]
mod chosen {
    use std::arch::wasm32::*;
    use std::ops::{Add, Mul, Sub};

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Lanes(v128);

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Mask(v128);

    impl Lanes {
        #[inline(always)]
        pub(crate) fn new([a, b, c, d]: [f32; 4]) -> Self {
            Self(f32x4(a, b, c, d))
        }
        #[inline(always)]
        pub(crate) fn all(x: f32) -> Self {
            Self(f32x4_splat(x))
        }
        pub(crate) fn to_array(self) -> [f32; 4] {
            let v = self.0;
            [
                f32x4_extract_lane::<0>(v),
                f32x4_extract_lane::<1>(v),
                f32x4_extract_lane::<2>(v),
                f32x4_extract_lane::<3>(v),
            ]
        }
        #[inline(always)]
        pub(crate) fn sqrt(self) -> Self {
            Self(f32x4_sqrt(self.0))
        }
        #[inline(always)]
        pub(crate) fn recip(self) -> Self {
            Self(f32x4_div(f32x4_splat(1.0), self.0))
        }
        /// The larger; `other` where they do not compare.
        #[inline(always)]
        pub(crate) fn max(self, other: Self) -> Self {
            Self(f32x4_pmax(other.0, self.0))
        }
        /// The smaller; `other` where they do not compare.
        #[inline(always)]
        pub(crate) fn min(self, other: Self) -> Self {
            Self(f32x4_pmin(other.0, self.0))
        }
        #[inline(always)]
        pub(crate) fn below(self, other: Self) -> Mask {
            Mask(f32x4_lt(self.0, other.0))
        }
    }

    impl Mask {
        #[inline(always)]
        pub(crate) fn and(self, other: Self) -> Self {
            Self(v128_and(self.0, other.0))
        }
        /// One bit a lane.
        #[inline(always)]
        pub(crate) fn bits(self) -> u8 {
            i32x4_bitmask(self.0)
        }
        #[inline(always)]
        pub(crate) fn choose(self, yes: Lanes, no: Lanes) -> Lanes {
            Lanes(v128_bitselect(yes.0, no.0, self.0))
        }
    }

    impl Add for Lanes {
        type Output = Self;
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(f32x4_add(self.0, other.0))
        }
    }

    impl Sub for Lanes {
        type Output = Self;
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(f32x4_sub(self.0, other.0))
        }
    }

    impl Mul for Lanes {
        type Output = Self;
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Self(f32x4_mul(self.0, other.0))
        }
    }
}

#[cfg(not(target_feature = "simd128"))]
mod chosen {
    use std::array::from_fn;
    use std::ops::{Add, Mul, Sub};

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Lanes([f32; 4]);

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Mask([bool; 4]);

    impl Lanes {
        pub(crate) fn new(numbers: [f32; 4]) -> Self {
            Self(numbers)
        }
        pub(crate) fn all(x: f32) -> Self {
            Self([x; 4])
        }
        pub(crate) fn to_array(self) -> [f32; 4] {
            self.0
        }
        pub(crate) fn sqrt(self) -> Self {
            Self(self.0.map(f32::sqrt))
        }
        pub(crate) fn recip(self) -> Self {
            Self(self.0.map(|x| 1.0 / x))
        }
        /// The larger; `other` where they do not compare.
        pub(crate) fn max(self, other: Self) -> Self {
            self.zip(other, |a, b| if b < a { a } else { b })
        }
        /// The smaller; `other` where they do not compare.
        pub(crate) fn min(self, other: Self) -> Self {
            self.zip(other, |a, b| if a < b { a } else { b })
        }
        pub(crate) fn below(self, other: Self) -> Mask {
            Mask(from_fn(|i| self.0[i] < other.0[i]))
        }
        #[inline(always)]
        fn zip(self, other: Self, with: impl Fn(f32, f32) -> f32) -> Self {
            Self(from_fn(|i| with(self.0[i], other.0[i])))
        }
    }

    impl Mask {
        pub(crate) fn and(self, other: Self) -> Self {
            Self(from_fn(|i| self.0[i] & other.0[i]))
        }
        /// One bit a lane.
        pub(crate) fn bits(self) -> u8 {
            (0..4).map(|i| u8::from(self.0[i]) << i).sum()
        }
        pub(crate) fn choose(self, yes: Lanes, no: Lanes) -> Lanes {
            Lanes(from_fn(|i| if self.0[i] { yes.0[i] } else { no.0[i] }))
        }
    }

    impl Add for Lanes {
        type Output = Self;
        fn add(self, other: Self) -> Self {
            self.zip(other, |a, b| a + b)
        }
    }

    impl Sub for Lanes {
        type Output = Self;
        fn sub(self, other: Self) -> Self {
            self.zip(other, |a, b| a - b)
        }
    }

    impl Mul for Lanes {
        type Output = Self;
        fn mul(self, other: Self) -> Self {
            self.zip(other, |a, b| a * b)
        }
    }
}
