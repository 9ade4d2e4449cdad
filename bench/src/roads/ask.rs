//! What is asked for, whichever server answers; the servers translate it into their own addresses.

use microtome_slide::deep_zoom::DeepZoom;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::slides::Asked;

/// Any fixed number: every run asks for the same in the same order.
const SHUFFLE: u64 = 20;

/// A picture's form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Png,
    /// 8-bit RGB.
    Raw,
}

impl Form {
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Form::Png => "png",
            Form::Raw => "raw",
        }
    }
}

/// A tile of level 0 of the file, with what addresses of it are made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FileTile {
    pub(crate) column: u32,
    pub(crate) row: u32,
    /// Tiles across.
    pub(crate) columns: u32,
    /// Side of the tile in pixels.
    pub(crate) side: u32,
    /// The Deep Zoom level of the file's level 0.
    pub(crate) deep_zoom_level: usize,
    /// How many levels the file has.
    pub(crate) levels: usize,
}

impl FileTile {
    /// Its number in the file, row by row.
    pub(crate) fn index(self) -> u32 {
        self.row * self.columns + self.column
    }
}

/// One thing that is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ask {
    /// A tile of the file's own grid.
    Native(FileTile),
    /// The same pixels, decoded and encoded again.
    Recoded(FileTile),
    DeepZoom {
        tile_size: u32,
        overlap: u32,
        level: usize,
        column: u32,
        row: u32,
    },
    /// A square of level 0, scaled to another side.
    Iiif {
        x: u64,
        y: u64,
        side: u32,
        to: u32,
    },
    /// A square of a level; its corner in pixels of level 0, its side in those of the level.
    Region {
        level: usize,
        x: u64,
        y: u64,
        side: u32,
        form: Form,
    },
}

/// A kind of things to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asks {
    /// All tiles of level 0 in the file's own grid.
    Native,
    /// The same, to be decoded and encoded again.
    Recoded,
    /// All Deep Zoom tiles of a level: so many below the largest, with the file's own tile size where none is told.
    DeepZoom { tile_size: Option<u32>, overlap: u32, below: usize },
    /// Squares anywhere.
    Iiif { side: u32, to: u32 },
    /// Squares anywhere in a level.
    Region { level: usize, side: u32, form: Form },
}

impl Asks {
    /// At most so many in an order of chance, none twice; none where the slide has nothing of the kind.
    pub(crate) fn list(self, asked: &Asked, count_max: usize) -> Vec<Ask> {
        let mut chance = StdRng::seed_from_u64(SHUFFLE);
        let mut list = match self {
            Asks::Native => file_tiles(asked, Ask::Native),
            Asks::Recoded => file_tiles(asked, Ask::Recoded),
            Asks::DeepZoom { tile_size, overlap, below } => deep_zoom(asked, tile_size, overlap, below),
            Asks::Iiif { side, to } => {
                places(asked, 0, side, count_max, &mut chance, |x, y| Ask::Iiif { x, y, side, to })
            }
            Asks::Region { level, side, form } => {
                places(asked, level, side, count_max, &mut chance, |x, y| Ask::Region { level, x, y, side, form })
            }
        };
        list.shuffle(&mut chance);
        list.truncate(count_max);
        list
    }
}

fn grid<T>(columns: u32, rows: u32, make: impl Fn(u32, u32) -> T) -> Vec<T> {
    (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))).map(|(c, r)| make(c, r)).collect()
}

fn file_tiles(asked: &Asked, ask: fn(FileTile) -> Ask) -> Vec<Ask> {
    let levels = asked.slide.levels();
    let Some(top) = levels.first() else { return Vec::new() };
    let deep_zoom_level = DeepZoom::new(&asked.slide, None, 0).levels() - 1;
    let tile = |column, row| {
        let (columns, side, levels) = (top.columns, top.tile_width, levels.len());
        ask(FileTile { column, row, columns, side, deep_zoom_level, levels })
    };
    grid(top.columns, top.rows, tile)
}

/// Only whole tiles: those at the edges cost less.
fn deep_zoom(asked: &Asked, tile_size: Option<u32>, overlap: u32, below: usize) -> Vec<Ask> {
    let form = DeepZoom::new(&asked.slide, tile_size, overlap);
    let tile_size = form.tile_size();
    let Some(level) = form.levels().checked_sub(1 + below) else { return Vec::new() };
    let Ok((columns, rows)) = form.grid(level) else { return Vec::new() };
    let mut list = grid(columns, rows, |column, row| Ask::DeepZoom { tile_size, overlap, level, column, row });
    let inside = |at: u32, count: u32| (1..count.saturating_sub(1)).contains(&at);
    list.retain(
        |ask| matches!(ask, Ask::DeepZoom { column, row, .. } if inside(*column, columns) && inside(*row, rows)),
    );
    list
}

/// Corners in pixels of level 0 of squares that lie inside the level, each on a whole pixel of it: between two pixels
/// OpenSlide would have to resample, which few ask it for.
fn places(
    asked: &Asked,
    level: usize,
    side: u32,
    count: usize,
    chance: &mut StdRng,
    make: impl Fn(u64, u64) -> Ask,
) -> Vec<Ask> {
    let Some(level) = asked.slide.levels().get(level) else { return Vec::new() };
    let (Some(width), Some(height)) = (level.width.checked_sub(side.into()), level.height.checked_sub(side.into()))
    else {
        return Vec::new();
    };
    let mut corners = std::collections::BTreeSet::new();
    for _ in 0..count {
        corners.insert((chance.random_range(0..=width), chance.random_range(0..=height)));
    }
    let top = |at: u64| (at as f64 * level.downsample).round() as u64;
    corners.into_iter().map(|(x, y)| make(top(x), top(y))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::slides::Which;
    use microtome_slide::synthetic::{self, Options};

    #[test]
    fn nothing_is_asked_for_twice_and_nothing_beyond_the_slide() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slide.svs");
        synthetic::write(&path, &Options { width: 3000, height: 2500, seed: 3 }, &mut |_| {}).unwrap();
        let asked = Asked::open(Which::Aperio, &path).unwrap();
        let kinds = [
            Asks::Native,
            Asks::DeepZoom { tile_size: None, overlap: 0, below: 1 },
            Asks::DeepZoom { tile_size: Some(254), overlap: 1, below: 0 },
            Asks::Iiif { side: 1000, to: 500 },
            Asks::Region { level: 0, side: 1024, form: Form::Raw },
        ];
        for kind in kinds {
            let list = kind.list(&asked, 40);
            assert!((12..=40).contains(&list.len()), "{kind:?}: {}", list.len());
            for (index, ask) in list.iter().enumerate() {
                assert!(!list[..index].contains(ask), "{ask:?} twice");
                if let Ask::Iiif { x, y, .. } | Ask::Region { x, y, .. } = ask {
                    assert!(*x <= 3000 - 1000 && *y <= 2500 - 1000, "{ask:?}");
                }
            }
            assert_eq!(kind.list(&asked, 40), list, "another run asks otherwise");
        }
        assert!(Asks::Region { level: 9, side: 10, form: Form::Png }.list(&asked, 40).is_empty());
    }
}
