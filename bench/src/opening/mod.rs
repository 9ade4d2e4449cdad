//! Opening a slide: how long until its first tile, what is read for it, and what each slide that stays open costs.
//! The reader by itself, the node just started, and openslide-python, on the same file in a warm page cache.

mod many;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::{fs, io};

use anyhow::{Context as _, ensure};
use clap::Args;
use microtome_slide::{FileSource, ReadAt, Slide};
use serde::{Deserialize, Serialize};

use crate::Common;
use crate::load::{self, Wanted};
use crate::process::Usage;
use crate::report::{self, note};
use crate::servers::{Ours, Server as _, python};
use crate::slides::{Asked, Files, Which};
use crate::stats::Spread;

const PEER: &str = include_str!("../../peers/openslide_open.py");

#[derive(Debug, Args)]
pub(crate) struct Opening {
    /// An Aperio slide, as big as there is [default: a synthetic one, drawn first]
    #[arg(long, value_name = "FILE")]
    slide: Option<PathBuf>,
    /// A Python with openslide-python and openslide-bin
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
    /// How many slides are held open: in the reader, and in one node, to which so many small ones are uploaded
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    open: u32,
    /// How many slides openslide-python holds open
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    peer_open: u32,
    #[command(flatten)]
    common: Common,
}

/// What opening took.
#[derive(Debug, Serialize, Deserialize)]
struct Opened {
    #[serde(default)]
    who: String,
    /// Until the slide was open, in milliseconds; nothing where that is not seen from outside.
    open_ms: Vec<f64>,
    /// Until its first tile was there.
    tile_ms: Vec<f64>,
    /// Bytes read from the file until then.
    read_bytes: Vec<f64>,
    /// What each slide that is held open adds to the process, in bytes.
    #[serde(default)]
    bytes_per_slide: Option<f64>,
    #[serde(default)]
    held_open: u32,
}

pub(crate) async fn run(options: &Opening) -> anyhow::Result<()> {
    let program = options.common.program()?;
    let temporary = options.common.temporary()?;
    let folder = temporary.path();
    let asked = Files::only(options.slide.clone()).aperio(folder)?;
    let mut all = vec![reader(options, &asked).await?];
    all.push(node(options, &program, folder, &asked).await?);
    if python(&options.python, "openslide") {
        all.push(peer(options, folder, &asked)?);
    }
    if options.common.json {
        return report::json(&all);
    }
    report::line(&format!("Slide: {}, warm page cache. Median (least–most).\n", asked.describe()))?;
    let rows = all.iter().map(|one| {
        let spread = |values: &[f64], digits| {
            Spread::of(values.iter().copied()).map_or_else(String::new, |spread| spread.show(digits))
        };
        let kilobytes: Vec<_> = one.read_bytes.iter().map(|bytes| bytes / 1e3).collect();
        vec![
            one.who.clone(),
            spread(&one.open_ms, 3),
            spread(&one.tile_ms, 3),
            spread(&kilobytes, 1),
            one.bytes_per_slide.map_or_else(String::new, |bytes| format!("{:.1}", bytes / 1e3)),
            if one.held_open == 0 { String::new() } else { one.held_open.to_string() },
        ]
    });
    let header = ["who", "open ms", "first tile ms", "KB read", "KB of memory per open slide", "held open"];
    report::table(&header, rows.collect())
}

/// A file that counts what is read of it.
struct Counting {
    file: FileSource,
    bytes: AtomicU64,
}

impl ReadAt for Counting {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.file.read_exact_at(buf, offset)
    }
}

/// The reader by itself. All slides share one open file, as far as the system is concerned: descriptors are the node's
/// to bound, memory is what is measured.
async fn reader(options: &Opening, asked: &Asked) -> anyhow::Result<Opened> {
    note("opening by the reader itself");
    let mut opened = Opened {
        who: "reader".into(),
        open_ms: vec![],
        tile_ms: vec![],
        read_bytes: vec![],
        bytes_per_slide: None,
        held_open: options.open,
    };
    let (column, row) = middle(asked)?;
    // The first one is not measured: it finds the code and the file's tables cold.
    for round in 0..=options.common.rounds {
        let source = Arc::new(Counting { file: FileSource::open(&asked.path)?, bytes: AtomicU64::new(0) });
        let (started, mut tile) = (Instant::now(), Vec::new());
        let slide = Slide::open(Arc::clone(&source) as Arc<dyn ReadAt>)?;
        let open_ms = started.elapsed().as_secs_f64() * 1e3;
        ensure!(slide.native_tile(source.as_ref(), 0, column, row, &mut tile)?, "the slide has no native tiles");
        if round > 0 {
            opened.open_ms.push(open_ms);
            opened.tile_ms.push(started.elapsed().as_secs_f64() * 1e3);
            opened.read_bytes.push(source.bytes.load(Ordering::Relaxed) as f64);
        }
    }
    let source: Arc<dyn ReadAt> = Arc::new(FileSource::open(&asked.path)?);
    let mut held = Vec::with_capacity(options.open as usize);
    let before = Usage::own()?.resident_bytes;
    for _ in 0..options.open {
        held.push(Slide::open(Arc::clone(&source))?);
        // Signals are heard meanwhile.
        tokio::task::yield_now().await;
    }
    let after = Usage::own()?.resident_bytes;
    opened.bytes_per_slide = Some(after.saturating_sub(before) as f64 / held.len() as f64);
    Ok(opened)
}

/// The node after each of its starts: a connection, opening and the tile.
async fn node(options: &Opening, program: &Path, folder: &Path, asked: &Asked) -> anyhow::Result<Opened> {
    let mut ours = Ours::start(program, folder, std::slice::from_ref(asked)).await?;
    let id = ours.material(Which::Aperio).context("no material")?.clone();
    let (column, row) = middle(asked)?;
    let mut opened = Opened {
        who: "node, HTTP".into(),
        open_ms: vec![],
        tile_ms: vec![],
        read_bytes: vec![],
        bytes_per_slide: None,
        held_open: 0,
    };
    for _ in 0..options.common.rounds {
        ours.restart()?;
        let address = ours.address();
        // Without a question before, the server's own beginning would be counted.
        let health = Wanted::from("/healthz".to_owned()).request(address);
        let tile = Wanted::from(format!("/tiles/{id}/0/{column}_{row}.jpg")).request(address);
        let process = &ours.fleet.nodes[0].process;
        let asked = |request: Vec<u8>| tokio::task::spawn_blocking(move || load::once(address, &request));
        asked(health).await??;
        let (before, started) = (process.read_bytes()?, Instant::now());
        let body = asked(tile).await??;
        opened.tile_ms.push(started.elapsed().as_secs_f64() * 1e3);
        // The tile itself is among it.
        opened.read_bytes.push(process.read_bytes()?.saturating_sub(before) as f64);
        ensure!(body.starts_with(b"\xff\xd8"), "the node's answer is no JPEG");
    }
    let many = many::hold(&mut ours, folder, options.open).await?;
    opened.bytes_per_slide = Some(many.bytes_per_slide);
    opened.held_open = many.open;
    Ok(opened)
}

/// openslide-python: a program of its own, which measures itself.
fn peer(options: &Opening, folder: &Path, asked: &Asked) -> anyhow::Result<Opened> {
    note("opening by openslide-python");
    let file = folder.join("openslide_open.py");
    fs::write(&file, PEER)?;
    let output = Command::new(&options.python)
        .arg(&file)
        .arg(&asked.path)
        .args([options.common.rounds.to_string(), options.peer_open.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "openslide-python cannot open the slide");
    let opened: Opened = serde_json::from_slice(&output.stdout).context("what openslide_open.py says")?;
    Ok(Opened { who: "openslide-python".into(), held_open: options.peer_open, ..opened })
}

/// A tile in the middle of level 0.
fn middle(asked: &Asked) -> anyhow::Result<(u32, u32)> {
    let top = asked.slide.levels().first().context("the slide has no level")?;
    Ok((top.columns / 2, top.rows / 2))
}
