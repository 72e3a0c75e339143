//! The picture's composition: a still life on plinths before a glowing disc, arranged and coloured by the seed.

use crate::math::{Vec3, basis, vec3};
use crate::palette::{Palette, palette};
use crate::sampler::{hash, unit};
use crate::scene::{Light, Material};
use crate::shapes::{Cylinder, Panel, Sphere};
use crate::stone::Terrazzo;

/// The balls of a picture, large and small.
const BALLS: usize = 32;

#[derive(Debug)]
pub(crate) struct StillLife {
    pub(crate) plinths: [(Cylinder, Material); 4],
    pub(crate) spheres: Vec<(Sphere, Material)>,
    pub(crate) lights: [Light; 2],
    /// The colour of floor and wall.
    pub(crate) backdrop: Vec3,
}

impl StillLife {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(hash(seed as u32) ^ hash((seed >> 32) as u32 ^ 0x5eed));
        let colours = palette(seed as u32);
        let side = if dice.roll() & 1 == 0 { 1.0 } else { -1.0 };
        let plinths = plinths(&mut dice, &colours, side);
        let mut spheres = heroes(&mut dice, &colours, &plinths, side);
        scatter(&mut dice, &colours, &plinths, &mut spheres);
        Self { plinths, spheres, lights: lights(&colours, side), backdrop: colours.backdrop }
    }
}

/// Numbers for the composition, from the scene's seed.
struct Dice(u32);

impl Dice {
    fn roll(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9);
        hash(self.0)
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * unit(self.roll())
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll() as usize % of.len()]
    }
}

fn lights(colours: &Palette, side: f32) -> [Light; 2] {
    let centre = vec3(-4.6 * side, 6.6, 4.2);
    let towards = (vec3(0.0, 0.6, 0.0) - centre).normalized();
    let (u, v) = basis(towards);
    let warm = vec3(1.0, 0.93, 0.84) * 19.0;
    let softbox = Panel::new(centre, u * 1.9, v * 1.9, false);
    let sun = Panel::new(vec3(0.95 * side, 2.05, -2.7), vec3(1.6, 0.0, 0.0), vec3(0.0, 1.6, 0.0), true);
    [
        Light { panel: softbox, top: warm, bottom: warm },
        Light { panel: sun, top: colours.sun[0] * 1.5, bottom: colours.sun[1] * 1.5 },
    ]
}

fn plinths(dice: &mut Dice, colours: &Palette, side: f32) -> [(Cylinder, Material); 4] {
    let [pale, strong, cool] = colours.plinths;
    let chips = [colours.accents[0], colours.accents[1], colours.accents[2]];
    let mut place = |x: f32, z: f32, radius: f32, top: f32, material| {
        let (x, z) = (x * side + dice.between(-0.08, 0.08), z + dice.between(-0.08, 0.08));
        (Cylinder { x, z, radius, bottom: -0.1, top: top * dice.between(0.9, 1.1) }, material)
    };
    [
        place(-1.0, 0.1, 1.3, 0.5, Material::Terrazzo(Terrazzo { ground: pale, chips })),
        place(1.05, -0.8, 0.82, 1.25, Material::Matte(strong)),
        place(2.4, 0.6, 0.66, 0.3, Material::Matte(cool)),
        place(-3.0, -1.1, 0.55, 1.7, Material::Matte(cool)),
    ]
}

fn heroes(dice: &mut Dice, colours: &Palette, plinths: &[(Cylinder, Material)], side: f32) -> Vec<(Sphere, Material)> {
    let glass = Material::Glass(vec3(0.985, 0.992, 0.99));
    let metal = Material::Metal { tint: colours.metal, fuzz: 0.03 };
    let [first, second, third, pale] = colours.accents;
    let on = |plinth: usize, x: f32, z: f32, radius: f32, material| {
        let base = plinths[plinth].0;
        (Sphere { centre: vec3(base.x + x * side, base.top + radius, base.z + z), radius }, material)
    };
    let floor =
        |x: f32, z: f32, radius: f32, material| (Sphere { centre: vec3(x * side, radius, z), radius }, material);
    let (big, high) = if dice.roll() % 3 == 0 { (metal, glass) } else { (glass, metal) };
    vec![
        on(0, -0.18, -0.1, dice.between(0.8, 0.88), big),
        on(0, 0.82, 0.62, 0.22, metal),
        on(1, 0.0, 0.0, dice.between(0.58, 0.66), high),
        on(2, 0.0, 0.0, dice.between(0.4, 0.46), Material::Lacquer(first)),
        on(3, 0.0, 0.0, 0.36, Material::Lacquer(second)),
        floor(-3.2, 1.0, 0.42, Material::Matte(third)),
        floor(0.75, 1.55, 0.32, Material::Terrazzo(Terrazzo { ground: pale, chips: [first, second, third] })),
    ]
}

/// Small balls over the floor, none touching another thing.
fn scatter(
    dice: &mut Dice,
    colours: &Palette,
    plinths: &[(Cylinder, Material)],
    spheres: &mut Vec<(Sphere, Material)>,
) {
    for _ in 0..400 {
        if spheres.len() == BALLS {
            break;
        }
        let radius = dice.pick(&[0.08, 0.1, 0.12, 0.15, 0.19]);
        let centre = vec3(dice.between(-4.4, 4.4), radius, dice.between(-1.6, 3.4));
        let material = match dice.roll() % 6 {
            0 => Material::Metal { tint: colours.metal, fuzz: 0.05 },
            1 => Material::Glass(vec3(0.97, 0.98, 0.98)),
            2 => Material::Matte(dice.pick(&colours.accents)),
            _ => Material::Lacquer(dice.pick(&colours.accents)),
        };
        let free_of_plinths = plinths.iter().all(|(plinth, _)| {
            let (x, z) = (centre.x - plinth.x, centre.z - plinth.z);
            (x * x + z * z).sqrt() > plinth.radius + radius + 0.06
        });
        let free_of_spheres =
            spheres.iter().all(|(other, _)| (other.centre - centre).length() > other.radius + radius + 0.06);
        if free_of_plinths && free_of_spheres {
            spheres.push((Sphere { centre, radius }, material));
        }
    }
}
