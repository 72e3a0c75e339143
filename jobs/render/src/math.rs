//! Vectors and the few functions that a picture needs, from + − × ÷ and √ alone: their results are the same bits on every
//! machine, which those of a libm are not.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A point, a direction or a linear RGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Vec3 {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) z: f32,
}

pub(crate) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub(crate) const ZERO: Self = vec3(0.0, 0.0, 0.0);
    pub(crate) const ONE: Self = vec3(1.0, 1.0, 1.0);

    #[inline(always)]
    pub(crate) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(crate) fn cross(self, other: Self) -> Self {
        vec3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub(crate) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    #[inline(always)]
    pub(crate) fn normalized(self) -> Self {
        self * (1.0 / self.length())
    }

    /// Componentwise, as light through a filter.
    #[inline(always)]
    pub(crate) fn filtered(self, filter: Self) -> Self {
        vec3(self.x * filter.x, self.y * filter.y, self.z * filter.z)
    }

    pub(crate) fn largest(self) -> f32 {
        max(self.x, max(self.y, self.z))
    }

    /// This vector mirrored at a surface with unit normal `n`.
    pub(crate) fn mirrored(self, n: Self) -> Self {
        self - n * (2.0 * self.dot(n))
    }

    /// From `self` at 0 to `other` at 1.
    pub(crate) fn mix(self, other: Self, share: f32) -> Self {
        self * (1.0 - share) + other * share
    }
}

impl Add for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl AddAssign for Vec3 {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, by: f32) -> Self {
        vec3(self.x * by, self.y * by, self.z * by)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        vec3(-self.x, -self.y, -self.z)
    }
}

/// `f32::min` without its rule for NaN, which costs three instructions.
#[inline(always)]
pub(crate) fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

pub(crate) fn clamp01(x: f32) -> f32 {
    max(0.0, min(1.0, x))
}

/// 0 below `from`, 1 above `to`, smooth between.
pub(crate) fn smooth_step(from: f32, to: f32, x: f32) -> f32 {
    let t = clamp01((x - from) / (to - from));
    t * t * (3.0 - 2.0 * t)
}

/// Sine and cosine of an angle between −π/4 and π/4, to 10⁻⁷.
fn sin_cos_small(angle: f32) -> (f32, f32) {
    let a = angle * angle;
    let sine = angle * (1.0 - a * (1.0 / 6.0 - a * (1.0 / 120.0 - a * (1.0 / 5040.0))));
    let cosine = 1.0 - a * (0.5 - a * (1.0 / 24.0 - a * (1.0 / 720.0 - a * (1.0 / 40320.0))));
    (sine, cosine)
}

/// Sine and cosine of a whole turn times `turns`, for 0 ≤ turns < 2.
pub(crate) fn sin_cos_turns(turns: f32) -> (f32, f32) {
    let quarters = (turns * 4.0 + 0.5).floor();
    let (s, c) = sin_cos_small((turns * 4.0 - quarters) * std::f32::consts::FRAC_PI_2);
    match quarters as u32 % 4 {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}

/// A point of the unit square on the unit disc, keeping areas and neighbours (Shirley and Chiu 1997).
pub(crate) fn to_disc((u, v): (f32, f32)) -> (f32, f32) {
    let (a, b) = (2.0 * u - 1.0, 2.0 * v - 1.0);
    if a == 0.0 && b == 0.0 {
        return (0.0, 0.0);
    }
    if a * a > b * b {
        let (s, c) = sin_cos_small(std::f32::consts::FRAC_PI_4 * (b / a));
        (a * c, a * s)
    } else {
        let (s, c) = sin_cos_small(std::f32::consts::FRAC_PI_4 * (a / b));
        (b * s, b * c)
    }
}

/// A point of the unit square on the unit sphere, uniformly.
pub(crate) fn to_sphere((u, v): (f32, f32)) -> Vec3 {
    let z = 1.0 - 2.0 * u;
    let r = max(0.0, 1.0 - z * z).sqrt();
    let (s, c) = sin_cos_turns(v);
    vec3(r * c, r * s, z)
}

/// Two unit vectors that make a right-handed basis with the unit vector `n` (Duff et al. 2017).
pub(crate) fn basis(n: Vec3) -> (Vec3, Vec3) {
    let sign = if n.z >= 0.0 { 1.0 } else { -1.0 };
    let a = -1.0 / (sign + n.z);
    let b = n.x * n.y * a;
    (vec3(1.0 + sign * n.x * n.x * a, sign * b, -sign * n.x), vec3(b, sign + n.y * n.y * a, -n.y))
}

/// A direction around `n` with density cos / π.
pub(crate) fn cosine_around(n: Vec3, at: (f32, f32)) -> Vec3 {
    let (x, y) = to_disc(at);
    let (u, v) = basis(n);
    (u * x + v * y + n * max(1e-6, 1.0 - x * x - y * y).sqrt()).normalized()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_agree_with_the_library() {
        for step in 0..2000 {
            let turns = step as f32 / 1000.0;
            let (s, c) = sin_cos_turns(turns);
            let (sine, cosine) = (f64::from(turns) * std::f64::consts::TAU).sin_cos();
            assert!((f64::from(s) - sine).abs() < 2e-6 && (f64::from(c) - cosine).abs() < 2e-6, "{turns} turns");
        }
    }

    #[test]
    fn a_basis_is_orthonormal_and_right_handed() {
        for step in 0..100 {
            let n = to_sphere((step as f32 / 100.0, step as f32 * 0.37 % 1.0));
            let (u, v) = basis(n);
            assert!((u.cross(v) - n).length() < 1e-5, "{n:?}");
            assert!((u.length() - 1.0).abs() < 1e-5, "{n:?}");
        }
    }
}
