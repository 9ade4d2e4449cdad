//! A cluster in memory: the real books, plans, orders and settlements, with nodes whose disks are maps.

use super::{
    support::*,
    virtual_node::{Holders, VirtualNode},
};
use crate::core::{
    command::{Command, Life, Outcome},
    joins,
    observed::Observed,
    placement::candidates_of_part,
    roster::Roster,
    standing::Standing,
    tables::{MaterialRecord, Materials, NodeRecord, Nodes},
    view::Typed,
};
use microtome_proto::{
    Generation, MaterialId, NodeId, Timestamp, material::ReplicaState, node::Scheduling, run::Output,
};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Parts that were uploaded.
    parts: Vec<MaterialId>,
    /// How many materials came to their end.
    pub(super) ended: usize,
    /// When, and at which node, materials were read last.
    reads: BTreeMap<MaterialId, (Timestamp, NodeId)>,
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
            parts: Vec::new(),
            ended: 0,
            reads: BTreeMap::new(),
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
        self.nodes.push(VirtualNode::new(name, node));
    }

    /// Another leader: all that was only observed is forgotten.
    pub(super) fn fail_over(&mut self) {
        self.world.observed = Observed::new(self.world.now_ms);
    }

    /// The disk dies with its node; a new one takes its place under a new identity.
    pub(super) fn wipe(&mut self, nth: usize) {
        let dead = self.nodes.remove(nth);
        self.reads.retain(|_, (_, node)| *node != dead.id);
        for material in dead.disk.keys() {
            if self.is_on_no_disk(material) {
                self.lost_with_disks.insert(material.clone());
                self.lose_whole(material);
            }
        }
        self.world.apply(Command::RemoveNode { node: dead.id, force: true });
        self.join();
    }

    fn is_on_no_disk(&self, material: &MaterialId) -> bool {
        !self.nodes.iter().any(|node| node.disk.contains_key(material))
    }

    /// What was to be put together from a part is lost with it, unless it is so already; its other parts wait for ever.
    fn lose_whole(&mut self, part: &MaterialId) {
        let record = |id: &MaterialId| self.world.view.get_record::<Materials>(id).unwrap();
        let Some(whole) = record(part).and_then(|record| record.taken_by().cloned()) else { return };
        if self.is_on_no_disk(&whole) {
            let parts = record(&whole).and_then(|record| record.joining().map(<[_]>::to_vec));
            self.lost_with_disks.extend(parts.into_iter().flatten().chain([whole]));
        }
    }

    pub(super) fn upload(&mut self, size: u64, population: u32) {
        let world = &mut self.world;
        let Ok(candidates) = world.candidates(size) else { return };
        let best = &candidates[0];
        let (material, generation) = world.upload(size, population, best);
        self.receive(best, material, generation, size);
    }

    /// A part begins to arrive at some node: not always the one where the others are.
    pub(super) fn upload_part(&mut self, size: u64, nth: usize) {
        let world = &mut self.world;
        let sent = (size, if nth.is_multiple_of(3) { "another" } else { "sender" });
        let found = candidates_of_part(&world.view, &world.observed, sent, world.now_ms, &world.timing).unwrap();
        let Ok(candidates) = found else { return };
        let node = &candidates[0].node;
        let Outcome::Material { material, generation, .. } = world.accept(create_part(size, node)) else { panic!() };
        self.parts.push(material.clone());
        self.receive(node, material, generation, size);
    }

    /// All parts that are whole are put together: from now on that is acknowledged.
    pub(super) fn join_parts(&mut self) {
        let world = &mut self.world;
        let is_whole = |id: &&MaterialId| {
            let record = world.view.get_record::<Materials>(id).unwrap();
            record.is_some_and(|it| it.blake3.is_some() && !it.is_deleted() && it.taken_by().is_none())
        };
        let parts: Vec<_> = self.parts.iter().filter(is_whole).cloned().collect();
        let found = joins::candidates(&world.view, &world.observed, &parts, world.now_ms, &world.timing).unwrap();
        let Some(Ok(candidates)) = found.filter(|_| !parts.is_empty()) else { return };
        let made = world.accept(join(&parts, &candidates[0].node));
        let Outcome::Material { material, .. } = made else { panic!() };
        self.acknowledged.insert(material);
    }

    fn receive(&mut self, node: &NodeId, material: MaterialId, generation: Generation, size: u64) {
        if let Some(node) = self.nodes.iter_mut().find(|other| other.id == *node && other.is_alive) {
            node.receive(material, generation, size);
        } else {
            self.world.accept(gone(&material, node, generation));
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

    /// From now on a material ends at some time, or when nobody reads it.
    pub(super) fn limit(&mut self, nth: usize, seconds: u64, is_idle: bool) {
        let Some(material) = self.acknowledged.iter().nth(nth % self.acknowledged.len().max(1)).cloned() else {
            return;
        };
        let (expires_at, idle_s) = match is_idle {
            true => (None, Some(Some(seconds))),
            false => (Some(Some(self.world.at().plus_millis(seconds * 1_000))), None),
        };
        self.world.apply(Command::Life(Life::Set { material, name: None, population: None, expires_at, idle_s }));
    }

    /// Somebody reads a material, at a node that is not cut off.
    pub(super) fn read(&mut self, nth: usize) {
        let Some(material) = self.acknowledged.iter().nth(nth % self.acknowledged.len().max(1)) else { return };
        let hearing = self.nodes.iter_mut().filter(|node| node.hears());
        for node in hearing {
            if node.read(material) {
                self.reads.insert(material.clone(), (self.world.at(), node.id.clone()));
                return;
            }
        }
    }

    /// What ends is over, and nobody had read it lately.
    fn ends_rightly(&mut self, due: &[(MaterialId, Timestamp)]) {
        for (material, _) in due {
            let record = self.world.view.get_record::<Materials>(material).unwrap();
            let Some(record) = record.filter(|record| !record.is_deleted()) else { continue };
            let is_old = record.terms.expires_at.is_some_and(|expires_at| expires_at <= self.world.at());
            let idle_ms = record.terms.idle_s.unwrap_or(0) * 1_000;
            let is_unread = |(read_at, _): &(Timestamp, NodeId)| self.world.at().millis_since(*read_at) >= idle_ms;
            assert!(is_old || self.reads.get(material).is_none_or(is_unread), "{material} was read: {record:?}");
            self.acknowledged.remove(material);
            self.lost_with_disks.remove(material);
            self.ended += 1;
        }
    }

    /// A second passes: nodes work and beat, the leader plans.
    pub(super) fn second(&mut self) {
        self.world.now_ms += 1_000;
        for nth in 0..self.nodes.len() {
            if self.nodes[nth].is_alive {
                let holders = self.holders();
                self.nodes[nth].work(&holders);
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
            if let Command::Life(Life::End { due }) = &command {
                self.ends_rightly(due);
            }
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

    fn holders(&self) -> Holders {
        let alive = self.nodes.iter().filter(|node| node.is_alive);
        alive.map(|node| (url(&node.name), node.disk.keys().cloned().collect())).collect()
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
            let removed = self.nodes.remove(nth);
            self.reads.retain(|_, (_, node)| *node != removed.id);
            self.join();
        }
    }

    /// Everything that the node and the coordinator tell each other in a second.
    fn talk(&mut self, nth: usize) {
        if self.nodes[nth].is_new {
            self.register(nth);
        }
        for report in self.nodes[nth].reports() {
            self.report(nth, report);
        }
        self.finish_runs(nth);
        let (world, node) = (&mut self.world, &mut self.nodes[nth]);
        let again = world.hear(&node.id, &node.beat());
        node.heard(&again);
        for order in world.orders(&node.id) {
            node.obey(order);
        }
    }

    fn register(&mut self, nth: usize) {
        let (world, node) = (&mut self.world, &mut self.nodes[nth]);
        node.is_new = false;
        assert_eq!(world.accept(register(&node.name, None)), Outcome::Node { node: node.id.clone() });
        world.observed.registered(&node.id, world.now_ms, world.at(), &node.report(), &world.timing);
        let inventory = node.inventory();
        let dropped = world.settle(&node.id, &inventory);
        world.observed.inventory_settled(&node.id);
        dropped.iter().for_each(|material| node.free(material));
        for held in inventory.held.iter().filter(|held| !dropped.contains(&held.material)) {
            self.acknowledge(&held.material);
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
        // Of a part alone nothing is promised.
        let is_kept = |record: &MaterialRecord| !record.is_deleted() && record.origin.is_none() && !record.is_partial();
        if record.is_some_and(|record| is_kept(&record)) {
            self.acknowledged.insert(material.clone());
        }
    }

    fn finish_runs(&mut self, nth: usize) {
        let id = self.nodes[nth].id.clone();
        for (run, attempt) in self.nodes[nth].finished_runs() {
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

    /// What was acknowledged is on some disk, unless the disks themselves were wiped.
    fn nothing_is_lost(&self) {
        for material in self.acknowledged.difference(&self.lost_with_disks) {
            let record = self.world.view.get_record::<Materials>(material).unwrap();
            let parts = record.as_ref().and_then(|record| record.joining());
            let are_somewhere = parts.is_some_and(|parts| !parts.iter().any(|part| self.is_on_no_disk(part)));
            assert!(
                are_somewhere || !self.is_on_no_disk(material),
                "the bytes of {material} are gone: {:?}",
                self.world.material(material)
            );
        }
    }

    /// Whether every material has its population and every disk holds what the books say, no more and no less.
    pub(super) fn unrest(&self) -> Option<String> {
        let members = self.nodes.len();
        let mut on_disks = BTreeMap::<(NodeId, MaterialId), Generation>::new();
        for node in &self.nodes {
            if let Some(unrest) = node.unrest(&self.lost_with_disks) {
                return Some(unrest);
            }
            on_disks.extend(node.disk.iter().map(|(id, held)| ((node.id.clone(), id.clone()), held.generation)));
        }
        for entry in self.world.view.scan_records::<Materials>(&[], None) {
            let (id, record) = entry.unwrap();
            if self.lost_with_disks.contains(&id) {
                continue;
            }
            if record.joining().is_some() {
                return Some(format!("{id} is not put together yet: {record:?}"));
            }
            if record.replicas.is_empty() {
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
