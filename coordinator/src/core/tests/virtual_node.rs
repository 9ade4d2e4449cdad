//! A node in memory, whose disk is a map: what it does of its own, and what it does as it is told.

use super::support::*;
use crate::core::command::Command;
use microtome_proto::{
    Generation, MaterialId, NodeId, RunId,
    internal::{Heartbeat, Held, Incoming, Inventory, Order, Read, RunBeat, Uses},
    node::NodeReport,
    protocol::PROTOCOL,
    run::Progress,
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that it pulls, or receives, in a second.
const BYTES_PER_S: u64 = 10;
/// Seconds that a run takes.
const RUN_S: u32 = 5;
pub(super) const DISK: u64 = 10_000;

/// A copy or an upload under way.
#[derive(Debug)]
struct Pull {
    generation: Generation,
    offset: u64,
    size: u64,
    /// Empty for an upload.
    sources: Vec<String>,
}

impl Pull {
    fn new(generation: Generation, size: u64) -> Self {
        Self { generation, offset: 0, size, sources: Vec::new() }
    }
}

/// What each node that runs holds, by its address.
pub(super) type Holders = BTreeMap<String, BTreeSet<MaterialId>>;

pub(super) struct VirtualNode {
    pub(super) name: String,
    pub(super) id: NodeId,
    /// Whether the process runs.
    pub(super) is_alive: bool,
    /// Whether coordinator and node hear each other.
    pub(super) is_cut_off: bool,
    /// Whether it has yet to register and settle.
    pub(super) is_new: bool,
    pub(super) disk: BTreeMap<MaterialId, Held>,
    incoming: BTreeMap<MaterialId, Pull>,
    /// Each with its attempt and the seconds that it has left.
    runs: BTreeMap<RunId, (Generation, u32)>,
    /// What has to reach the coordinator before the next order is taken.
    reports: Vec<Command>,
    /// Seconds since it was started.
    up_s: u64,
    /// What was read there and is to be told: how many seconds ago.
    reads: BTreeMap<MaterialId, u64>,
}

impl VirtualNode {
    /// One that has just started, with an empty disk.
    pub(super) fn new(name: String, id: NodeId) -> Self {
        Self {
            name,
            id,
            is_alive: true,
            is_cut_off: false,
            is_new: true,
            disk: BTreeMap::new(),
            incoming: BTreeMap::new(),
            runs: BTreeMap::new(),
            reports: Vec::new(),
            up_s: 0,
            reads: BTreeMap::new(),
        }
    }

    pub(super) fn kill(&mut self) {
        self.is_alive = false;
        self.runs.clear();
        self.reads.clear();
        // Reports that were not sent die with the process; what they told is on the disk.
        self.reports.clear();
    }

    pub(super) fn start(&mut self) {
        if !self.is_alive {
            self.is_alive = true;
            self.is_new = true;
            self.up_s = 0;
        }
    }

    pub(super) fn hears(&self) -> bool {
        self.is_alive && !self.is_cut_off
    }

    /// An upload begins.
    pub(super) fn receive(&mut self, material: MaterialId, generation: Generation, size: u64) {
        self.incoming.insert(material, Pull::new(generation, size));
    }

    /// A second of its own work, whether anyone hears of it or not.
    pub(super) fn work(&mut self, holders: &Holders) {
        self.up_s += 1;
        self.reads.values_mut().for_each(|ago_s| *ago_s += 1);
        let mut whole = Vec::new();
        for (material, pull) in &mut self.incoming {
            let holds = |url: &String| holders.get(url).is_some_and(|held| held.contains(material));
            if pull.sources.is_empty() || pull.sources.iter().any(holds) {
                pull.offset = pull.size.min(pull.offset + BYTES_PER_S);
            }
            if pull.offset == pull.size {
                whole.push(material.clone());
            }
        }
        for material in whole {
            let pull = self.incoming.remove(&material).unwrap();
            self.reports.push(verified(&material, &self.id, pull.generation, pull.size));
            self.disk.insert(material.clone(), held(&material, pull.generation, pull.size));
        }
        for (_, left) in self.runs.values_mut() {
            *left = left.saturating_sub(1);
        }
    }

    /// What it has to report: all of it is told now.
    pub(super) fn reports(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.reports)
    }

    /// Runs that have come to their end, each with its attempt: they are its no more.
    pub(super) fn finished_runs(&mut self) -> Vec<(RunId, Generation)> {
        let finished = self.runs.extract_if(.., |_, (_, left)| *left == 0);
        finished.map(|(run, (attempt, _))| (run, attempt)).collect()
    }

    pub(super) fn beat(&self) -> Heartbeat {
        let incoming = self.incoming.iter().map(|(material, pull)| Incoming {
            material: material.clone(),
            generation: pull.generation,
            offset: pull.offset,
            check: None,
        });
        let runs = self.runs.iter().map(|(run, (attempt, _))| RunBeat {
            run: run.clone(),
            attempt: *attempt,
            progress: Progress::default(),
            bytes_moved: 0,
        });
        Heartbeat {
            instance: String::new(),
            report: self.report(),
            damaged: Vec::new(),
            incoming: incoming.collect(),
            runs: runs.collect(),
            uses: self.uses(),
            ..Heartbeat::default()
        }
    }

    /// Somebody reads a copy there; whether there is one.
    pub(super) fn read(&mut self, material: &MaterialId) -> bool {
        let is_here = self.is_alive && self.disk.contains_key(material);
        if is_here {
            self.reads.insert(material.clone(), 0);
        }
        is_here
    }

    /// A leader has heard what it told; of these it is to tell again.
    pub(super) fn heard(&mut self, again: &BTreeSet<MaterialId>) {
        self.reads.retain(|material, _| again.contains(material));
    }

    fn uses(&self) -> Uses {
        let read = |(material, ago_s): (&MaterialId, &u64)| Read { material: material.clone(), ago_ms: ago_s * 1_000 };
        Uses { read: self.reads.iter().map(read).collect(), known_for_ms: self.up_s * 1_000, ..Uses::default() }
    }

    pub(super) fn inventory(&self) -> Inventory {
        let incoming = self.incoming.iter().map(|(material, pull)| (material.clone(), pull.generation));
        Inventory { incoming: incoming.collect(), ..page(self.disk.values().cloned().collect()) }
    }

    pub(super) fn report(&self) -> NodeReport {
        let stored = self.disk.values().map(|held| held.size).sum();
        let arrived = self.incoming.values().map(|pull| pull.offset).sum::<u64>();
        NodeReport {
            disk_total: DISK,
            protocol: PROTOCOL,
            disk_free: DISK - stored - arrived,
            disk_promised: self.incoming.values().map(|pull| pull.size - pull.offset).sum(),
            stored,
            ..NodeReport::default()
        }
    }

    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Copy { material, generation, size, sources, .. } => {
                if self.disk.contains_key(&material) {
                    return;
                }
                let pull = self.incoming.entry(material).or_insert_with(|| Pull::new(generation, size));
                if pull.generation < generation {
                    *pull = Pull::new(generation, size);
                }
                pull.sources = sources;
            }
            Order::Join { wanted, parts } => {
                let (material, generation) = (wanted.material, wanted.generation);
                if let Some(held) = self.disk.get(&material) {
                    if held.generation == generation {
                        self.reports.push(verified(&material, &self.id, generation, wanted.size));
                    }
                } else if parts.iter().all(|part| self.disk.contains_key(part)) {
                    let joined = self.incoming.entry(material).or_insert_with(|| Pull::new(generation, wanted.size));
                    if joined.generation < generation {
                        *joined = Pull::new(generation, wanted.size);
                    }
                }
            }
            Order::Drop { material, generation } => {
                if self.disk.get(&material).is_some_and(|held| held.generation <= generation) {
                    self.disk.remove(&material);
                }
                if self.incoming.get(&material).is_some_and(|pull| pull.generation <= generation) {
                    self.incoming.remove(&material);
                }
                self.reports.push(gone(&material, &self.id, generation));
            }
            Order::Run { run, attempt, .. } => {
                self.runs.insert(run, (attempt, RUN_S));
            }
            Order::Stop { run, .. } => {
                self.runs.remove(&run);
            }
        }
    }

    /// Frees all that it has of a material.
    pub(super) fn free(&mut self, material: &MaterialId) {
        self.disk.remove(material);
        self.incoming.remove(material);
    }

    /// What it is at, if it is at anything but copies of materials that are lost: these wait for a source that will not
    /// come back.
    pub(super) fn unrest(&self, lost: &BTreeSet<MaterialId>) -> Option<String> {
        let pulls = self.incoming.keys().any(|material| !lost.contains(material));
        let works = pulls || !self.runs.is_empty() || !self.reports.is_empty();
        works.then(|| format!("{} works: {:?} {:?} {:?}", self.name, self.incoming, self.runs, self.reports))
    }
}
