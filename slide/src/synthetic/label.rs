//! The pictures around the slide: its paper label, and the macro photograph of the whole glass.

use super::noise::{Dice, hash};
use super::planes::Planes;

/// The letters of a 5×7 dot matrix, a row of five bits each.
const LETTERS: &[(char, [u8; 7])] = &[
    ('A', [0x0E, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11]),
    ('C', [0x0E, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0E]),
    ('D', [0x1E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1E]),
    ('E', [0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x1F]),
    ('H', [0x11, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11]),
    ('I', [0x0E, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0E]),
    ('L', [0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1F]),
    ('M', [0x11, 0x1B, 0x15, 0x15, 0x11, 0x11, 0x11]),
    ('N', [0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11]),
    ('O', [0x0E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0E]),
    ('R', [0x1E, 0x11, 0x11, 0x1E, 0x14, 0x12, 0x11]),
    ('S', [0x0F, 0x10, 0x10, 0x0E, 0x01, 0x01, 0x1E]),
    ('T', [0x1F, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04]),
    ('Y', [0x11, 0x11, 0x0A, 0x04, 0x04, 0x04, 0x04]),
    ('&', [0x0C, 0x12, 0x14, 0x08, 0x15, 0x12, 0x0D]),
    ('0', [0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E]),
    ('1', [0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E]),
    ('2', [0x0E, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1F]),
    ('3', [0x0E, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0E]),
    ('4', [0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02]),
    ('5', [0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E]),
    ('6', [0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E]),
    ('7', [0x1F, 0x01, 0x02, 0x04, 0x04, 0x04, 0x04]),
    ('8', [0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E]),
    ('9', [0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C]),
];

const INK: [u8; 3] = [38, 40, 52];
const PAPER: [u8; 3] = [247, 246, 241];

/// Writes a line whose dots are `dot` pixels wide; characters without a glyph stay empty.
fn write(onto: &mut Planes, text: &str, x: u32, y: u32, dot: u32) {
    for (index, letter) in text.chars().enumerate() {
        let Some((_, rows)) = LETTERS.iter().find(|(known, _)| *known == letter) else { continue };
        let left = x + index as u32 * 6 * dot;
        for (row, bits) in rows.iter().enumerate() {
            for column in (0..5).filter(|column| bits & (0x10 >> column) != 0) {
                onto.fill(left + column * dot, y + row as u32 * dot, dot, dot, INK);
            }
        }
    }
}

/// A square code as on slide labels: two solid sides, two broken ones, and what chance puts between them.
fn code(onto: &mut Planes, seed: u64, x: u32, y: u32, dot: u32) {
    const SIDE: u32 = 18;
    let mut dice = Dice::new(hash(seed, 21, 21));
    for row in 0..SIDE {
        for column in 0..SIDE {
            let inner = dice.chance(0.5);
            let ink = match (column, row) {
                (0, _) | (_, 17) => true,
                (_, 0) => column % 2 == 0,
                (17, _) => row % 2 == 1,
                _ => inner,
            };
            if ink {
                onto.fill(x + column * dot, y + row * dot, dot, dot, INK);
            }
        }
    }
}

/// The label, as large as Aperio's.
pub(super) fn label(seed: u64) -> Planes {
    let mut label = Planes::filled(387, 463, PAPER);
    label.fill(0, 0, 387, 14, [86, 62, 130]);
    write(&mut label, "MICROTOME", 36, 44, 6);
    write(&mut label, "SYNTHETIC", 36, 104, 4);
    write(&mut label, "H&E", 288, 104, 4);
    label.fill(36, 148, 315, 2, INK);
    write(&mut label, "SEED", 36, 166, 3);
    write(&mut label, &seed.to_string(), 36, 194, if seed < 1_000_000_000 { 5 } else { 2 });
    code(&mut label, seed, 36, 262, 9);
    write(&mut label, "20", 260, 386, 8);
    label
}

/// The macro: glass on the scanner's stage, the label at its left end, the scanned field with a thin frame.
pub(super) fn macro_image(label: &Planes, thumbnail: &Planes, seed: u64) -> Planes {
    const WIDTH: u32 = 1280;
    const HEIGHT: u32 = 431;
    let mut picture = Planes::filled(WIDTH, HEIGHT, [96, 98, 104]);
    picture.fill(14, 10, WIDTH - 28, HEIGHT - 20, [206, 210, 208]);
    picture.fill(18, 14, WIDTH - 36, HEIGHT - 28, [228, 230, 229]);
    place(&mut picture, label, (18, 14), (330, HEIGHT - 28));
    let (room_width, room_height) = (850, HEIGHT - 60);
    let fit = (thumbnail.width * room_height).min(thumbnail.height * room_width);
    let (width, height) = ((fit / thumbnail.height).max(1), (fit / thumbnail.width).max(1));
    let (x, y) = (380 + (room_width - width) / 2, 30 + (room_height - height) / 2);
    picture.fill(x - 3, y - 3, width + 6, height + 6, [70, 150, 110]);
    place(&mut picture, thumbnail, (x, y), (width, height));
    let mut dice = Dice::new(hash(seed, 22, 22));
    for plane in &mut picture.channels {
        for value in plane.iter_mut() {
            *value = value.saturating_sub((dice.bits() >> 62) as u8);
        }
    }
    picture
}

/// Copies a picture, scaled to `size`, each pixel the mean of the part of the original that it covers.
fn place(onto: &mut Planes, from: &Planes, at: (u32, u32), size: (u32, u32)) {
    let span = |index: u32, of: u32, count: u32| {
        let start = index * of / count;
        start..((index + 1) * of / count).max(start + 1)
    };
    for y in 0..size.1 {
        for x in 0..size.0 {
            let (columns, rows) = (span(x, from.width, size.0), span(y, from.height, size.1));
            let mut sum = [0; 3];
            for (column, row) in rows.clone().flat_map(|row| columns.clone().map(move |column| (column, row))) {
                let pixel = from.get(column, row);
                (0..3).for_each(|channel| sum[channel] += u32::from(pixel[channel]));
            }
            let count = (columns.len() * rows.len()) as u32;
            let index = (at.1 + y) as usize * onto.width as usize + (at.0 + x) as usize;
            onto.set(index, sum.map(|sum| (sum / count) as u8));
        }
    }
}
