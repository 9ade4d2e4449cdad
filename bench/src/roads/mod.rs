//! Every road from the file to the asker: ours and its peers are asked for the same, in turn, round after round.
//!
//! *Cold* asks for nothing twice within a road, so that no cache of answers helps (the file itself is in the page cache);
//! *hot* asks for a few things over and over. Where a list is used more than once, *first* is its first use: then our
//! node checks the bytes against their hash, and nginx opens its files.

pub(crate) mod ask;
mod show;
mod table;
mod target;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use crate::Common;
use crate::load::Seen;
use crate::process::Usage;
use crate::report::note;
use crate::servers::{Kind, Ours, Peers, Server};
use crate::slides::{Asked, Files, Which};
use ask::Asks;
use table::Road;
use target::Load;

/// How many things are asked for over and over.
const HOT: usize = 64;
/// How long the first use of a list may take.
const FIRST_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct Roads {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    peers: Peers,
    /// Only roads whose names begin so [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    only: Vec<String>,
    /// The most that is asked for on each road, by chance
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u32).range(200..=2_000_000))]
    addresses: u32,
    /// The most native tiles: each is a file for nginx
    #[arg(long, default_value_t = 40_000, value_name = "N", value_parser = clap::value_parser!(u32).range(200..=2_000_000))]
    native: u32,
    /// Numbers of connections to measure with
    #[arg(long, default_values_t = [1, 8, 32], value_delimiter = ',', value_name = "N,…",
          value_parser = clap::value_parser!(u16).range(1..=512))]
    connections: Vec<u16>,
    /// How long each measurement takes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    #[command(flatten)]
    common: Common,
}

/// Whether things are asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    First,
    Cold,
    Hot,
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
struct Measurement {
    server: String,
    mode: Mode,
    connections: u16,
    round: u32,
    requests: u64,
    requests_per_s: f64,
    cpu_s_per_1000: f64,
    p50_ms: f64,
    p99_ms: f64,
    answer_bytes_mean: f64,
    resident_mb: f64,
}

impl Measurement {
    fn new(server: &dyn Server, at: (Mode, u16, u32), seen: Seen, before: Usage, after: Usage) -> Self {
        let (mode, connections, round) = at;
        let requests = seen.requests.max(1) as f64;
        Measurement {
            server: server.name().to_owned(),
            mode,
            connections,
            round,
            requests: seen.requests,
            requests_per_s: seen.requests as f64 / seen.seconds,
            cpu_s_per_1000: (after.cpu_s - before.cpu_s) / requests * 1000.0,
            p50_ms: seen.p50_ms,
            p99_ms: seen.p99_ms,
            answer_bytes_mean: seen.bytes as f64 / requests,
            resident_mb: after.resident_bytes as f64 / 1e6,
        }
    }
}

/// What was measured on a road.
#[derive(Debug, Serialize)]
struct Measured {
    name: String,
    title: String,
    slide: String,
    /// Ours first.
    servers: Vec<String>,
    measurements: Vec<Measurement>,
}

pub(crate) async fn run(options: &Roads) -> anyhow::Result<()> {
    let program = options.common.program()?;
    let temporary = options.common.temporary()?;
    let folder = temporary.path();
    let slides = options.files.all(folder)?;
    let roads = options.chosen(&slides)?;
    let kinds: Vec<Kind> = roads.iter().flat_map(|road| road.servers).copied().collect();
    let ours = Ours::start(&program, folder, &slides).await?;
    let native = match slides.first() {
        Some(slide) if kinds.contains(&Kind::CutFiles) => Asks::Native.list(slide, options.native as usize),
        _ => Vec::new(),
    };
    let mut servers: Vec<Arc<dyn Server>> = vec![Arc::new(ours)];
    let peers = options.peers.start(&kinds, &slides, &native, folder).await?;
    servers.extend(peers.into_iter().map(Arc::from));
    let mut measured = Vec::new();
    for road in &roads {
        let Some(slide) = slides.iter().find(|slide| slide.which == road.slide) else { continue };
        match measure(options, road, slide, &servers).await {
            Ok(one) => measured.push(one),
            // The others can still be measured.
            Err(error) => note(&format!("{} is left out: {error:#}", road.name)),
        }
    }
    if measured.is_empty() {
        bail!("nothing could be measured");
    }
    show::show(&measured, options.common.json)
}

impl Roads {
    fn chosen(&self, slides: &[Asked]) -> anyhow::Result<Vec<Road>> {
        let aperio = slides.iter().find(|slide| slide.which == Which::Aperio);
        let mut roads = table::roads(aperio.map_or(0, |slide| slide.slide.levels().len()));
        let known: Vec<_> = roads.iter().map(|road| road.name.clone()).collect();
        roads.retain(|road| self.only.is_empty() || self.only.iter().any(|only| road.name.starts_with(only)));
        roads.retain(|road| slides.iter().any(|slide| slide.which == road.slide));
        if roads.is_empty() {
            bail!("no such road; there are: {}", known.join(", "));
        }
        Ok(roads)
    }
}

async fn measure(options: &Roads, road: &Road, slide: &Asked, servers: &[Arc<dyn Server>]) -> anyhow::Result<Measured> {
    // All of these are files, too.
    let most = if road.servers.contains(&Kind::CutFiles) { options.native } else { options.addresses };
    let asks = road.asks.list(slide, most as usize);
    if asks.len() < 2 * HOT {
        bail!("the slide has only {} of what is asked for", asks.len());
    }
    let targets = target::targets(road, &asks, servers).await?;
    let modes: &[Mode] = if road.hot { &[Mode::Cold, Mode::Hot] } else { &[Mode::Cold] };
    let (rounds, counts) = (options.common.rounds as usize, &options.connections);
    let duration = Duration::from_secs(options.seconds);
    note(&format!(
        "{}: at most {} s",
        road.name,
        rounds * counts.len() * modes.len() * targets.len() * options.seconds as usize
    ));
    let mut measurements = Vec::new();
    if road.goes_round {
        let connections = counts[counts.len() / 2];
        for target in &targets {
            let load = Load { requests: &target.cold, numbers: 0..target.cold.len(), duration: FIRST_MAX };
            measurements.push(target.measure((Mode::First, connections, 0), load).await?);
        }
    }
    for round in 0..rounds {
        for (index, &connections) in counts.iter().enumerate() {
            for &mode in modes {
                // Who is first changes from round to round.
                for turn in 0..targets.len() {
                    let target = &targets[(turn + round) % targets.len()];
                    let part = Part { number: round * counts.len() + index, of: rounds * counts.len() };
                    let (requests, numbers) = match mode {
                        Mode::Hot => (&target.hot, 0..usize::MAX),
                        Mode::First | Mode::Cold => (&target.cold, part.of(target.cold.len(), road.goes_round)),
                    };
                    let load = Load { requests, numbers, duration };
                    measurements.push(target.measure((mode, connections, round as u32), load).await?);
                }
            }
        }
    }
    Ok(Measured {
        name: road.name.clone(),
        title: road.title.clone(),
        slide: slide.describe(),
        servers: targets.iter().map(|target| target.server.name().to_owned()).collect(),
        measurements,
    })
}

/// One of some equal parts of a list.
#[derive(Clone, Copy)]
struct Part {
    number: usize,
    of: usize,
}

impl Part {
    /// The same for all servers, so that they are asked for the same; once round where it may go on behind its end.
    fn of(self, len: usize, goes_round: bool) -> Range<usize> {
        let budget = len / self.of;
        let from = self.number * budget;
        if goes_round { from..from + len } else { from..from + budget }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_list_have_nothing_in_common() {
        let parts: Vec<_> = (0..3).map(|number| Part { number, of: 3 }.of(10, false)).collect();
        assert_eq!(parts, [0..3, 3..6, 6..9]);
        assert_eq!(Part { number: 1, of: 3 }.of(10, true), 3..13);
    }
}
