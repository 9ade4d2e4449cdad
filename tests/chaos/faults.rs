//! What goes wrong, chosen by a seed, and put right again after a while.

use crate::{
    clocks::Clocks,
    harness::{Cluster, Server},
    load::Load,
    network::{Cut, Network},
};
use microtome_proto::MaterialId;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use rustix::fs::OFlags;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

/// A fault that lasts until it is ended. Servers are counted: coordinators, then nodes.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Killed(usize),
    Stopped(usize),
    Cut(Cut),
    /// The clock is wrong by so many seconds.
    Clock(usize, i64),
}

/// Leaders that die in a story: more than one, so that one that was started again may lead.
const LEADERS_KILLED: u32 = 3;
/// By how much a clock is wrong: a token of a server is long out of date then, or far in the future.
const JUMP_S: i64 = 3600;

/// Faults under way, and those that were.
pub struct Faults<'a> {
    chance: StdRng,
    network: Option<&'a Network>,
    clocks: Option<&'a Clocks>,
    lasting: Vec<(Instant, Fault)>,
    /// Where a material's bytes were changed: on one node only, so that another one has them.
    damaged: BTreeMap<MaterialId, usize>,
    counts: BTreeMap<&'static str, u32>,
}

impl fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&all.join(", "))
    }
}

fn server(cluster: &mut Cluster, nth: usize) -> &mut Server {
    let coordinators = cluster.coordinators.len();
    match nth.checked_sub(coordinators) {
        None => &mut cluster.coordinators[nth],
        Some(node) => &mut cluster.nodes[node],
    }
}

impl<'a> Faults<'a> {
    pub fn new(seed: u64, network: Option<&'a Network>, clocks: Option<&'a Clocks>) -> Self {
        let chance = StdRng::seed_from_u64(seed);
        Self { chance, network, clocks, lasting: Vec::new(), damaged: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// Lets things go wrong for a while. Whatever chance brings, leaders die.
    pub async fn go_on(&mut self, cluster: &mut Cluster, load: &Load, how_long: Duration) {
        let (start, until) = (Instant::now(), Instant::now() + how_long);
        let mut leaders_killed = 0;
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(self.chance.random_range(200..1200))).await;
            let over = |(end, _): &mut (Instant, Fault)| *end < Instant::now();
            for (_, fault) in self.lasting.extract_if(.., over).collect::<Vec<_>>() {
                self.undo(cluster, fault);
            }
            let is_due = start.elapsed() > how_long * (leaders_killed + 1) / (LEADERS_KILLED + 1);
            if is_due && self.kill_the_leader(cluster, load).await {
                leaders_killed += 1;
            } else {
                self.another(cluster, load);
            }
        }
    }

    /// Everything is put right.
    pub async fn end(&mut self, cluster: &mut Cluster) {
        for (_, fault) in std::mem::take(&mut self.lasting) {
            self.undo(cluster, fault);
        }
        cluster.wait_for_nodes(cluster.nodes.len()).await;
    }

    /// Whether it could be done.
    async fn kill_the_leader(&mut self, cluster: &mut Cluster, load: &Load) -> bool {
        let Ok(info) = load.client.cluster().await else { return false };
        let fault = Fault::Killed(info.leader as usize - 1);
        let is_done = self.allows(cluster, fault) && self.inflict(cluster, fault);
        if is_done {
            *self.counts.entry("leaders killed").or_default() += 1;
            self.lasting.push((Instant::now() + Duration::from_secs(2), fault));
        }
        is_done
    }

    fn another(&mut self, cluster: &mut Cluster, load: &Load) {
        let servers = cluster.coordinators.len() + cluster.nodes.len();
        let nth = self.chance.random_range(0..servers);
        let other = self.chance.random_range(0..servers);
        let fault = match self.chance.random_range(0..13) {
            0..3 => Fault::Killed(nth),
            3 | 4 => Fault::Stopped(nth),
            5 | 6 => return self.change_a_byte(cluster, load),
            7 | 8 if self.clocks.is_some() => {
                Fault::Clock(nth, if self.chance.random_bool(0.5) { JUMP_S } else { -JUMP_S })
            }
            9 if self.network.is_some() => Fault::Cut(Cut::Host(nth)),
            10 if self.network.is_some() => Fault::Cut(Cut::OneWay(nth, other)),
            11 if self.network.is_some() => Fault::Cut(Cut::Slow(nth)),
            12 if self.network.is_some() => Fault::Cut(Cut::Lossy(nth)),
            _ => return self.change_a_byte(cluster, load),
        };
        if self.allows(cluster, fault) {
            let seconds = self.chance.random_range(1.0..8.0);
            if self.inflict(cluster, fault) {
                self.lasting.push((Instant::now() + Duration::from_secs_f64(seconds), fault));
            }
        }
    }

    /// One fault for a server at a time, and most coordinators in good health: else nothing would be acknowledged.
    fn allows(&self, cluster: &Cluster, fault: Fault) -> bool {
        let hit = |fault: &Fault| match *fault {
            Fault::Killed(nth)
            | Fault::Stopped(nth)
            | Fault::Clock(nth, _)
            | Fault::Cut(Cut::Host(nth) | Cut::Slow(nth) | Cut::Lossy(nth)) => vec![nth],
            Fault::Cut(Cut::OneWay(from, to)) => vec![from, to],
        };
        let now: BTreeSet<usize> = self.lasting.iter().flat_map(|(_, fault)| hit(fault)).collect();
        let new: BTreeSet<usize> = hit(&fault).into_iter().collect();
        let is_own = matches!(fault, Fault::Cut(Cut::OneWay(from, to)) if from == to);
        let coordinators = now.union(&new).filter(|nth| **nth < cluster.coordinators.len()).count();
        let nodes = now.union(&new).count() - coordinators;
        !is_own && now.is_disjoint(&new) && coordinators <= 1 && nodes <= 2
    }

    /// Whether it could be done.
    fn inflict(&mut self, cluster: &mut Cluster, fault: Fault) -> bool {
        let name = match fault {
            Fault::Killed(nth) => {
                server(cluster, nth).kill();
                if nth < cluster.coordinators.len() { "coordinators killed" } else { "nodes killed" }
            }
            Fault::Stopped(nth) => {
                server(cluster, nth).signal("STOP");
                if nth < cluster.coordinators.len() { "coordinators stopped" } else { "nodes stopped" }
            }
            Fault::Cut(cut) => {
                if !self.network.expect("there is one").cut(cut) {
                    return false;
                }
                match cut {
                    Cut::Host(_) => "hosts cut off",
                    Cut::OneWay(..) => "links cut one way",
                    Cut::Slow(_) => "links made slow",
                    Cut::Lossy(_) => "links made lossy",
                }
            }
            Fault::Clock(nth, seconds) => {
                self.clocks.expect("there are some").set(nth, seconds);
                if seconds > 0 { "clocks put forward" } else { "clocks put back" }
            }
        };
        *self.counts.entry(name).or_default() += 1;
        true
    }

    fn undo(&mut self, cluster: &mut Cluster, fault: Fault) {
        match fault {
            Fault::Killed(nth) => server(cluster, nth).start(),
            Fault::Stopped(nth) => server(cluster, nth).signal("CONT"),
            Fault::Cut(cut) => self.network.expect("there is one").mend(cut),
            Fault::Clock(nth, _) => self.clocks.expect("there are some").set(nth, 0),
        }
    }

    /// A disk changes a byte of one of two or more copies.
    fn change_a_byte(&mut self, cluster: &Cluster, load: &Load) {
        let ids: Vec<_> = load.ledger.files.lock().unwrap().keys().cloned().collect();
        let Some(id) = ids.choose(&mut self.chance) else { return };
        let folder = |nth: usize| cluster.nodes[nth].data_dir.join("materials").join(id.as_str());
        let holders: Vec<_> =
            (0..cluster.nodes.len()).filter(|&nth| folder(nth).join("manifest.json").exists()).collect();
        let Some(&nth) = holders.choose(&mut self.chance) else { return };
        if holders.len() < 2 || self.damaged.get(id).is_some_and(|damaged| *damaged != nth) {
            return;
        }
        let name = if self.chance.random_range(0..4) == 0 { "leaves" } else { "file" };
        let place = self.chance.random_range(0.0..1.0);
        if change_on_disk(&folder(nth).join(name), place).is_ok() {
            self.damaged.insert(id.clone(), nth);
            *self.counts.entry("bytes changed").or_default() += 1;
        }
    }
}

const BLOCK: usize = 4096;

/// Changes a byte of a file below the page cache, as a disk does: what is in memory is thrown away, not changed.
fn change_on_disk(path: &Path, place: f64) -> io::Result<()> {
    let direct = OFlags::DIRECT.bits().cast_signed();
    let file = fs::File::options().read(true).write(true).custom_flags(direct).open(path)?;
    let len = file.metadata()?.len();
    let at = ((len as f64 * place) as u64).min(len.saturating_sub(1));
    let start = at / BLOCK as u64 * BLOCK as u64;
    // Direct writes want whole blocks, in memory that begins at a multiple of their length.
    let mut memory = vec![0; 2 * BLOCK];
    let from = memory.as_ptr().align_offset(BLOCK);
    let block = &mut memory[from..from + BLOCK];
    file.read_at(block, start)?;
    block[(at - start) as usize] ^= 0xff;
    file.write_all_at(block, start)?;
    // A last block may have made it longer.
    if file.metadata()?.len() > len { file.set_len(len) } else { Ok(()) }
}
