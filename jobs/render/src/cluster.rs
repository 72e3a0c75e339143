//! Spheres sorted into groups of four neighbours, each in a sphere around it, so that most groups need no test.

use crate::lanes::Lanes;
use crate::math::{Vec3, max};
use crate::shapes::{FourRays, FourSpheres, Sphere};

/// Sixteen spheres: four groups, and what encloses each.
#[derive(Debug, Clone)]
struct Cluster {
    bounds: FourSpheres,
    groups: Vec<FourSpheres>,
}

/// All spheres of a scene, in the order that [`cluster`] gave them.
#[derive(Debug, Clone)]
pub(crate) struct Clusters(Vec<Cluster>);

/// Sorts `things` by place, in place, so that each four are neighbours.
pub(crate) fn cluster<T>(things: &mut [(Sphere, T)]) {
    if things.len() <= 4 {
        return;
    }
    let spread = |of: fn(Vec3) -> f32| {
        let along = || things.iter().map(|(sphere, _)| of(sphere.centre));
        along().fold(f32::MIN, f32::max) - along().fold(f32::MAX, f32::min)
    };
    let axis: fn(Vec3) -> f32 = if spread(|c| c.x) > spread(|c| c.z) { |c| c.x } else { |c| c.z };
    things.sort_by(|(a, _), (b, _)| axis(a.centre).total_cmp(&axis(b.centre)));
    let (first, second) = things.split_at_mut(things.len().div_ceil(8) * 4);
    cluster(first);
    cluster(second);
}

impl Clusters {
    pub(crate) fn new(spheres: &[Sphere]) -> Self {
        let cluster = |sixteen: &[Sphere]| Cluster {
            bounds: FourSpheres::new(&sixteen.chunks(4).map(enclosing).collect::<Vec<_>>()),
            groups: sixteen.chunks(4).map(FourSpheres::new).collect(),
        };
        Self(spheres.chunks(16).map(cluster).collect())
    }

    /// Calls `visit` with the number of the first sphere of each group that the ray may meet, and the four distances.
    /// Stops, and says so, when `visit` returns true.
    #[inline(always)]
    pub(crate) fn any(&self, ray: &FourRays, mut visit: impl FnMut(usize, Lanes) -> bool) -> bool {
        for (i, cluster) in self.0.iter().enumerate() {
            let mut crossed = cluster.bounds.crossed(ray);
            while crossed != 0 {
                let j = crossed.trailing_zeros() as usize;
                crossed &= crossed - 1;
                if visit(16 * i + 4 * j, cluster.groups[j].distances(ray)) {
                    return true;
                }
            }
        }
        false
    }
}

/// A sphere around spheres: around the middle of their centres.
fn enclosing(spheres: &[Sphere]) -> Sphere {
    let sum = spheres.iter().fold(Vec3::ZERO, |sum, sphere| sum + sphere.centre);
    let centre = sum * (1.0 / spheres.len() as f32);
    let radius = spheres.iter().map(|s| (s.centre - centre).length() + s.radius).fold(0.0, max);
    Sphere { centre, radius: radius * 1.001 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::least;
    use crate::math::{to_sphere, vec3};
    use crate::shapes::{MISS, Ray};

    #[test]
    fn skips_no_sphere_that_a_ray_meets() {
        let number = |k: u32| crate::sampler::unit(crate::sampler::hash(k));
        let mut things: Vec<(Sphere, ())> = (0..37)
            .map(|k| {
                let centre = vec3(number(4 * k), number(4 * k + 1) * 0.2, number(4 * k + 2)) * 8.0;
                (Sphere { centre, radius: 0.1 + number(4 * k + 3) }, ())
            })
            .collect();
        cluster(&mut things);
        let spheres: Vec<Sphere> = things.iter().map(|(sphere, ())| *sphere).collect();
        let clusters = Clusters::new(&spheres);
        for k in 0..5000 {
            let origin = vec3(number(7000 + k), number(17_000 + k), number(27_000 + k)) * 10.0;
            let ray = Ray { origin, direction: to_sphere((number(37_000 + k), number(47_000 + k))) };
            let rays = FourRays::new(&ray);
            let all = spheres.chunks(4).map(|four| FourSpheres::new(four).distances(&rays));
            let expected = all.map(|four| least(four, four).0).fold(MISS, f32::min);
            let mut nearest = MISS;
            clusters.any(&rays, |_, four| {
                nearest = nearest.min(least(four, four).0);
                false
            });
            assert_eq!(nearest.to_bits(), expected.to_bits(), "{ray:?}");
        }
    }
}
