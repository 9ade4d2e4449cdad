//! What was measured, as tables or as JSON.

use super::Report;
use super::group::Kind;
use super::large::{Large, Started};
use super::lists::Listed;
use super::silence::Silence;
use super::writes::Written;
use crate::load::Seen;
use crate::report;
use crate::stats::Spread;

pub(super) fn show(report: &Report, is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return report::json(report);
    }
    writes(&report.writes)?;
    leader(&report.leader)?;
    report.large.as_ref().map_or(Ok(()), large)?;
    lists(&report.lists)
}

const KINDS: [Kind; 2] = [Kind::Microtome, Kind::Etcd];

type Figure = (&'static str, fn(&Written) -> f64, usize);

const FIGURES: [Figure; 6] = [
    ("writes/s", |written| written.writes_per_s, 0),
    ("p50 ms", |written| written.p50_ms, 2),
    ("p99 ms", |written| written.p99_ms, 2),
    ("CPU s/1000", |written| written.cpu_s_per_1000, 3),
    ("memory MB", |written| written.resident_mb, 0),
    ("asking CPU s/1000", |written| written.asking_cpu_s_per_1000, 3),
];

fn writes(all: &[Written]) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut connections: Vec<u16> = all.iter().map(|written| written.connections).collect();
    connections.sort_unstable();
    connections.dedup();
    for connections in connections {
        let of = |kind| all.iter().filter(move |written| written.group == kind && written.connections == connections);
        for kind in KINDS {
            let figures = FIGURES.map(|(_, figure, digits)| spread(of(kind).map(figure), digits));
            if of(kind).next().is_some() {
                rows.push(row([kind.to_string(), connections.to_string()], figures));
            }
        }
        let ratios = FIGURES.map(|(_, figure, _)| {
            let peers = |ours: &Written| of(Kind::Etcd).find(|theirs| theirs.round == ours.round).map(figure);
            let pairs = of(Kind::Microtome).filter_map(|ours| Some((figure(ours), peers(ours)?)));
            Spread::of_ratios(pairs).map_or_else(|| "–".to_owned(), |ratio| ratio.show(2))
        });
        if of(Kind::Etcd).next().is_some() {
            rows.push(row(["ratio".to_owned(), connections.to_string()], ratios));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let header: Vec<_> = ["writes to", "connections"].into_iter().chain(FIGURES.map(|(name, _, _)| name)).collect();
    report::table(&header, rows)
}

fn row<const N: usize>(begin: [String; 2], figures: [String; N]) -> Vec<String> {
    begin.into_iter().chain(figures).collect()
}

fn spread(values: impl Iterator<Item = f64>, digits: usize) -> String {
    Spread::of(values).map_or_else(|| "–".to_owned(), |spread| spread.show(digits))
}

fn leader(all: &[Silence]) -> anyhow::Result<()> {
    let rows = KINDS.iter().filter_map(|&kind| {
        let spread = Spread::of(all.iter().filter(|silence| silence.group == kind).map(|silence| silence.seconds))?;
        Some(vec![kind.to_string(), format!("{:.2}", spread.median), format!("{:.2}", spread.max)])
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() { Ok(()) } else { report::table(&["leader killed", "median s", "worst s"], rows) }
}

fn large(large: &Large) -> anyhow::Result<()> {
    let start = |name: &str, start: &Started| {
        let Started { seconds, cpu_s, resident_mb, peak_mb } = start;
        let figures = format!("{seconds:.1} s, {cpu_s:.1} CPU s, {resident_mb:.0} MB (peak {peak_mb:.0})");
        vec![name.to_owned(), figures]
    };
    let seen = |name: &str, seen: &Option<Seen>| {
        let figures = seen.map_or_else(
            || "–".to_owned(),
            |Seen { requests, seconds, p50_ms, p99_ms, max_ms, .. }| {
                format!("{:.0}/s, p50 {p50_ms:.1} p99 {p99_ms:.1} most {max_ms:.0} ms", requests as f64 / seconds)
            },
        );
        vec![name.to_owned(), figures]
    };
    let beats = |name: &str, beats: &super::beats::Beats| {
        let super::beats::Beats { answered, failed, p50_ms, p99_ms, max_ms } = beats;
        vec![
            name.to_owned(),
            format!("{answered} ({failed} failed), p50 {p50_ms:.1} p99 {p99_ms:.1} most {max_ms:.0} ms"),
        ]
    };
    let of = |values: fn(&super::large::Taken) -> f64, digits| spread(large.snapshots.iter().map(values), digits);
    let rows = vec![
        start("start from a snapshot alone", &large.first_start),
        start("start again", &large.second_start),
        beats("heartbeats", &large.beats),
        vec!["CPU s for 1000 heartbeats".to_owned(), format!("{:.3}", large.beats_cpu_s_per_1000)],
        vec!["snapshots".to_owned(), large.snapshots.len().to_string()],
        vec!["a snapshot's s".to_owned(), of(|taken| taken.seconds, 2)],
        vec!["a snapshot's MB".to_owned(), of(|taken| taken.mb, 0)],
        seen("writes beside a snapshot", &large.writes_beside),
        seen("writes else", &large.writes_else),
        beats("heartbeats beside writes", &large.beats_beside),
        vec!["memory MB at the end (peak)".to_owned(), format!("{:.0} ({:.0})", large.resident_mb, large.peak_mb)],
    ];
    let header = format!("{} nodes, {} materials", large.nodes, large.materials);
    report::table(&[&header, ""], rows)
}

fn lists(all: &[Listed]) -> anyhow::Result<()> {
    let mut sizes: Vec<u32> = all.iter().map(|listed| listed.materials).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut rows = Vec::new();
    for is_anywhere in [false, true] {
        let of = |materials| {
            all.iter().filter(move |listed| listed.materials == materials && listed.is_anywhere == is_anywhere)
        };
        let name = if is_anywhere { "pages from anywhere" } else { "the first page" };
        for &materials in &sizes {
            let figures = [
                spread(of(materials).map(|listed| listed.pages_per_s), 0),
                spread(of(materials).map(|listed| listed.seen.p50_ms), 2),
                spread(of(materials).map(|listed| listed.seen.p99_ms), 2),
            ];
            rows.push(row([name.to_owned(), materials.to_string()], figures));
        }
        if let [small, .., large] = sizes[..] {
            let pairs = of(large).zip(of(small)).map(|(large, small)| (large.pages_per_s, small.pages_per_s));
            let ratio = Spread::of_ratios(pairs).map_or_else(|| "–".to_owned(), |ratio| ratio.show(2));
            rows.push(row([name.to_owned(), "large : small".to_owned()], [ratio, String::new(), String::new()]));
        }
    }
    if all.is_empty() { Ok(()) } else { report::table(&["lists", "materials", "pages/s", "p50 ms", "p99 ms"], rows) }
}
