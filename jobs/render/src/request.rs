//! What standard input asks for: which tile of which picture.

/// A tile of a picture, in pixels from the top left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Samples a pixel.
    pub(crate) samples: u32,
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) tile_width: u32,
    pub(crate) tile_height: u32,
    pub(crate) seed: u64,
}

const LARGEST_SIDE: u64 = 16_384;
const MOST_SAMPLES: u64 = 65_536;

impl Request {
    /// Reads the four lines `picture W H`, `samples N`, `tile LEFT TOP W H` and `seed N`, in any order.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let [width, height] = numbers(text, "picture")?;
        let [samples] = numbers(text, "samples")?;
        let [left, top, tile_width, tile_height] = numbers(text, "tile")?;
        let [seed] = numbers(text, "seed")?;
        if width == 0 || height == 0 || width > LARGEST_SIDE || height > LARGEST_SIDE {
            return Err(format!("a picture of {width} by {height}: each side must be from 1 to {LARGEST_SIDE} pixels"));
        }
        if samples == 0 || samples > MOST_SAMPLES {
            return Err(format!("{samples} samples a pixel: expected 1 to {MOST_SAMPLES}"));
        }
        let inside = |start: u64, size: u64, all: u64| size > 0 && start < all && size <= all - start;
        if !inside(left, tile_width, width) || !inside(top, tile_height, height) {
            return Err(format!("the tile {left} {top} {tile_width} {tile_height} is empty or leaves the picture"));
        }
        let [width, height, samples, left, top, tile_width, tile_height] =
            [width, height, samples, left, top, tile_width, tile_height].map(|n| n as u32);
        Ok(Self { width, height, samples, left, top, tile_width, tile_height, seed })
    }
}

/// The numbers behind the word `key`.
fn numbers<const N: usize>(text: &str, key: &str) -> Result<[u64; N], String> {
    let expected = || format!("expected a line \"{key}\" with {N} whole number{}", if N == 1 { "" } else { "s" });
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).ok_or_else(expected)?;
    let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
    numbers.ok().and_then(|numbers| numbers.try_into().ok()).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_tile_and_refuses_one_outside_the_picture() {
        let text = "picture 640 360\nsamples 64\ntile 560 270 80 90\nseed 7\n";
        let request = Request::parse(text).unwrap();
        assert_eq!((request.left, request.top, request.tile_width, request.tile_height), (560, 270, 80, 90));
        for (from, to) in [("560", "561"), ("64\n", "0\n"), ("seed", "need"), ("80 90", "80"), ("640", "99999999999")] {
            assert!(Request::parse(&text.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
