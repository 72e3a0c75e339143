//! The camera: a thin lens, so that what is nearer or farther than the glass and the metal is soft.

use crate::math::{Vec3, to_disc, vec3};
use crate::shapes::Ray;

/// A thin lens: everything at `focus` from the camera is sharp.
#[derive(Debug)]
pub(crate) struct Camera {
    eye: Vec3,
    right: Vec3,
    up: Vec3,
    forward: Vec3,
    half_height: f32,
    aspect: f32,
    aperture: f32,
    focus: f32,
}

impl Camera {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let (eye, target) = (vec3(0.0, 2.25, 10.5), vec3(0.0, 1.28, 0.0));
        let forward = (target - eye).normalized();
        let right = forward.cross(vec3(0.0, 1.0, 0.0)).normalized();
        let up = right.cross(forward);
        let aspect = width as f32 / height as f32;
        Self { eye, right, up, forward, half_height: 0.215, aspect, aperture: 0.1, focus: 10.2 }
    }

    /// A ray through a point of the picture, 0 to 1 from the left and from the top.
    pub(crate) fn ray(&self, (x, y): (f32, f32), lens: (f32, f32)) -> Ray {
        let across = self.right * ((2.0 * x - 1.0) * self.half_height * self.aspect);
        let along = self.up * ((1.0 - 2.0 * y) * self.half_height);
        let sharp = self.eye + (self.forward + across + along) * self.focus;
        let (a, b) = to_disc(lens);
        let origin = self.eye + self.right * (a * self.aperture) + self.up * (b * self.aperture);
        Ray { origin, direction: (sharp - origin).normalized() }
    }
}
