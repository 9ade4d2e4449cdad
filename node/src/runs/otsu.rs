//! Otsu's threshold: parts a histogram in two classes whose means lie as far apart as can be.
//!
//! N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979) 62–66.

/// How often each of 256 grey values occurs.
pub(crate) type Histogram = [u64; 256];

/// A histogram parted in two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Split {
    /// The largest value of the lower class; the upper class lies above.
    pub(crate) threshold: u8,
    /// Mean value of the lower class.
    pub(crate) mean_low: f64,
    /// Mean value of the upper class.
    pub(crate) mean_high: f64,
}

/// The split with the greatest variance between its classes. None where all values are equal or there are none.
///
/// Where a gap lies between the classes every threshold in it is as good: the middle one is taken, which leaves both
/// classes the same room.
pub(crate) fn split(histogram: &Histogram) -> Option<Split> {
    let total: u64 = histogram.iter().sum();
    let weighted = |(value, count): (usize, &u64)| value as f64 * *count as f64;
    let sum: f64 = histogram.iter().enumerate().map(weighted).sum();
    let mut best: Option<(f64, usize, usize, Split)> = None;
    let (mut below, mut sum_below) = (0_u64, 0.0);
    for (value, &count) in histogram.iter().enumerate() {
        below += count;
        sum_below += value as f64 * count as f64;
        let above = total - below;
        if below == 0 {
            continue;
        }
        if above == 0 {
            break;
        }
        let mean_low = sum_below / below as f64;
        let mean_high = (sum - sum_below) / above as f64;
        let between = below as f64 * above as f64 * (mean_high - mean_low).powi(2);
        match &mut best {
            Some((most, _, last, _)) if count == 0 && between >= *most => *last = value,
            Some((most, ..)) if between <= *most => {}
            _ => best = Some((between, value, value, Split { threshold: 0, mean_low, mean_high })),
        }
    }
    best.map(|(_, first, last, split)| Split {
        threshold: u8::try_from((first + last) / 2).unwrap_or(u8::MAX),
        ..split
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of a 6 × 6 picture with six grey values that courses use: classes {0, 1, 2} and {3, 4, 5}.
    #[test]
    fn agrees_with_the_textbook() {
        let mut histogram = [0; 256];
        histogram[..6].copy_from_slice(&[8, 7, 2, 6, 9, 4]);
        let split = split(&histogram).unwrap();
        assert_eq!(split.threshold, 2);
        assert!((split.mean_low - 11.0 / 17.0).abs() < 1e-9, "{split:?}");
        assert!((split.mean_high - 74.0 / 19.0).abs() < 1e-9, "{split:?}");
    }

    #[test]
    fn takes_the_middle_of_a_gap() {
        let mut histogram = [0; 256];
        histogram[10] = 500;
        histogram[110] = 100;
        assert_eq!(split(&histogram).unwrap().threshold, 59);
    }

    #[test]
    fn one_value_has_no_split() {
        let mut histogram = [0; 256];
        assert_eq!(split(&histogram), None);
        histogram[77] = 9;
        assert_eq!(split(&histogram), None);
    }
}
