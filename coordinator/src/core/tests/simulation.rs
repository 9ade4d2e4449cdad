//! A cluster in memory: the real books, plans, orders and settlements, with nodes whose disks are maps.

use super::support::*;
use crate::core::{
    command::{Command, Outcome},
    observed::Observed,
    placement::candidates,
    roster::Roster,
    settle::settle,
    standing::Standing,
    tables::{Materials, NodeRecord, Nodes},
    view::Typed,
};
use microtome_proto::{
    Generation, MaterialId, NodeId, RunId,
    internal::{Heartbeat, Held, Incoming, Inventory, Order, RunBeat},
    material::ReplicaState,
    node::{NodeReport, Scheduling},
    run::{Output, Progress},
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that a virtual node pulls, or receives, in a second.
const BYTES_PER_S: u64 = 10;
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

/// A virtual node.
pub(super) struct VirtualNode {
    pub(super) name: String,
    pub(super) id: NodeId,
    /// Whether the process runs.
    pub(super) is_alive: bool,
    /// Whether coordinator and node hear each other.
    pub(super) is_cut_off: bool,
    /// Whether it has yet to register and settle after its start.
    is_new: bool,
    pub(super) disk: BTreeMap<MaterialId, Held>,
    incoming: BTreeMap<MaterialId, Pull>,
    runs: BTreeMap<RunId, (Generation, u32)>,
    /// Reports that have to reach the coordinator before the next order is taken.
    reports: Vec<Command>,
}

impl VirtualNode {
    fn hears(&self) -> bool {
        self.is_alive && !self.is_cut_off
    }

    fn used(&self) -> u64 {
        self.disk.values().map(|held| held.size).sum::<u64>()
            + self.incoming.values().map(|pull| pull.offset).sum::<u64>()
    }

    fn report(&self) -> NodeReport {
        NodeReport {
            disk_total: DISK,
            disk_free: DISK - self.used(),
            disk_promised: self.incoming.values().map(|pull| pull.size - pull.offset).sum(),
            stored: self.disk.values().map(|held| held.size).sum(),
            ..NodeReport::default()
        }
    }
}

pub(super) struct Simulation {
    pub(super) world: World,
    pub(super) nodes: Vec<VirtualNode>,
    born: usize,
    /// Materials whose upload was acknowledged and that nobody deleted.
    pub(super) acknowledged: BTreeSet<MaterialId>,
    /// Those of them whose last copy went with a wiped disk.
    pub(super) lost_with_disks: BTreeSet<MaterialId>,
    /// Bytes of the moves that were begun for the balance's sake.
    pub(super) moved_bytes: u64,
}

impl Simulation {
    pub(super) fn new(nodes: usize) -> Self {
        let mut simulation = Self {
            world: World::new(),
            nodes: Vec::new(),
            born: 0,
            acknowledged: BTreeSet::new(),
            lost_with_disks: BTreeSet::new(),
            moved_bytes: 0,
        };
        for _ in 0..nodes {
            simulation.join();
        }
        simulation
    }

    /// A node with an empty disk joins.
    pub(super) fn join(&mut self) {
        self.born += 1;
        let name = format!("node-{}", self.born);
        let Outcome::Node { node } = self.world.accept(register(&name, None)) else { panic!() };
        self.nodes.push(VirtualNode {
            name,
            id: node,
            is_alive: true,
            is_cut_off: false,
            is_new: true,
            disk: BTreeMap::new(),
            incoming: BTreeMap::new(),
            runs: BTreeMap::new(),
            reports: Vec::new(),
        });
    }

    pub(super) fn kill(&mut self, nth: usize) {
        let node = &mut self.nodes[nth];
        node.is_alive = false;
        node.runs.clear();
        // Reports that were not sent die with the process; what they told is on the disk.
        node.reports.clear();
    }

    pub(super) fn start(&mut self, nth: usize) {
        let node = &mut self.nodes[nth];
        if !node.is_alive {
            node.is_alive = true;
            node.is_new = true;
        }
    }

    /// Another leader: all that was only observed is forgotten.
    pub(super) fn fail_over(&mut self) {
        self.world.observed = Observed::new(self.world.now_ms);
    }

    /// The disk dies with its node; a new one takes its place under a new identity.
    pub(super) fn wipe(&mut self, nth: usize) {
        let dead = self.nodes.remove(nth);
        for material in dead.disk.keys() {
            if !self.nodes.iter().any(|node| node.disk.contains_key(material)) {
                self.lost_with_disks.insert(material.clone());
            }
        }
        self.world.apply(Command::RemoveNode { node: dead.id, force: true });
        self.join();
    }

    pub(super) fn upload(&mut self, size: u64, population: u32) {
        let world = &mut self.world;
        let found = candidates(&world.view, &world.observed, size, world.now_ms, &world.timing).unwrap();
        let Ok(candidates) = found else { return };
        let best = &candidates[0].node;
        let (material, generation) = world.upload(size, population, best);
        self.receive(best, material, generation, size);
    }

    fn receive(&mut self, node: &NodeId, material: MaterialId, generation: Generation, size: u64) {
        if let Some(node) = self.nodes.iter_mut().find(|other| other.id == *node && other.is_alive) {
            let pull = Pull { generation, offset: 0, size, sources: Vec::new() };
            node.incoming.insert(material, pull);
        } else {
            let (material, node) = (material, node.clone());
            self.world.accept(gone(&material, &node, generation));
        }
    }

    pub(super) fn submit(&mut self, nth: usize) {
        if let Some(material) = self.acknowledged.iter().nth(nth % self.acknowledged.len().max(1)).cloned() {
            self.world.submit(&[&material]);
        }
    }

    pub(super) fn delete(&mut self, nth: usize) {
        if let Some(material) = self.acknowledged.iter().nth(nth % self.acknowledged.len().max(1)).cloned() {
            self.acknowledged.remove(&material);
            self.lost_with_disks.remove(&material);
            self.world.accept(Command::DeleteMaterial { material });
        }
    }

    /// A second passes: nodes work and beat, the leader plans.
    pub(super) fn second(&mut self) {
        self.world.now_ms += 1_000;
        for nth in 0..self.nodes.len() {
            if self.nodes[nth].is_alive {
                self.work(nth);
            }
            if self.nodes[nth].hears() {
                self.talk(nth);
            }
        }
        let world = &mut self.world;
        world.observed.tick(world.now_ms, &world.timing, world.knobs.failure_pause_ms);
        for command in self.world.plan() {
            let moved = self.moves(&command);
            let is_whole = self.drops_a_whole_copy(&command);
            // Refusals are no fault: between planning and applying another command may have come.
            if let Outcome::Refused { .. } = self.world.apply(command.clone()) {
                continue;
            }
            self.moved_bytes += moved;
            if is_whole {
                self.population_stands(&command);
            }
        }
        self.nothing_is_lost();
    }

    fn moves(&self, command: &Command) -> u64 {
        let Command::MoveReplica { material, .. } = command else { return 0 };
        self.world.material(material).size
    }

    fn drops_a_whole_copy(&self, command: &Command) -> bool {
        let Command::DropReplica { material, node, .. } = command else { return false };
        self.world.replica(material, node).is_some_and(|(state, _)| state == ReplicaState::Verified)
    }

    /// Whoever has a verified copy dropped, for a drain or for the balance: as many as are wanted stand without it, on nodes
    /// that answer and stay.
    fn population_stands(&self, command: &Command) {
        let Command::DropReplica { material, .. } = command else { return };
        let (world, record) = (&self.world, self.world.material(material));
        let roster = Roster::all(&world.view, &world.observed, world.now_ms, &world.timing).unwrap();
        let standing = Standing::of(&record, &roster);
        assert!(standing.counted_up >= record.population as usize, "too few of {record:?}");
    }

    /// An operator drains a node, or gives it work again.
    pub(super) fn schedule(&mut self, nth: usize, scheduling: Scheduling) {
        let node = self.nodes[nth].id.clone();
        self.world.accept(Command::ScheduleNode { node, scheduling });
    }

    /// An operator takes a node out where nothing is lost with it; another one joins.
    pub(super) fn remove(&mut self, nth: usize) {
        let command = Command::RemoveNode { node: self.nodes[nth].id.clone(), force: false };
        if self.world.apply(command) == Outcome::Done {
            self.nodes.remove(nth);
            self.join();
        }
    }

    /// The node's own work, whether anyone hears of it or not.
    fn work(&mut self, nth: usize) {
        let reachable: BTreeSet<_> = self
            .nodes
            .iter()
            .filter(|node| node.is_alive)
            .map(|node| (url(&node.name), node.disk.keys().cloned().collect::<BTreeSet<_>>()))
            .collect();
        let node = &mut self.nodes[nth];
        let mut whole = Vec::new();
        for (material, pull) in &mut node.incoming {
            let has_source = pull.sources.is_empty()
                || reachable.iter().any(|(url, held)| pull.sources.contains(url) && held.contains(material));
            if has_source {
                pull.offset = pull.size.min(pull.offset + BYTES_PER_S);
            }
            if pull.offset == pull.size {
                whole.push(material.clone());
            }
        }
        for material in whole {
            let pull = node.incoming.remove(&material).unwrap();
            let held = held(&material, pull.generation, pull.size);
            node.reports.push(verified(&material, &node.id, held.generation, held.size));
            node.disk.insert(material, held);
        }
        for (_, left) in node.runs.values_mut() {
            *left = left.saturating_sub(1);
        }
    }

    /// Everything that the node and the coordinator tell each other in a second.
    fn talk(&mut self, nth: usize) {
        if self.nodes[nth].is_new {
            self.register(nth);
        }
        for report in std::mem::take(&mut self.nodes[nth].reports) {
            self.report(nth, report);
        }
        self.finish_runs(nth);
        let node = &self.nodes[nth];
        let beat = Heartbeat {
            instance: String::new(),
            report: node.report(),
            damaged: Vec::new(),
            incoming: node
                .incoming
                .iter()
                .map(|(material, pull)| Incoming {
                    material: material.clone(),
                    generation: pull.generation,
                    offset: pull.offset,
                })
                .collect(),
            runs: node
                .runs
                .iter()
                .map(|(run, (attempt, _))| RunBeat {
                    run: run.clone(),
                    attempt: *attempt,
                    progress: Progress::default(),
                    bytes_moved: 0,
                })
                .collect(),
        };
        let (world, id) = (&mut self.world, node.id.clone());
        world.observed.beat(&id, world.now_ms, world.at(), &beat, &world.timing);
        for order in world.orders(&id) {
            self.obey(nth, order);
        }
    }

    fn register(&mut self, nth: usize) {
        let node = &mut self.nodes[nth];
        node.is_new = false;
        let inventory = Inventory {
            after: None,
            held: node.disk.values().cloned().collect(),
            last: true,
            incoming: node.incoming.iter().map(|(material, pull)| (material.clone(), pull.generation)).collect(),
            count: None,
        };
        let (id, name, report) = (node.id.clone(), node.name.clone(), node.report());
        let world = &mut self.world;
        assert_eq!(world.accept(register(&name, None)), Outcome::Node { node: id.clone() });
        world.observed.registered(&id, world.now_ms, world.at(), &report, &world.timing);
        let (commands, answer) = settle(&world.view, &id, &inventory).unwrap();
        for command in commands {
            world.accept(command);
        }
        world.observed.inventory_settled(&id);
        for held in inventory.held.iter().filter(|held| !answer.drop.contains(&held.material)) {
            self.acknowledge(&held.material);
        }
        for material in answer.drop {
            self.nodes[nth].disk.remove(&material);
            self.nodes[nth].incoming.remove(&material);
        }
    }

    fn report(&mut self, nth: usize, report: Command) {
        let outcome = self.world.apply(report.clone());
        let Command::ReplicaVerified { material, .. } = &report else { return };
        match outcome {
            Outcome::Done => self.acknowledge(material),
            // Whether it counts, maybe as the last one, the next inventory tells: a node drops nothing for a refused report.
            _ => self.nodes[nth].is_new = true,
        }
    }

    /// The client hears that its upload is safe.
    fn acknowledge(&mut self, material: &MaterialId) {
        let record = self.world.view.get_record::<Materials>(material).unwrap();
        if record.is_some_and(|record| !record.is_deleted() && record.origin.is_none()) {
            self.acknowledged.insert(material.clone());
        }
    }

    fn finish_runs(&mut self, nth: usize) {
        let finished: Vec<_> = self.nodes[nth]
            .runs
            .iter()
            .filter(|(_, (_, left))| *left == 0)
            .map(|(run, (attempt, _))| (run.clone(), *attempt))
            .collect();
        for (run, attempt) in finished {
            let id = self.nodes[nth].id.clone();
            self.nodes[nth].runs.remove(&run);
            self.world.apply(Command::RunStarted { run: run.clone(), attempt });
            let made = self.world.apply(create_output(&run, attempt, &id));
            let Outcome::Material { material, generation, .. } = made else { continue };
            let held = held(&material, generation, 10);
            self.world.accept(verified(&material, &id, generation, 10));
            self.nodes[nth].disk.insert(material.clone(), held);
            self.world.accept(Command::RunDone {
                run,
                attempt,
                outputs: vec![Output { name: "mask".to_owned(), material }],
                result: serde_json::Value::Null,
                bytes_moved: 0,
            });
        }
    }

    fn obey(&mut self, nth: usize, order: Order) {
        let node = &mut self.nodes[nth];
        match order {
            Order::Copy { material, generation, size, sources, .. } => {
                if node.disk.contains_key(&material) {
                    return;
                }
                let begin = || Pull { generation, offset: 0, size, sources: Vec::new() };
                let pull = node.incoming.entry(material).or_insert_with(begin);
                if pull.generation < generation {
                    *pull = begin();
                }
                pull.sources = sources;
            }
            Order::Drop { material, generation } => {
                if node.disk.get(&material).is_some_and(|held| held.generation <= generation) {
                    node.disk.remove(&material);
                }
                if node.incoming.get(&material).is_some_and(|pull| pull.generation <= generation) {
                    node.incoming.remove(&material);
                }
                node.reports.push(gone(&material, &node.id, generation));
            }
            Order::Run { run, attempt, .. } => {
                node.runs.insert(run, (attempt, 5));
            }
            Order::Stop { run, .. } => {
                node.runs.remove(&run);
            }
        }
    }

    /// What was acknowledged is on some disk, unless the disks themselves were wiped.
    fn nothing_is_lost(&self) {
        for material in self.acknowledged.difference(&self.lost_with_disks) {
            let is_somewhere = self.nodes.iter().any(|node| node.disk.contains_key(material));
            assert!(is_somewhere, "the bytes of {material} are gone: {:?}", self.world.material(material));
        }
    }

    /// Whether every material has its population and every disk holds what the books say, no more and no less.
    pub(super) fn unrest(&self) -> Option<String> {
        let members = self.nodes.len();
        let mut on_disks = BTreeMap::<(NodeId, MaterialId), Generation>::new();
        for node in &self.nodes {
            // A copy of what is lost waits for a source that will not come back.
            let pulls = node.incoming.keys().any(|material| !self.lost_with_disks.contains(material));
            if pulls || !node.runs.is_empty() || !node.reports.is_empty() {
                return Some(format!("{} works: {:?} {:?} {:?}", node.name, node.incoming, node.runs, node.reports));
            }
            on_disks.extend(node.disk.iter().map(|(id, held)| ((node.id.clone(), id.clone()), held.generation)));
        }
        for entry in self.world.view.scan_records::<Materials>(&[], None) {
            let (id, record) = entry.unwrap();
            if record.replicas.is_empty() || self.lost_with_disks.contains(&id) {
                continue;
            }
            for replica in &record.replicas {
                let place = (replica.node.clone(), id.clone());
                if replica.state != ReplicaState::Verified || on_disks.remove(&place) != Some(replica.generation) {
                    return Some(format!("{id} on {} is not as the books say: {record:?}", replica.node));
                }
            }
            if record.replicas.len() != members.min(record.population as usize) {
                return Some(format!("{id} has not its population: {record:?}"));
            }
        }
        on_disks.retain(|(_, material), _| !self.lost_with_disks.contains(material));
        on_disks.into_keys().next().map(|place| format!("{place:?} is an orphan"))
    }

    /// Lets seconds pass until all is as it should be; how many it took.
    pub(super) fn settle_down(&mut self, seconds_max: usize) -> usize {
        for seconds in 0..seconds_max {
            self.second();
            if self.unrest().is_none() && self.world.plan().is_empty() {
                return seconds;
            }
        }
        panic!("not at rest after {seconds_max} s: {:?}; plan {:?}", self.unrest(), self.world.plan());
    }

    pub(super) fn node_record(&self, id: &NodeId) -> NodeRecord {
        self.world.view.get_record::<Nodes>(id).unwrap().unwrap()
    }
}

fn url(name: &str) -> String {
    format!("http://{name}:7500")
}
