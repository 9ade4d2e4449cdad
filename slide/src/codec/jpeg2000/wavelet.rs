//! The irreversible 9-7 wavelet (ISO/IEC 15444-1, annex F) as OpenJPEG has it, which scales the high bands by a number that
//! is rounded short: 1.625732422 (`two_invK` in dwt.c) in place of 2/K. They count 33 millionths less than they should in each
//! direction, which one sample of a thousand shows: it comes to lie on the other side of a half. What others have more is
//! found here, to be taken from samples before they are rounded, so that OpenSlide's pixels and ours are the same.

use fearless_simd::{Level, Simd, SimdBase, dispatch, f32x8};

/// The lifting steps from samples to bands, the odd samples' first.
const LIFTS: [f32; 4] = [-1.586_134_3, -0.052_980_12, 0.882_911_1, 0.443_506_85];
/// How much more high bands count than OpenJPEG's: 1 - 1.230174105 · 1.625732422 / 2.
const MORE: f32 = 3.303_64e-5;

/// What samples have more than those that OpenJPEG decodes, and the memory in which it is found.
#[derive(Default)]
pub(super) struct Excess {
    /// The image, its low band, the low band of that and so on.
    bands: Vec<Band>,
}

#[derive(Default)]
struct Band {
    samples: Vec<f32>,
    width: usize,
}

impl Excess {
    /// Of samples, row by row, that begin at an even place of the image's grid. `levels` is how often their low band was
    /// transformed again.
    pub(super) fn of(&mut self, samples: &[f32], width: usize, levels: u8) -> &[f32] {
        self.bands.resize_with(usize::from(levels) + 1, Band::default);
        let [image, lower @ ..] = self.bands.as_mut_slice() else { return &[] };
        image.width = width;
        image.samples.clear();
        image.samples.extend_from_slice(samples);
        if width > 0 {
            high_bands(image, lower);
        }
        &image.samples
    }
}

/// Makes of samples so much of their high bands as they count too much; `lower` is memory for the lower bands.
fn high_bands(image: &mut Band, lower: &mut [Band]) {
    let Band { samples, width } = image;
    let Some((low, lower)) = lower.split_first_mut().filter(|_| samples.len() > 1) else {
        // The lowest counts what it should.
        return samples.fill(0.0);
    };
    dispatch!(Level::new(), simd => transform(simd, samples, *width));
    low.width = width.div_ceil(2);
    low.samples.clear();
    for row in samples.chunks_exact(*width).step_by(2) {
        low.samples.extend_from_slice(&row[..low.width]);
    }
    high_bands(low, lower);
    let mut low_rows = low.samples.chunks_exact(low.width);
    for (index, row) in samples.chunks_exact_mut(*width).enumerate() {
        let (left, right) = row.split_at_mut(low.width);
        let more = MORE * (index % 2) as f32;
        right.iter_mut().for_each(|sample| *sample *= more + MORE);
        match index % 2 {
            0 => left.iter_mut().zip(low_rows.next().unwrap_or_default()).for_each(|(to, from)| *to = *from),
            _ => left.iter_mut().for_each(|sample| *sample *= more),
        }
    }
    dispatch!(Level::new(), simd => transform_back(simd, samples, *width));
}

/// Samples to bands: low rows are the even ones, low columns the first half of each row.
#[inline(always)]
fn transform<S: Simd>(simd: S, samples: &mut [f32], width: usize) {
    for (step, factor) in LIFTS.into_iter().enumerate() {
        lift_rows(simd, samples, width, 1 - step % 2, factor);
    }
    let mut apart = vec![0.0; width];
    for row in samples.chunks_exact_mut(width).filter(|row| row.len() > 1) {
        let (low, high) = apart.split_at_mut(width.div_ceil(2));
        let (pairs, rest) = row.as_chunks::<2>();
        low.iter_mut().zip(&mut *high).zip(pairs).for_each(|((low, high), pair)| [*low, *high] = *pair);
        low.iter_mut().skip(pairs.len()).zip(rest).for_each(|(low, rest)| *low = *rest);
        for (step, factor) in LIFTS.into_iter().enumerate() {
            lift_halves(simd, low, high, 1 - step % 2, factor);
        }
        row.copy_from_slice(&apart);
    }
}

/// Bands to samples.
#[inline(always)]
fn transform_back<S: Simd>(simd: S, bands: &mut [f32], width: usize) {
    let mut apart = vec![0.0; width];
    for row in bands.chunks_exact_mut(width).filter(|row| row.len() > 1) {
        apart.copy_from_slice(row);
        let (low, high) = apart.split_at_mut(width.div_ceil(2));
        for (step, factor) in LIFTS.into_iter().enumerate().rev() {
            lift_halves(simd, low, high, 1 - step % 2, -factor);
        }
        let (pairs, rest) = row.as_chunks_mut::<2>();
        let (low_pairs, low_rest) = low.split_at(pairs.len());
        pairs.iter_mut().zip(low_pairs.iter().zip(high)).for_each(|(pair, (low, high))| *pair = [*low, *high]);
        rest.iter_mut().zip(low_rest).for_each(|(rest, low)| *rest = *low);
    }
    for (step, factor) in LIFTS.into_iter().enumerate().rev() {
        lift_rows(simd, bands, width, 1 - step % 2, -factor);
    }
}

/// Adds to each second row from `first` on, 0 or 1, its neighbours times a factor; beyond the ends they are mirrored.
#[inline(always)]
fn lift_rows<S: Simd>(simd: S, samples: &mut [f32], width: usize, first: usize, factor: f32) {
    let height = samples.len() / width;
    if height < 2 {
        return;
    }
    for row in (first..height).step_by(2) {
        let (before, rest) = samples.split_at_mut(row * width);
        let (own, after) = rest.split_at_mut(width);
        let above = before.len().checked_sub(width).map(|start| &before[start..]);
        let below = after.get(..width);
        let Some((above, below)) = above.or(below).zip(below.or(above)) else { return };
        lift(simd, own, above, below, factor);
    }
}

/// The same with the samples of a row whose even ones and odd ones lie apart: an odd one lies between the even one of its
/// number and the next.
#[inline(always)]
fn lift_halves<S: Simd>(simd: S, low: &mut [f32], high: &mut [f32], first: usize, factor: f32) {
    let (own, other) = match first {
        0 => {
            let Some((own, rest)) = low.split_first_mut() else { return };
            *own += factor * 2.0 * high.first().copied().unwrap_or_default();
            (rest, high)
        }
        _ => (high, low),
    };
    lift(simd, own, other, other.get(1..).unwrap_or_default(), factor);
    if own.len() == other.len()
        && let Some((own, other)) = own.last_mut().zip(other.last())
    {
        *own += factor * 2.0 * other;
    }
}

/// As long as there are neighbours on both sides.
#[inline(always)]
fn lift<S: Simd>(simd: S, own: &mut [f32], before: &[f32], after: &[f32], factor: f32) {
    let len = own.len().min(before.len()).min(after.len());
    let (own, own_rest) = own[..len].as_chunks_mut::<8>();
    let (before, before_rest) = before[..len].as_chunks::<8>();
    let (after, after_rest) = after[..len].as_chunks::<8>();
    for ((own, before), after) in own.iter_mut().zip(before).zip(after) {
        let around = f32x8::from_slice(simd, before) + f32x8::from_slice(simd, after);
        (f32x8::from_slice(simd, own) + around * factor).store_slice(own);
    }
    for ((own, before), after) in own_rest.iter_mut().zip(before_rest).zip(after_rest) {
        *own += factor * (before + after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bands that are what `number` says, at most 100, and how many levels there are.
    fn bands(width: usize, height: usize, number: impl Fn(usize) -> usize) -> Vec<f32> {
        (0..width * height).map(|index| number(index) as f32 % 201.0 - 100.0).collect()
    }

    #[test]
    fn samples_that_went_to_bands_come_back() {
        for (width, height) in [(1, 1), (1, 7), (8, 1), (2, 2), (3, 2), (9, 5), (16, 12), (31, 17)] {
            let samples = bands(width, height, |index| index * 7919 + index * index);
            let mut there_and_back = samples.clone();
            dispatch!(Level::new(), simd => {
                transform(simd, &mut there_and_back, width);
                transform_back(simd, &mut there_and_back, width);
            });
            let off = samples.iter().zip(&there_and_back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-3, "{width} × {height}: {off}");
        }
    }

    #[test]
    fn what_is_flat_has_no_high_bands() {
        for (width, height, levels) in [(1, 1, 5), (7, 3, 2), (64, 48, 5)] {
            let mut memory = Excess::default();
            let excess = memory.of(&vec![201.0; width * height], width, levels);
            assert!(
                excess.len() == width * height && excess.iter().all(|more| more.abs() < 1e-6),
                "{width} × {height}"
            );
        }
    }

    /// The samples of bands, one level above the other, of which the high ones count `high`.
    fn synthesised(bands: &[Vec<f32>], sizes: &[(usize, usize)], high: f32) -> Vec<f32> {
        let mut low = bands.last().unwrap().clone();
        for (band, &(width, _)) in bands.iter().zip(sizes).rev().skip(1) {
            let mut band = band.clone();
            let low_width = width.div_ceil(2);
            for (index, sample) in band.iter_mut().enumerate() {
                let (column, row) = (index % width, index / width);
                *sample *= if column >= low_width { high } else { 1.0 } * if row % 2 > 0 { high } else { 1.0 };
                if column < low_width && row % 2 == 0 {
                    *sample = low[row / 2 * low_width + column];
                }
            }
            dispatch!(Level::new(), simd => transform_back(simd, &mut band, width));
            low = band;
        }
        low
    }

    #[test]
    fn the_high_bands_of_each_level_count_more_and_those_of_both_directions_twice() {
        let mut memory = Excess::default();
        for sizes in [&[(33, 20), (17, 10), (9, 5), (5, 3)][..], &[(16, 16), (8, 8)], &[(1, 9), (1, 5)]] {
            let bands: Vec<_> = sizes
                .iter()
                .map(|&(width, height)| bands(width, height, |index| index * 6151 + index * index))
                .collect();
            let width = sizes[0].0;
            let samples = synthesised(&bands, sizes, 1.0);
            // As much less as floats show well.
            let theirs = synthesised(&bands, sizes, 1.0 - MORE * 100.0);
            let excess = memory.of(&samples, width, sizes.len() as u8 - 1);
            let off =
                samples.iter().zip(excess).zip(&theirs).map(|((ours, more), theirs)| ours - more * 100.0 - theirs);
            let off = off.map(f32::abs).fold(0.0, f32::max);
            assert!(off < 0.02, "{sizes:?}: {off}");
        }
    }
}
