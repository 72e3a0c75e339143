//! Well-spread random numbers: the Sobol (0,2)-sequence with Owen scrambling by hashes (Burley, JCGT 2020), so that the
//! samples of a pixel fill every pair of dimensions evenly. Pixels share one table and differ by a digital shift.

/// The pairs of dimensions that a sample can draw before it starts over.
const PAIRS: usize = 32;

/// All pairs of all samples of a pixel, before its shift.
#[derive(Debug)]
pub(crate) struct Samples {
    table: Vec<[(u32, u32); PAIRS]>,
    seed: u32,
}

impl Samples {
    /// `count` samples a pixel; any power of two is evenly spread.
    pub(crate) fn new(seed: u64, count: u32) -> Self {
        let seed = hash(seed as u32 ^ hash((seed >> 32) as u32));
        let pairs = |index| std::array::from_fn(|pair| scrambled(index, hash(seed ^ pair as u32)));
        Self { table: (0..count).map(pairs).collect(), seed }
    }

    /// The samples of a pixel, one after another.
    pub(crate) fn of_pixel(&self, (x, y): (u32, u32)) -> impl Iterator<Item = Sampler<'_>> {
        let pixel = hash(x ^ hash(y ^ self.seed));
        self.table.iter().map(move |pairs| Sampler { pairs, pixel, pair: 0 })
    }
}

/// The numbers of one sample of one pixel. Each [`Sampler::pair`] is a fresh pair of dimensions.
#[derive(Debug)]
pub(crate) struct Sampler<'a> {
    pairs: &'a [(u32, u32); PAIRS],
    pixel: u32,
    pair: usize,
}

impl Sampler<'_> {
    /// Two numbers in [0, 1).
    #[inline(always)]
    pub(crate) fn pair(&mut self) -> (f32, f32) {
        let (first, second) = self.pairs[self.pair % PAIRS];
        self.pair += 1;
        let shift = hash(self.pixel.wrapping_add(self.pair as u32));
        (unit(first ^ shift), unit(second ^ shift.wrapping_mul(0x9e37_79b1)))
    }
}

/// A pair of dimensions of the sequence, in an order and with digits shuffled by `seed`.
fn scrambled(index: u32, seed: u32) -> (u32, u32) {
    let index = laine_karras(index.reverse_bits(), seed).reverse_bits();
    let first = laine_karras(index, hash(seed ^ 0x1000)).reverse_bits();
    let second = laine_karras(pascal(index), hash(seed ^ 0x2000)).reverse_bits();
    (first, second)
}

/// The second Sobol dimension, lowest digit first: bit j is the parity of all bits i with C(i, j) odd.
fn pascal(mut bits: u32) -> u32 {
    bits ^= (bits & 0xaaaa_aaaa) >> 1;
    bits ^= (bits & 0xcccc_cccc) >> 2;
    bits ^= (bits & 0xf0f0_f0f0) >> 4;
    bits ^= (bits & 0xff00_ff00) >> 8;
    bits ^ (bits >> 16)
}

/// Flips each bit by a hash of the bits below it: Owen scrambling of digits that lie lowest first.
#[inline]
fn laine_karras(mut x: u32, seed: u32) -> u32 {
    x ^= x.wrapping_mul(0x3d20_adea);
    x = x.wrapping_add(seed);
    x = x.wrapping_mul((seed >> 16) | 1);
    x ^= x.wrapping_mul(0x0552_6c56);
    x ^ x.wrapping_mul(0x53a2_2864)
}

/// A 32-bit hash with good avalanche (lowbias32).
pub(crate) fn hash(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

pub(crate) fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_samples_fill_every_kind_of_elementary_cell_once() {
        for dimension in 0..5 {
            let samples = Samples::new(7, 64);
            let draw = |mut sampler: Sampler| {
                (0..dimension).for_each(|_| _ = sampler.pair());
                sampler.pair()
            };
            let points: Vec<(f32, f32)> = samples.of_pixel((3, 4)).map(draw).collect();
            for columns in [1, 2, 4, 8, 16, 32, 64] {
                let rows = 64 / columns;
                let mut cells: Vec<_> =
                    points.iter().map(|(x, y)| ((x * columns as f32) as u32, (y * rows as f32) as u32)).collect();
                cells.sort_unstable();
                cells.dedup();
                assert_eq!(cells.len(), 64, "{columns} x {rows}");
            }
        }
    }
}
