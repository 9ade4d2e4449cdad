//! Pixels to luminance and chrominance. Loops are plain, and of lengths that the compiler knows, for it to make them wide.

use crate::Rgb;

/// Pixels of an MCU's side.
pub(super) const SIDE: usize = 16;

/// The samples of an MCU, around 0, in rows of 16: those of luminance, and below these blue's and red's side by side, which
/// have half the columns and rows, each the mean of four.
#[repr(align(64))]
pub(super) struct Mcu {
    rows: [[f32; SIDE]; SIDE * 3 / 2],
}

impl Mcu {
    pub(super) const fn new() -> Self {
        Self { rows: [[0.0; SIDE]; SIDE * 3 / 2] }
    }

    /// Its rows, one behind the other.
    #[inline(always)]
    pub(super) fn samples(&self) -> &[f32] {
        self.rows.as_flattened()
    }

    /// Takes the pixels of `image` from `left` and `top` on. Beyond its edges its last pixels repeat.
    #[inline(always)]
    pub(super) fn fill(&mut self, image: &Rgb, left: usize, top: usize) {
        let (luma, chroma) = self.rows.split_at_mut(SIDE);
        for (pair, (luma, chroma)) in luma.as_chunks_mut::<2>().0.iter_mut().zip(chroma).enumerate() {
            let row = |y: usize| row_of(image, left, y.min(image.height as usize - 1));
            convert(&row(top + 2 * pair), &row(top + 2 * pair + 1), luma, chroma);
        }
    }
}

/// A row of an MCU's pixels.
#[inline(always)]
fn row_of(image: &Rgb, left: usize, y: usize) -> [u8; SIDE * 3] {
    let row_len = image.width as usize * 3;
    let pixels = &image.data[y * row_len..][left * 3..row_len];
    match pixels.first_chunk() {
        Some(pixels) => *pixels,
        None => filled(pixels),
    }
}

/// Fewer pixels, the last of which is repeated.
fn filled(pixels: &[u8]) -> [u8; SIDE * 3] {
    let mut row = [0; SIDE * 3];
    let (here, beyond) = row.split_at_mut(pixels.len());
    here.copy_from_slice(pixels);
    if let Some(last) = pixels.last_chunk() {
        beyond.as_chunks_mut::<3>().0.fill(*last);
    }
    row
}

/// Two rows of pixels to luminance (JFIF's), and to what blue and red are more than that.
#[inline(always)]
fn convert(upper: &[u8; SIDE * 3], lower: &[u8; SIDE * 3], luma: &mut [[f32; SIDE]; 2], chroma: &mut [f32; SIDE]) {
    let [upper_luma, lower_luma] = luma;
    let (mut blue, mut red) = ([0.0; SIDE], [0.0; SIDE]);
    for index in 0..SIDE {
        let pixel = |row: &[u8; SIDE * 3]| [0, 1, 2].map(|sample| f32::from(row[3 * index + sample]));
        let (a, b) = (pixel(upper), pixel(lower));
        let a_luma = 0.299 * a[0] + 0.587 * a[1] + 0.114 * a[2];
        let b_luma = 0.299 * b[0] + 0.587 * b[1] + 0.114 * b[2];
        (upper_luma[index], lower_luma[index]) = (a_luma - 128.0, b_luma - 128.0);
        let both = a_luma + b_luma;
        (blue[index], red[index]) = (a[2] + b[2] - both, a[0] + b[0] - both);
    }
    // 0.5 / (1 − 0.114) and 0.5 / (1 − 0.299), for four pixels.
    for index in 0..SIDE / 2 {
        chroma[index] = (blue[2 * index] + blue[2 * index + 1]) * (0.564_334_1 / 4.0);
        chroma[SIDE / 2 + index] = (red[2 * index] + red[2 * index + 1]) * (0.713_266_8 / 4.0);
    }
}
