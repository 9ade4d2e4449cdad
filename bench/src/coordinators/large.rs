//! A coordinator with large books: its memory, how soon it answers after a start, what heartbeats cost it, and its
//! snapshots, with what they do to writes and heartbeats meanwhile.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use microtome_coordinator::Config;
use microtome_coordinator::core::tables::MaterialsByAge;
use microtome_coordinator::core::view::Typed as _;
use microtome_proto::cluster::Cluster;
use microtome_proto::{MaterialId, NodeId};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde::Serialize;

use super::beats::{Beating, Beats};
use super::ours::renamings;
use super::writes::KEYS;
use crate::books::{self, Size};
use crate::fleet::{self, ANYWHERE, Server};
use crate::load::{self, Answers, Seen};
use crate::process::Usage;
use crate::report::note;

const SEED: u64 = 7;
/// A new leader calls nobody down for so long, and has seen all nodes by then.
const SETTLED_AFTER: Duration = Duration::from_secs(15);
/// How long heartbeats are counted.
const BEATS_FOR: Duration = Duration::from_secs(20);
/// How long is written at the least, and in one go: until a snapshot was taken.
const WRITE_FOR: Duration = Duration::from_secs(60);
const WRITE_GO: Duration = Duration::from_secs(10);
/// A snapshot that has not come by then does not come.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(600);
const CONNECTIONS: usize = 8;
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
pub(super) const NAME: &str = "coordinator";

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Large {
    pub(super) nodes: u32,
    pub(super) materials: u32,
    /// From a snapshot alone, as one starts whose state was lost.
    pub(super) first_start: Started,
    pub(super) second_start: Started,
    /// Heartbeats of all nodes, and nothing else.
    pub(super) beats: Beats,
    pub(super) beats_cpu_s_per_1000: f64,
    pub(super) snapshots: Vec<Taken>,
    /// Writes of eight connections while a snapshot was taken, and while none was.
    pub(super) writes_beside: Option<Seen>,
    pub(super) writes_else: Option<Seen>,
    /// Heartbeats while there were writes and snapshots.
    pub(super) beats_beside: Beats,
    /// The most memory, all the time.
    pub(super) peak_mb: f64,
    /// Memory at the end.
    pub(super) resident_mb: f64,
}

/// A start.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Started {
    /// Until it has told all that it knows.
    pub(super) seconds: f64,
    pub(super) cpu_s: f64,
    /// Afterwards.
    pub(super) resident_mb: f64,
    pub(super) peak_mb: f64,
}

/// A snapshot.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Taken {
    pub(super) seconds: f64,
    pub(super) mb: f64,
}

pub(super) async fn measure(program: &Path, folder: &Path, size: Size) -> anyhow::Result<Large> {
    fs::create_dir_all(folder)?;
    let data = folder.join(NAME);
    note(&format!("writing the books of {} nodes and {} materials", size.nodes, size.materials));
    let seeding = data.clone();
    let (nodes, materials) = tokio::task::spawn_blocking(move || seed(seeding, size)).await??;

    note("a coordinator starts with them");
    let (server, first_start) = start(program, folder, size).await?;
    let beating = Beating::start(server.address()?, &nodes, size.disk_total())?;
    tokio::time::sleep(SETTLED_AFTER).await;
    let (since, before) = (Instant::now(), server.process.usage()?);
    tokio::time::sleep(BEATS_FOR).await;
    let (beats, after) = (beating.take(since), server.process.usage()?);

    note("it is written to");
    let (since, address, snapshots) = (Instant::now(), server.address()?, data.join("snapshots"));
    let written = tokio::task::spawn_blocking(move || write(address, &materials, snapshots)).await?;
    let (answers, intervals) = written?;
    let beats_beside = beating.take(since);
    let (usage, peak) = (server.process.usage()?, server.process.peak_bytes()?);
    drop(beating);
    drop(server);

    note("it starts again");
    let (server, second_start) = start(program, folder, size).await?;
    drop(server);
    let (beside, rest) = parted(&answers, &intervals);
    Ok(Large {
        nodes: size.nodes,
        materials: size.materials,
        first_start,
        second_start,
        beats,
        beats_cpu_s_per_1000: (after.cpu_s - before.cpu_s) / beats.answered.max(1) as f64 * 1000.0,
        snapshots: intervals.iter().map(|interval| interval.taken).collect(),
        writes_beside: beside,
        writes_else: rest,
        beats_beside,
        peak_mb: peak as f64 / 1e6,
        resident_mb: usage.resident_bytes as f64 / 1e6,
    })
}

/// Fills the data folder; answers with the nodes, and some materials to write about.
pub(super) fn seed(data_dir: PathBuf, size: Size) -> anyhow::Result<(Vec<NodeId>, Vec<MaterialId>)> {
    let (books, nodes) = books::found(size, &mut StdRng::seed_from_u64(SEED))?;
    microtome_coordinator::seed(&Config { data_dir, ..Config::default() }, &books)?;
    // Far apart from one another.
    let step = (size.materials as usize / KEYS).max(1);
    let all = books.scan_records::<MaterialsByAge>(&[], None).step_by(step).take(KEYS);
    let materials = all.map(|entry| entry.map(|(_, id)| id)).collect::<Result<_, _>>()?;
    Ok((nodes, materials))
}

/// Starts the coordinator and waits until it tells how many materials it has.
pub(super) async fn start(program: &Path, folder: &Path, size: Size) -> anyhow::Result<(Server, Started)> {
    let started = Instant::now();
    // It ends with the thread that starts it, so that has to be one which stays.
    let server = fleet::start(program, NAME, ANYWHERE, folder, |command| command.arg("coordinator"))?;
    let address = server.address()?;
    loop {
        let request = b"GET /v1/cluster HTTP/1.1\r\nHost: bench\r\n\r\n";
        let answer = tokio::task::spawn_blocking(move || load::once(address, request)).await?;
        if let Ok(answer) = answer {
            let cluster: Cluster = serde_json::from_slice(&answer)?;
            if cluster.materials != u64::from(size.materials) || cluster.nodes != u64::from(size.nodes) {
                bail!("it knows {} materials on {} nodes", cluster.materials, cluster.nodes);
            }
            break;
        }
        if started.elapsed() > ANSWER_WITHIN {
            bail!("the coordinator does not answer");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let Usage { cpu_s, resident_bytes } = server.process.usage()?;
    let peak_mb = server.process.peak_bytes()? as f64 / 1e6;
    Ok((server, Started { seconds, cpu_s, resident_mb: resident_bytes as f64 / 1e6, peak_mb }))
}

/// When a snapshot was taken.
struct Interval {
    from: Instant,
    to: Instant,
    taken: Taken,
}

/// Writes until a snapshot was taken, and watches the folder of snapshots meanwhile. Blocks.
fn write(address: SocketAddr, materials: &[MaterialId], folder: PathBuf) -> anyhow::Result<(Answers, Vec<Interval>)> {
    let (stopped, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (told, tell) = (Arc::clone(&stopped), Arc::clone(&taken));
    let watching = std::thread::Builder::new().name("watch".to_owned()).spawn(move || watch(&folder, &told, &tell))?;
    let written = write_until(address, &renamings(materials), &taken);
    stopped.store(true, Ordering::Relaxed);
    let intervals = watching.join().ok().context("the folder of snapshots was not watched")?;
    Ok((written?, intervals))
}

fn write_until(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>, taken: &AtomicBool) -> std::io::Result<Answers> {
    let go = || load::answers(address, requests, 0..usize::MAX, CONNECTIONS, WRITE_GO);
    let mut all = go()?;
    loop {
        let elapsed = all.began.elapsed();
        if elapsed > SNAPSHOT_WITHIN || elapsed > WRITE_FOR && taken.load(Ordering::Relaxed) {
            return Ok(all);
        }
        let more = go()?;
        let later = more.began.duration_since(all.began).as_nanos() as u64;
        all.times.extend(more.times.iter().map(|(ended, took)| (ended + later, *took)));
        all.bytes += more.bytes;
        all.seconds += more.seconds;
    }
}

/// Sees unfinished files come and go, and tells so. Those that are there at the end are waited for.
fn watch(folder: &Path, stopped: &AtomicBool, taken: &AtomicBool) -> Vec<Interval> {
    let (mut intervals, mut from) = (Vec::new(), None);
    loop {
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let is_taken = names.iter().any(|name| name.starts_with('.'));
        match from {
            None if is_taken => from = Some(Instant::now()),
            Some(begin) if !is_taken => {
                let newest = names.iter().filter(|name| name.ends_with(".snapshot")).max();
                let len = newest.and_then(|name| fs::metadata(folder.join(name)).ok()).map_or(0, |file| file.len());
                let to = Instant::now();
                let seconds = to.duration_since(begin).as_secs_f64();
                intervals.push(Interval { from: begin, to, taken: Taken { seconds, mb: len as f64 / 1e6 } });
                from = None;
                taken.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        if from.is_none() && stopped.load(Ordering::Relaxed) {
            return intervals;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Writes that were under way while a snapshot was taken, and the others.
fn parted(answers: &Answers, intervals: &[Interval]) -> (Option<Seen>, Option<Seen>) {
    let span = |interval: &Interval| {
        let since = |moment: Instant| moment.saturating_duration_since(answers.began).as_nanos() as u64;
        (since(interval.from), since(interval.to))
    };
    let spans: Vec<_> = intervals.iter().map(span).collect();
    let is_beside = |&&(ended, took): &&(u64, u64)| {
        spans.iter().any(|&(from, to)| ended >= from && ended.saturating_sub(took) <= to)
    };
    let (beside, rest): (Vec<_>, Vec<_>) = answers.times.iter().partition(is_beside);
    let end = answers.times.iter().map(|(ended, _)| *ended).max().unwrap_or(0);
    let within = spans.iter().map(|&(from, to)| to.min(end).saturating_sub(from)).sum::<u64>() as f64 / 1e9;
    let seen = |times: Vec<&(u64, u64)>, seconds| {
        let times: Vec<_> = times.into_iter().copied().collect();
        (!times.is_empty()).then(|| Seen::of(&Answers { began: answers.began, times, bytes: 0, seconds }))
    };
    (seen(beside, within), seen(rest, answers.seconds - within))
}
