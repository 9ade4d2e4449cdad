//! Which glands, vessels and cells there are: their places, shapes and kinds.
//!
//! Owns the promise behind the known number: every nucleus lies wholly on the slide and no two touch. A nucleus belongs to
//! the window that holds its centre, so windows that tile the slide count each one once. Knows nothing of colours.

use super::noise::{Dice, hash};
use super::scatter::{self, Candidate};
use super::scene::{Ground, Lattice, Scene};
use super::shape::{RingPoint, Shape};

/// Clear room around each nucleus, so that an analysis can tell neighbours apart.
const NUCLEUS_GAP: f64 = 3.5;
/// No nucleus reaches further from its centre.
const NUCLEUS_REACH: f64 = 15.5;
const NUCLEUS_CELL: f64 = 10.5;
const STRUCTURE_GAP: f64 = 9.0;
/// No gland or vessel reaches further from its centre.
const STRUCTURE_REACH: f64 = 150.0;
const STRUCTURE_CELL: f64 = 56.0;
/// How far outside the lattice a structure can stand and still crowd out a nucleus within.
const STRUCTURES_BEYOND: f64 = STRUCTURE_REACH + 32.0;
/// How far over a window's edge the lattice must reach; a multiple of its step.
pub(super) const LATTICE_MARGIN: u32 = 208;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum NucleusKind {
    /// Small, round and dark.
    Lymphocyte,
    /// Like a lymphocyte, in a cell body that takes some of both stains.
    Plasma,
    /// Small, in a glowing red cell body.
    Eosinophil,
    /// Larger and paler, with a nucleolus.
    Epithelial,
    /// Long and thin, along the fibres.
    Spindle,
}

pub(super) struct Nucleus {
    pub(super) kind: NucleusKind,
    pub(super) shape: Shape,
    /// Chance for its looks.
    pub(super) salt: u64,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum StructureKind {
    /// A tube gland of the mucosa: columnar cells, some full of mucus, around a narrow lumen.
    Crypt,
    /// A blood vessel, empty or full of red cells.
    Vessel,
}

pub(super) struct Structure {
    pub(super) kind: StructureKind,
    pub(super) shape: Shape,
    /// Thickness of the wall around the lumen.
    pub(super) wall: f64,
    /// Mucus drops of a crypt, red cells of a vessel.
    pub(super) inclusions: Vec<Shape>,
    nuclei: Vec<Nucleus>,
    pub(super) salt: u64,
}

/// All that lies in a square window of the slide or reaches into it.
pub(super) struct Cells {
    pub(super) structures: Vec<Structure>,
    pub(super) nuclei: Vec<Nucleus>,
    /// How many of the nuclei have their centre in the window.
    pub(super) owned: u64,
}

impl Cells {
    /// What there is in the square of `size` pixels from (x, y); the lattice covers it with its margin.
    pub(super) fn in_window(scene: &Scene, lattice: &Lattice, x: i64, y: i64, size: u32) -> Self {
        let mut structures = structures(scene, x, y, size);
        let mut nuclei = loose_nuclei(scene, lattice, &structures, x, y, size);
        for structure in &mut structures {
            nuclei.append(&mut structure.nuclei);
        }
        let span = |from: i64| from as f64..(from + i64::from(size)) as f64;
        let (columns, rows) = (span(x), span(y));
        let touches = |shape: &Shape| {
            let reach = shape.reach() + 8.0;
            let clear = |at: f64, span: &std::ops::Range<f64>| at + reach < span.start || at - reach > span.end;
            !clear(shape.x, &columns) && !clear(shape.y, &rows)
        };
        structures.retain(|structure| touches(&structure.shape));
        nuclei.retain(|nucleus| touches(&nucleus.shape));
        let owned = nuclei.iter().filter(|n| columns.contains(&n.shape.x) && rows.contains(&n.shape.y)).count();
        Cells { structures, nuclei, owned: owned as u64 }
    }
}

/// Whether a shape lies wholly on the slide, with a pixel to spare.
fn on_slide(scene: &Scene, shape: &Shape) -> bool {
    let reach = shape.reach() + 1.0;
    shape.x > reach && shape.y > reach && shape.x < scene.width - reach && shape.y < scene.height - reach
}

fn structures(scene: &Scene, x: i64, y: i64, size: u32) -> Vec<Structure> {
    let conflict = 2.0 * STRUCTURE_REACH + STRUCTURE_GAP;
    let near = f64::from(LATTICE_MARGIN) + STRUCTURES_BEYOND;
    let around = scatter::margin(conflict) + near;
    let candidates = scatter::cells(x, y, size, around, STRUCTURE_CELL)
        .filter_map(|(column, row)| {
            let mut dice = Dice::new(hash(scene.seed ^ 0x57A7, column, row));
            let (x, y) = ((column as f64 + dice.unit()) * STRUCTURE_CELL, (row as f64 + dice.unit()) * STRUCTURE_CELL);
            let (kind, shape) = structure_at(scene, x, y, &mut dice)?;
            let fits = shape.reach() <= STRUCTURE_REACH && on_slide(scene, &shape);
            fits.then(|| Candidate { column, row, rank: dice.bits(), shape, what: kind })
        })
        .collect();
    let near = |at: f64, from: i64| at > from as f64 - near && at < from as f64 + f64::from(size) + near;
    scatter::thin(candidates, STRUCTURE_CELL, STRUCTURE_GAP)
        .into_iter()
        .filter(|kept| near(kept.shape.x, x) && near(kept.shape.y, y))
        .map(|kept| furnish(kept.what, kept.shape, kept.rank))
        .collect()
}

/// Decides whether a gland or vessel could stand here.
fn structure_at(scene: &Scene, x: f64, y: f64, dice: &mut Dice) -> Option<(StructureKind, Shape)> {
    let ground = scene.ground(x, y);
    if ground.depth < 40.0 {
        return None;
    }
    if ground.mucosa > 0.8 {
        let short = dice.between(45.0, 60.0);
        let lengthwise = ground.cut > 0.0;
        let long = if lengthwise { short * dice.between(1.6, 2.2) } else { short * dice.between(1.0, 1.3) };
        let step = 12.0;
        let here = f64::from(ground.depth);
        let right = f64::from(scene.ground(x + step, y).depth) - here;
        let below = f64::from(scene.ground(x, y + step).depth) - here;
        let inward = super::noise::unit_vector(right, below);
        let axis = if lengthwise { inward } else { dice.direction() };
        let half = if lengthwise { long } else { short };
        let fits = here > half + 36.0 && here + half < f64::from(ground.mucosa_floor) + 12.0;
        let shape = Shape::new(x, y, axis, long, short, 0.22, dice);
        return (fits && ground.is_solid(short + 4.0)).then_some((StructureKind::Crypt, shape));
    }
    if ground.submucosa > 0.7 && dice.chance(0.05) {
        let size = dice.unit();
        let short = 16.0 + 52.0 * size * size;
        let axis = dice.direction();
        let shape = Shape::new(x, y, axis, short * dice.between(1.1, 1.9), short, 0.3, dice);
        return ground.is_solid(shape.reach() + 10.0).then_some((StructureKind::Vessel, shape));
    }
    None
}

/// Puts the cells into a gland or vessel.
fn furnish(kind: StructureKind, shape: Shape, salt: u64) -> Structure {
    let mut dice = Dice::new(salt);
    let mut structure =
        Structure { kind, shape, wall: 0.0, inclusions: Vec::new(), nuclei: Vec::new(), salt: dice.bits() };
    match kind {
        StructureKind::Crypt => furnish_crypt(&mut structure, &mut dice),
        StructureKind::Vessel => furnish_vessel(&mut structure, &mut dice),
    }
    structure
}

fn furnish_crypt(crypt: &mut Structure, dice: &mut Dice) {
    crypt.wall = crypt.shape.short * dice.between(0.70, 0.80);
    let mucus = dice.between(0.35, 0.75);
    for point in crypt.shape.ring(13.0, 14.0, dice) {
        let (long, short) = (dice.between(6.6, 8.8), dice.between(4.2, 5.0));
        let place = moved(&point, dice.between(-2.0, 1.0));
        let nucleus = Shape::new(place.0, place.1, lean(point.normal, 0.15, dice), long, short, 0.12, dice);
        add_apart(&mut crypt.nuclei, NucleusKind::Epithelial, nucleus, dice.bits());
        if dice.chance(mucus) && crypt.wall > 34.0 {
            let (long, short) = (dice.between(7.5, 10.5), dice.between(5.0, 6.6));
            let place = moved(&point, -19.0);
            crypt.inclusions.push(Shape::new(place.0, place.1, point.normal, long, short, 0.1, dice));
        }
    }
}

fn furnish_vessel(vessel: &mut Structure, dice: &mut Dice) {
    let short = vessel.shape.short;
    vessel.wall = (short * dice.between(0.14, 0.3)).clamp(5.0, 13.0);
    let lining = vessel.wall + 3.5;
    for point in vessel.shape.ring(lining, 42.0, dice) {
        let (long, short) = (dice.between(7.0, 9.0), dice.between(3.1, 3.5));
        let along = (-point.normal.1, point.normal.0);
        let nucleus = Shape::new(point.x, point.y, along, long, short, 0.1, dice);
        if vessel.shape.short > 14.0 {
            add_apart(&mut vessel.nuclei, NucleusKind::Spindle, nucleus, dice.bits());
        }
    }
    if dice.chance(0.6) {
        let (reach, cell) = (vessel.shape.reach(), 11.0);
        let steps = (reach / cell) as i32;
        for (column, row) in (-steps..=steps).flat_map(|row| (-steps..=steps).map(move |column| (column, row))) {
            let x = vessel.shape.x + (f64::from(column) + dice.between(-0.3, 0.3)) * cell;
            let y = vessel.shape.y + (f64::from(row) + dice.between(-0.3, 0.3)) * cell;
            let inside = 1.0 - (lining + 9.0) / short;
            let clear = vessel.nuclei.iter().all(|nucleus| nucleus.shape.level(x, y) > 2.2);
            if vessel.shape.level(x, y) < inside && clear && dice.chance(0.86) {
                let (long, short) = (dice.between(5.2, 6.4), dice.between(4.4, 5.6));
                vessel.inclusions.push(Shape::new(x, y, dice.direction(), long, short, 0.2, dice));
            }
        }
    }
}

fn moved(point: &RingPoint, outwards: f64) -> (f64, f64) {
    (point.x + point.normal.0 * outwards, point.y + point.normal.1 * outwards)
}

/// A unit vector, turned by up to about `by` (radians).
fn lean(direction: (f64, f64), by: f64, dice: &mut Dice) -> (f64, f64) {
    let t = dice.between(-by, by);
    super::noise::unit_vector(direction.0 - direction.1 * t, direction.1 + direction.0 * t)
}

fn add_apart(nuclei: &mut Vec<Nucleus>, kind: NucleusKind, shape: Shape, salt: u64) {
    if nuclei.iter().all(|other| other.shape.keeps_apart(&shape, NUCLEUS_GAP)) {
        nuclei.push(Nucleus { kind, shape, salt });
    }
}

/// The nuclei outside glands and vessels.
fn loose_nuclei(scene: &Scene, lattice: &Lattice, built: &[Structure], x: i64, y: i64, size: u32) -> Vec<Nucleus> {
    let around = scatter::margin(2.0 * NUCLEUS_REACH + NUCLEUS_GAP) + NUCLEUS_REACH;
    let candidates = scatter::cells(x, y, size, around, NUCLEUS_CELL)
        .filter_map(|(column, row)| {
            let mut dice = Dice::new(hash(scene.seed ^ 0xCE11, column, row));
            let (x, y) = ((column as f64 + dice.unit()) * NUCLEUS_CELL, (row as f64 + dice.unit()) * NUCLEUS_CELL);
            let ground = lattice.at(x, y);
            let (kind, shape) = nucleus_at(&ground, lattice, x, y, &mut dice)?;
            let fits = ground.is_solid(shape.reach() * 0.8 + 2.0)
                && on_slide(scene, &shape)
                && built.iter().all(|structure| clear_of(structure, &shape));
            fits.then(|| Candidate { column, row, rank: dice.bits(), shape, what: kind })
        })
        .collect();
    scatter::thin(candidates, NUCLEUS_CELL, NUCLEUS_GAP)
        .into_iter()
        .map(|kept| Nucleus { kind: kept.what, shape: kept.shape, salt: kept.rank })
        .collect()
}

/// Whether a nucleus stays outside a structure, and apart from the nuclei in its wall.
fn clear_of(structure: &Structure, nucleus: &Shape) -> bool {
    let outline = &structure.shape;
    let room = nucleus.reach() + NUCLEUS_GAP;
    let (dx, dy) = (nucleus.x - outline.x, nucleus.y - outline.y);
    let reach = outline.reach() + room;
    if dx * dx + dy * dy > reach * reach {
        return true;
    }
    outline.level(nucleus.x, nucleus.y) > 1.0 + room / outline.short
        && structure.nuclei.iter().all(|inner| inner.shape.keeps_apart(nucleus, NUCLEUS_GAP))
}

/// Decides whether a nucleus could lie here, and which.
fn nucleus_at(ground: &Ground, lattice: &Lattice, x: f64, y: f64, dice: &mut Dice) -> Option<(NucleusKind, Shape)> {
    if ground.depth < 6.0 {
        return None;
    }
    let roll = dice.unit();
    let round = |dice: &mut Dice| {
        let radius = dice.between(5.0, 6.6);
        Shape::new(x, y, dice.direction(), radius * dice.between(1.0, 1.15), radius, 0.16, dice)
    };
    let spindle = |dice: &mut Dice| {
        let axis = lean(lattice.fibre(x, y), 0.25, dice);
        Shape::new(x, y, axis, dice.between(9.0, 13.5), dice.between(3.2, 3.9), 0.12, dice)
    };
    if ground.surface > 0.5 {
        let row = (ground.depth - 16.0).abs() < 6.0;
        let axis = lean(lattice.inward(x, y), 0.15, dice);
        let shape = Shape::new(x, y, axis, dice.between(7.5, 9.5), dice.between(4.2, 5.0), 0.14, dice);
        return row.then_some((NucleusKind::Epithelial, shape));
    }
    if ground.lymphoid > 0.5 {
        return (roll < 0.9).then(|| (NucleusKind::Lymphocyte, round(dice)));
    }
    if ground.mucosa > 0.5 {
        return match roll {
            r if r < 0.15 => Some((NucleusKind::Lymphocyte, round(dice))),
            r if r < 0.30 => Some((NucleusKind::Plasma, round(dice))),
            r if r < 0.34 => Some((NucleusKind::Eosinophil, round(dice))),
            r if r < 0.44 => Some((NucleusKind::Spindle, spindle(dice))),
            _ => None,
        };
    }
    let density = 0.07 * ground.muscle + 0.035 * ground.submucosa;
    if roll < f64::from(density) {
        return Some((NucleusKind::Spindle, spindle(dice)));
    }
    (ground.submucosa > 0.5 && roll > 0.99).then(|| (NucleusKind::Lymphocyte, round(dice)))
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;

    const SIZE: u32 = 960;

    fn window(scene: &Scene, x: i64, y: i64, size: u32) -> Cells {
        let margin = i64::from(LATTICE_MARGIN);
        let lattice = Lattice::over(scene, x - margin, y - margin, size + 2 * LATTICE_MARGIN);
        Cells::in_window(scene, &lattice, x, y, size)
    }

    #[test]
    fn windows_that_tile_the_slide_agree_with_one_that_covers_it() {
        let scene = Scene::new(&Options { width: 2 * SIZE, height: SIZE, seed: 11 });
        let key = |n: &Nucleus| (n.shape.x.to_bits(), n.shape.y.to_bits());
        let mut parts: Vec<_> = [0, i64::from(SIZE)]
            .into_iter()
            .flat_map(|x| {
                let end = x as f64 + f64::from(SIZE);
                let cells = window(&scene, x, 0, SIZE);
                cells.nuclei.into_iter().filter(move |n| n.shape.x >= x as f64 && n.shape.x < end)
            })
            .map(|nucleus| key(&nucleus))
            .collect();
        let mut whole: Vec<_> = window(&scene, 0, 0, 2 * SIZE).nuclei.iter().map(key).collect();
        parts.sort_unstable();
        whole.sort_unstable();
        assert!(whole.len() > 300, "{} nuclei", whole.len());
        assert_eq!(parts, whole);
    }

    #[test]
    fn no_two_nuclei_touch_and_none_leaves_the_slide() {
        let scene = Scene::new(&Options { width: 2 * SIZE, height: 2 * SIZE, seed: 5 });
        let cells = window(&scene, 0, 0, 2 * SIZE);
        assert_eq!(cells.owned, cells.nuclei.len() as u64);
        for (index, one) in cells.nuclei.iter().enumerate() {
            assert!(one.shape.reach() <= NUCLEUS_REACH);
            assert!(on_slide(&scene, &one.shape));
            for other in &cells.nuclei[..index] {
                assert!(one.shape.keeps_apart(&other.shape, NUCLEUS_GAP - 1e-9));
            }
        }
    }

    #[test]
    fn no_structure_exceeds_the_reach_that_windows_count_on() {
        let scene = Scene::new(&Options { width: 6000, height: 6000, seed: 2 });
        let structures = structures(&scene, 0, 0, 6000);
        assert!(structures.len() > 50, "{} structures", structures.len());
        assert!(structures.iter().all(|structure| structure.shape.reach() <= STRUCTURE_REACH));
    }
}
