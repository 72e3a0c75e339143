//! From light to the bytes of a picture: a filmic curve, the sRGB curve, a little dither.

use crate::math::{Vec3, clamp01, max, min};
use crate::sampler::{hash, unit};

/// The three bytes of a pixel.
pub(crate) fn develop(light: Vec3, pixel: (u32, u32)) -> [u8; 3] {
    let shown = neutral(light);
    let noise = hash(pixel.0.wrapping_mul(0x9e37_79b9) ^ hash(pixel.1));
    let byte = |channel: f32, noise: u32| {
        // Triangular noise of one step hides the bands of a soft gradient.
        let dither = unit(hash(noise)) - unit(hash(noise ^ 0x55));
        max(0.0, min(255.0, encode(channel) * 255.0 + 0.5 + 0.5 * dither)) as u8
    };
    [byte(shown.x, noise), byte(shown.y, noise ^ 1), byte(shown.z, noise ^ 2)]
}

/// The Khronos PBR Neutral curve: colours stay themselves, highlights roll off to white.
fn neutral(light: Vec3) -> Vec3 {
    let (start, desaturation) = (0.76, 0.15);
    let darkest = min(light.x, min(light.y, light.z));
    let offset = if darkest < 0.08 { darkest - 6.25 * darkest * darkest } else { 0.04 };
    let light = light + Vec3::ONE * -offset;
    let peak = light.largest();
    if peak < start {
        return light;
    }
    let room = 1.0 - start;
    let new_peak = 1.0 - room * room / (peak + room - start);
    let faded = 1.0 - 1.0 / (desaturation * (peak - new_peak) + 1.0);
    (light * (new_peak / peak)).mix(Vec3::ONE * new_peak, faded)
}

/// Linear light to sRGB, by square roots (error below 0.001).
fn encode(linear: f32) -> f32 {
    let x = clamp01(linear);
    if x < 0.003_130_8 {
        return x * 12.92;
    }
    let (s1, s2) = (x.sqrt(), x.sqrt().sqrt());
    0.662_002_7 * s1 + 0.684_122 * s2 - 0.323_583_6 * s2.sqrt() - 0.022_541_147 * x
}
