//! Paints the ground of a tile: fibres, gaps, clefts and fat, as amounts of the two stains.

use super::noise::{Dice, Texture, hash};
use super::paint::{Canvas, TILE};
use super::scene::{Ground, LATTICE_STEP, Lattice, Scene};

/// What the pixels between four lattice nodes are interpolated from: everything is linear in these.
const COAT: usize = 12;
const DEPTH: usize = 0;
const CLEFT: usize = 1;
const CLEFT_HALF_WIDTH: usize = 2;
const ALONG: usize = 3;
const ACROSS: usize = 4;
const EOSIN: usize = 5;
const EOSIN_FIBRE: usize = 6;
const HAEMATOXYLIN: usize = 7;
const MOTTLE: usize = 8;
const GAP: usize = 9;
const FAT: usize = 10;
const EOSIN_MOTTLE: usize = 11;

/// Fibre texels per pixel along and across the fibres.
const STRETCH: (f32, f32) = (0.2, 0.8);

/// One layer's looks: eosin and its swing with the fibres, haematoxylin, mottling of each, and the fibre texture's value
/// below which glass shows.
struct Looks {
    eosin: f32,
    fibre: f32,
    haematoxylin: f32,
    mottle: f32,
    eosin_mottle: f32,
    gap: f32,
}

const SURFACE: Looks =
    Looks { eosin: 88.0, fibre: 4.0, haematoxylin: 62.0, mottle: 18.0, eosin_mottle: 12.0, gap: -2.0 };
const MUCOSA: Looks =
    Looks { eosin: 88.0, fibre: 44.0, haematoxylin: 24.0, mottle: 20.0, eosin_mottle: 34.0, gap: -0.72 };
const LYMPHOID: Looks =
    Looks { eosin: 52.0, fibre: 6.0, haematoxylin: 78.0, mottle: 30.0, eosin_mottle: 10.0, gap: -2.0 };
const SUBMUCOSA: Looks =
    Looks { eosin: 88.0, fibre: 72.0, haematoxylin: 5.0, mottle: 4.0, eosin_mottle: 14.0, gap: -0.46 };
const MUSCLE: Looks =
    Looks { eosin: 138.0, fibre: 82.0, haematoxylin: 20.0, mottle: 10.0, eosin_mottle: 22.0, gap: -0.78 };
const FATTY: Looks = Looks { eosin: 70.0, fibre: 30.0, haematoxylin: 6.0, mottle: 4.0, eosin_mottle: 8.0, gap: -0.5 };

fn coat(ground: &Ground) -> [f32; COAT] {
    let layers = [
        (ground.surface, SURFACE),
        (ground.mucosa, MUCOSA),
        (ground.lymphoid, LYMPHOID),
        (ground.submucosa, SUBMUCOSA),
        (ground.muscle, MUSCLE),
        (ground.fat, FATTY),
    ];
    let sum = |of: fn(&Looks) -> f32| layers.iter().map(|(share, looks)| share * of(looks)).sum::<f32>();
    let mut coat = [0.0; COAT];
    coat[DEPTH] = ground.depth;
    coat[CLEFT] = ground.cleft;
    coat[CLEFT_HALF_WIDTH] = ground.cleft_half_width;
    coat[ALONG] = ground.along * STRETCH.0;
    coat[ACROSS] = ground.across * STRETCH.1;
    coat[EOSIN] = sum(|looks| looks.eosin) * ground.eosin;
    coat[EOSIN_FIBRE] = sum(|looks| looks.fibre) * ground.eosin;
    coat[HAEMATOXYLIN] = sum(|looks| looks.haematoxylin) * ground.haematoxylin;
    coat[MOTTLE] = sum(|looks| looks.mottle);
    coat[EOSIN_MOTTLE] = sum(|looks| looks.eosin_mottle);
    coat[GAP] = sum(|looks| looks.gap);
    coat[FAT] = ground.fat;
    coat
}

/// The textures of the ground.
pub(super) struct Grounding {
    fibre: Texture,
    mottle: Texture,
    seed: u64,
}

impl Grounding {
    pub(super) fn new(scene: &Scene) -> Self {
        let seed = hash(scene.seed, 7, 7) as u32;
        Grounding {
            fibre: Texture::new(seed, &[(6, 12, 0.42), (14, 30, 0.42), (30, 64, 0.36), (50, 128, 0.26)]),
            mottle: Texture::new(seed ^ 0xA5, &[(16, 16, 0.4), (37, 37, 0.45), (83, 83, 0.4), (190, 190, 0.4)]),
            seed: hash(scene.seed, 8, 8),
        }
    }

    pub(super) fn mottle(&self) -> &Texture {
        &self.mottle
    }

    /// Lays the ground on a canvas; false where it is glass all over.
    pub(super) fn paint(&self, canvas: &mut Canvas, lattice: &Lattice, node: (usize, usize)) -> bool {
        let cells = TILE as usize / LATTICE_STEP as usize;
        let at = |column: usize, row: usize| coat(lattice.node(node.0 + column, node.1 + row));
        let (mut stained, mut fatty) = (false, false);
        let mut above: Vec<_> = (0..=cells).map(|column| at(column, 0)).collect();
        for row in 0..cells {
            let below: Vec<_> = (0..=cells).map(|column| at(column, row + 1)).collect();
            for column in 0..cells {
                let corners = [&above[column], &above[column + 1], &below[column], &below[column + 1]];
                if corners.iter().all(|corner| corner[DEPTH] < -16.0) {
                    continue;
                }
                stained = true;
                fatty |= corners.iter().any(|corner| corner[FAT] > 0.02);
                self.paint_cell(canvas, corners, column, row);
            }
            above = below;
        }
        if fatty {
            self.paint_fat(canvas, lattice, node);
        }
        stained
    }

    fn paint_cell(&self, canvas: &mut Canvas, corners: [&[f32; COAT]; 4], column: usize, row: usize) {
        const STEP: usize = LATTICE_STEP as usize;
        let [upper_left, upper_right, lower_left, lower_right] = corners;
        for line in 0..STEP {
            let t = line as f32 / STEP as f32;
            let down = |upper: &[f32; COAT], lower: &[f32; COAT]| -> [f32; COAT] {
                std::array::from_fn(|field| upper[field] + (lower[field] - upper[field]) * t)
            };
            let (left, right) = (down(upper_left, lower_left), down(upper_right, lower_right));
            let slope: [f32; COAT] = std::array::from_fn(|field| (right[field] - left[field]) / STEP as f32);
            let (x, y) = (column * STEP, row * STEP + line);
            let mottle = self.mottle.run((canvas.x + x as i64) as i32, (canvas.y + y as i64) as i32, STEP);
            let (eosin, haematoxylin) = canvas.run(x, y, STEP);
            for (index, ((eosin, haematoxylin), mottle)) in eosin.iter_mut().zip(haematoxylin).zip(mottle).enumerate() {
                let at = |field: usize| left[field] + slope[field] * index as f32;
                let mottle = f32::from(*mottle) * (1.0 / 127.0);
                let fibre = self.fibre.sample(at(ALONG), at(ACROSS));
                let depth = at(DEPTH) + 7.0 * mottle;
                let cleft = at(CLEFT).abs() - at(CLEFT_HALF_WIDTH) + 1.5 * mottle;
                let gap = (fibre + 0.22 * mottle - at(GAP)) * 2.6;
                let cover = (depth * 0.6).clamp(0.0, 1.0) * (cleft * 0.6 + 0.5).clamp(0.0, 1.0) * gap.clamp(0.0, 1.0);
                let edge = 26.0 * (1.0 - depth * (1.0 / 14.0)).clamp(0.0, 1.0);
                let red = at(EOSIN) + at(EOSIN_FIBRE) * fibre + at(EOSIN_MOTTLE) * mottle + edge;
                let blue = at(HAEMATOXYLIN) + at(MOTTLE) * mottle;
                *eosin = (cover * red) as i16;
                *haematoxylin = (cover * blue) as i16;
            }
        }
    }

    /// Fat cells are washed out by the alcohol: thin walls around nothing.
    fn paint_fat(&self, canvas: &mut Canvas, lattice: &Lattice, node: (usize, usize)) {
        const STEP: usize = LATTICE_STEP as usize;
        let cells = FatCells::around(self.seed, canvas.x, canvas.y);
        let fat = |column: usize, row: usize| lattice.node(node.0 + column, node.1 + row).fat;
        for y in 0..TILE as usize {
            for x in 0..TILE as usize {
                let (column, row) = (x / STEP, y / STEP);
                let (tx, ty) = ((x % STEP) as f32 / STEP as f32, (y % STEP) as f32 / STEP as f32);
                let upper = fat(column, row) * (1.0 - tx) + fat(column + 1, row) * tx;
                let lower = fat(column, row + 1) * (1.0 - tx) + fat(column + 1, row + 1) * tx;
                let mottle = self.mottle.texel((canvas.x + x as i64) as i32, (canvas.y + y as i64) as i32);
                let share = ((upper * (1.0 - ty) + lower * ty + 0.12 * mottle - 0.35) * 5.0).clamp(0.0, 1.0);
                let (eosin, haematoxylin) = canvas.at(x, y);
                if share <= 0.0 || *eosin == 0 {
                    continue;
                }
                let wall = (2.7 + 1.8 * mottle - cells.wall_distance(x as f32, y as f32)).clamp(0.0, 1.0);
                *eosin = (f32::from(*eosin) * (1.0 - share) + share * wall * (112.0 + 40.0 * mottle)) as i16;
                *haematoxylin = (f32::from(*haematoxylin) * (1.0 - share) + share * wall * 14.0) as i16;
            }
        }
    }
}

/// Fat cells around a tile: a Voronoi diagram of one centre thrown into each square of a grid.
struct FatCells {
    /// Upper left corner of the grid's part at hand, on the tile.
    left: f32,
    top: f32,
    centres: [[(f32, f32); FatCells::COUNT]; FatCells::COUNT],
}

impl FatCells {
    const SIDE: f32 = 118.0;
    /// The tile's own squares and two more on each side.
    const COUNT: usize = 7;

    fn around(seed: u64, x: i64, y: i64) -> Self {
        let first = |from: i64| (from as f64 / f64::from(Self::SIDE)).floor() as i64 - 2;
        let (column, row) = (first(x), first(y));
        let on_tile = |cell: f64, from: i64| (cell * f64::from(Self::SIDE) - from as f64) as f32;
        let centres = std::array::from_fn(|down| {
            std::array::from_fn(|across| {
                let (column, row) = (column + across as i64, row + down as i64);
                let mut dice = Dice::new(hash(seed, column, row));
                let mut place = |cell: i64, from: i64| on_tile(cell as f64 + dice.between(0.08, 0.92), from);
                (place(column, x), place(row, y))
            })
        });
        FatCells { left: on_tile(column as f64, x), top: on_tile(row as f64, y), centres }
    }

    /// Distance of a pixel of the tile from the border between the two nearest centres.
    fn wall_distance(&self, x: f32, y: f32) -> f32 {
        let home = |at: f32, from: f32| (((at - from) / Self::SIDE) as usize).clamp(1, Self::COUNT - 2);
        let (column, row) = (home(x, self.left), home(y, self.top));
        let (mut nearest, mut second) = ((f32::MAX, 0.0, 0.0), (f32::MAX, 0.0, 0.0));
        for centres in &self.centres[row - 1..=row + 1] {
            for &(cx, cy) in &centres[column - 1..=column + 1] {
                let square = (cx - x) * (cx - x) + (cy - y) * (cy - y);
                if square < nearest.0 {
                    second = nearest;
                    nearest = (square, cx, cy);
                } else if square < second.0 {
                    second = (square, cx, cy);
                }
            }
        }
        let (dx, dy) = (nearest.1 - second.1, nearest.2 - second.2);
        (second.0 - nearest.0) / (2.0 * (dx * dx + dy * dy).sqrt().max(1.0))
    }
}
