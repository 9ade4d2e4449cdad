//! A cluster on a virtual clock: the coordinator's real books, eyes, plans and orders over virtual nodes.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use microtome_coordinator::core::apply::apply;
use microtome_coordinator::core::command::{Command, Outcome, Proposal};
use microtome_coordinator::core::keys;
use microtome_coordinator::core::observed::{Observed, Timing};
use microtome_coordinator::core::orders::orders;
use microtome_coordinator::core::plan::{Agenda, Knobs, Touched, plan};
use microtome_coordinator::core::tables::{MaterialRecord, Materials, OnNode};
use microtome_coordinator::core::view::{Memory, Typed as _, ViewError};
use microtome_proto::internal::Order;
use microtome_proto::limits::ORDERS_MAX;
use microtome_proto::material::ReplicaState;
use microtome_proto::{Generation, MaterialId, NodeId, Timestamp};
use rand::rngs::StdRng;
use rustix::time::{ClockId, clock_gettime};

use super::nodes::{Arrived, PACE, Pull, VirtualNode, carry};
use super::tally::{Fullness, Tally};
use crate::books::{self, Size, url};

/// A round of planning comes this often, as in service.
const ROUND_MS: u64 = 500;
/// Nodes are heard this often.
const HEARTBEAT_MS: u64 = 1_000;

pub(crate) struct Cluster {
    view: Memory,
    agenda: Agenda,
    touched: Touched,
    observed: Observed,
    pub(crate) now_ms: u64,
    timing: Timing,
    knobs: Knobs,
    pub(crate) nodes: Vec<VirtualNode>,
    /// Which node an id or an address is.
    which: BTreeMap<String, usize>,
    pub(crate) tally: Tally,
    /// The nodes that do not answer, as last planned with.
    silent: BTreeSet<NodeId>,
    /// The population of the material that a copy was last assigned of, since those nodes were others.
    population: usize,
}

impl Cluster {
    /// All nodes answer, and all materials have their population.
    pub(crate) fn found(size: Size, chance: &mut StdRng) -> Result<Self, ViewError> {
        let (view, ids) = books::found(size, chance)?;
        let mut which = BTreeMap::new();
        let mut nodes = Vec::new();
        for (nth, id) in ids.into_iter().enumerate() {
            which.insert(id.to_string(), nth);
            which.insert(url(nth), nth);
            let (mut stored, mut materials) = (0, 0);
            for place in view.scan_keys::<OnNode>(&keys::node(&id), None) {
                stored += view.get_record::<Materials>(&place?.1)?.map_or(0, |record| record.size);
                materials += 1;
            }
            let (disk_total, pulls) = (size.disk_total(), BTreeMap::new());
            let (is_up, pace, is_owed_orders) = (true, PACE, false);
            nodes.push(VirtualNode { id, is_up, pace, disk_total, stored, materials, pulls, is_owed_orders });
        }
        let mut cluster = Self {
            view,
            agenda: Agenda::default(),
            touched: Touched::default(),
            observed: Observed::new(0),
            now_ms: 0,
            timing: Timing::default(),
            knobs: Knobs::default(),
            nodes,
            which,
            tally: Tally::default(),
            silent: BTreeSet::new(),
            population: 0,
        };
        cluster.beat()?;
        Ok(cluster)
    }

    pub(crate) fn fullness(&self) -> Fullness {
        Fullness::of(self.nodes.iter().filter(|node| node.is_up).map(VirtualNode::used))
    }

    /// Nodes die, and their disks with them.
    pub(crate) fn lose(&mut self, nodes: &[usize]) -> Result<(), ViewError> {
        self.silence(nodes);
        let mut materials = BTreeSet::new();
        for &nth in nodes {
            for place in self.view.scan_keys::<OnNode>(&keys::node(&self.nodes[nth].id), None) {
                materials.insert(place?.1);
            }
        }
        for material in materials {
            if let Some(record) = self.view.get_record::<Materials>(&material)? {
                let left = self.answering(&record);
                let lost = (record.population as usize).saturating_sub(left);
                self.tally.lost(material, record.size, lost, left);
            }
        }
        Ok(())
    }

    /// Nodes are heard no more.
    pub(crate) fn silence(&mut self, nodes: &[usize]) {
        nodes.iter().for_each(|&nth| self.nodes[nth].is_up = false);
    }

    /// Nodes that were silent are heard again.
    pub(crate) fn hear_again(&mut self, nodes: &[usize]) {
        nodes.iter().for_each(|&nth| self.nodes[nth].is_up = true);
        // What could not be copied may be there now.
        self.nodes.iter_mut().for_each(|node| node.is_owed_orders = true);
    }

    /// Copies go on, nodes beat, the leader plans. Whether anything happened.
    pub(crate) fn half_second(&mut self) -> Result<bool, ViewError> {
        self.now_ms += ROUND_MS;
        let (arrived, moved) = carry(&mut self.nodes, ROUND_MS);
        self.tally.copied += moved;
        for arrived in arrived {
            self.verified(arrived)?;
        }
        if self.now_ms.is_multiple_of(HEARTBEAT_MS) {
            self.beat()?;
        }
        self.observed.tick(self.now_ms, &self.timing, self.knobs.failure_pause_ms);
        let begin = cpu_time();
        self.agenda.note(std::mem::take(&mut self.touched));
        let times = (self.now_ms, self.at());
        let commands = plan(&self.view, &mut self.agenda, &self.observed, times, &self.timing, &self.knobs)?;
        self.tally.round(cpu_time().saturating_sub(begin), commands.len());
        self.note_silence();
        let is_busy = moved > 0 || !commands.is_empty();
        let are_added = commands.iter().any(|command| matches!(command, Command::AddReplica { .. }));
        for command in commands {
            self.carry_out(command)?;
        }
        if are_added {
            self.keeps_knobs()?;
        }
        Ok(is_busy)
    }

    /// CPU time of the core for one heartbeat of each node and the orders that answer it.
    pub(crate) fn second_of_heartbeats(&self) -> Result<Duration, ViewError> {
        let mut observed = self.observed.clone();
        let beats: Vec<_> = self.nodes.iter().filter(|node| node.is_up).map(|it| (&it.id, it.heartbeat())).collect();
        let begin = cpu_time();
        for (node, beat) in &beats {
            observed.beat(node, self.now_ms, self.at(), beat, &self.timing);
            orders(&self.view, node, &observed, self.now_ms, &self.timing)?;
        }
        Ok(cpu_time().saturating_sub(begin))
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.now_ms).unwrap_or(i64::MAX))
    }

    fn apply(&mut self, command: Command) -> Result<Outcome, ViewError> {
        let (changes, outcome) = apply(&self.view, &Proposal { at: self.at(), by: None, command })?;
        self.touched.note(&changes);
        for (key, record) in changes {
            match record {
                Some(record) => self.view.insert(key, record),
                None => self.view.remove(&key),
            };
        }
        Ok(outcome)
    }

    fn verified(&mut self, Arrived { nth, material, generation, size }: Arrived) -> Result<(), ViewError> {
        let blake3 = self.view.get_record::<Materials>(&material)?.and_then(|record| record.blake3);
        let (node, blake3) = (self.nodes[nth].id.clone(), blake3.unwrap_or_default());
        let report = Command::ReplicaVerified { material: material.clone(), node, generation, size, blake3 };
        // Refused where it was given up meanwhile: the order that frees it is on its way.
        if self.apply(report)? == Outcome::Done {
            self.tally.arrived(&material, self.now_ms);
        }
        Ok(())
    }

    fn beat(&mut self) -> Result<(), ViewError> {
        for nth in 0..self.nodes.len() {
            if self.nodes[nth].is_up {
                let (id, beat) = (self.nodes[nth].id.clone(), self.nodes[nth].heartbeat());
                self.observed.beat(&id, self.now_ms, self.at(), &beat, &self.timing);
                // Orders repeat until they are met: asking is worth it only where something has changed.
                if std::mem::take(&mut self.nodes[nth].is_owed_orders) {
                    let orders = orders(&self.view, &id, &self.observed, self.now_ms, &self.timing)?;
                    self.nodes[nth].is_owed_orders = orders.len() >= ORDERS_MAX;
                    for order in orders {
                        self.obey(nth, order)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn obey(&mut self, nth: usize, order: Order) -> Result<(), ViewError> {
        match order {
            Order::Copy { material, generation, size, sources, .. } => {
                let sources = sources.iter().filter_map(|url| self.which.get(url).copied()).collect();
                let pulls = &mut self.nodes[nth].pulls;
                let offset = pulls.get(&material).filter(|it| it.generation == generation).map_or(0, |it| it.offset);
                pulls.insert(material, Pull { generation, size, offset, sources });
            }
            Order::Drop { material, generation } => self.free(nth, material, generation)?,
            Order::Join { .. } | Order::Run { .. } | Order::Stop { .. } => {}
        }
        Ok(())
    }

    fn free(&mut self, nth: usize, material: MaterialId, generation: Generation) -> Result<(), ViewError> {
        let size = self.view.get_record::<Materials>(&material)?.map_or(0, |record| record.size);
        let node = &mut self.nodes[nth];
        if node.pulls.remove(&material).is_none() {
            node.stored -= size;
            node.materials -= 1;
        }
        let node = node.id.clone();
        self.apply(Command::ReplicaGone { material, node, generation })?;
        Ok(())
    }

    /// Applies what was planned, and looks whether it was right.
    fn carry_out(&mut self, command: Command) -> Result<(), ViewError> {
        match &command {
            Command::AddReplica { material, node } => {
                let Some(record) = self.view.get_record::<Materials>(material)? else { return Ok(()) };
                self.is_placed_well(&record, node);
                self.owe_orders(node);
            }
            Command::DropReplica { material, node, .. } => {
                let Some(record) = self.view.get_record::<Materials>(material)? else { return Ok(()) };
                let state = record.replica(node).map(|replica| replica.state);
                let is_whole = state == Some(ReplicaState::Verified);
                let left = self.answering(&record) - usize::from(is_whole);
                let holds = !is_whole || left >= record.population as usize;
                self.tally.rule(holds, || format!("a copy was dropped that was needed: {record:?}"));
                self.tally.in_vain += 1;
                self.owe_orders(node);
            }
            _ => {}
        }
        let shown = format!("{command:?}");
        let outcome = self.apply(command)?;
        let refused = matches!(outcome, Outcome::Refused { .. });
        self.tally.rule(!refused, || format!("{shown} was refused: {outcome:?}"));
        Ok(())
    }

    fn owe_orders(&mut self, node: &NodeId) {
        if let Some(&nth) = self.which.get(node.as_str()) {
            self.nodes[nth].is_owed_orders = true;
        }
    }

    /// Verified copies on nodes that answer.
    fn answering(&self, record: &MaterialRecord) -> usize {
        let is_up = |node: &NodeId| self.which.get(node.as_str()).is_some_and(|&nth| self.nodes[nth].is_up);
        record.verified().filter(|replica| is_up(&replica.node)).count()
    }
}

/// What this thread has used of its processor.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
