//! Durable writes: as many as some connections bring through, each waiting for its answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::Coordinators;
use super::etcd::Putting;
use super::group::{Group, Kind};
use crate::load::{self, Answers, Client, Seen};
use crate::process::Usage;
use crate::report::note;

/// How many things are written about, in turn.
pub(super) const KEYS: usize = 64;
/// How many values each gets, in turn.
pub(super) const VALUES: usize = 16;
/// Bytes of a value: a name may have no more.
const VALUE_LEN: usize = 255;
/// Writes of each measurement's beginning that are not counted.
const WARM: Duration = Duration::from_millis(500);

/// The value of a write.
pub(super) fn value(number: usize) -> String {
    format!("{number:x>VALUE_LEN$}")
}

/// Writes, ready to be sent.
#[derive(Clone, Debug)]
pub(super) enum Writes {
    /// Requests of HTTP/1.1.
    Patch(Arc<Vec<Vec<u8>>>),
    /// Messages of gRPC.
    Put(Arc<Vec<Bytes>>),
}

impl Writes {
    /// Writes until `duration` is over. Blocks.
    pub(super) fn load(&self, address: SocketAddr, connections: u16, duration: Duration) -> io::Result<Answers> {
        match self {
            Writes::Patch(requests) => load::answers(address, requests, 0..usize::MAX, connections.into(), duration),
            Writes::Put(messages) => load::alone(async {
                let mut open = Vec::new();
                for _ in 0..connections {
                    open.push(Putting::open(address, Arc::clone(messages)).await?);
                }
                load::ask_all(open, 0..usize::MAX, duration).await
            }),
        }
    }

    /// Writes once, on a connection of its own. Blocks.
    pub(super) fn once(&self, address: SocketAddr) -> io::Result<()> {
        load::alone(self.clone().attempt(address, 0))
    }

    /// The write of this number, on a connection of its own. Only in [`load::alone`].
    pub(super) async fn attempt(self, address: SocketAddr, number: usize) -> io::Result<()> {
        match self {
            Writes::Patch(requests) => {
                let mut connection = load::Connection::open(address).await?;
                connection.ask(&requests[number % requests.len()]).await.map(|_| ())
            }
            Writes::Put(messages) => Putting::open(address, messages).await?.ask(number).await.map(|_| ()),
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Written {
    pub(super) group: Kind,
    pub(super) connections: u16,
    pub(super) round: u32,
    pub(super) writes: u64,
    pub(super) writes_per_s: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
    /// Of all three servers.
    pub(super) cpu_s_per_1000: f64,
    pub(super) resident_mb: f64,
    /// Of the load generator.
    pub(super) asking_cpu_s_per_1000: f64,
}

/// Writes to each group in turn, by its leader.
pub(super) async fn measure(groups: &[Group], options: &Coordinators) -> anyhow::Result<Vec<Written>> {
    let mut measured = Vec::new();
    for round in 0..options.common.rounds {
        note(&format!("writes, round {} of {}", round + 1, options.common.rounds));
        for &connections in &options.connections {
            // Who is first changes from round to round.
            for at in 0..groups.len() {
                let group = &groups[(at + round as usize) % groups.len()];
                measured.push(one(group, connections, round, Duration::from_secs(options.seconds)).await?);
            }
        }
    }
    Ok(measured)
}

async fn one(group: &Group, connections: u16, round: u32, duration: Duration) -> anyhow::Result<Written> {
    let (_, leader) = group.leader().await?;
    let writes = group.writes.clone();
    tokio::task::spawn_blocking(move || writes.load(leader, connections, WARM)).await??;
    let (before, own_before) = (group.usage()?, Usage::own()?);
    let writes = group.writes.clone();
    let answers = tokio::task::spawn_blocking(move || writes.load(leader, connections, duration)).await??;
    let (after, own_after) = (group.usage()?, Usage::own()?);
    let Seen { requests, seconds, p50_ms, p99_ms, max_ms, .. } = Seen::of(&answers);
    let per_1000 = |before: Usage, after: Usage| (after.cpu_s - before.cpu_s) / requests.max(1) as f64 * 1000.0;
    Ok(Written {
        group: group.kind,
        connections,
        round,
        writes: requests,
        writes_per_s: requests as f64 / seconds,
        p50_ms,
        p99_ms,
        max_ms,
        cpu_s_per_1000: per_1000(before, after),
        resident_mb: after.resident_bytes as f64 / 1e6,
        asking_cpu_s_per_1000: per_1000(own_before, own_after),
    })
}
