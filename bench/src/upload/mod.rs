//! Uploads and clones, beside nginx, two servers of tus and a plain copy, each with fsync, of the same file on the same disk;
//! one, or many at once.

mod files;
mod past_cache;
mod send;
mod table;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use futures_util::future::try_join_all;
use microtome_client::Cluster;
use microtome_proto::material::{CreateMaterial, PatchMaterial};
use microtome_proto::{Code, MaterialId};

use crate::Common;
use crate::fleet::Fleet;
use crate::memory;
use crate::process::Usage;
use crate::report::note;
use crate::servers::{Dav, TusServer};
use files::{forget, stamp, through_cache, write_random};
use send::{Body, send};
use table::{CLONE, COLD_COPY, COPY, Measurement, PAST_CACHE, PUT, RUSTUS, Report, TUS_NODE, UPLOAD};

/// How long a clone or a deletion may take before the benchmark gives up.
const DONE_WITHIN: Duration = Duration::from_secs(600);
/// How often is asked whether it is done: neither the time nor what answering costs should count.
const ASK_EVERY: Duration = Duration::from_millis(50);
const PIECE: usize = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// Size of the file; the disk needs room for four of it, and three for each more at once
    #[arg(long, default_value_t = 1024, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    size_mb: u64,
    /// How many are sent and copied at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    at_once: u32,
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
    let peers = Peers {
        nginx: Dav::start(&folder.join("nginx"))?,
        rustus: TusServer::rustus(&folder.join("rustus"))?,
        node: TusServer::node(&folder.join("tus-node"))?,
    };
    let mut bench = Bench { size, at_once: options.at_once, measurements: Vec::new(), round: 0 };
    for round in 0..options.common.rounds {
        note(&format!("round {} of {}", round + 1, options.common.rounds));
        bench.round = round;
        stamp(&original, round)?;
        // Who is first changes from round to round.
        if round % 2 == 0 {
            bench.copies(&fleet, &original, folder).await?;
            bench.peers(&peers, &original)?;
        }
        let materials = bench.upload(&fleet, &original).await?;
        bench.second_copies(&fleet, &materials).await?;
        remove(&fleet.cluster, &materials).await?;
        if round % 2 == 1 {
            bench.peers(&peers, &original)?;
            bench.copies(&fleet, &original, folder).await?;
        }
    }
    Report::new(size, options.at_once, bench.measurements).show(options.common.json)
}

/// Other servers, where they are installed.
struct Peers {
    nginx: Option<Dav>,
    rustus: Option<TusServer>,
    node: Option<TusServer>,
}

struct Bench {
    size: u64,
    at_once: u32,
    measurements: Vec<Measurement>,
    round: u32,
}

impl Bench {
    fn record(&mut self, what: &'static str, seconds: f64, before: Usage, after: Usage) {
        let bytes = (self.size * u64::from(self.at_once)) as f64;
        self.measurements.push(Measurement {
            what,
            round: self.round,
            seconds,
            mb_per_s: bytes / seconds / 1e6,
            cpu_s_per_gb: (after.cpu_s - before.cpu_s) / bytes * 1e9,
            resident_mb: after.resident_bytes as f64 / 1e6,
        });
    }

    /// Does something for each of the files, all at once.
    fn each<T: Send>(&self, act: impl Fn(u32) -> anyhow::Result<T> + Sync) -> anyhow::Result<Vec<T>> {
        let panicked = || anyhow::anyhow!("a thread of the benchmark has ended early");
        thread::scope(|scope| {
            let act = &act;
            let threads: Vec<_> = (0..self.at_once).map(|number| scope.spawn(move || act(number))).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| panicked())?).collect()
        })
    }

    /// A copy of the original, which lies in memory, as it does when it is sent to servers; and one of a file as an upload
    /// has left it at a node, which nobody has read yet, as a clone finds it.
    async fn copies(&mut self, fleet: &Fleet, original: &Path, folder: &Path) -> anyhow::Result<()> {
        let to = |number: u32| folder.join(format!("copy-{number}"));
        self.copy(COPY, to, |number| through_cache(original, &to(number)))?;
        let materials = self.store(fleet, original).await?;
        wait_for_copies(&fleet.cluster, &materials, 1).await?;
        let stored = materials.iter().map(|id| stored(folder, id)).collect::<anyhow::Result<Vec<_>>>()?;
        let from = |number: u32| &stored[number as usize];
        let size = self.size;
        stored.iter().try_for_each(|file| forget(file))?;
        self.copy(PAST_CACHE, to, |number| past_cache::copy(from(number), &to(number), size))?;
        stored.iter().try_for_each(|file| forget(file))?;
        self.copy(COLD_COPY, to, |number| through_cache(from(number), &to(number)))?;
        remove(&fleet.cluster, &materials).await
    }

    fn copy(
        &mut self,
        what: &'static str,
        to: impl Fn(u32) -> PathBuf,
        copy: impl Fn(u32) -> anyhow::Result<()> + Sync,
    ) -> anyhow::Result<()> {
        memory::warm()?;
        let before = Usage::own()?;
        let started = Instant::now();
        self.each(copy)?;
        let seconds = started.elapsed().as_secs_f64();
        self.record(what, seconds, before, Usage::own()?);
        (0..self.at_once).try_for_each(|number| fs::remove_file(to(number)))?;
        Ok(())
    }

    fn peers(&mut self, peers: &Peers, original: &Path) -> anyhow::Result<()> {
        if let Some(nginx) = &peers.nginx {
            self.put(nginx, original)?;
        }
        for (name, peer) in [(RUSTUS, &peers.rustus), (TUS_NODE, &peers.node)] {
            if let Some(peer) = peer {
                self.tus(name, peer, original)?;
            }
        }
        Ok(())
    }

    /// From the first byte until the files are durable: nginx answers when it has written one, whatever the disk has.
    fn put(&mut self, nginx: &Dav, file: &Path) -> anyhow::Result<()> {
        memory::warm()?;
        let before = nginx.usage()?;
        let started = Instant::now();
        let all = self.each(|number| {
            send(nginx.address(), "PUT", &format!("/file-{number}"), &[], &Body::whole(file)?)?;
            let stored = nginx.root().join(format!("file-{number}"));
            File::open(&stored)?.sync_all()?;
            Ok(stored)
        })?;
        let seconds = started.elapsed().as_secs_f64();
        self.record(PUT, seconds, before, nginx.usage()?);
        Ok(all.into_iter().try_for_each(fs::remove_file)?)
    }

    /// From the creation until the files are durable. One fsync at the end: with one after each request they are slower.
    fn tus(&mut self, name: &'static str, peer: &TusServer, file: &Path) -> anyhow::Result<()> {
        memory::warm()?;
        let before = peer.usage()?;
        let started = Instant::now();
        let all = self.each(|_| {
            let length = self.size.to_string();
            let headers = [("Tus-Resumable", "1.0.0"), ("Upload-Length", length.as_str())];
            let created = send(peer.address(), "POST", "/files", &headers, &Body { file, range: 0..0 })?;
            let location = created.lines().find_map(|line| line.strip_prefix("location: ")).context("no location")?;
            let id = location.trim().rsplit('/').next().context("an unknown location")?;
            let mut start = 0;
            while start < self.size {
                let end = start.saturating_add(peer.body).min(self.size);
                patch(peer.address(), &format!("/files/{id}"), &Body { file, range: start..end })?;
                start = end;
            }
            let stored = peer.stored(id);
            let whole = File::open(&stored)?;
            whole.sync_all()?;
            ensure!(whole.metadata()?.len() == self.size, "{name} has not all of the file");
            Ok(stored)
        })?;
        let seconds = started.elapsed().as_secs_f64();
        self.record(name, seconds, before, peer.usage()?);
        Ok(all.into_iter().try_for_each(fs::remove_file)?)
    }

    /// From the first request until the node has said that the whole of each file is durable and its hash known.
    async fn upload(&mut self, fleet: &Fleet, file: &Path) -> anyhow::Result<Vec<MaterialId>> {
        memory::warm()?;
        let before = fleet.usage()?;
        let started = Instant::now();
        let materials = self.store(fleet, file).await?;
        let seconds = started.elapsed().as_secs_f64();
        self.record(UPLOAD, seconds, before, fleet.usage()?);
        Ok(materials)
    }

    async fn store(&self, fleet: &Fleet, file: &Path) -> anyhow::Result<Vec<MaterialId>> {
        let wanted = CreateMaterial {
            name: "original".into(),
            size: self.size,
            population: Some(1),
            ..CreateMaterial::default()
        };
        let created = (0..self.at_once).map(|_| fleet.cluster.create_material(&wanted));
        let created = try_join_all(created).await?;
        let body = Body::whole(file)?;
        tokio::task::block_in_place(|| {
            self.each(|number| {
                let url = created[number as usize].upload_url.as_ref().context("the material takes no bytes")?;
                let rest = url.trim_start_matches("http://");
                let (address, path) = rest.split_once('/').context("an address without a path")?;
                patch(address.parse()?, &format!("/{path}"), &body)
            })
        })?;
        Ok(created.into_iter().map(|material| material.id).collect())
    }

    /// From the wish for second copies until they are there, verified.
    async fn second_copies(&mut self, fleet: &Fleet, materials: &[MaterialId]) -> anyhow::Result<()> {
        // The first copies must be known to the coordinator before second ones can be wished for.
        wait_for_copies(&fleet.cluster, materials, 1).await?;
        memory::warm()?;
        let before = fleet.usage()?;
        let started = Instant::now();
        let patch = PatchMaterial { population: Some(2), ..PatchMaterial::default() };
        try_join_all(materials.iter().map(|id| fleet.cluster.patch_material(id, &patch))).await?;
        wait_for_copies(&fleet.cluster, materials, 2).await?;
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

async fn wait_for_copies(cluster: &Cluster, materials: &[MaterialId], wanted: u32) -> anyhow::Result<()> {
    let started = Instant::now();
    for material in materials {
        while cluster.material(material).await?.population_live < wanted {
            if started.elapsed() > DONE_WITHIN {
                bail!("there are not {wanted} copies after {} s", DONE_WITHIN.as_secs());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
    Ok(())
}

/// Deletes materials and waits until their bytes are gone, so that the next round finds room and a quiet disk.
async fn remove(cluster: &Cluster, materials: &[MaterialId]) -> anyhow::Result<()> {
    try_join_all(materials.iter().map(|id| cluster.delete_material(id))).await?;
    let started = Instant::now();
    for material in materials {
        loop {
            match cluster.material(material).await {
                Err(error) if error.code() == Some(Code::NotFound) => break,
                Err(error) => return Err(error.into()),
                Ok(_) if started.elapsed() > DONE_WITHIN => bail!("{material} is not deleted"),
                Ok(_) => tokio::time::sleep(ASK_EVERY).await,
            }
        }
    }
    Ok(())
}
