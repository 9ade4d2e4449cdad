//! What is left of repeated measurements.

use serde::Serialize;

/// The least, the middle and the most of some measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None without measurements.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { min, median, max })
    }

    /// Of the quotients of measurements made side by side.
    pub(crate) fn of_ratios(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Spread> {
        Spread::of(pairs.into_iter().filter(|(_, by)| *by > 0.0).map(|(of, by)| of / by))
    }

    /// "median (min–max)".
    pub(crate) fn show(&self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.min, self.max)
    }
}

/// The value below which a share of the sorted values lies; 0 where there are none.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of_ratios([(1.0, 2.0), (3.0, 0.0)]), Some(Spread { min: 0.5, median: 0.5, max: 0.5 }));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.99)), (50, 99));
        assert_eq!((percentile(&[7], 0.5), percentile(&[], 0.5)), (7, 0));
    }
}
