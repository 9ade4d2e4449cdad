//! Paints a tile: the ground first, then glands and vessels, then nuclei, then light through all of it.
//!
//! Owns the looks of single things. Knows nothing of files; where things are it is told.

use super::cells::{Cells, Nucleus, NucleusKind, Structure, StructureKind};
use super::ground::Grounding;
use super::noise::{Dice, Texture, hash};
use super::planes::Planes;
use super::scene::{LATTICE_STEP, Lattice, Scene};
use super::shape::Shape;
use super::stain::Light;

/// Side of a tile, as Aperio's scanners of the first generation wrote them.
pub(super) const TILE: u32 = 240;
const SIDE: usize = TILE as usize;

/// A tile's stains before light goes through it, and where it lies on the slide.
pub(super) struct Canvas {
    pub(super) x: i64,
    pub(super) y: i64,
    eosin: Vec<i16>,
    haematoxylin: Vec<i16>,
}

impl Canvas {
    fn new(x: i64, y: i64) -> Self {
        Canvas { x, y, eosin: vec![0; SIDE * SIDE], haematoxylin: vec![0; SIDE * SIDE] }
    }

    /// Both stains of `count` pixels from (x, y) of the canvas to the right.
    pub(super) fn run(&mut self, x: usize, y: usize, count: usize) -> (&mut [i16], &mut [i16]) {
        let range = y * SIDE + x..y * SIDE + x + count;
        (&mut self.eosin[range.clone()], &mut self.haematoxylin[range])
    }

    /// Both stains of one pixel.
    pub(super) fn at(&mut self, x: usize, y: usize) -> (&mut i16, &mut i16) {
        (&mut self.eosin[y * SIDE + x], &mut self.haematoxylin[y * SIDE + x])
    }

    /// Calls `paint(x, y, level, stains)` for each pixel of the canvas whose level within the shape is below `limit`;
    /// x and y are the slide's.
    fn stamp(&mut self, shape: &Shape, limit: f64, mut paint: impl FnMut(i32, i32, f32, &mut i16, &mut i16)) {
        let reach = shape.reach() * limit + 1.0;
        let span = |middle: f64, from: i64| {
            let from = from as f64;
            let low = (middle - reach - from).floor().clamp(0.0, f64::from(TILE)) as usize;
            let high = (middle + reach - from).ceil().clamp(0.0, f64::from(TILE)) as usize;
            low..high
        };
        let (columns, rows) = (span(shape.x, self.x), span(shape.y, self.y));
        for row in rows {
            for column in columns.clone() {
                let (x, y) = (self.x + column as i64, self.y + row as i64);
                let level = shape.level(x as f64 + 0.5, y as f64 + 0.5);
                if level < limit {
                    let (eosin, haematoxylin) = self.at(column, row);
                    paint(x as i32, y as i32, level as f32, eosin, haematoxylin);
                }
            }
        }
    }

    fn touches(&self, shape: &Shape) -> bool {
        let reach = shape.reach() + 10.0;
        let near = |at: f64, from: i64| at + reach > from as f64 && at - reach < (from + i64::from(TILE)) as f64;
        near(shape.x, self.x) && near(shape.y, self.y)
    }
}

/// Moves a stain towards an amount by a share.
fn blend(stain: &mut i16, amount: f32, share: f32) {
    *stain = (f32::from(*stain) * (1.0 - share) + amount * share) as i16;
}

/// Share of a pixel inside, by its distance from the edge (positive inside).
fn cover(distance: f32) -> f32 {
    (distance + 0.5).clamp(0.0, 1.0)
}

/// Everything that is the same for all tiles of a slide.
pub(super) struct Painter {
    grounding: Grounding,
    grain: Texture,
    light: Light,
}

impl Painter {
    pub(super) fn new(scene: &Scene) -> Self {
        let grain = Texture::white(hash(scene.seed, 9, 9));
        Painter { grounding: Grounding::new(scene), grain, light: Light::new() }
    }

    /// A tile of bare glass, one of several.
    pub(super) fn glass(&self, variant: u32) -> Planes {
        self.shine(&Canvas::new(i64::from(variant * TILE), i64::from(variant * TILE)))
    }

    /// The tile whose upper left corner is (x, y) on the slide, or none where all of it is bare glass; the lattice begins
    /// at `lattice_from`.
    pub(super) fn tile(
        &self,
        lattice: &Lattice,
        lattice_from: (i64, i64),
        cells: &Cells,
        x: i64,
        y: i64,
    ) -> Option<Planes> {
        let mut canvas = Canvas::new(x, y);
        let step = i64::from(LATTICE_STEP);
        let node = (((x - lattice_from.0) / step) as usize, ((y - lattice_from.1) / step) as usize);
        if !self.grounding.paint(&mut canvas, lattice, node) {
            return None;
        }
        for structure in &cells.structures {
            if canvas.touches(&structure.shape) {
                self.structure(&mut canvas, structure);
            }
        }
        let touched: Vec<_> = cells.nuclei.iter().filter(|nucleus| canvas.touches(&nucleus.shape)).collect();
        // Cell bodies first: no body may lie over a neighbour's nucleus.
        touched.iter().for_each(|nucleus| self.body(&mut canvas, nucleus));
        touched.iter().for_each(|nucleus| self.nucleus(&mut canvas, nucleus));
        Some(self.shine(&canvas))
    }

    fn shine(&self, canvas: &Canvas) -> Planes {
        let mut planes = Planes::new(TILE, TILE);
        for y in 0..SIDE {
            // Shifted from tile to tile; the run stays within the texture.
            let shift = ((canvas.x / i64::from(TILE) * 61) & 0xFF) as i32;
            let grain = self.grain.run(shift, (canvas.y + y as i64) as i32, SIDE);
            for (x, grain) in grain.iter().enumerate() {
                let index = y * SIDE + x;
                let noise = 128 + 3 * i32::from(*grain);
                planes.set(index, self.light.colour(canvas.eosin[index], canvas.haematoxylin[index], noise));
            }
        }
        planes
    }

    fn structure(&self, canvas: &mut Canvas, structure: &Structure) {
        match structure.kind {
            StructureKind::Crypt => self.crypt(canvas, structure),
            StructureKind::Vessel => self.vessel(canvas, structure),
        }
    }

    fn crypt(&self, canvas: &mut Canvas, crypt: &Structure) {
        let mottle = self.grounding.mottle();
        let (short, wall) = (crypt.shape.short as f32, crypt.wall as f32);
        let warm = Dice::new(crypt.salt).between(0.85, 1.15) as f32;
        canvas.stamp(&crypt.shape, 1.1, |x, y, level, eosin, haematoxylin| {
            let inside = (1.0 - level) * short;
            let grain = mottle.texel(x, y);
            // A thin clear line, then the basement membrane.
            blend(eosin, 18.0, 0.55 * cover(2.2 - (inside + 2.0).abs()));
            if inside < -0.5 {
                return;
            }
            let body = cover(inside);
            let apical = (inside / wall).clamp(0.0, 1.0);
            let lumen = cover(inside - wall + 2.5 * grain);
            let brim = (1.0 - (inside - wall + 3.0).abs() * 0.4).clamp(0.0, 1.0);
            blend(eosin, warm * (104.0 - 26.0 * apical + 30.0 * brim) + 20.0 * grain, body);
            blend(haematoxylin, 66.0 - 36.0 * apical + 12.0 * grain, body);
            let slime = (grain - 0.25).clamp(0.0, 0.5);
            blend(eosin, 6.0 + 50.0 * slime, lumen);
            blend(haematoxylin, 4.0 + 70.0 * slime, lumen);
        });
        for drop in &crypt.inclusions {
            let short = drop.short as f32;
            canvas.stamp(drop, 1.2, |x, y, level, eosin, haematoxylin| {
                let share = 0.88 * cover((1.0 - level) * short);
                let grain = mottle.texel(x * 2, y * 2);
                blend(eosin, 16.0 + 10.0 * grain, share);
                blend(haematoxylin, 34.0 + 16.0 * grain, share);
            });
        }
    }

    fn vessel(&self, canvas: &mut Canvas, vessel: &Structure) {
        let mottle = self.grounding.mottle();
        let (short, wall) = (vessel.shape.short as f32, vessel.wall as f32);
        canvas.stamp(&vessel.shape, 1.15, |x, y, level, eosin, haematoxylin| {
            let inside = (1.0 - level) * short;
            let grain = mottle.texel(x, y);
            let layers = mottle.texel((inside * 5.0) as i32, 77);
            let lumen = cover(inside - wall + 1.2 * grain);
            blend(eosin, 135.0 + 40.0 * layers + 20.0 * grain, cover(inside));
            blend(haematoxylin, 20.0 + 6.0 * grain, cover(inside));
            blend(eosin, 3.0, lumen);
            blend(haematoxylin, 0.0, lumen);
        });
        for cell in &vessel.inclusions {
            let short = cell.short as f32;
            canvas.stamp(cell, 1.3, |_, _, level, eosin, haematoxylin| {
                let share = 0.95 * cover((1.0 - level) * short);
                blend(eosin, 205.0 + 60.0 * level * level, share);
                blend(haematoxylin, 0.0, share);
            });
        }
    }

    /// What surrounds the nucleus of a free cell.
    fn body(&self, canvas: &mut Canvas, nucleus: &Nucleus) {
        let (size, red, blue, strength) = match nucleus.kind {
            NucleusKind::Plasma => (1.75, 100.0, 72.0, 0.75),
            NucleusKind::Eosinophil => (1.75, 250.0, 8.0, 0.9),
            _ => return,
        };
        let mottle = self.grounding.mottle();
        let mut dice = Dice::new(nucleus.salt);
        let (dx, dy) = dice.direction();
        let mut body = nucleus.shape;
        body.x += dx * 2.6;
        body.y += dy * 2.6;
        let short = body.short as f32;
        canvas.stamp(&body, size, |x, y, level, eosin, haematoxylin| {
            let share = strength * ((size as f32 - level) * short * 0.5).clamp(0.0, 1.0);
            let grain = mottle.texel(x * 3, y * 3);
            blend(eosin, red + 50.0 * grain, share);
            blend(haematoxylin, blue, share);
        });
    }

    fn nucleus(&self, canvas: &mut Canvas, nucleus: &Nucleus) {
        let (dark, clumps, hollow) = match nucleus.kind {
            NucleusKind::Lymphocyte => (365.0, 110.0, 40.0),
            NucleusKind::Plasma => (335.0, 130.0, 60.0),
            NucleusKind::Eosinophil => (350.0, 90.0, 20.0),
            NucleusKind::Epithelial => (262.0, 100.0, 80.0),
            NucleusKind::Spindle => (290.0, 90.0, 40.0),
        };
        let mottle = self.grounding.mottle();
        let mut dice = Dice::new(nucleus.salt ^ 0xD1CE);
        let dark = dark * dice.between(0.88, 1.15) as f32;
        let (shift_x, shift_y) = (dice.bits() as i32 >> 8, dice.bits() as i32 >> 8);
        let spot = (nucleus.kind == NucleusKind::Epithelial && dice.chance(0.6)).then(|| {
            let (dx, dy) = dice.direction();
            (nucleus.shape.x + 1.8 * dx, nucleus.shape.y + 1.8 * dy)
        });
        let short = nucleus.shape.short as f32;
        canvas.stamp(&nucleus.shape, 1.35, |x, y, level, eosin, haematoxylin| {
            let share = cover((1.0 - level) * short * 0.7);
            if share <= 0.0 {
                return;
            }
            let grain = mottle.texel(x * 2 + shift_x, y * 2 + shift_y);
            // Chromatin gathers at the envelope, more so in large pale nuclei.
            let envelope = level * level * level;
            let mut amount = dark + clumps * grain + hollow * (envelope - 0.6);
            if let Some((sx, sy)) = spot {
                let (dx, dy) = (f64::from(x) + 0.5 - sx, f64::from(y) + 0.5 - sy);
                let square = (dx * dx + dy * dy) as f32;
                amount += 130.0 * (1.0 - square * 0.22).max(0.0);
            }
            blend(eosin, 74.0 + 16.0 * grain, share);
            blend(haematoxylin, amount, share);
        });
    }
}
