//! Slides for tests, drawn by a function: uncompressed tiled TIFFs, so that every pixel is known.

use microtome_slide::Slide;
use std::sync::Arc;

/// Side of the tiles.
pub(crate) const TILE: u32 = 64;

/// The bytes of a slide of `levels` (width and height of each), whose pixel at level-0 place x, y is `paint(x, y)`.
pub(crate) fn tiff(levels: &[(u32, u32)], paint: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for (index, &(width, height)) in levels.iter().enumerate() {
        let (columns, rows) = (width.div_ceil(TILE), height.div_ceil(TILE));
        let scale = f64::from(levels[0].0) / f64::from(width);
        let at = |pixel: u32| (f64::from(pixel) * scale) as u32;
        let mut offsets = Vec::new();
        for tile in 0..columns * rows {
            offsets.push(file.len() as u32);
            let (left, top) = (tile % columns * TILE, tile / columns * TILE);
            for y in top..top + TILE {
                file.extend((left..left + TILE).flat_map(|x| paint(at(x), at(y))));
            }
        }
        let bits_at = file.len() as u32;
        file.extend([8, 0, 8, 0, 8, 0]);
        let offsets_at = file.len() as u32;
        file.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
        let counts_at = file.len() as u32;
        file.extend(offsets.iter().flat_map(|_| (TILE * TILE * 3).to_le_bytes()));
        // A single value lies in the entry itself.
        let inline = |at: u32| {
            if offsets.len() == 1 { u32::from_le_bytes(file[at as usize..][..4].try_into().unwrap()) } else { at }
        };
        let count = offsets.len() as u32;
        let entries = [
            (254_u16, 4_u16, 1_u32, u32::from(index > 0)),
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 3, bits_at),
            (259, 3, 1, 1),
            (262, 3, 1, 2),
            (277, 3, 1, 3),
            (284, 3, 1, 1),
            (322, 4, 1, TILE),
            (323, 4, 1, TILE),
            (324, 4, count, inline(offsets_at)),
            (325, 4, count, inline(counts_at)),
        ];
        file.resize(file.len().next_multiple_of(2), 0);
        let directory = file.len() as u32;
        file[link..link + 4].copy_from_slice(&directory.to_le_bytes());
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(count.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        link = file.len();
        file.extend([0; 4]);
    }
    file
}

/// The same, opened.
pub(crate) fn slide(levels: &[(u32, u32)], paint: impl Fn(u32, u32) -> [u8; 3]) -> Slide {
    Slide::open(Arc::new(tiff(levels, paint))).unwrap()
}
