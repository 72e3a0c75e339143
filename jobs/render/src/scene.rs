//! All things of the picture, and what a ray meets first among them.

use crate::cluster::{Clusters, cluster};
use crate::lanes::{Lanes, least};
use crate::math::{Vec3, smooth_step, vec3};
use crate::shapes::{Backdrop, Cylinder, FourCylinders, FourRays, MISS, Panel, Ray, Sphere};
use crate::still_life::StillLife;
use crate::stone::Terrazzo;

/// How a surface returns light.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Material {
    Matte(Vec3),
    /// Matte stone.
    Terrazzo(Terrazzo),
    /// Matte with a soft sheen, `coat` times that of varnish.
    Satin {
        colour: Vec3,
        coat: f32,
    },
    /// Matte under a clear coat.
    Lacquer(Vec3),
    /// A mirror of this colour; `fuzz` spreads what it shows.
    Metal {
        tint: Vec3,
        fuzz: f32,
    },
    Glass(Vec3),
}

/// A point of a surface, and which way is out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) point: Vec3,
    pub(crate) normal: Vec3,
}

/// What a ray meets first.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meeting {
    Surface(Spot, Material),
    Light(Vec3),
    Nothing,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Light {
    pub(crate) panel: Panel,
    /// Radiance at the top and at the bottom of the panel.
    pub(crate) top: Vec3,
    pub(crate) bottom: Vec3,
}

impl Light {
    pub(crate) fn radiance(&self, v: f32) -> Vec3 {
        self.bottom.mix(self.top, v * 0.5 + 0.5)
    }
}

#[derive(Debug)]
pub(crate) struct Scene {
    spheres: Vec<(Sphere, Material)>,
    clusters: Clusters,
    four_plinths: FourCylinders,
    plinths: [(Cylinder, Material); 4],
    backdrop: Backdrop,
    backdrop_colour: Vec3,
    pub(crate) lights: [Light; 2],
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let StillLife { plinths, mut spheres, lights, backdrop } = StillLife::new(seed);
        cluster(&mut spheres);
        let clusters = Clusters::new(&spheres.iter().map(|(sphere, _)| *sphere).collect::<Vec<_>>());
        let four_plinths = FourCylinders::new(&plinths.map(|(cylinder, _)| cylinder));
        let studio = Backdrop { wall: -4.5, bend: 2.5 };
        Self { clusters, spheres, plinths, four_plinths, backdrop: studio, backdrop_colour: backdrop, lights }
    }

    /// What `ray` meets first.
    pub(crate) fn meet(&self, ray: &Ray) -> Meeting {
        let rays = FourRays::new(ray);
        // The first lanes are the plinths; then group by group, each lane keeps its nearest.
        let mut distances = self.four_plinths.distances(&rays);
        let mut places = Lanes::new([0.0, 1.0, 2.0, 3.0]);
        self.clusters.any(&rays, |first, candidates| {
            let numbers = Lanes::new([4.0, 5.0, 6.0, 7.0]) + Lanes::all(first as f32);
            let nearer = candidates.below(distances);
            distances = nearer.choose(candidates, distances);
            places = nearer.choose(numbers, places);
            false
        });
        let (mut nearest, place) = least(distances, places);
        let mut what = What::Thing(place as usize);
        for (i, light) in self.lights.iter().enumerate() {
            let (distance, v) = light.panel.distance(ray);
            if distance < nearest {
                (nearest, what) = (distance, What::Light(i, v));
            }
        }
        let distance = self.backdrop.distance(ray);
        if distance < nearest {
            (nearest, what) = (distance, What::Backdrop);
        }
        self.meeting(what, ray, nearest)
    }

    fn meeting(&self, what: What, ray: &Ray, distance: f32) -> Meeting {
        let point = ray.at(distance);
        match what {
            _ if distance == MISS => Meeting::Nothing,
            What::Light(i, v) => Meeting::Light(self.lights[i].radiance(v)),
            What::Backdrop => {
                let coat = 0.8 * smooth_step(-2.6, -0.5, point.z);
                let material = Material::Satin { colour: self.backdrop_colour, coat };
                Meeting::Surface(Spot { point, normal: self.backdrop.normal(point) }, material)
            }
            What::Thing(i) if i < 4 => {
                let (plinth, material) = self.plinths[i];
                Meeting::Surface(Spot { point, normal: plinth.normal(point, 0.025) }, material)
            }
            What::Thing(i) => {
                let (sphere, material) = self.spheres[i - 4];
                let normal = (point - sphere.centre).normalized();
                Meeting::Surface(Spot { point: sphere.centre + normal * sphere.radius, normal }, material)
            }
        }
    }

    /// Whether anything but the lights and the backdrop lies on `ray` before `distance`.
    pub(crate) fn blocked(&self, ray: &Ray, distance: f32) -> bool {
        let (rays, distance) = (FourRays::new(ray), Lanes::all(distance));
        self.four_plinths.distances(&rays).below(distance).bits() != 0
            || self.clusters.any(&rays, |_, distances| distances.below(distance).bits() != 0)
    }

    /// The light of the room behind the camera: soft, cooler from above.
    pub(crate) fn room(&self, direction: Vec3) -> Vec3 {
        let up = direction.y * 0.5 + 0.5;
        vec3(0.10, 0.09, 0.09).mix(vec3(0.40, 0.44, 0.52), up)
    }
}

#[derive(Clone, Copy)]
enum What {
    /// A plinth below 4, a sphere from there.
    Thing(usize),
    Light(usize, f32),
    Backdrop,
}
