//! What was measured, and how it is told.

use serde::Serialize;

use crate::report;
use crate::stats::Spread;

pub(super) const COPY: &str = "copy with fsync";
/// Of a file as an upload has left it at its node: on the disk, not in memory, and never read. What a clone does, too.
pub(super) const COLD_COPY: &str = "copy of a cold file";
/// Of the same file, reading while it is written: the most that a clone could do.
pub(super) const PAST_CACHE: &str = "the same, past the cache";
pub(super) const PUT: &str = "nginx, PUT with fsync";
pub(super) const RUSTUS: &str = "rustus, tus with fsync";
pub(super) const TUS_NODE: &str = "@tus/server, with fsync";
pub(super) const UPLOAD: &str = "upload";
pub(super) const CLONE: &str = "clone";

/// All that is measured, in the order of the table.
const ROWS: [&str; 8] = [COPY, COLD_COPY, PAST_CACHE, PUT, RUSTUS, TUS_NODE, UPLOAD, CLONE];
/// What is told as a multiple of what.
const RATIOS: [(&str, &str); 7] = [
    (PUT, COPY),
    (UPLOAD, COPY),
    (UPLOAD, PUT),
    (UPLOAD, RUSTUS),
    (UPLOAD, TUS_NODE),
    (CLONE, COLD_COPY),
    (CLONE, PAST_CACHE),
];

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measurement {
    pub(super) what: &'static str,
    pub(super) round: u32,
    pub(super) seconds: f64,
    pub(super) mb_per_s: f64,
    pub(super) cpu_s_per_gb: f64,
    pub(super) resident_mb: f64,
}

/// By what was measured beside it in the same rounds.
#[derive(Debug, Serialize)]
struct Ratio {
    of: &'static str,
    to: &'static str,
    mb_per_s: Spread,
    cpu_s_per_gb: Spread,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    size_bytes: u64,
    at_once: u32,
    measurements: Vec<Measurement>,
    ratios: Vec<Ratio>,
}

impl Report {
    /// Of `at_once` files of so many bytes each.
    pub(super) fn new(size_bytes: u64, at_once: u32, measurements: Vec<Measurement>) -> Self {
        let mut report = Report { size_bytes, at_once, measurements, ratios: Vec::new() };
        report.ratios = RATIOS.into_iter().filter_map(|(of, to)| report.ratio(of, to)).collect();
        report
    }

    fn figures(&self, what: &'static str, figure: fn(&Measurement) -> f64) -> impl Iterator<Item = f64> {
        self.measurements.iter().filter(move |measurement| measurement.what == what).map(figure)
    }

    /// None where one of the two is not installed.
    fn ratio(&self, of: &'static str, to: &'static str) -> Option<Ratio> {
        let spread = |figure| Spread::of_ratios(self.figures(of, figure).zip(self.figures(to, figure)));
        Some(Ratio { of, to, mb_per_s: spread(|m| m.mb_per_s)?, cpu_s_per_gb: spread(|m| m.cpu_s_per_gb)? })
    }

    pub(super) fn show(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return report::json(self);
        }
        report::line(&format!(
            "{} of {:.1} MB on one disk. Median (least–most) of the rounds; CPU of all servers, without the sender's.\n",
            if self.at_once == 1 { "A file".to_owned() } else { format!("{} files at once, each", self.at_once) },
            self.size_bytes as f64 / 1e6
        ))?;
        let rows = ROWS.into_iter().map(|what| {
            let show = |figure, digits| Spread::of(self.figures(what, figure)).map(|spread| spread.show(digits));
            let memory = if [COPY, COLD_COPY, PAST_CACHE].contains(&what) { None } else { show(|m| m.resident_mb, 0) };
            let cells = [show(|m| m.mb_per_s, 0), show(|m| m.cpu_s_per_gb, 2), memory];
            [what.to_owned()].into_iter().chain(cells.into_iter().map(Option::unwrap_or_default)).collect()
        });
        report::table(&["what", "MB/s", "CPU s/GB", "memory MB"], rows.collect())?;
        let rows = self.ratios.iter().map(|ratio| {
            vec![format!("{} : {}", ratio.of, ratio.to), ratio.mb_per_s.show(2), ratio.cpu_s_per_gb.show(2)]
        });
        report::table(&["in the same round", "MB/s", "CPU s/GB"], rows.collect())
    }
}
