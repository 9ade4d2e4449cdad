//! Uploads and clones, beside nginx, rustus and a plain copy, each with fsync, of the same file on the same disk.

mod past_cache;
mod send;
mod table;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use microtome_client::Cluster;
use microtome_proto::material::{CreateMaterial, PatchMaterial};
use microtome_proto::{Code, MaterialId};
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};

use crate::Common;
use crate::fleet::Fleet;
use crate::memory;
use crate::process::Usage;
use crate::report::note;
use crate::servers::{Dav, Rustus};
use send::{Body, send};
use table::{CLONE, COLD_COPY, COPY, Measurement, PAST_CACHE, PUT, Report, TUS, UPLOAD};

/// How long a clone or a deletion may take before the benchmark gives up.
const DONE_WITHIN: Duration = Duration::from_secs(600);
/// How often is asked whether it is done: neither the time nor what answering costs should count.
const ASK_EVERY: Duration = Duration::from_millis(50);
const PIECE: usize = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// Size of the file; the disk needs room for six of it
    #[arg(long, default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    size_mb: u64,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(options: &Upload) -> anyhow::Result<()> {
    let program = options.common.program()?;
    let temporary = options.common.temporary()?;
    let folder = temporary.path();
    let size = options.size_mb << 20;
    note(&format!("writing a file of {} MiB", options.size_mb));
    let original = folder.join("original");
    write_random(&original, size)?;
    let fleet = Fleet::start(&program, folder, 2).await?;
    let peers = Peers { nginx: Dav::start(&folder.join("nginx"))?, rustus: Rustus::start(&folder.join("rustus"))? };
    let mut bench = Bench { size, measurements: Vec::new(), round: 0 };
    for round in 0..options.common.rounds {
        note(&format!("round {} of {}", round + 1, options.common.rounds));
        bench.round = round;
        stamp(&original, round)?;
        // Who is first changes from round to round.
        if round % 2 == 0 {
            bench.copies(&fleet, &original, folder).await?;
            bench.peers(&peers, &original)?;
        }
        let material = bench.upload(&fleet, &original).await?;
        bench.second_copy(&fleet, &material).await?;
        remove(&fleet.cluster, &material).await?;
        if round % 2 == 1 {
            bench.peers(&peers, &original)?;
            bench.copies(&fleet, &original, folder).await?;
        }
    }
    Report::new(size, bench.measurements).show(options.common.json)
}

/// Other servers, where they are installed.
struct Peers {
    nginx: Option<Dav>,
    rustus: Option<Rustus>,
}

struct Bench {
    size: u64,
    measurements: Vec<Measurement>,
    round: u32,
}

impl Bench {
    fn record(&mut self, what: &'static str, seconds: f64, before: Usage, after: Usage) {
        self.measurements.push(Measurement {
            what,
            round: self.round,
            seconds,
            mb_per_s: self.size as f64 / seconds / 1e6,
            cpu_s_per_gb: (after.cpu_s - before.cpu_s) / self.size as f64 * 1e9,
            resident_mb: after.resident_bytes as f64 / 1e6,
        });
    }

    /// A copy of the original, which lies in memory, as it does when it is sent to servers; and one of a file as an upload
    /// has left it at a node, which nobody has read yet, as a clone finds it.
    async fn copies(&mut self, fleet: &Fleet, original: &Path, folder: &Path) -> anyhow::Result<()> {
        let to = folder.join("copy");
        self.copy(COPY, &to, || through_cache(original, &to))?;
        let material = self.store(fleet, original).await?;
        wait_for_copies(&fleet.cluster, &material, 1).await?;
        let stored = stored(folder, &material)?;
        forget(&stored)?;
        let size = self.size;
        self.copy(PAST_CACHE, &to, || past_cache::copy(&stored, &to, size))?;
        forget(&stored)?;
        self.copy(COLD_COPY, &to, || through_cache(&stored, &to))?;
        remove(&fleet.cluster, &material).await
    }

    fn copy(&mut self, what: &'static str, to: &Path, copy: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
        memory::warm()?;
        let before = Usage::own()?;
        let started = Instant::now();
        copy()?;
        let seconds = started.elapsed().as_secs_f64();
        self.record(what, seconds, before, Usage::own()?);
        fs::remove_file(to)?;
        Ok(())
    }

    fn peers(&mut self, peers: &Peers, original: &Path) -> anyhow::Result<()> {
        if let Some(nginx) = &peers.nginx {
            self.put(nginx, original)?;
        }
        if let Some(rustus) = &peers.rustus {
            self.tus(rustus, original)?;
        }
        Ok(())
    }

    /// From the first byte until the file is durable: nginx answers when it has written it, whatever the disk has.
    fn put(&mut self, nginx: &Dav, file: &Path) -> anyhow::Result<()> {
        memory::warm()?;
        let before = nginx.usage()?;
        let started = Instant::now();
        send(nginx.address(), "PUT", "/file", &[], &Body::whole(file)?)?;
        let stored = nginx.root().join("file");
        File::open(&stored)?.sync_all()?;
        let seconds = started.elapsed().as_secs_f64();
        self.record(PUT, seconds, before, nginx.usage()?);
        fs::remove_file(stored)?;
        Ok(())
    }

    /// From the creation until the file is durable. One fsync at the end: with rustus's own after each request it is slower.
    fn tus(&mut self, rustus: &Rustus, file: &Path) -> anyhow::Result<()> {
        memory::warm()?;
        let before = rustus.usage()?;
        let started = Instant::now();
        let length = self.size.to_string();
        let headers = [("Tus-Resumable", "1.0.0"), ("Upload-Length", length.as_str())];
        let created = send(rustus.address(), "POST", "/files", &headers, &Body { file, range: 0..0 })?;
        let location = created.lines().find_map(|line| line.strip_prefix("location: ")).context("no location")?;
        let path = location.trim().find("/files").map(|at| &location.trim()[at..]).context("an unknown location")?;
        for start in (0..self.size).step_by(Rustus::BODY as usize) {
            let range = start..(start + Rustus::BODY).min(self.size);
            patch(rustus.address(), path, &Body { file, range })?;
        }
        let mut stored = fs::read_dir(rustus.data())?;
        let stored = stored.next().context("rustus has no file")??.path();
        let whole = File::open(&stored)?;
        whole.sync_all()?;
        let seconds = started.elapsed().as_secs_f64();
        ensure!(whole.metadata()?.len() == self.size, "rustus has not all of the file");
        self.record(TUS, seconds, before, rustus.usage()?);
        fs::remove_file(stored)?;
        Ok(())
    }

    /// From the first request until the node has said that the whole file is durable and its hash known.
    async fn upload(&mut self, fleet: &Fleet, file: &Path) -> anyhow::Result<MaterialId> {
        memory::warm()?;
        let before = fleet.usage()?;
        let started = Instant::now();
        let material = self.store(fleet, file).await?;
        let seconds = started.elapsed().as_secs_f64();
        self.record(UPLOAD, seconds, before, fleet.usage()?);
        Ok(material)
    }

    async fn store(&self, fleet: &Fleet, file: &Path) -> anyhow::Result<MaterialId> {
        let wanted = CreateMaterial {
            name: "original".into(),
            size: self.size,
            media_type: None,
            blake3: None,
            population: Some(1),
            ..CreateMaterial::default()
        };
        let material = fleet.cluster.create_material(&wanted).await?;
        let url = material.upload_url.context("the material takes no bytes")?;
        let (address, path) = url.trim_start_matches("http://").split_once('/').context("an address without a path")?;
        let body = Body::whole(file)?;
        tokio::task::block_in_place(|| patch(address.parse()?, &format!("/{path}"), &body))?;
        Ok(material.id)
    }

    /// From the wish for a second copy until it is there, verified.
    async fn second_copy(&mut self, fleet: &Fleet, material: &MaterialId) -> anyhow::Result<()> {
        // The first copy must be known to the coordinator before a second one can be wished for.
        wait_for_copies(&fleet.cluster, material, 1).await?;
        memory::warm()?;
        let before = fleet.usage()?;
        let started = Instant::now();
        let patch = PatchMaterial { population: Some(2), ..PatchMaterial::default() };
        fleet.cluster.patch_material(material, &patch).await?;
        wait_for_copies(&fleet.cluster, material, 2).await?;
        let seconds = started.elapsed().as_secs_f64();
        self.record(CLONE, seconds, before, fleet.usage()?);
        Ok(())
    }
}

/// Sends bytes by tus to where they belong in the file.
fn patch(address: SocketAddr, path: &str, body: &Body<'_>) -> anyhow::Result<()> {
    let offset = body.range.start.to_string();
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("Upload-Offset", offset.as_str()),
        ("Content-Type", "application/offset+octet-stream"),
    ];
    send(address, "PATCH", path, &headers, body).map(|_| ())
}

/// As `dd bs=1M conv=fsync` copies: copying within the kernel would let some file systems share the blocks.
fn through_cache(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (mut source, mut target) = (File::open(from)?, File::create(to)?);
    let mut buffer = vec![0; PIECE];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(target.sync_all()?);
        }
        target.write_all(&buffer[..count])?;
    }
}

/// Has the system forget what it has of a file in memory.
fn forget(file: &Path) -> anyhow::Result<()> {
    Ok(rustix::fs::fadvise(File::open(file)?, 0, None, rustix::fs::Advice::DontNeed)?)
}

/// Where a node in one of the folders below `folder` has the file of a material.
fn stored(folder: &Path, material: &MaterialId) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let file = entry?.path().join("materials").join(material.as_str()).join("file");
        if file.exists() {
            return Ok(file);
        }
    }
    bail!("no node has a file of {material}")
}

fn write_random(path: &Path, size: u64) -> anyhow::Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let (mut chance, mut buffer) = (StdRng::seed_from_u64(1), vec![0; PIECE]);
    for _ in 0..size / PIECE as u64 {
        chance.fill_bytes(&mut buffer);
        file.write_all(&buffer)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Makes the file another one.
fn stamp(path: &Path, round: u32) -> anyhow::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("round {round:10}").as_bytes())?;
    file.sync_all()?;
    Ok(())
}

async fn wait_for_copies(cluster: &Cluster, material: &MaterialId, wanted: u32) -> anyhow::Result<()> {
    let started = Instant::now();
    while cluster.material(material).await?.population_live < wanted {
        if started.elapsed() > DONE_WITHIN {
            bail!("there are not {wanted} copies after {} s", DONE_WITHIN.as_secs());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}

/// Deletes the material and waits until its bytes are gone, so that the next round finds room and a quiet disk.
async fn remove(cluster: &Cluster, material: &MaterialId) -> anyhow::Result<()> {
    cluster.delete_material(material).await?;
    let started = Instant::now();
    loop {
        match cluster.material(material).await {
            Err(error) if error.code() == Some(Code::NotFound) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(_) if started.elapsed() > DONE_WITHIN => bail!("the material is not deleted"),
            Ok(_) => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}
