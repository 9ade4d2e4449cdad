//! Native tiles: our node from the slide itself, nginx from files cut beforehand; the same bytes by the same paths.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use microtome_client::{Cluster, FileSource};
use microtome_proto::MaterialId;
use microtome_proto::material::CreateMaterial;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::Common;
use crate::fleet::Fleet;
use crate::load::{self, Seen};
use crate::nginx::{self, Nginx};
use crate::process::Usage;
use crate::report::{self, note};
use crate::stats::Spread;

/// Tiles fetched at once when they are cut.
const CUT_AT_ONCE: usize = 8;
/// Any fixed number: every run asks for the same tiles in the same order.
const SHUFFLE: u64 = 20;

#[derive(Debug, Args)]
pub(crate) struct Tiles {
    /// The slide [default: a synthetic one of 24000×18000, drawn first]
    #[arg(long, value_name = "FILE")]
    slide: Option<PathBuf>,
    /// How many tiles of level 0 are asked for, at random; all of them where there are fewer
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tiles: u32,
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

/// One measurement.
#[derive(Clone, Debug, Serialize)]
struct Measurement {
    server: &'static str,
    connections: u16,
    round: u32,
    requests_per_s: f64,
    mb_per_s: f64,
    cpu_s_per_1000: f64,
    p50_ms: f64,
    p99_ms: f64,
    resident_mb: f64,
}

impl Measurement {
    fn new(server: &'static str, connections: u16, round: u32, seen: Seen, before: Usage, after: Usage) -> Self {
        let requests = seen.requests as f64;
        Measurement {
            server,
            connections,
            round,
            requests_per_s: requests / seen.seconds,
            mb_per_s: seen.bytes as f64 / seen.seconds / 1e6,
            cpu_s_per_1000: (after.cpu_s - before.cpu_s) / requests * 1000.0,
            p50_ms: seen.p50_ms,
            p99_ms: seen.p99_ms,
            resident_mb: after.resident_bytes as f64 / 1e6,
        }
    }
}

/// Ours by nginx's, round by round.
#[derive(Debug, Serialize)]
struct Ratio {
    connections: u16,
    requests_per_s: Option<Spread>,
    cpu_s_per_1000: Option<Spread>,
}

#[derive(Debug, Serialize)]
struct Report {
    slide_bytes: u64,
    tiles: usize,
    tile_bytes_mean: u64,
    measurements: Vec<Measurement>,
    ratios: Vec<Ratio>,
}

const OURS: &str = "microtome";
const NGINX: &str = "nginx, cut files";

pub(crate) async fn run(options: &Tiles) -> anyhow::Result<()> {
    let program = options.common.program()?;
    let temporary = options.common.temporary()?;
    let folder = temporary.path();
    let slide = match &options.slide {
        Some(slide) => slide.clone(),
        None => draw(folder)?,
    };
    let fleet = Fleet::start(&program, folder, 1).await?;
    note("uploading the slide");
    let (material, slide_bytes) = put(&fleet.cluster, &slide).await?;
    let node = &fleet.nodes[0];
    let paths = choose(&fleet.cluster, &material, options.tiles as usize).await?;
    note(&format!("cutting {} tiles", paths.len()));
    let cut = folder.join("cut");
    let cut_bytes = cut_tiles(&fleet.cluster, &node.url, &material, &paths, &cut).await?;
    let peer = match nginx::find() {
        Some(program) => Some(Nginx::start(&program, &cut, &folder.join("nginx"), paths.len())?),
        None => {
            note("nginx is not there, so only microtome is measured; to compare: apt-get install nginx-light");
            None
        }
    };

    let ours: SocketAddr = node.url.trim_start_matches("http://").parse().context("the node's address")?;
    let usage = |server: &str| match (server, &peer) {
        (NGINX, Some(peer)) => peer.process.usage(),
        _ => node.process.usage(),
    };
    let mut servers = vec![(OURS, ours)];
    servers.extend(peer.as_ref().map(|peer| (NGINX, peer.address)));
    let paths: Vec<String> = paths.iter().map(|tile| tile.path(&material)).collect();
    let requests: Vec<_> = servers.iter().map(|(_, address)| Arc::new(load::requests(&paths, *address))).collect();
    let total = options.common.rounds as usize * options.connections.len() * servers.len() * options.seconds as usize;
    note(&format!("measuring for {total} s"));
    let mut measurements = Vec::new();
    let mut from = 0;
    for round in 0..options.common.rounds {
        for &connections in &options.connections {
            // Who is first changes from round to round.
            for turn in 0..servers.len() {
                let which = (turn + round as usize) % servers.len();
                let (server, address) = servers[which];
                let (requests, duration) = (Arc::clone(&requests[which]), Duration::from_secs(options.seconds));
                let before = usage(server)?;
                let measure = move || load::run(address, &requests, from, connections.into(), duration);
                let seen =
                    tokio::task::spawn_blocking(measure).await?.with_context(|| format!("while asking {server}"))?;
                let after = usage(server)?;
                measurements.push(Measurement::new(server, connections, round, seen, before, after));
            }
            from = (from + 7919) % paths.len();
        }
    }
    let ratios = options.connections.iter().map(|&connections| ratio(&measurements, connections)).collect();
    let tile_bytes_mean = cut_bytes / paths.len() as u64;
    show(&Report { slide_bytes, tiles: paths.len(), tile_bytes_mean, measurements, ratios }, options.common.json)
}

fn draw(folder: &Path) -> anyhow::Result<PathBuf> {
    use microtome_slide::synthetic::{self, Options};
    note("drawing a slide");
    let path = folder.join("synthetic.svs");
    let options = Options { width: 24_000, height: 18_000, seed: 1 };
    synthetic::write(&path, &options, &mut |_| {}).context("cannot draw a slide")?;
    Ok(path)
}

async fn put(cluster: &Cluster, slide: &Path) -> anyhow::Result<(MaterialId, u64)> {
    let source = FileSource::open(slide)?;
    let size = microtome_client::Source::size(&source);
    let name = slide.file_name().map_or("slide".into(), |name| name.to_string_lossy().into_owned());
    let wanted = CreateMaterial { name, size, media_type: None, blake3: None, population: Some(1), origin: None };
    let material = cluster.create_material(&wanted).await?;
    cluster.upload(&material, Arc::new(source), &|_| {}).await?;
    Ok((material.id, size))
}

/// A tile of level 0.
#[derive(Clone, Copy, Debug)]
struct Tile {
    column: u32,
    row: u32,
}

impl Tile {
    fn path(self, material: &MaterialId) -> String {
        format!("/tiles/{material}/0/{}_{}.jpg", self.column, self.row)
    }
}

/// Chooses tiles of level 0 at random, none twice.
async fn choose(cluster: &Cluster, material: &MaterialId, count: usize) -> anyhow::Result<Vec<Tile>> {
    let info = cluster.slide_info(material).await?;
    let level = info.levels.first().context("the slide has no level")?;
    let mut tiles: Vec<Tile> =
        (0..level.rows).flat_map(|row| (0..level.columns).map(move |column| Tile { column, row })).collect();
    tiles.shuffle(&mut StdRng::seed_from_u64(SHUFFLE));
    tiles.truncate(count);
    Ok(tiles)
}

/// Writes the tiles as files, by the same paths below `root`, and returns their bytes altogether.
async fn cut_tiles(
    cluster: &Cluster,
    node: &str,
    material: &MaterialId,
    tiles: &[Tile],
    root: &Path,
) -> anyhow::Result<u64> {
    fs::create_dir_all(root.join(format!("tiles/{material}/0")))?;
    let mut tasks = JoinSet::new();
    for first in 0..CUT_AT_ONCE {
        let mine: Vec<Tile> = tiles.iter().copied().skip(first).step_by(CUT_AT_ONCE).collect();
        let (cluster, node, material, root) = (cluster.clone(), node.to_owned(), material.clone(), root.to_owned());
        tasks.spawn(async move {
            let mut bytes = 0;
            for tile in mine {
                let cut = cluster.tile(Some(&node), &material, 0, tile.column, tile.row).await?;
                ensure!(cut.native, "the tile {tile:?} is not native: this slide says nothing about native tiles");
                bytes += cut.jpeg.len() as u64;
                fs::write(root.join(tile.path(&material).trim_start_matches('/')), &cut.jpeg)?;
            }
            anyhow::Ok(bytes)
        });
    }
    let mut bytes = 0;
    while let Some(done) = tasks.join_next().await {
        bytes += done??;
    }
    if bytes == 0 {
        bail!("the slide has no tiles");
    }
    Ok(bytes)
}

fn ratio(measurements: &[Measurement], connections: u16) -> Ratio {
    let of = |server: &str, round: u32| {
        measurements.iter().find(|m| m.server == server && m.connections == connections && m.round == round)
    };
    let pairs: Vec<_> = (0..).map_while(|round| of(OURS, round).map(|ours| (ours, of(NGINX, round)))).collect();
    let spread = |figure: fn(&Measurement) -> f64| {
        Spread::of_ratios(pairs.iter().filter_map(|(ours, peer)| Some((figure(ours), figure((*peer)?)))))
    };
    Ratio {
        connections,
        requests_per_s: spread(|measurement| measurement.requests_per_s),
        cpu_s_per_1000: spread(|measurement| measurement.cpu_s_per_1000),
    }
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        return report::json(report);
    }
    report::line(&format!(
        "Native tiles of level 0: {} distinct ones of {} bytes on average, slide of {:.1} MB. Median (least–most) of the rounds.\n",
        report.tiles,
        report.tile_bytes_mean,
        report.slide_bytes as f64 / 1e6
    ))?;
    let mut rows = Vec::new();
    for ratio in &report.ratios {
        for server in [OURS, NGINX] {
            let spread = |figure: fn(&Measurement) -> f64, digits| {
                let mine =
                    report.measurements.iter().filter(|m| m.server == server && m.connections == ratio.connections);
                Spread::of(mine.map(figure)).map(|spread| spread.show(digits))
            };
            let Some(rate) = spread(|m| m.requests_per_s, 0) else { continue };
            let figures = [
                Some(rate),
                spread(|m| m.mb_per_s, 0),
                spread(|m| m.cpu_s_per_1000, 4),
                spread(|m| m.p50_ms, 3),
                spread(|m| m.p99_ms, 3),
                spread(|m| m.resident_mb, 1),
            ];
            let mut row = vec![server.to_owned(), ratio.connections.to_string()];
            row.extend(figures.into_iter().map(Option::unwrap_or_default));
            rows.push(row);
        }
        if let (Some(rate), Some(cpu)) = (ratio.requests_per_s, ratio.cpu_s_per_1000) {
            let mut row = vec!["ours / nginx".to_owned(), ratio.connections.to_string(), rate.show(2), String::new()];
            row.push(cpu.show(2));
            row.resize(8, String::new());
            rows.push(row);
        }
    }
    report::table(&["server", "connections", "tiles/s", "MB/s", "CPU s/1000", "p50 ms", "p99 ms", "memory MB"], rows)
}
