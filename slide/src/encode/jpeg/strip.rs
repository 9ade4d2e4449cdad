//! Rows of pixels to luminance and chrominance. Loops are plain, for the compiler to make them wide.

use crate::Rgb;

/// Pixels of an MCU's side.
pub(super) const SIDE: usize = 16;

/// The samples of one row of MCUs, around 0; chrominance has half the columns and rows, each the mean of four.
pub(super) struct Strip {
    /// Pixels across, filled up to whole MCUs.
    pub(super) width: usize,
    pub(super) luma: Vec<f32>,
    pub(super) blue: Vec<f32>,
    pub(super) red: Vec<f32>,
    /// Of two rows of pixels: blue less luminance, and red less luminance.
    differences: [Vec<f32>; 2],
}

impl Strip {
    pub(super) fn new(width: usize) -> Self {
        let width = width.next_multiple_of(SIDE);
        let samples = |count: usize| vec![0.0; count];
        Self {
            width,
            luma: samples(width * SIDE),
            blue: samples(width * SIDE / 4),
            red: samples(width * SIDE / 4),
            differences: [samples(width), samples(width)],
        }
    }

    /// Takes the rows of `image` from `top` on. Beyond its edges its last pixels repeat.
    #[inline(always)]
    pub(super) fn fill(&mut self, image: &Rgb, top: usize) {
        let (width, height) = (image.width as usize, image.height as usize);
        let row = |y: usize| &image.data[y.min(height - 1) * width * 3..][..width * 3];
        let half = self.width / 2;
        for (pair, luma) in self.luma.chunks_exact_mut(self.width * 2).enumerate() {
            let (upper, lower) = (row(top + 2 * pair), row(top + 2 * pair + 1));
            let (upper_luma, lower_luma) = luma.split_at_mut(self.width);
            let [blue, red] = &mut self.differences;
            convert((upper, lower), (&mut upper_luma[..width], &mut lower_luma[..width]), blue, red);
            for row in [upper_luma, lower_luma, blue, red] {
                let last = row[width - 1];
                row[width..].fill(last);
            }
            // 0.5 / (1 − 0.114) and 0.5 / (1 − 0.299), for four pixels.
            halve(blue, 0.564_334_1 / 4.0, &mut self.blue[pair * half..][..half]);
            halve(red, 0.713_266_8 / 4.0, &mut self.red[pair * half..][..half]);
        }
    }
}

/// Two rows of pixels to luminance (JFIF's), and the sums of what blue and red are more than that.
#[inline(always)]
fn convert(rows: (&[u8], &[u8]), luma: (&mut [f32], &mut [f32]), blue: &mut [f32], red: &mut [f32]) {
    let pixels = rows.0.as_chunks::<3>().0.iter().zip(rows.1.as_chunks::<3>().0);
    let samples = luma.0.iter_mut().zip(luma.1).zip(blue.iter_mut().zip(red));
    for ((a, b), ((luma_a, luma_b), (blue, red))) in pixels.zip(samples) {
        let a = [f32::from(a[0]), f32::from(a[1]), f32::from(a[2])];
        let b = [f32::from(b[0]), f32::from(b[1]), f32::from(b[2])];
        let a_luma = 0.299 * a[0] + 0.587 * a[1] + 0.114 * a[2];
        let b_luma = 0.299 * b[0] + 0.587 * b[1] + 0.114 * b[2];
        (*luma_a, *luma_b) = (a_luma - 128.0, b_luma - 128.0);
        let both = a_luma + b_luma;
        (*blue, *red) = (a[2] + b[2] - both, a[0] + b[0] - both);
    }
}

/// The sums of pairs, times `factor`.
#[inline(always)]
fn halve(row: &[f32], factor: f32, out: &mut [f32]) {
    for (out, &[a, b]) in out.iter_mut().zip(row.as_chunks::<2>().0) {
        *out = (a + b) * factor;
    }
}
