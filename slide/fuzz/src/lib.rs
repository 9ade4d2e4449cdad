//! What the fuzz targets share: the bounds that they hold the reader to, what they do with an opened slide, and a TIFF of
//! one tile around a codec's input. They use the crate from outside only, so that what they find a user could have met.

mod bounds;
mod tile;

pub use bounds::{bounded, start};
pub use tile::{HEAD_LEN, Head, tiff};

use microtome_slide::{ReadAt, Slide, deep_zoom::DeepZoom};
use std::sync::Arc;

/// Levels and associated images that are looked at; a file may have a thousand, each of which costs its time.
const LOOKED_AT: usize = 4;

/// Opens `bytes` and asks for what there is: the first and the last tile of the levels, native and decoded, parts of them
/// at several scales, and the rest. Each single question must be answered within the bounds.
pub fn read(bytes: Vec<u8>) {
    let source: Arc<Vec<u8>> = Arc::new(bytes);
    let Ok(slide) = bounded("open", || Slide::open(source.clone())) else { return };
    for (index, level) in slide.levels().iter().enumerate().take(LOOKED_AT) {
        let last = (level.columns - 1, level.rows - 1);
        tile(&slide, source.as_ref(), index, 0, 0);
        if last != (0, 0) {
            tile(&slide, source.as_ref(), index, last.0, last.1);
        }
        // A small region over the tiles' inner corner, and one over the level's edge.
        let (inner, outer) = ((level.tile_width, level.tile_height), (level.width, level.height));
        let scaled = |pixels: u64| (pixels as f64 * level.downsample) as i64;
        for (x, y) in [(u64::from(inner.0), u64::from(inner.1)), outer] {
            let _ = bounded("region", || slide.region(scaled(x) - 9, scaled(y) - 9, index, 33, 17));
        }
    }
    let pyramid = DeepZoom::new(&slide, None, 0);
    for below in 0..LOOKED_AT.min(pyramid.levels()) {
        let level = pyramid.levels() - 1 - below;
        let _ = bounded("Deep Zoom tile", || pyramid.tile(&slide, level, 0, 0));
    }
    for image in slide.associated().iter().take(LOOKED_AT) {
        let _ = bounded("associated image", || slide.associated_image(&image.name));
    }
    let _ = bounded("ICC profile", || slide.icc_profile());
}

fn tile(slide: &Slide, source: &dyn ReadAt, level: usize, column: u32, row: u32) {
    let mut out = vec![7];
    match bounded("native tile", || slide.native_tile(source, level, column, row, &mut out)) {
        Ok(true) => assert_eq!(&out[..3], [7, 0xff, 0xd8], "a native tile is a JPEG behind what was there"),
        Ok(false) => assert_eq!(out, [7], "no native tile leaves nothing"),
        Err(_) => {}
    }
    let side = &slide.levels()[level];
    if let Ok(tile) = bounded("tile", || slide.tile(level, column, row)) {
        assert_eq!((tile.width, tile.height), (side.tile_width, side.tile_height));
        assert_eq!(tile.data.len() as u64, u64::from(tile.width) * u64::from(tile.height) * 3);
    }
}
