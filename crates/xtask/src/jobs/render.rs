//! `render`: which tiles make the picture, and how they are put together again.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::plan::Plan;

/// The picture, in pixels.
const WIDTH: usize = 768;
const HEIGHT: usize = 432;
/// Samples a pixel.
const SAMPLES: usize = 64;
/// Tiles in a row and in a column.
const ACROSS: usize = 8;
const DOWN: usize = 4;
const TILE_WIDTH: usize = WIDTH / ACROSS;
const TILE_HEIGHT: usize = HEIGHT / DOWN;
/// Fewer colours than this are a blank or broken picture: any real one has tens of thousands.
const LEAST_COLOURS: usize = 5_000;

pub(super) fn plan(seed: u64) -> Plan {
    let input = |(left, top)| {
        format!(
            "picture {WIDTH} {HEIGHT}\nsamples {SAMPLES}\ntile {left} {top} {TILE_WIDTH} {TILE_HEIGHT}\nseed {seed}\n"
        )
        .into_bytes()
    };
    Plan {
        job: "render",
        title: "A still life, path traced",
        price: "0.04",
        memory_mib: 64,
        inputs: corners().map(input).collect(),
        data: Vec::new(),
    }
}

pub(super) fn check(_seed: u64, outputs: &[Vec<u8>], picture: &Path) -> Result<String> {
    let pixels = assemble(outputs)?;
    let colours: HashSet<&[u8]> = pixels.chunks(3).collect();
    ensure!(colours.len() >= LEAST_COLOURS, "the picture has only {} colours", colours.len());
    write_png(&pixels, picture).with_context(|| format!("{} can't be written", picture.display()))?;
    Ok(format!("{WIDTH} x {HEIGHT} pixels from {} tiles of {SAMPLES} samples a pixel", outputs.len()))
}

/// The left and top of each tile, in the tasks' order.
fn corners() -> impl Iterator<Item = (usize, usize)> {
    (0..DOWN).flat_map(|row| (0..ACROSS).map(move |column| (column * TILE_WIDTH, row * TILE_HEIGHT)))
}

/// Red, green and blue of every pixel, row by row from the top.
fn assemble(outputs: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut pixels = vec![0; WIDTH * HEIGHT * 3];
    for (i, ((left, top), output)) in corners().zip(outputs).enumerate() {
        let header = format!("P6\n# tile {left} {top} of {WIDTH} {HEIGHT}\n{TILE_WIDTH} {TILE_HEIGHT}\n255\n");
        let tile = output
            .strip_prefix(header.as_bytes())
            .with_context(|| format!("task {i} is not the tile that it was asked for"))?;
        ensure!(tile.len() == TILE_WIDTH * TILE_HEIGHT * 3, "task {i} has {} bytes of pixels", tile.len());
        for (y, row) in tile.chunks(TILE_WIDTH * 3).enumerate() {
            let start = ((top + y) * WIDTH + left) * 3;
            pixels[start..start + row.len()].copy_from_slice(row);
        }
    }
    Ok(pixels)
}

fn write_png(pixels: &[u8], path: &Path) -> Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tiles whose pixels are `colour` of their place in the picture.
    fn tiles(colour: fn(usize, usize) -> [u8; 3]) -> Vec<Vec<u8>> {
        let tile = |(left, top)| {
            let header = format!("P6\n# tile {left} {top} of {WIDTH} {HEIGHT}\n{TILE_WIDTH} {TILE_HEIGHT}\n255\n");
            let places = (top..top + TILE_HEIGHT).flat_map(|y| (left..left + TILE_WIDTH).map(move |x| (x, y)));
            header.into_bytes().into_iter().chain(places.flat_map(|(x, y)| colour(x, y))).collect()
        };
        corners().map(tile).collect()
    }

    /// Another one for every place.
    fn colour(x: usize, y: usize) -> [u8; 3] {
        [(x % 256) as u8, (y % 256) as u8, (x / 256 * 2 + y / 256) as u8]
    }

    #[test]
    fn every_pixel_is_asked_for_once() {
        let asked: usize = corners().count();
        assert_eq!(asked * TILE_WIDTH * TILE_HEIGHT, WIDTH * HEIGHT);
        assert_eq!(plan(1).inputs.len(), asked);
    }

    #[test]
    fn tiles_become_the_picture_they_were_cut_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        check(1, &tiles(colour), &path).unwrap();
        let mut reader = png::Decoder::new(std::io::BufReader::new(File::open(path).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width as usize, info.height as usize), (WIDTH, HEIGHT));
        for (i, pixel) in pixels.chunks(3).enumerate() {
            assert_eq!(pixel, colour(i % WIDTH, i / WIDTH));
        }
    }

    #[test]
    fn a_wrong_short_or_blank_tile_fails() {
        let path = Path::new("/nonexistent/picture.png");
        let mut swapped = tiles(colour);
        swapped.swap(3, 4);
        assert!(check(1, &swapped, path).unwrap_err().to_string().contains("task 3"));
        let mut short = tiles(colour);
        short[9].pop();
        assert!(check(1, &short, path).unwrap_err().to_string().contains("task 9"));
        let blank = tiles(|_, _| [7; 3]);
        assert!(check(1, &blank, path).unwrap_err().to_string().contains("1 colours"));
    }
}
