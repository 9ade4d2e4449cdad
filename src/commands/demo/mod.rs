//! `demo`: the whole thing on this machine. A cluster of real processes, a slide, its copies, an analysis, the viewer.

mod check;
mod fleet;
mod ports;

use super::{copies, every, put::media_type, runs};
use crate::{
    progress::Progress,
    terminal::{Closed, Terminal, note, size},
};
use anyhow::{Context as _, bail};
use clap::Args;
use fleet::Fleet;
use microtome_client::{Cluster, FileSource, Source};
use microtome_proto::{
    material::{CreateMaterial, Material, MaterialState},
    run::{CreateRun, Run},
    slide::SlideInfo,
};
use microtome_slide::synthetic;
use ports::Ports;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};

/// The slide that is drawn, in pixels.
const DRAWN: synthetic::Options = synthetic::Options { width: 12_000, height: 9_000, seed: 1 };
const POPULATION: u32 = 2;
const NODES: u64 = 3;
/// How long the servers may take to find each other.
const START_WITHIN: Duration = Duration::from_secs(180);
/// How long they may take for one answer before it is looked whether one of them has ended.
const QUESTION_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs everything on this machine.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The slide to show; one is drawn otherwise
    #[arg(long, value_name = "FILE")]
    slide: Option<PathBuf>,
    /// Where to keep everything; otherwise in a temporary folder that is deleted at the end, unless something fails
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Do it all, kill the node that serves the tiles, see them go on and the copies come back, and end
    #[arg(long)]
    check: bool,
}

/// What is there to be looked at.
pub(crate) struct Shown {
    material: Material,
    slide: SlideInfo,
    run: Run,
    truth: Option<synthetic::Truth>,
}

/// Runs the demonstration until it is interrupted or, with `--check`, done.
pub(crate) async fn run(terminal: Terminal, options: Demo) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Comes when the terminal is closed.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut temporary = match &options.data {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("microtome-demo-").tempdir().context("no temporary folder")?),
    };
    let folder = match (&options.data, &temporary) {
        (Some(folder), _) => folder.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => bail!("no folder for the data"),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut fleet = Fleet::start(&folder, &Ports::choose(&folder)?)?;
    let outcome = tokio::select! {
        outcome = Box::pin(all(terminal, &options, &folder, &mut fleet)) => {
            // What failed is told with the name of a log: it must be there when somebody looks.
            if let (Err(error), Some(temporary)) = (&outcome, &mut temporary)
                && !error.is::<Closed>()
            {
                temporary.disable_cleanup(true);
                note(&format!("the servers' logs and data are kept in {}", folder.display()));
            }
            outcome
        }
        _ = terminate.recv() => stopped(&options),
        _ = interrupt.recv() => stopped(&options),
        _ = hangup.recv() => stopped(&options),
    };
    fleet.stop().await;
    outcome
}

fn stopped(options: &Demo) -> anyhow::Result<()> {
    if options.check {
        bail!("the check was interrupted");
    }
    note("stopping");
    Ok(())
}

async fn all(terminal: Terminal, options: &Demo, folder: &Path, fleet: &mut Fleet) -> anyhow::Result<()> {
    let cluster = Cluster::new(fleet.coordinators().to_vec(), None);
    wait_for_servers(&cluster, fleet).await?;
    let (path, truth) = match &options.slide {
        Some(path) => (path.clone(), None),
        None => draw(folder).await?,
    };
    let material = upload(&cluster, fleet, &path).await?;
    let slide = cluster.slide_info(&material.id).await.context("the slide cannot be shown")?;
    let run = analyse(&cluster, &material).await?;
    let shown = Shown { material, slide, run, truth };
    if !options.check {
        print(terminal, options, folder, fleet, &shown)?;
        return watch(fleet).await;
    }
    let seen = check::run(&cluster, fleet, &shown).await?;
    if terminal.json {
        return terminal.document(&serde_json::json!({ "passed": true, "seen": seen, "run": shown.run }));
    }
    let mut pairs = seen.pairs();
    pairs.push(("analysis", analysis(fleet, &shown)));
    terminal.pairs(&pairs)?;
    terminal.line("\nThe check has passed.")
}

async fn wait_for_servers(cluster: &Cluster, fleet: &mut Fleet) -> anyhow::Result<()> {
    let progress = Progress::of_fraction("starting");
    let begin = Instant::now();
    loop {
        fleet.check()?;
        let up = match cluster.with_deadline(QUESTION_WITHIN).cluster().await {
            Ok(cluster) => cluster.nodes_up,
            Err(_) => 0,
        };
        if up >= NODES {
            return Ok(());
        }
        if begin.elapsed() > START_WITHIN {
            bail!("only {up} of {NODES} nodes are there after {} s", START_WITHIN.as_secs());
        }
        progress.set_fraction(up as f64 / NODES as f64, &format!("{up} of {NODES} nodes"));
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Draws the slide, unless the folder has it from an earlier time.
async fn draw(folder: &Path) -> anyhow::Result<(PathBuf, Option<synthetic::Truth>)> {
    let path = folder.join("synthetic.svs");
    if path.exists() {
        return Ok((path, None));
    }
    let (half, whole) = (folder.join("synthetic.svs.part"), path.clone());
    let truth = tokio::task::spawn_blocking(move || -> std::io::Result<synthetic::Truth> {
        let progress = Progress::of_fraction("drawing a slide");
        let truth = synthetic::write(&half, &DRAWN, &mut |done| progress.set_fraction(done, ""))?;
        fs::rename(&half, &whole)?;
        Ok(truth)
    });
    let truth = truth.await?.context("cannot draw a slide")?;
    Ok((path, Some(truth)))
}

/// Uploads the slide and waits for its copies; one that is there from an earlier time stays.
async fn upload(cluster: &Cluster, fleet: &mut Fleet, path: &Path) -> anyhow::Result<Material> {
    let source = Arc::new(FileSource::open(path)?);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let there = every(async |query| cluster.materials(&query).await).await?.into_iter().find(|material| {
        let whole = matches!(material.state, MaterialState::Ready | MaterialState::Degraded);
        whole && material.name == name && material.size == source.size()
    });
    let material = match there {
        Some(material) => material,
        None => {
            let wanted = CreateMaterial {
                name,
                size: source.size(),
                media_type: media_type(path).map(str::to_owned),
                blake3: None,
                population: Some(POPULATION),
                ..CreateMaterial::default()
            };
            let material = cluster.create_material(&wanted).await?;
            let progress = Progress::of_bytes("uploading", source.size());
            cluster.upload(&material, source, &|now| progress.set(now.sent)).await?;
            material
        }
    };
    copies::made(cluster, &material, || fleet.check()).await
}

async fn analyse(cluster: &Cluster, material: &Material) -> anyhow::Result<Run> {
    let wanted = CreateRun {
        pipeline: "tissue".to_owned(),
        name: None,
        inputs: vec![material.id.clone()],
        parameters: serde_json::json!({}),
    };
    let run = cluster.create_run(&wanted).await?;
    let run = runs::follow(cluster, &run.id, "finding the tissue").await?;
    runs::ended_well(&run)?;
    Ok(run)
}

/// What the run has found, where, and at what cost.
fn analysis(fleet: &Fleet, shown: &Shown) -> String {
    let run = &shown.run;
    let fraction = run.result.as_ref().and_then(|result| result.get("fraction")).and_then(serde_json::Value::as_f64);
    let found = fraction.map_or_else(String::new, |found| format!("{:.1} % of the slide is tissue", found * 100.0));
    let drawn = shown.truth.as_ref();
    let drawn = drawn.map(|truth| format!(" ({:.1} % was drawn)", truth.tissue_fraction * 100.0)).unwrap_or_default();
    let node = shown.material.replicas.iter().find(|replica| Some(&replica.node) == run.node.as_ref());
    let node = node.map(|node| format!(", computed on {}", fleet.name_of(&node.url))).unwrap_or_default();
    format!("{found}{drawn}{node}, {} bytes moved", run.bytes_moved)
}

fn print(terminal: Terminal, options: &Demo, folder: &Path, fleet: &Fleet, shown: &Shown) -> anyhow::Result<()> {
    let (material, slide) = (&shown.material, &shown.slide);
    let base = fleet.coordinators().first().cloned().unwrap_or_default();
    let viewer = format!("{base}{}", material.view);
    let holders: Vec<_> = check::living(material).map(|replica| fleet.name_of(&replica.url).to_owned()).collect();
    if terminal.json {
        return terminal.record(&serde_json::json!({
            "viewer": viewer, "server": base, "coordinators": fleet.coordinators(), "material": material,
            "holders": holders, "run": shown.run, "data": folder,
        }));
    }
    let kept = if options.data.is_some() { "" } else { ", deleted at the end" };
    terminal.line("\n 3 coordinators and 3 nodes run on this machine, each a process of its own.\n")?;
    terminal.pairs(&[
        ("viewer", viewer),
        ("console", format!("{base}/")),
        ("slide", format!("{}, {} × {} pixels, {}", material.name, slide.width, slide.height, size(material.size))),
        ("copies", holders.join(" and ")),
        ("analysis", analysis(fleet, shown)),
        ("data", format!("{}{kept}", folder.display())),
    ])?;
    let server = if base == "http://127.0.0.1:7400" { String::new() } else { format!(" --server {base}") };
    terminal.line(&format!("\n Look around: microtome ls{server}, microtome nodes{server}. Stop with Ctrl-C.\n"))
}

/// Waits for ever; says when a server ends, which somebody may do to see what happens.
async fn watch(fleet: &mut Fleet) -> anyhow::Result<()> {
    loop {
        for ended in fleet.ended()? {
            note(&ended);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
