//! Three servers on loopback that agree on writes, ours or etcd's, behind one face.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::etcd;
use super::ours::{self, Ours};
use super::writes::Writes;
use crate::process::{Process, Usage};

/// How many of them there are.
pub(super) const MEMBERS: usize = 3;
/// How long a group may take to form, or to be whole again.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A member that has just come back catches up meanwhile.
const REST: Duration = Duration::from_secs(2);

/// Whose group it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Microtome,
    Etcd,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Microtome => "microtome",
            Kind::Etcd => "etcd",
        })
    }
}

/// Where a member listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// For its clients.
    pub(super) clients: SocketAddr,
    /// For the other members, where that is another address.
    pub(super) members: SocketAddr,
}

/// A running group; it ends when this is dropped.
pub(super) struct Group {
    pub(super) kind: Kind,
    program: PathBuf,
    folder: PathBuf,
    places: Vec<Place>,
    members: Vec<Process>,
    /// The writes that it is asked for.
    pub(super) writes: Writes,
    /// What our group needs besides; it is not counted.
    _beside: Option<Process>,
}

impl Group {
    /// Three coordinators of ours, and a node, since materials that are written about are on one.
    pub(super) async fn ours(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let places = places()?;
        let members =
            (0..MEMBERS).map(|which| ours::start(program, folder, &places, which)).collect::<Result<_, _>>()?;
        let Ours { node, writes } = ours::stock(program, folder, &places).await?;
        Ok(Group {
            kind: Kind::Microtome,
            program: program.to_owned(),
            folder: folder.to_owned(),
            places,
            members,
            writes,
            _beside: Some(node),
        })
    }

    /// Three members of etcd; none where it is not installed.
    pub(super) fn etcd(program: &Path, folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = etcd::find(program) else { return Ok(None) };
        std::fs::create_dir_all(folder)?;
        let places = places()?;
        let members =
            (0..MEMBERS).map(|which| etcd::start(&program, folder, &places, which)).collect::<Result<_, _>>()?;
        let writes = Writes::Put(etcd::puts());
        Ok(Some(Group { kind: Kind::Etcd, program, folder: folder.to_owned(), places, members, writes, _beside: None }))
    }

    /// The number and the address of the member that leads.
    pub(super) async fn leader(&self) -> anyhow::Result<(usize, SocketAddr)> {
        let (kind, places) = (self.kind, self.places.clone());
        let found = tokio::task::spawn_blocking(move || match kind {
            Kind::Microtome => ours::leader(&places),
            Kind::Etcd => etcd::leader(&places),
        });
        let which = found.await??.with_context(|| format!("nobody leads {kind}"))?;
        let place = self.places.get(which).context("a member that is not one of the group leads")?;
        Ok((which, place.clients))
    }

    /// Waits until each member brings a write through.
    pub(super) async fn wait_until_whole(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        for place in &self.places {
            loop {
                let (writes, address) = (self.writes.clone(), place.clients);
                let Err(error) = tokio::task::spawn_blocking(move || writes.once(address)).await? else { break };
                if started.elapsed() > WHOLE_WITHIN {
                    bail!("{} at {address} takes no writes: {error}", self.kind);
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        }
        tokio::time::sleep(REST).await;
        Ok(())
    }

    /// The members but one.
    pub(super) fn all_but(&self, which: usize) -> Vec<SocketAddr> {
        self.places.iter().enumerate().filter(|(at, _)| *at != which).map(|(_, place)| place.clients).collect()
    }

    /// Ends a member without warning; answers with the moment before.
    pub(super) fn kill(&mut self, which: usize) -> io::Result<Instant> {
        let killed = Instant::now();
        self.members[which].child.kill()?;
        self.members[which].child.wait()?;
        Ok(killed)
    }

    /// Starts a member that was killed on what it has left.
    pub(super) fn revive(&mut self, which: usize) -> anyhow::Result<()> {
        self.members[which] = match self.kind {
            Kind::Microtome => ours::start(&self.program, &self.folder, &self.places, which)?,
            Kind::Etcd => etcd::start(&self.program, &self.folder, &self.places, which)?,
        };
        Ok(())
    }

    /// What its members have used until now.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        self.members.iter().try_fold(Usage::default(), |sum, member| Ok(sum + member.usage()?))
    }
}

/// Addresses that are free just now.
fn places() -> io::Result<Vec<Place>> {
    // All are held until the last is found, so that none comes twice.
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = (0..2 * MEMBERS).map(bind).collect::<io::Result<Vec<_>>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    Ok(addresses.chunks_exact(2).map(|pair| Place { clients: pair[0], members: pair[1] }).collect())
}
