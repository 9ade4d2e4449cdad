//! A crowd: many viewers at once, some of whom ask for native tiles and some for tiles that have to be drawn, with and
//! without readers that take what they asked for slowly. Whoever is fast should not feel those who are slow or costly.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Serialize;

use crate::Common;
use crate::load::{self, Seen, Wanted};
use crate::report::{self, note};
use crate::roads::ask::{Ask, Asks, Form};
use crate::servers::{Ours, Server as _};
use crate::slides::{Asked, Files, Which};
use crate::stats::Spread;

/// Side of the raw regions that slow readers ask for, in pixels: 48 MB each.
const SLOW_SIDE: u32 = 4000;
/// What a slow reader takes at once, and how long it rests then: 64 KB/s.
const SLOW_BYTES: usize = 16 << 10;
const SLOW_REST: Duration = Duration::from_millis(250);
/// How long a slow reader waits for anything at all.
const SLOW_WAIT: Duration = Duration::from_secs(60);
/// How long asking for everything once may take.
const WARM_MAX: Duration = Duration::from_secs(60);
/// The most of each kind that is asked for.
const ADDRESSES: usize = 200_000;

#[derive(Debug, Args)]
pub(crate) struct Crowd {
    /// An Aperio slide [default: a synthetic one, drawn first]
    #[arg(long, value_name = "FILE")]
    slide: Option<std::path::PathBuf>,
    /// Viewers that ask for native tiles
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u16).range(1..=512))]
    native: u16,
    /// Viewers that ask for tiles to be drawn, none twice
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
    drawn: u16,
    /// Readers that take 64 KB/s of a raw region of 48 MB or of the whole file, by turns
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    slow: u16,
    /// How long each measurement takes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    #[command(flatten)]
    common: Common,
}

/// Who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Scene {
    NativeAlone,
    Both,
    BothAndSlow,
}

const SCENES: [Scene; 3] = [Scene::NativeAlone, Scene::Both, Scene::BothAndSlow];

impl Scene {
    fn describe(self, options: &Crowd) -> String {
        let Crowd { native, drawn, slow, .. } = options;
        match self {
            Scene::NativeAlone => format!("{native} native"),
            Scene::Both => format!("{native} native, {drawn} drawn"),
            Scene::BothAndSlow => format!("{native} native, {drawn} drawn, {slow} slow readers"),
        }
    }
}

#[derive(Debug, Serialize)]
struct Measurement {
    scene: Scene,
    round: u32,
    native: Seen,
    drawn: Option<Seen>,
    /// The most memory that the node had in RAM.
    peak_mb: f64,
}

pub(crate) async fn run(options: &Crowd) -> anyhow::Result<()> {
    let program = options.common.program()?;
    let temporary = options.common.temporary()?;
    let folder = temporary.path();
    let asked = Files::only(options.slide.clone()).aperio(folder)?;
    let ours = Ours::start(&program, folder, std::slice::from_ref(&asked)).await?;
    let crowd = Requests::of(&ours, &asked)?;
    crowd.warm().await?;
    let rounds = options.common.rounds;
    let mut measurements = Vec::new();
    for round in 0..rounds {
        note(&format!("round {} of {rounds}", round + 1));
        for turn in 0..SCENES.len() {
            let scene = SCENES[(turn + round as usize) % SCENES.len()];
            // Each scene draws tiles that none has drawn before.
            let part = crowd.drawn.len() / (rounds as usize * SCENES.len());
            let from = part * (round as usize * SCENES.len() + turn);
            measurements.push(crowd.measure(options, &ours, scene, round, from..from + part).await?);
        }
    }
    show(options, &asked, &measurements)
}

/// What the crowd asks for.
struct Requests {
    address: SocketAddr,
    native: Arc<Vec<Vec<u8>>>,
    drawn: Arc<Vec<Vec<u8>>>,
    slow: Vec<Vec<u8>>,
}

impl Requests {
    fn of(ours: &Ours, asked: &Asked) -> anyhow::Result<Self> {
        let address = ours.address();
        let requests = |asks: Asks| {
            let list = asks.list(asked, ADDRESSES);
            let request = |ask: &Ask| Some(ours.wanted(Which::Aperio, ask)?.request(address));
            let list: Vec<_> = list.iter().filter_map(request).collect();
            ensure!(!list.is_empty(), "the slide is too small for {asks:?}");
            Ok(list)
        };
        let id = ours.material(Which::Aperio).context("no material")?;
        let file = Wanted::from(format!("/v1/materials/{id}/file")).request(address);
        let regions = requests(Asks::Region { level: 0, side: SLOW_SIDE, form: Form::Raw })?;
        Ok(Requests {
            address,
            native: Arc::new(requests(Asks::Native)?),
            drawn: Arc::new(requests(Asks::DeepZoom { tile_size: None, overlap: 0, below: 1 })?),
            slow: regions.into_iter().take(256).flat_map(|region| [region, file.clone()]).collect(),
        })
    }

    /// Asks for the native tiles once: then the node checks them against their hash, which is not what is measured.
    async fn warm(&self) -> anyhow::Result<()> {
        let (address, native) = (self.address, Arc::clone(&self.native));
        let once = move || load::run(address, &native, 0..native.len(), 8, WARM_MAX);
        tokio::task::spawn_blocking(once).await??;
        Ok(())
    }

    async fn measure(
        &self,
        options: &Crowd,
        ours: &Ours,
        scene: Scene,
        round: u32,
        drawn: Range<usize>,
    ) -> anyhow::Result<Measurement> {
        let process = &ours.fleet.nodes[0].process;
        process.forget_peak()?;
        let slow = match scene {
            Scene::BothAndSlow => Some(Slow::start(self.address, &self.slow, options.slow.into())?),
            _ => None,
        };
        let (address, duration) = (self.address, Duration::from_secs(options.seconds));
        let load = |requests: &Arc<Vec<Vec<u8>>>, numbers, connections: u16| {
            let requests = Arc::clone(requests);
            tokio::task::spawn_blocking(move || load::run(address, &requests, numbers, connections.into(), duration))
        };
        let drawing = (scene != Scene::NativeAlone).then(|| load(&self.drawn, drawn, options.drawn));
        let native = load(&self.native, 0..usize::MAX, options.native).await??;
        let drawn = match drawing {
            Some(drawing) => Some(drawing.await??),
            None => None,
        };
        if let Some(slow) = slow {
            slow.stop()?;
        }
        Ok(Measurement { scene, round, native, drawn, peak_mb: process.peak_bytes()? as f64 / 1e6 })
    }
}

/// Readers that are slow, until they are stopped.
struct Slow {
    stop: Arc<AtomicBool>,
    readers: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Slow {
    /// Comes back when each has begun to read: what it costs to make their answers is not measured.
    fn start(address: SocketAddr, requests: &[Vec<u8>], count: usize) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut streams = Vec::new();
        for request in requests.iter().take(count) {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(SLOW_WAIT))?;
            stream.write_all(request)?;
            streams.push(stream);
        }
        let mut buffer = vec![0; SLOW_BYTES];
        for stream in &mut streams {
            let count = stream.read(&mut buffer).context("a slow reader gets no answer")?;
            ensure!(buffer[..count].starts_with(b"HTTP/1.1 200"), "a slow reader is refused");
        }
        let readers = streams
            .into_iter()
            .map(|mut stream| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    let mut buffer = vec![0; SLOW_BYTES];
                    while !stop.load(Ordering::Relaxed) {
                        if stream.read(&mut buffer)? == 0 {
                            return Err(std::io::Error::other("the server gave a slow reader up"));
                        }
                        std::thread::sleep(SLOW_REST);
                    }
                    Ok(())
                })
            })
            .collect();
        Ok(Slow { stop, readers })
    }

    /// An error where one of them did not get its answer to the last.
    fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for reader in self.readers {
            reader.join().map_err(|_| anyhow::anyhow!("a slow reader has failed"))??;
        }
        Ok(())
    }
}

fn show(options: &Crowd, asked: &Asked, measurements: &[Measurement]) -> anyhow::Result<()> {
    if options.common.json {
        return report::json(&measurements);
    }
    report::line(&format!("Slide: {}. Median (least–most) of the rounds.\n", asked.describe()))?;
    let mut rows = Vec::new();
    for scene in SCENES {
        let mine: Vec<_> = measurements.iter().filter(|measurement| measurement.scene == scene).collect();
        let native: Vec<Seen> = mine.iter().map(|measurement| measurement.native).collect();
        let drawn: Vec<Seen> = mine.iter().filter_map(|measurement| measurement.drawn).collect();
        let peak = Spread::of(mine.iter().map(|measurement| measurement.peak_mb));
        for (who, seen) in [("native", native), ("drawn", drawn)] {
            if seen.is_empty() {
                continue;
            }
            let spread = |figure: fn(&Seen) -> f64, digits| {
                Spread::of(seen.iter().map(figure)).map_or_else(String::new, |spread| spread.show(digits))
            };
            rows.push(vec![
                scene.describe(options),
                who.to_owned(),
                spread(|seen| seen.requests as f64 / seen.seconds, 0),
                spread(|seen| seen.p50_ms, 2),
                spread(|seen| seen.p99_ms, 2),
                spread(|seen| seen.max_ms, 1),
                peak.map_or_else(String::new, |spread| spread.show(0)),
            ]);
        }
    }
    report::table(&["there are", "of these", "tiles/s", "p50 ms", "p99 ms", "longest ms", "node's peak MB"], rows)
}
