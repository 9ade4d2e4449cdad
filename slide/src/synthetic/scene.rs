//! What the ground is like at a point of the slide: how deep in the tissue, in which layer, and which way its fibres run.
//!
//! The tissue is a few pieces of bowel wall: mucosa along one side, loose submucosa with vessels below it, muscle, and fat
//! on the far side. All is a pure function of (seed, x, y), so any part of a slide of any size can be drawn by itself.
//! Coordinates and lengths are level-0 pixels of 0.499 µm. Knows nothing of colours, of single cells and of files.

use super::Options;
use super::noise::{Dice, hash, noise, smooth, unit_vector};

/// Depth given to points so far outside that nothing near them matters.
const FAR_OUTSIDE: f32 = -1000.0;

/// The finest wave of the outline here; the pixels' own texture adds what is finer.
const FINEST_OUTLINE_WAVE: f64 = 34.0;

/// One piece of tissue: an ellipse before its outline is bent.
struct Piece {
    x: f64,
    y: f64,
    axis: (f64, f64),
    across: f64,
    along: f64,
    /// Towards the mucosa, in the ellipse's own frame.
    mucosa_side: (f64, f64),
    /// The same on the slide; fibres run across it.
    layering: (f64, f64),
}

/// A slide's worth of tissue.
pub(super) struct Scene {
    pub(super) seed: u64,
    pub(super) width: f64,
    pub(super) height: f64,
    pieces: Vec<Piece>,
    /// Half the smallest piece's width.
    scale: f64,
    mucosa_thickness: f64,
    salt: u32,
}

/// The ground at one point. Layers are shares between 0 and 1.
#[derive(Clone, Copy, Default)]
pub(super) struct Ground {
    /// Distance from the tissue's edge, positive inside.
    pub(super) depth: f32,
    /// How far down the mucosa reaches here.
    pub(super) mucosa_floor: f32,
    /// Signed distance from the middle line of the nearest cleft, and half that cleft's width (not above 0: closed).
    pub(super) cleft: f32,
    pub(super) cleft_half_width: f32,
    /// Coordinates along and across the fibres.
    pub(super) along: f32,
    pub(super) across: f32,
    pub(super) surface: f32,
    pub(super) mucosa: f32,
    pub(super) lymphoid: f32,
    pub(super) submucosa: f32,
    pub(super) muscle: f32,
    pub(super) fat: f32,
    /// How strongly each stain took here, about 1.
    pub(super) eosin: f32,
    pub(super) haematoxylin: f32,
    /// Positive where the cut runs along the crypts, negative where it runs across them.
    pub(super) cut: f32,
}

impl Ground {
    /// Clear of the tissue's edge and of clefts by at least `margin` pixels.
    pub(super) fn is_solid(&self, margin: f64) -> bool {
        let margin = margin as f32;
        self.depth > margin && (self.cleft_half_width <= 0.0 || self.cleft.abs() - self.cleft_half_width > margin)
    }
}

impl Scene {
    pub(super) fn new(options: &Options) -> Self {
        let (width, height) = (f64::from(options.width), f64::from(options.height));
        let mut dice = Dice::new(hash(options.seed, 1, 1));
        let (long, short) = (width.max(height), width.min(height));
        let count = if short < 1500.0 {
            1.0
        } else if long < 1.2 * short {
            2.0
        } else {
            (long / short * 1.6).round().clamp(2.0, 5.0)
        };
        let slot = long / count;
        // Sections of one block look alike, so their mucosa lies on about the same side.
        let side = dice.direction();
        let pieces: Vec<Piece> = (0..count as u32)
            .map(|index| {
                let (t, s) = ((f64::from(index) + 0.5) * slot, short * dice.between(0.48, 0.52));
                let (x, y) = if width >= height { (t, s) } else { (s, t) };
                let (half_slot, half_short) = (slot * dice.between(0.37, 0.41), short * dice.between(0.37, 0.41));
                let (across, along) = if width >= height { (half_slot, half_short) } else { (half_short, half_slot) };
                let axis = unit_vector(1.0, dice.between(-0.18, 0.18));
                let mucosa_side = unit_vector(side.0 + dice.between(-0.3, 0.3), side.1 + dice.between(-0.3, 0.3));
                let (dx, dy) = unit_vector(mucosa_side.0 / across, mucosa_side.1 / along);
                let layering = (dx * axis.0 - dy * axis.1, dx * axis.1 + dy * axis.0);
                Piece { x, y, axis, across, along, mucosa_side, layering }
            })
            .collect();
        let scale = pieces.iter().fold(f64::MAX, |least, piece| least.min(piece.across).min(piece.along));
        let mucosa_thickness = (0.3 * scale).clamp(140.0, 900.0);
        Scene { seed: options.seed, width, height, pieces, scale, mucosa_thickness, salt: dice.bits() as u32 }
    }

    fn noise(&self, which: u32, x: f64, y: f64, wave: f64) -> f64 {
        // Turned, so that no feature lines up with the slide's sides.
        let (u, v) = (0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y);
        noise(self.salt ^ which.wrapping_mul(0x9E37_79B9), u / wave, v / wave)
    }

    /// The piece around a point, how deep the point lies in it, and how far towards its mucosa (−1 to 1).
    fn nearest_piece(&self, x: f64, y: f64) -> (usize, f64, f64) {
        let mut best = (0, f64::MIN, 0.0);
        for (index, piece) in self.pieces.iter().enumerate() {
            let (dx, dy) = (x - piece.x, y - piece.y);
            let u = (dx * piece.axis.0 + dy * piece.axis.1) / piece.across;
            let v = (dy * piece.axis.0 - dx * piece.axis.1) / piece.along;
            let depth = (1.0 - (u * u + v * v).sqrt()) * piece.across.min(piece.along);
            if depth > best.1 {
                best = (index, depth, u * piece.mucosa_side.0 + v * piece.mucosa_side.1);
            }
        }
        best
    }

    /// The ground at a point.
    pub(super) fn ground(&self, x: f64, y: f64) -> Ground {
        let outside = Ground { depth: FAR_OUTSIDE, ..Ground::default() };
        if self.nearest_piece(x, y).1 < -0.8 * self.scale {
            return outside;
        }
        let (mut depth, piece, side) = self.outline(x, y);
        if depth < -80.0 {
            return outside;
        }
        let margin = 0.12 * self.scale;
        let from_edge = x.min(y).min(self.width - x).min(self.height - y);
        depth -= self.scale * (1.0 - from_edge / margin).max(0.0);

        let clefts = 0.45 + self.noise(12, x, y, 1300.0);
        let mut ground = self.layers(x, y, depth, side);
        ground.cleft_half_width = ((clefts - 0.55) * 26.0 * (1.0 - 0.4 * f64::from(ground.mucosa))) as f32;

        let (dx, dy) = self.pieces[piece].layering;
        let bend = 300.0 * self.noise(20, x, y, 1500.0) + 64.0 * self.noise(21, x, y, 370.0);
        ground.across = (x * dx + y * dy + bend + 11.0 * self.noise(22, x, y, 90.0)) as f32;
        ground.along = (y * dx - x * dy + 180.0 * self.noise(23, x, y, 900.0)) as f32;
        // Clefts open along the fibres.
        let (along, across) = (f64::from(ground.along) / 1500.0, f64::from(ground.across) / 420.0);
        let cleft = noise(self.salt ^ 10, along, across) * 230.0;
        ground.cleft = (cleft + self.noise(11, x, y, 90.0) * 14.0) as f32;
        ground.eosin = (1.0 + 0.22 * self.noise(30, x, y, 700.0) + 0.12 * self.noise(31, x, y, 5200.0)) as f32;
        ground.haematoxylin = (1.0 + 0.22 * self.noise(32, x, y, 900.0)) as f32;
        ground.cut = self.noise(33, x, y, 2100.0) as f32;
        ground
    }

    /// Depth below the bent outline, the piece, and the side.
    fn outline(&self, x: f64, y: f64) -> (f64, usize, f64) {
        let wave = 1.3 * self.scale;
        let bent_x = x + 0.34 * self.scale * self.noise(1, x, y, wave);
        let bent_y = y + 0.34 * self.scale * self.noise(2, x, y, wave);
        let (piece, mut depth, side) = self.nearest_piece(bent_x, bent_y);
        let mut wave = 0.62 * self.scale;
        let mut which = 3;
        while wave >= FINEST_OUTLINE_WAVE {
            depth += 0.27 * wave * self.noise(which, x, y, wave);
            wave *= 0.47;
            which += 100;
        }
        let wander = 0.28 * self.noise(4, x, y, 0.7 * self.scale) + 0.1 * self.noise(14, x, y, 0.2 * self.scale);
        (depth, piece, side + wander + 0.03 * self.noise(15, x, y, 0.06 * self.scale))
    }

    fn layers(&self, x: f64, y: f64, depth: f64, side: f64) -> Ground {
        let uneven = 0.9 + 0.5 * self.noise(5, x, y, 800.0);
        let floor = self.mucosa_thickness * uneven * smooth(-0.15, 0.25, side);
        let band = 26.0 + 14.0 * self.noise(6, x, y, 300.0);

        let mucosa = smooth(floor + 6.0, floor - 14.0, depth) * smooth(30.0, 60.0, floor);
        let muscularis = smooth(floor + band, floor + band - 10.0, depth) * smooth(60.0, 90.0, floor) - mucosa;
        let fat_lobules = smooth(0.34, 0.44, self.noise(7, x, y, 900.0)) * smooth(0.3, 0.0, side);
        let fat = smooth(-0.56, -0.64, side).max(fat_lobules);
        let muscle = smooth(-0.02, -0.07, side) * (1.0 - fat);
        let clumps = self.noise(8, x, y, 620.0) + 0.45 * self.noise(9, x, y, 150.0);
        let lymphoid = smooth(0.34, 0.42, clumps)
            * smooth(0.55 * floor, 0.75 * floor, depth)
            * smooth(floor + 330.0, floor + 200.0, depth)
            * smooth(60.0, 110.0, floor);
        let surface = mucosa * smooth(33.0, 29.0, depth);

        let below = 1.0 - mucosa.max(lymphoid);
        let muscularis = muscularis.clamp(0.0, below);
        let rest = below - muscularis;
        Ground {
            depth: depth as f32,
            mucosa_floor: floor as f32,
            surface: (surface * (1.0 - lymphoid)) as f32,
            mucosa: ((mucosa - surface) * (1.0 - lymphoid)) as f32,
            lymphoid: lymphoid as f32,
            muscle: (muscularis + rest * muscle) as f32,
            fat: (rest * fat) as f32,
            submucosa: (rest * (1.0 - muscle - fat).max(0.0)) as f32,
            ..Ground::default()
        }
    }
}

/// Spacing of a [`Lattice`]; divides the tile side.
pub(super) const LATTICE_STEP: u32 = 16;

/// The ground on a grid over a square part of the slide, for cheap looks at any point of it.
pub(super) struct Lattice {
    x: i64,
    y: i64,
    side: usize,
    nodes: Vec<Ground>,
}

impl Lattice {
    /// Covers `size` pixels from (x, y), all three multiples of the step.
    pub(super) fn over(scene: &Scene, x: i64, y: i64, size: u32) -> Self {
        let side = (size / LATTICE_STEP) as usize + 1;
        let step = i64::from(LATTICE_STEP);
        let mut nodes = Vec::with_capacity(side * side);
        for row in 0..side as i64 {
            for column in 0..side as i64 {
                nodes.push(scene.ground((x + column * step) as f64, (y + row * step) as f64));
            }
        }
        Lattice { x, y, side, nodes }
    }

    /// The node at a column and a row of the grid.
    pub(super) fn node(&self, column: usize, row: usize) -> &Ground {
        &self.nodes[row.min(self.side - 1) * self.side + column.min(self.side - 1)]
    }

    /// The column and row of the cell around a point, or of the nearest cell, and where in it the point lies. Counted
    /// from the slide's corner, so that lattices which begin elsewhere agree to the last bit.
    fn cell(&self, x: f64, y: f64) -> (usize, usize, f32, f32) {
        let along = |at: f64, from: i64| {
            let place = at / f64::from(LATTICE_STEP);
            let cell = place.floor();
            let index = (cell as i64 - from / i64::from(LATTICE_STEP)).clamp(0, self.side as i64 - 2);
            (index as usize, (place - cell) as f32)
        };
        let ((column, tx), (row, ty)) = (along(x, self.x), along(y, self.y));
        (column, row, tx, ty)
    }

    /// The ground at a point: layers of the nearest node, distances interpolated.
    pub(super) fn at(&self, x: f64, y: f64) -> Ground {
        let (column, row, tx, ty) = self.cell(x, y);
        let mut ground = *self.node(column + usize::from(tx > 0.5), row + usize::from(ty > 0.5));
        let between = |of: fn(&Ground) -> f32| {
            let upper = of(self.node(column, row)) * (1.0 - tx) + of(self.node(column + 1, row)) * tx;
            let lower = of(self.node(column, row + 1)) * (1.0 - tx) + of(self.node(column + 1, row + 1)) * tx;
            upper * (1.0 - ty) + lower * ty
        };
        ground.depth = between(|ground| ground.depth);
        ground.cleft = between(|ground| ground.cleft);
        ground
    }

    fn slope(&self, x: f64, y: f64, of: fn(&Ground) -> f32) -> (f64, f64) {
        let (column, row, _, _) = self.cell(x, y);
        let here = of(self.node(column, row));
        let (right, below) = (of(self.node(column + 1, row)) - here, of(self.node(column, row + 1)) - here);
        unit_vector(f64::from(right), f64::from(below))
    }

    /// The direction in which the fibres run.
    pub(super) fn fibre(&self, x: f64, y: f64) -> (f64, f64) {
        let (dx, dy) = self.slope(x, y, |ground| ground.across);
        (-dy, dx)
    }

    /// The direction away from the tissue's edge.
    pub(super) fn inward(&self, x: f64, y: f64) -> (f64, f64) {
        self.slope(x, y, |ground| ground.depth)
    }
}
