//! Terrazzo: chips of stone in a pale ground, the same all through, so that every cut shows other chips.

use crate::math::{Vec3, to_sphere, vec3};
use crate::sampler::{hash, unit};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Terrazzo {
    pub(crate) ground: Vec3,
    pub(crate) chips: [Vec3; 3],
}

impl Terrazzo {
    /// The colour at a point. Each cell of a grid in space holds one chip, a box of its own size and turn.
    pub(crate) fn colour(&self, point: Vec3) -> Vec3 {
        // Turned, so that no row of cells lies along an edge.
        let turned = vec3(point.x * 0.8 + point.y * 0.6, point.y * 0.8 - point.x * 0.6, point.z + point.y * 0.37) * 8.0;
        let corner = vec3(turned.x.floor(), turned.y.floor(), turned.z.floor());
        let cell = hash(corner.x as i32 as u32 ^ hash(corner.y as i32 as u32 ^ hash(corner.z as i32 as u32)));
        let number = |k: u32| unit(hash(cell ^ k));
        let size = 0.1 + 0.24 * number(1) * number(2);
        let centre = vec3(number(3), number(4), number(5)) * (1.0 - 2.0 * size) + Vec3::ONE * size;
        let from_centre = turned - corner - centre;
        let inside = |k: u32| from_centre.dot(to_sphere((number(k), number(k + 1)))).abs() < size * 0.8;
        if from_centre.length() < size * 1.2 && inside(6) && inside(8) && inside(10) {
            self.chips[cell as usize % 3]
        } else {
            self.ground
        }
    }
}
