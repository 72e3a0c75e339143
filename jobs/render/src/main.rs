//! Renders one tile of a picture: a still life of glass, metal and stone, path traced. The seed arranges and colours it.
//! Every result is the same bits on every machine, so that two independent runs of a tile compare equal.
//!
//! Standard input: see [`request::Request::parse`]. Standard output: the tile as a binary PPM, which any viewer opens: the
//! text `P6`, a comment `# tile LEFT TOP of WIDTH HEIGHT`, the tile's width and height, `255`, each on a line; then
//! the rows from the top, three bytes a pixel (red, green, blue; sRGB).

mod camera;
mod cluster;
mod film;
mod lanes;
mod math;
mod palette;
mod request;
mod sampler;
mod scene;
mod shapes;
mod still_life;
mod stone;
mod trace;

use std::io::{Read, Write};
use std::process::ExitCode;

use camera::Camera;
use math::{Vec3, max};
use request::Request;
use sampler::Samples;
use scene::Scene;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("render: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| format!("cannot read the input: {error}"))?;
    let request = Request::parse(&text)?;
    std::io::stdout().write_all(&render(&request)).map_err(|error| format!("cannot write the result: {error}"))
}

fn render(request: &Request) -> Vec<u8> {
    let Request { width, height, left, top, tile_width, tile_height, .. } = *request;
    let scene = Scene::new(request.seed);
    let samples = Samples::new(request.seed, request.samples);
    let camera = Camera::new(width, height);
    let mut ppm =
        format!("P6\n# tile {left} {top} of {width} {height}\n{tile_width} {tile_height}\n255\n").into_bytes();
    for y in top..top + tile_height {
        for x in left..left + tile_width {
            let mut sum = Vec3::ZERO;
            for mut sampler in samples.of_pixel((x, y)) {
                let (across, down) = sampler.pair();
                let place =
                    ((x as f32 + 0.5 + tent(across)) / width as f32, (y as f32 + 0.5 + tent(down)) / height as f32);
                let ray = camera.ray(place, sampler.pair());
                sum += trace::radiance(&scene, ray, &mut sampler);
            }
            ppm.extend(film::develop(sum * (1.0 / request.samples as f32), (x, y)));
        }
    }
    ppm
}

/// A uniform number to a tent from −1 to 1, the filter of a pixel: it reaches to the neighbours' centres.
fn tent(uniform: f32) -> f32 {
    if uniform < 0.5 { (2.0 * uniform).sqrt() - 1.0 } else { 1.0 - max(0.0, 2.0 - 2.0 * uniform).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(left: u32, top: u32, tile_width: u32, tile_height: u32, seed: u64) -> Vec<u8> {
        let request = Request { width: 96, height: 54, samples: 4, left, top, tile_width, tile_height, seed };
        let ppm = render(&request);
        ppm[ppm.len() - (3 * tile_width * tile_height) as usize..].to_vec()
    }

    #[test]
    fn tiles_fit_together_without_a_seam() {
        let whole = tile(0, 0, 96, 54, 3);
        let part = tile(40, 20, 8, 2, 3);
        let row = |y: usize| &whole[3 * (96 * y + 40)..3 * (96 * y + 48)];
        assert_eq!(part, [row(20), row(21)].concat());
    }

    #[test]
    fn a_seed_changes_the_picture() {
        assert_ne!(tile(0, 0, 96, 54, 1), tile(0, 0, 96, 54, 2));
    }
}
