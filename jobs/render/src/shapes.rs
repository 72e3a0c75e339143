//! Where rays meet spheres, upright cylinders, flat lights and the backdrop. Distances are in units of the ray's direction,
//! which has length 1; a miss is infinitely far.

use crate::lanes::Lanes;
use crate::math::{Vec3, max, vec3};

/// Closer than this is the surface that the ray starts from.
pub(crate) const NEAR: f32 = 1e-3;
pub(crate) const MISS: f32 = f32::INFINITY;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ray {
    pub(crate) origin: Vec3,
    pub(crate) direction: Vec3,
}

impl Ray {
    #[inline(always)]
    pub(crate) fn at(&self, distance: f32) -> Vec3 {
        self.origin + self.direction * distance
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sphere {
    pub(crate) centre: Vec3,
    pub(crate) radius: f32,
}

/// A ray, spread over the lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FourRays {
    origin: [Lanes; 3],
    direction: [Lanes; 3],
}

impl FourRays {
    #[inline(always)]
    pub(crate) fn new(ray: &Ray) -> Self {
        let spread = |v: Vec3| [Lanes::all(v.x), Lanes::all(v.y), Lanes::all(v.z)];
        Self { origin: spread(ray.origin), direction: spread(ray.direction) }
    }
}

/// Four spheres side by side.
#[derive(Debug, Clone)]
pub(crate) struct FourSpheres {
    x: Lanes,
    y: Lanes,
    z: Lanes,
    radius2: Lanes,
}

impl FourSpheres {
    /// Up to four spheres; the places that stay empty are never hit.
    pub(crate) fn new(spheres: &[Sphere]) -> Self {
        let lanes = |of: fn(&Sphere) -> f32, empty| four(spheres, of, empty);
        Self {
            x: lanes(|s| s.centre.x, 0.0),
            y: lanes(|s| s.centre.y, 0.0),
            z: lanes(|s| s.centre.z, 0.0),
            radius2: lanes(|s| s.radius * s.radius, -1.0),
        }
    }

    /// The spheres that contain some part of the ray, one bit each.
    #[inline(always)]
    pub(crate) fn crossed(&self, ray: &FourRays) -> u8 {
        let ([ox, oy, oz], [dx, dy, dz]) = (ray.origin, ray.direction);
        let (x, y, z) = (self.x - ox, self.y - oy, self.z - oz);
        let along = x * dx + y * dy + z * dz;
        let (distance2, ahead2) = (x * x + y * y + z * z, along.max(Lanes::all(0.0)) * along);
        (distance2 - ahead2).below(self.radius2).bits()
    }

    /// The distance to each sphere. The nearest point of the ray's line is found first: the difference of two large
    /// squares would cost small spheres their precision.
    #[inline(always)]
    pub(crate) fn distances(&self, ray: &FourRays) -> Lanes {
        let ([ox, oy, oz], [dx, dy, dz]) = (ray.origin, ray.direction);
        let (x, y, z) = (self.x - ox, self.y - oy, self.z - oz);
        let along = x * dx + y * dy + z * dz;
        let (x, y, z) = (x - along * dx, y - along * dy, z - along * dz);
        let inside = self.radius2 - (x * x + y * y + z * z);
        let half = inside.max(Lanes::all(0.0)).sqrt();
        let hit = Lanes::all(0.0).below(inside);
        hit.choose(first_ahead(along - half, along + half), Lanes::all(MISS))
    }
}

/// Of an entry and an exit, the first that lies ahead.
#[inline(always)]
fn first_ahead(enter: Lanes, leave: Lanes) -> Lanes {
    let near = Lanes::all(NEAR);
    let leave = near.below(leave).choose(leave, Lanes::all(MISS));
    near.below(enter).choose(enter, leave)
}

fn four<T>(things: &[T], of: fn(&T) -> f32, empty: f32) -> Lanes {
    Lanes::new(std::array::from_fn(|i| things.get(i).map_or(empty, of)))
}

/// A solid upright cylinder: a plinth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cylinder {
    pub(crate) x: f32,
    pub(crate) z: f32,
    pub(crate) radius: f32,
    pub(crate) bottom: f32,
    pub(crate) top: f32,
}

/// Four cylinders side by side.
#[derive(Debug, Clone)]
pub(crate) struct FourCylinders {
    x: Lanes,
    z: Lanes,
    radius2: Lanes,
    bottom: Lanes,
    top: Lanes,
}

impl FourCylinders {
    pub(crate) fn new(cylinders: &[Cylinder]) -> Self {
        let lanes = |of: fn(&Cylinder) -> f32, empty| four(cylinders, of, empty);
        Self {
            x: lanes(|c| c.x, 0.0),
            z: lanes(|c| c.z, 0.0),
            radius2: lanes(|c| c.radius * c.radius, -1.0),
            bottom: lanes(|c| c.bottom, 0.0),
            top: lanes(|c| c.top, 0.0),
        }
    }

    #[inline(always)]
    pub(crate) fn distances(&self, ray: &FourRays) -> Lanes {
        let ([ox, oy, oz], [dx, dy, dz]) = (ray.origin, ray.direction);
        let (x, z) = (self.x - ox, self.z - oz);
        let scale = (dx * dx + dz * dz).max(Lanes::all(1e-12)).recip();
        let along = (x * dx + z * dz) * scale;
        let inside = along * along - (x * x + z * z - self.radius2) * scale;
        let half = inside.max(Lanes::all(0.0)).sqrt();
        let zero = Lanes::all(0.0);
        let tiny = Lanes::all(1e-9);
        let level = dy.below(tiny).and((zero - tiny).below(dy));
        let slope = level.choose(tiny, dy).recip();
        let (low, high) = ((self.bottom - oy) * slope, (self.top - oy) * slope);
        let enter = (along - half).max(low.min(high));
        let leave = (along + half).min(low.max(high));
        let hit = zero.below(inside).and(enter.below(leave));
        hit.choose(first_ahead(enter, leave), Lanes::all(MISS))
    }
}

impl Cylinder {
    /// The outward normal at a point of the surface, rounded off over `bevel` towards the rim: a real edge catches light.
    pub(crate) fn normal(&self, point: Vec3, bevel: f32) -> Vec3 {
        let (x, z) = (point.x - self.x, point.z - self.z);
        let distance = max((x * x + z * z).sqrt(), 1e-6);
        let side = vec3(x / distance, 0.0, z / distance);
        let sideways = max(0.0, 1.0 - (self.radius - distance) / bevel);
        let upwards = max(0.0, 1.0 - (self.top - point.y).abs() / bevel);
        (side * sideways + vec3(0.0, upwards, 0.0)).normalized()
    }
}

/// The studio: a floor that bends up into a wall, without an edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backdrop {
    /// Where the wall stands.
    pub(crate) wall: f32,
    /// The radius of the bend.
    pub(crate) bend: f32,
}

impl Backdrop {
    /// The studio is convex: the first of its three parts that is met within its own bounds is the only one.
    pub(crate) fn distance(&self, ray: &Ray) -> f32 {
        let (o, d) = (ray.origin, ray.direction);
        let foot = self.wall + self.bend;
        if d.y < 0.0 {
            let t = -o.y / d.y;
            if o.z + t * d.z >= foot {
                return if t > NEAR { t } else { MISS };
            }
        }
        if d.z >= 0.0 && d.y >= 0.0 {
            return MISS;
        }
        if d.z < 0.0 {
            let t = (self.wall - o.z) / d.z;
            if o.y + t * d.y >= self.bend {
                return if t > NEAR { t } else { MISS };
            }
        }
        self.bend_distance(ray, foot)
    }

    /// The quarter cylinder around (y, z) = (bend, foot), hit from its inside.
    fn bend_distance(&self, ray: &Ray, foot: f32) -> f32 {
        let (y, z) = (ray.origin.y - self.bend, ray.origin.z - foot);
        let (dy, dz) = (ray.direction.y, ray.direction.z);
        let a = max(dy * dy + dz * dz, 1e-12);
        let b = y * dy + z * dz;
        let inside = b * b - a * (y * y + z * z - self.bend * self.bend);
        if inside <= 0.0 {
            return MISS;
        }
        let t = (inside.sqrt() - b) / a;
        let below = y + t * dy < 0.0 && z + t * dz < 0.0;
        if t > NEAR && below { t } else { MISS }
    }

    pub(crate) fn normal(&self, point: Vec3) -> Vec3 {
        let foot = self.wall + self.bend;
        let (y, z) = (max(0.0, self.bend - point.y), max(0.0, foot - point.z));
        match (point.z >= foot, point.y >= self.bend) {
            (true, _) => vec3(0.0, 1.0, 0.0),
            (_, true) => vec3(0.0, 0.0, 1.0),
            _ => vec3(0.0, y, z).normalized(),
        }
    }
}

/// A flat light: a rectangle, or the ellipse in it, around a centre.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panel {
    pub(crate) centre: Vec3,
    /// Half axes, at right angles.
    pub(crate) u: Vec3,
    pub(crate) v: Vec3,
    pub(crate) round: bool,
    pub(crate) normal: Vec3,
    pub(crate) area: f32,
    /// The half axes over their squared lengths: a product with them is a coordinate.
    u_inverse: Vec3,
    v_inverse: Vec3,
}

impl Panel {
    pub(crate) fn new(centre: Vec3, u: Vec3, v: Vec3, round: bool) -> Self {
        let square = 4.0 * u.cross(v).length();
        Self {
            centre,
            u,
            v,
            round,
            normal: u.cross(v).normalized(),
            area: if round { square * std::f32::consts::FRAC_PI_4 } else { square },
            u_inverse: u * (1.0 / u.dot(u)),
            v_inverse: v * (1.0 / v.dot(v)),
        }
    }

    /// Distance, and how high on the panel it is met, from −1 to 1.
    #[inline(always)]
    pub(crate) fn distance(&self, ray: &Ray) -> (f32, f32) {
        let facing = self.normal.dot(ray.direction);
        let t = self.normal.dot(self.centre - ray.origin) / (if facing.abs() < 1e-9 { 1e-9 } else { facing });
        let from_centre = ray.at(t) - self.centre;
        let (a, b) = (from_centre.dot(self.u_inverse), from_centre.dot(self.v_inverse));
        let within = if self.round { a * a + b * b <= 1.0 } else { a.abs() <= 1.0 && b.abs() <= 1.0 };
        (if t > NEAR && within { t } else { MISS }, b)
    }
}
