//! Chance without state: hashes, a dice per thing, gradient noise and the textures cut from it.
//!
//! Everything is integer hashing and the four basic operations (and square roots), which IEEE 754 fixes to the last bit:
//! a seed gives the same picture on every machine. For the same reason there is no `sin`, `exp` or `powf` here.

/// Mixes a seed with two coordinates into 64 well-spread bits.
pub(super) fn hash(seed: u64, x: i64, y: i64) -> u64 {
    let x = (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let y = (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F).rotate_left(31);
    mix(seed ^ x ^ y)
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A sequence of numbers that belongs to one thing, for example to one cell of a grid.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in 0..1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A direction, uniform over the circle: the first throw inside it.
    pub(super) fn direction(&mut self) -> (f64, f64) {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 0.01 && square <= 1.0 {
                return unit_vector(x, y);
            }
        }
    }
}

/// The vector scaled to length 1, or the x axis where it has none.
pub(super) fn unit_vector(x: f64, y: f64) -> (f64, f64) {
    let length = (x * x + y * y).sqrt();
    if length < 1e-9 { (1.0, 0.0) } else { (x / length, y / length) }
}

/// Hermite step from 0 at `low` to 1 at `high`; falls where `low` is above `high`.
pub(super) fn smooth(low: f64, high: f64, x: f64) -> f64 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Both parts of a unit vector along a diagonal.
const DIAGONAL: f64 = std::f64::consts::FRAC_1_SQRT_2;

const GRADIENTS: [(f64, f64); 16] = [
    (1.0, 0.0),
    (0.923_879_5, 0.382_683_4),
    (DIAGONAL, DIAGONAL),
    (0.382_683_4, 0.923_879_5),
    (0.0, 1.0),
    (-0.382_683_4, 0.923_879_5),
    (-DIAGONAL, DIAGONAL),
    (-0.923_879_5, 0.382_683_4),
    (-1.0, 0.0),
    (-0.923_879_5, -0.382_683_4),
    (-DIAGONAL, -DIAGONAL),
    (-0.382_683_4, -0.923_879_5),
    (0.0, -1.0),
    (0.382_683_4, -0.923_879_5),
    (DIAGONAL, -DIAGONAL),
    (0.923_879_5, -0.382_683_4),
];

fn corner(seed: u32, column: i32, row: i32, dx: f64, dy: f64) -> f64 {
    let mut bits = (column as u32).wrapping_mul(0x9E37_79B1) ^ (row as u32).wrapping_mul(0x85EB_CA77) ^ seed;
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297A_2D39);
    let (gx, gy) = GRADIENTS[(bits >> 28) as usize];
    gx * dx + gy * dy
}

/// Without the call into the mathematics library that `f64::floor` is on machines without SSE 4.1.
fn floor(x: f64) -> i32 {
    let towards_zero = x as i32;
    towards_zero - i32::from(x < f64::from(towards_zero))
}

fn gradient_noise(seed: u32, x: f64, y: f64, wrap: impl Fn(i32, i32) -> (i32, i32)) -> f64 {
    let (column, row) = (floor(x), floor(y));
    let (dx, dy) = (x - f64::from(column), y - f64::from(row));
    let fade = |t: f64| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let at = |i: i32, j: i32| {
        let (column, row) = wrap(column + i, row + j);
        corner(seed, column, row, dx - f64::from(i), dy - f64::from(j))
    };
    let (tx, ty) = (fade(dx), fade(dy));
    let upper = at(0, 0) * (1.0 - tx) + at(1, 0) * tx;
    let lower = at(0, 1) * (1.0 - tx) + at(1, 1) * tx;
    (upper * (1.0 - ty) + lower * ty) * 1.414
}

/// Gradient noise with a wavelength of 1, within -1..1 and mostly within -0.6..0.6.
pub(super) fn noise(seed: u32, x: f64, y: f64) -> f64 {
    gradient_noise(seed, x, y, |column, row| (column, row))
}

/// A texture's side in texels. It repeats, so a coordinate is cut to its low bits.
pub(super) const TEXTURE: usize = 512;
const MASK: i32 = TEXTURE as i32 - 1;

/// A square of noise that repeats without a seam, its values within -1..1 as whole numbers -127..127.
pub(super) struct Texture(Vec<i8>);

impl Texture {
    /// Sums octaves given as (waves across, waves down, weight), so that streaks come from unequal counts.
    pub(super) fn new(seed: u32, octaves: &[(i32, i32, f64)]) -> Self {
        let mut texels = Vec::with_capacity(TEXTURE * TEXTURE);
        for y in 0..TEXTURE {
            for x in 0..TEXTURE {
                let mut sum = 0.0;
                for (index, &(across, down, weight)) in octaves.iter().enumerate() {
                    let at = |texel: usize, waves: i32| texel as f64 * f64::from(waves) / TEXTURE as f64;
                    let wrap = |column: i32, row: i32| (column.rem_euclid(across), row.rem_euclid(down));
                    let seed = seed.wrapping_add(index as u32 * 0x51ED);
                    sum += weight * gradient_noise(seed, at(x, across), at(y, down), wrap);
                }
                texels.push((sum * 127.0).clamp(-127.0, 127.0) as i8);
            }
        }
        Texture(texels)
    }

    /// White noise.
    pub(super) fn white(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Texture((0..TEXTURE * TEXTURE).map(|_| (dice.bits() >> 56) as i8).collect())
    }

    /// The texels from (x, y) to the right, at most `count`, fewer where the texture's edge comes first.
    pub(super) fn run(&self, x: i32, y: i32, count: usize) -> &[i8] {
        let x = (x & MASK) as usize;
        let start = (y & MASK) as usize * TEXTURE + x;
        &self.0[start..start + count.min(TEXTURE - x)]
    }

    /// The nearest texel, within -1..1.
    pub(super) fn texel(&self, x: i32, y: i32) -> f32 {
        f32::from(self.0[(y & MASK) as usize * TEXTURE + (x & MASK) as usize]) / 127.0
    }

    /// Between the four nearest texels, within -1..1.
    pub(super) fn sample(&self, x: f32, y: f32) -> f32 {
        let (column, row) = (floor(f64::from(x)), floor(f64::from(y)));
        let (tx, ty) = (x - column as f32, y - row as f32);
        let (left, top) = ((column & MASK) as usize, (row & MASK) as usize * TEXTURE);
        let right = (left + 1) & (TEXTURE - 1);
        let bottom = (top + TEXTURE) & (TEXTURE * TEXTURE - 1);
        let at = |index: usize| f32::from(self.0[index & (TEXTURE * TEXTURE - 1)]);
        let upper = at(top + left) * (1.0 - tx) + at(top + right) * tx;
        let lower = at(bottom + left) * (1.0 - tx) + at(bottom + right) * tx;
        (upper * (1.0 - ty) + lower * ty) * (1.0 / 127.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_texture_repeats_without_a_seam() {
        let texture = Texture::new(5, &[(8, 8, 1.0)]);
        let across =
            (0..TEXTURE as i32).map(|y| (texture.texel(0, y) - texture.texel(-1, y)).abs()).fold(0.0, f32::max);
        let within = (0..TEXTURE as i32).map(|y| (texture.texel(9, y) - texture.texel(8, y)).abs()).fold(0.0, f32::max);
        assert!(across < 2.0 * within + 0.02, "seam {across}, elsewhere {within}");
        assert_eq!(texture.sample(3.0, 7.0), texture.sample(3.0 + TEXTURE as f32, 7.0 - TEXTURE as f32));
    }

    #[test]
    fn noise_is_bounded_and_smooth() {
        for step in 0..10_000 {
            let x = f64::from(step) * 0.173;
            let value = noise(9, x, x * 0.37);
            assert!(value.abs() <= 1.0);
            assert!((value - noise(9, x + 0.001, x * 0.37)).abs() < 0.01);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_throws() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            (0..4).map(|_| dice.bits()).collect::<Vec<_>>()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
        assert_eq!(hash(1, -5, 7), hash(1, -5, 7));
        assert_ne!(hash(1, -5, 7), hash(1, 7, -5));
    }
}
