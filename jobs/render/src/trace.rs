//! The path tracer: follows light backwards from the camera. Matte surfaces ask the lights directly; mirrors, coats and
//! glass find them by themselves.

use crate::math::{Vec3, cosine_around, max, min, to_disc, to_sphere};
use crate::sampler::Sampler;
use crate::scene::{Light, Material, Meeting, Scene, Spot};
use crate::shapes::Ray;

/// The longest path, in meetings.
const MEETINGS: u32 = 9;
/// The most matte reflections on one path.
const MATTE_REFLECTIONS: u32 = 3;
/// A light that is met after two surfaces or more counts as this bright at most: such paths are rare finds, and a few of
/// them show as sparks.
const BRIGHTEST_BY_CHANCE: f32 = 5.0;
/// The least share of samples that a coat's or a glass's reflection gets where the eye looks at it.
const LEAST_REFLECTED: f32 = 0.2;

/// The light that arrives along `ray`.
pub(crate) fn radiance(scene: &Scene, ray: Ray, sampler: &mut Sampler) -> Vec3 {
    let mut path = Path { ray, light: Vec3::ZERO, filter: Vec3::ONE, meetings: 0, matte: 0, sees_lights: true };
    for _ in 0..MEETINGS {
        match scene.meet(&path.ray) {
            Meeting::Nothing => {
                path.gain(scene.room(path.ray.direction));
                break;
            }
            Meeting::Light(radiance) => {
                if path.sees_lights {
                    let largest = radiance.largest();
                    let spark = path.meetings > 1 && largest > BRIGHTEST_BY_CHANCE;
                    path.gain(if spark { radiance * (BRIGHTEST_BY_CHANCE / largest) } else { radiance });
                }
                break;
            }
            Meeting::Surface(spot, material) => {
                path.meetings += 1;
                if !path.scatter(scene, spot, material, sampler) {
                    break;
                }
            }
        }
    }
    path.light
}

struct Path {
    ray: Ray,
    light: Vec3,
    /// What is left of light that travels the path so far.
    filter: Vec3,
    /// Surfaces met so far.
    meetings: u32,
    /// Matte reflections so far.
    matte: u32,
    /// Whether a light met next still counts: it was not asked directly.
    sees_lights: bool,
}

impl Path {
    fn gain(&mut self, radiance: Vec3) {
        self.light += self.filter.filtered(radiance);
    }

    /// Goes on from a surface; false where the path ends.
    fn scatter(&mut self, scene: &Scene, spot: Spot, material: Material, sampler: &mut Sampler) -> bool {
        let choice = sampler.pair().0;
        let facing = max(0.0, -self.ray.direction.dot(spot.normal));
        // A coat shows where the eye looks; behind a matte surface it would only add noise.
        let shows_coat = self.matte == 0;
        match material {
            Material::Matte(colour) => self.reflect_matte(scene, spot, colour, sampler),
            Material::Terrazzo(stone) => self.reflect_matte(scene, spot, stone.colour(spot.point), sampler),
            Material::Lacquer(_) if shows_coat && self.reflects(schlick(0.045, facing), choice) => self.mirror(spot),
            Material::Lacquer(colour) => self.reflect_matte(scene, spot, colour, sampler),
            Material::Satin { coat, .. } if shows_coat && self.reflects(coat * schlick(0.04, facing), choice) => {
                self.mirror_blurred(spot, 0.06, sampler)
            }
            Material::Satin { colour, .. } => self.reflect_matte(scene, spot, colour, sampler),
            Material::Metal { tint, fuzz } => {
                self.filter = self.filter.filtered(tint.mix(Vec3::ONE, schlick(0.0, facing)));
                self.mirror_blurred(spot, fuzz, sampler)
            }
            Material::Glass(tint) => self.pass_glass(spot, tint, choice),
        }
    }

    fn reflect_matte(&mut self, scene: &Scene, spot: Spot, colour: Vec3, sampler: &mut Sampler) -> bool {
        self.filter = self.filter.filtered(colour);
        let [key, sun] = &scene.lights;
        let asks_key = sampler.pair().0 < 0.5;
        let mut ask = |light| direct_light(scene, spot, light, sampler.pair());
        let direct = match self.matte {
            // Both lights where the eye looks, one of the two behind that.
            0 => ask(key) + ask(sun),
            _ => ask(if asks_key { key } else { sun }) * 2.0,
        };
        self.gain(direct);
        self.matte += 1;
        self.ray = Ray { origin: spot.point, direction: cosine_around(spot.normal, sampler.pair()) };
        self.sees_lights = false;
        self.matte <= MATTE_REFLECTIONS
    }

    /// Whether this sample takes the reflected `share`. Where the eye looks, more samples do, each for less: a small share
    /// of a bright light would show as noise.
    fn reflects(&mut self, share: f32, choice: f32) -> bool {
        let chance = if self.meetings == 1 { max(share, LEAST_REFLECTED) } else { share };
        let reflects = choice < chance;
        self.filter = self.filter * if reflects { share / chance } else { (1.0 - share) / (1.0 - chance) };
        reflects
    }

    fn mirror(&mut self, spot: Spot) -> bool {
        self.ray = Ray { origin: spot.point, direction: self.ray.direction.mirrored(spot.normal) };
        self.sees_lights = true;
        true
    }

    /// As a mirror that is rough by `fuzz`; false where the light would end below the surface.
    fn mirror_blurred(&mut self, spot: Spot, fuzz: f32, sampler: &mut Sampler) -> bool {
        self.mirror(spot);
        self.ray.direction = (self.ray.direction + to_sphere(sampler.pair()) * fuzz).normalized();
        self.ray.direction.dot(spot.normal) > 0.0
    }

    /// Reflects or refracts by Fresnel's shares, at an index of 1.5.
    fn pass_glass(&mut self, Spot { point, normal: outward }: Spot, tint: Vec3, choice: f32) -> bool {
        let direction = self.ray.direction;
        let entering = direction.dot(outward) < 0.0;
        let (normal, ratio) = if entering { (outward, 1.0 / 1.5) } else { (-outward, 1.5) };
        let cos_in = -direction.dot(normal);
        let sin2_out = ratio * ratio * (1.0 - cos_in * cos_in);
        if sin2_out >= 1.0 {
            return self.mirror(Spot { point, normal });
        }
        let cos_out = (1.0 - sin2_out).sqrt();
        if self.reflects(fresnel(cos_in, cos_out, ratio), choice) {
            return self.mirror(Spot { point, normal });
        }
        self.filter = self.filter.filtered(tint);
        let refracted = direction * ratio + normal * (ratio * cos_in - cos_out);
        self.ray = Ray { origin: point, direction: refracted.normalized() };
        self.sees_lights = true;
        true
    }
}

fn schlick(at_normal: f32, facing: f32) -> f32 {
    let away = 1.0 - min(1.0, facing);
    let away2 = away * away;
    at_normal + (1.0 - at_normal) * away2 * away2 * away
}

/// The reflected share of unpolarized light; `ratio` is the index before over the index behind.
fn fresnel(cos_in: f32, cos_out: f32, ratio: f32) -> f32 {
    let parallel = (cos_in - ratio * cos_out) / (cos_in + ratio * cos_out);
    let across = (ratio * cos_in - cos_out) / (ratio * cos_in + cos_out);
    (parallel * parallel + across * across) * 0.5
}

/// What a white matte surface reflects of a light, from one point of the light.
fn direct_light(scene: &Scene, spot: Spot, light: &Light, at: (f32, f32)) -> Vec3 {
    let Spot { point, normal } = spot;
    let panel = &light.panel;
    let (a, b) = if panel.round { to_disc(at) } else { (2.0 * at.0 - 1.0, 2.0 * at.1 - 1.0) };
    let towards = panel.centre + panel.u * a + panel.v * b - point;
    let distance2 = towards.dot(towards);
    let distance = distance2.sqrt();
    let direction = towards * (1.0 / distance);
    let (leaving, arriving) = (panel.normal.dot(direction).abs(), normal.dot(direction));
    if arriving <= 0.0 || scene.blocked(&Ray { origin: point, direction }, distance) {
        return Vec3::ZERO;
    }
    light.radiance(b) * (arriving * leaving * panel.area / (distance2 * std::f32::consts::PI))
}
