//! Colours that go together: each palette is one mood for the whole picture, in linear RGB made from the hex codes that
//! designers write.

use crate::math::{Vec3, vec3};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    pub(crate) backdrop: Vec3,
    pub(crate) plinths: [Vec3; 3],
    pub(crate) accents: [Vec3; 4],
    /// The glowing disc, from its top to its bottom.
    pub(crate) sun: [Vec3; 2],
    pub(crate) metal: Vec3,
}

const GOLD: Vec3 = vec3(1.0, 0.72, 0.32);
const COPPER: Vec3 = vec3(0.95, 0.60, 0.46);
const SILVER: Vec3 = vec3(0.93, 0.92, 0.90);

/// The palette that `pick` chooses.
pub(crate) fn palette(pick: u32) -> Palette {
    let make = |backdrop, plinths: [u32; 3], accents: [u32; 4], sun: [u32; 2], metal| Palette {
        backdrop: linear(backdrop),
        plinths: plinths.map(linear),
        accents: accents.map(linear),
        sun: sun.map(linear),
        metal,
    };
    match pick % 6 {
        0 => make(
            0xe9c4ad,
            [0xf3e3d3, 0xd98f6f, 0x7f9c94],
            [0xc8553d, 0x2f6f6d, 0xf2b880, 0xf6efe6],
            [0xffc27a, 0xff8a5c],
            GOLD,
        ),
        1 => make(
            0x9fb7c4,
            [0xe8e4da, 0x5d7f93, 0xe0a58c],
            [0xe07a5f, 0x2b4c63, 0xf4d9a6, 0xf2f0ea],
            [0xffe0b0, 0xffa987],
            COPPER,
        ),
        2 => make(
            0xc9bfdc,
            [0xf1ecf5, 0x8f7fb5, 0xf0b7b3],
            [0xef8f8f, 0x51508c, 0xffd9a0, 0xf4f1f8],
            [0xffd3c2, 0xff8fa3],
            SILVER,
        ),
        3 => make(
            0xa9bfa0,
            [0xf0ead8, 0x5f7f62, 0xd9b48a],
            [0xd96c4f, 0x2e5a4b, 0xf0cf83, 0xf5f1e4],
            [0xfff0b3, 0xffc06b],
            GOLD,
        ),
        4 => make(
            0x34435e,
            [0x8fa3bf, 0x4f6488, 0xd98f74],
            [0xff8e63, 0x2fa4a0, 0xf6c667, 0xe9e6f2],
            [0xffb26b, 0xff5f6d],
            GOLD,
        ),
        _ => make(
            0xe8d3c8,
            [0xffffff, 0xd7a9a0, 0x9fb0bd],
            [0xb5485d, 0x40566b, 0xf0b49e, 0xfaf3ee],
            [0xffd7b8, 0xff9a8b],
            COPPER,
        ),
    }
}

/// sRGB hex to linear light. The curve is close to a power of 2.2: x²·(0.695 + 0.305·x) needs no power function.
fn linear(hex: u32) -> Vec3 {
    let channel = |shift: u32| {
        let x = (hex >> shift & 255) as f32 / 255.0;
        x * x * (0.695 + 0.305 * x)
    };
    vec3(channel(16), channel(8), channel(0))
}
