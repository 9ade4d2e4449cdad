//! The irreversible 9-7 wavelet (ISO/IEC 15444-1, annex F) as OpenJPEG has it, which scales the high bands by a number that
//! is rounded short: 1.625732422 (`two_invK` in dwt.c) in place of 2/K. They count a 33 millionth part less than they should
//! in each direction, which one sample of a thousand shows: it comes to lie on the other side of a half. Of samples
//! before they are rounded this part is taken here, so that OpenSlide's pixels and ours are the same.

use fearless_simd::{Level, dispatch};

/// The lifting steps from samples to bands, the odd samples' first.
const LIFTS: [f32; 4] = [-1.586_134_3, -0.052_980_12, 0.882_911_1, 0.443_506_85];
/// How much less OpenJPEG's high bands count: 1 - 1.230174105 · 1.625732422 / 2.
const LESS: f32 = 3.303_64e-5;

/// What lies between the samples of an image, row by row, and those that OpenJPEG decodes. `levels` is how often its low
/// band was transformed again; the image begins at an even place of its grid.
pub(super) fn correct(samples: &mut [f32], width: usize, levels: u8) {
    if width > 0 {
        let lacking = dispatch!(Level::new(), _ => lacking(samples, width, levels));
        samples.iter_mut().zip(lacking).for_each(|(sample, lacking)| *sample -= lacking);
    }
}

/// What the high bands of samples have too much, as samples.
#[inline(always)]
fn lacking(samples: &[f32], width: usize, levels: u8) -> Vec<f32> {
    // The low bands that are to be transformed, one inside the other, and how wide they are.
    let mut bands = vec![(samples.to_vec(), width)];
    for _ in 0..levels {
        let Some((band, width)) = bands.last_mut() else { break };
        if band.len() <= 1 {
            break;
        }
        transform(band, *width);
        let low_width = width.div_ceil(2);
        let low = band.chunks_exact(*width).step_by(2).flat_map(|row| &row[..low_width]).copied().collect();
        bands.push((low, low_width));
    }
    // Nothing is lacking in the lowest.
    let mut lacking = bands.pop().map(|(band, _)| vec![0.0; band.len()]).unwrap_or_default();
    while let Some((mut band, width)) = bands.pop() {
        let low_width = width.div_ceil(2);
        let mut low = lacking.chunks_exact(low_width);
        for (index, row) in band.chunks_exact_mut(width).enumerate() {
            let (left, right) = row.split_at_mut(low_width);
            let less = LESS * (index % 2) as f32;
            right.iter_mut().for_each(|sample| *sample *= less + LESS);
            match index % 2 {
                0 => left.iter_mut().zip(low.next().unwrap_or_default()).for_each(|(to, from)| *to = *from),
                _ => left.iter_mut().for_each(|sample| *sample *= less),
            }
        }
        transform_back(&mut band, width);
        lacking = band;
    }
    lacking
}

/// Samples to bands: low rows are the even ones, low columns the first half of each row.
#[inline(always)]
fn transform(samples: &mut [f32], width: usize) {
    for (step, factor) in LIFTS.into_iter().enumerate() {
        lift_rows(samples, width, 1 - step % 2, factor);
    }
    let mut apart = vec![0.0; width];
    for row in samples.chunks_exact_mut(width).filter(|row| row.len() > 1) {
        let (low, high) = apart.split_at_mut(width.div_ceil(2));
        low.iter_mut().zip(row.iter().step_by(2)).for_each(|(to, from)| *to = *from);
        high.iter_mut().zip(row.iter().skip(1).step_by(2)).for_each(|(to, from)| *to = *from);
        for (step, factor) in LIFTS.into_iter().enumerate() {
            lift_halves(low, high, 1 - step % 2, factor);
        }
        row.copy_from_slice(&apart);
    }
}

/// Bands to samples.
#[inline(always)]
fn transform_back(bands: &mut [f32], width: usize) {
    let mut apart = vec![0.0; width];
    for row in bands.chunks_exact_mut(width).filter(|row| row.len() > 1) {
        apart.copy_from_slice(row);
        let (low, high) = apart.split_at_mut(width.div_ceil(2));
        for (step, factor) in LIFTS.into_iter().enumerate().rev() {
            lift_halves(low, high, 1 - step % 2, -factor);
        }
        row.iter_mut().step_by(2).zip(low).for_each(|(to, from)| *to = *from);
        row.iter_mut().skip(1).step_by(2).zip(high).for_each(|(to, from)| *to = *from);
    }
    for (step, factor) in LIFTS.into_iter().enumerate().rev() {
        lift_rows(bands, width, 1 - step % 2, -factor);
    }
}

/// Adds to each second row from `first` on, 0 or 1, its neighbours times a factor; beyond the ends they are mirrored.
#[inline(always)]
fn lift_rows(samples: &mut [f32], width: usize, first: usize, factor: f32) {
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
        lift(own, above, below, factor);
    }
}

/// The same with the samples of a row whose even ones and odd ones lie apart: an odd one lies between the even one of its
/// number and the next.
#[inline(always)]
fn lift_halves(low: &mut [f32], high: &mut [f32], first: usize, factor: f32) {
    let (own, other) = match first {
        0 => {
            let Some((own, rest)) = low.split_first_mut() else { return };
            *own += factor * 2.0 * high.first().copied().unwrap_or_default();
            (rest, high)
        }
        _ => (high, low),
    };
    lift(own, other, other.get(1..).unwrap_or_default(), factor);
    if own.len() == other.len()
        && let Some((own, other)) = own.last_mut().zip(other.last())
    {
        *own += factor * 2.0 * other;
    }
}

/// As long as there are neighbours on both sides.
#[inline(always)]
fn lift(own: &mut [f32], before: &[f32], after: &[f32], factor: f32) {
    for ((own, before), after) in own.iter_mut().zip(before).zip(after) {
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
            transform(&mut there_and_back, width);
            transform_back(&mut there_and_back, width);
            let off = samples.iter().zip(&there_and_back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-3, "{width} × {height}: {off}");
        }
    }

    #[test]
    fn what_is_flat_has_no_high_bands_and_is_left_as_it_is() {
        for (width, height, levels) in [(1, 1, 5), (7, 3, 2), (64, 48, 5)] {
            let mut samples = vec![201.0; width * height];
            correct(&mut samples, width, levels);
            assert!(samples.iter().all(|sample| (sample - 201.0).abs() < 1e-4), "{width} × {height}");
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
            transform_back(&mut band, width);
            low = band;
        }
        low
    }

    #[test]
    fn the_high_bands_of_each_level_count_less_and_those_of_both_directions_twice() {
        for sizes in [&[(33, 20), (17, 10), (9, 5), (5, 3)][..], &[(16, 16), (8, 8)], &[(1, 9), (1, 5)]] {
            let bands: Vec<_> = sizes
                .iter()
                .map(|&(width, height)| bands(width, height, |index| index * 6151 + index * index))
                .collect();
            let width = sizes[0].0;
            let mut samples = synthesised(&bands, sizes, 1.0);
            // As much less as floats show well.
            let theirs = synthesised(&bands, sizes, 1.0 - LESS * 100.0);
            let lacking = lacking(&samples, width, sizes.len() as u8 - 1);
            let off =
                samples.iter_mut().zip(lacking).zip(&theirs).map(|((ours, less), theirs)| ours - less * 100.0 - theirs);
            let off = off.map(f32::abs).fold(0.0, f32::max);
            assert!(off < 0.02, "{sizes:?}: {off}");
        }
    }
}
