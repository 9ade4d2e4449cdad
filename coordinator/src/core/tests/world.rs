//! A cluster's books and its leader's eyes, handled as in life: commands are applied, heartbeats arrive.

use super::support::*;
use crate::core::{
    apply::apply,
    command::{Command, Outcome, Proposal},
    observed::{Observed, Timing},
    orders::orders,
    placement::{NoCandidate, candidates},
    plan::{Agenda, Knobs, Touched, plan},
    present::Scene,
    settle::settle,
    tables::{MaterialRecord, Materials, RunRecord, Runs},
    uses::due,
    view::{Change, Memory, Table, Typed, View, stored_key, stored_record},
};
use microtome_proto::{
    ClusterId, Code, Generation, MaterialId, NodeId, RunId, Timestamp,
    cluster::Healing,
    internal::{Heartbeat, Incoming, Inventory, Order, RunBeat, Uses},
    material::ReplicaState,
    node::{Availability, NodeReport},
    protocol::PROTOCOL,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

pub(super) struct World {
    pub(super) view: Memory,
    /// What the planner remembers, and what was written since it planned.
    pub(super) agenda: RefCell<(Agenda, Touched)>,
    pub(super) observed: Observed,
    pub(super) now_ms: u64,
    pub(super) timing: Timing,
    pub(super) knobs: Knobs,
    /// What nodes tell of damage in their next heartbeats.
    pub(super) damaged: BTreeMap<NodeId, Vec<(MaterialId, Generation)>>,
    /// And of their readers.
    pub(super) uses: BTreeMap<NodeId, Uses>,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            view: Memory::new(),
            agenda: RefCell::default(),
            observed: Observed::new(0),
            now_ms: 0,
            timing: Timing::default(),
            knobs: Knobs::default(),
            damaged: BTreeMap::new(),
            uses: BTreeMap::new(),
        };
        world.accept(Command::Found { cluster: ClusterId::from_random(7), name: "lab".to_owned() });
        world.accept(Command::RaiseProtocol { protocol: PROTOCOL });
        world
    }

    /// So many nodes, and a material of 5 bytes with both the copies that are wanted, on the first two of them.
    pub(super) fn replicated(nodes: usize) -> (Self, Vec<NodeId>, MaterialId) {
        let mut world = Self::new();
        let n = world.nodes(nodes);
        let material = world.stored(5, 2, &[&n[0], &n[1]]);
        (world, n, material)
    }

    /// So many nodes, and a material of 5 bytes with one of the two copies that are wanted, on the first of them.
    pub(super) fn lacking(nodes: usize) -> (Self, Vec<NodeId>, MaterialId) {
        let mut world = Self::new();
        let n = world.nodes(nodes);
        let material = world.stored(5, 2, &[&n[0]]);
        (world, n, material)
    }

    pub(super) fn at(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + i64::try_from(self.now_ms).unwrap())
    }

    pub(super) fn apply(&mut self, command: Command) -> Outcome {
        let (changes, outcome) = self.decide(command);
        self.write(changes);
        outcome
    }

    pub(super) fn decide(&self, command: Command) -> (Vec<Change>, Outcome) {
        apply(&self.view, &Proposal { at: self.at(), by: None, command }).unwrap()
    }

    pub(super) fn write(&mut self, changes: Vec<Change>) {
        self.agenda.get_mut().1.note(&changes);
        for (key, record) in changes {
            match record {
                Some(record) => self.view.insert(key, record),
                None => self.view.remove(&key),
            };
        }
    }

    /// A record as no command would write it.
    pub(super) fn put<T: Table>(&mut self, key: &T::Key, record: &T::Record) {
        let key = stored_key::<T>(key);
        let record = stored_record::<T>(&key, record).unwrap();
        self.view.insert(key, record);
    }

    pub(super) fn accept(&mut self, command: Command) -> Outcome {
        match self.apply(command.clone()) {
            Outcome::Refused { code, detail } => panic!("{command:?} was refused: {code}: {detail}"),
            outcome => outcome,
        }
    }

    pub(super) fn refused(&mut self, command: Command) -> Code {
        match self.apply(command.clone()) {
            Outcome::Refused { code, .. } => code,
            outcome => panic!("{command:?} was accepted: {outcome:?}"),
        }
    }

    /// Registers a node of that name and lets it settle an empty inventory.
    pub(super) fn node(&mut self, name: &str, zone: Option<&str>) -> NodeId {
        let Outcome::Node { node } = self.accept(register(name, zone)) else { panic!() };
        self.observed.registered(&node, self.now_ms, self.at(), &report(100 * GIB), &self.timing);
        self.observed.inventory_settled(&node);
        node
    }

    pub(super) fn nodes(&mut self, count: usize) -> Vec<NodeId> {
        (1..=count).map(|nth| self.node(&format!("node-{nth}"), None)).collect()
    }

    /// The node starts again: it owes its inventory.
    pub(super) fn restart(&mut self, node: &NodeId) {
        self.observed.registered(node, self.now_ms, self.at(), &report(100 * GIB), &self.timing);
    }

    pub(super) fn beat(&mut self, node: &NodeId) {
        self.beat_as(node, report(100 * GIB));
    }

    /// The node beats with this report.
    pub(super) fn beat_as(&mut self, node: &NodeId, report: NodeReport) {
        self.beat_with(node, report, Vec::new(), Vec::new());
    }

    /// The node beats while it has so many bytes of a copy or an upload.
    pub(super) fn beat_receiving(&mut self, node: &NodeId, material: &MaterialId, generation: Generation, offset: u64) {
        let incoming = vec![Incoming { material: material.clone(), generation, offset, check: None }];
        self.beat_with(node, report(100 * GIB), incoming, Vec::new());
    }

    pub(super) fn beat_with(&mut self, node: &NodeId, report: NodeReport, incoming: Vec<Incoming>, runs: Vec<RunBeat>) {
        let damaged = self.damaged.get(node).cloned().unwrap_or_default();
        let mut uses = self.uses.get(node).cloned().unwrap_or_default();
        // For as long as there is anything to be read, unless it is said.
        if uses.known_for_ms == 0 {
            uses.known_for_ms = u64::MAX;
        }
        let beat = Heartbeat { instance: String::new(), report, incoming, damaged, runs, uses, ..Heartbeat::default() };
        self.hear(node, &beat);
    }

    /// A heartbeat comes. Of what was read there it is to be told again of this.
    pub(super) fn hear(&mut self, node: &NodeId, beat: &Heartbeat) -> BTreeSet<MaterialId> {
        let due = due(&self.view, self.at(), &beat.uses).unwrap();
        let again = due.keys().cloned().collect();
        self.observed.beat(node, self.now_ms, self.at(), beat, &self.timing);
        self.observed.read(node, due);
        again
    }

    /// Seconds pass in which the nodes named beat and the others are silent.
    pub(super) fn pass(&mut self, seconds: u64, beating: &[&NodeId]) {
        for _ in 0..seconds {
            self.now_ms += 1_000;
            for node in beating {
                self.beat(node);
            }
            self.observed.tick(self.now_ms, &self.timing, self.knobs.failure_pause_ms);
        }
    }

    /// Seconds pass in which these nodes answer and do at once what is planned: all that was planned.
    pub(super) fn work(&mut self, seconds: u64, nodes: &[&NodeId]) -> Vec<Command> {
        let mut planned = Vec::new();
        for _ in 0..seconds {
            self.pass(1, nodes);
            planned.extend(self.carry_out());
        }
        planned
    }

    /// Plans, and nodes do at once what was planned.
    pub(super) fn carry_out(&mut self) -> Vec<Command> {
        let planned = self.plan();
        for command in &planned {
            self.accept(command.clone());
            match command {
                Command::AddReplica { material, node } | Command::MoveReplica { material, node, .. } => {
                    self.arrive(material, node);
                }
                Command::DropReplica { material, node, generation } => {
                    self.accept(gone(material, node, *generation));
                }
                _ => {}
            }
        }
        planned
    }

    /// Creates a material on a node, its upload under way.
    pub(super) fn upload(&mut self, size: u64, population: u32, node: &NodeId) -> (MaterialId, Generation) {
        let Outcome::Material { material, generation, .. } = self.accept(create(size, population, node)) else {
            panic!()
        };
        (material, generation)
    }

    /// A material with verified copies on all of these nodes; the first of them received it.
    pub(super) fn stored(&mut self, size: u64, population: u32, nodes: &[&NodeId]) -> MaterialId {
        let (material, generation) = self.upload(size, population, nodes[0]);
        self.verify(&material, nodes[0], generation);
        for node in &nodes[1..] {
            self.copy(&material, node);
        }
        material
    }

    /// A part that is whole, on this node.
    pub(super) fn part(&mut self, size: u64, node: &NodeId) -> MaterialId {
        let Outcome::Material { material, generation, .. } = self.accept(create_part(size, node)) else { panic!() };
        self.verify(&material, node, generation);
        material
    }

    /// Parts are to be put together on this node.
    pub(super) fn join(&mut self, parts: &[&MaterialId], node: &NodeId) -> (MaterialId, Generation) {
        let parts: Vec<_> = parts.iter().map(|part| (*part).clone()).collect();
        match self.accept(join(&parts, node)) {
            Outcome::Material { material, generation, existed: false } => (material, generation),
            outcome => panic!("{outcome:?}"),
        }
    }

    pub(super) fn assign(&mut self, material: &MaterialId, node: &NodeId) -> Generation {
        match self.accept(add(material, node)) {
            Outcome::Assigned { generation } => generation,
            outcome => panic!("{outcome:?}"),
        }
    }

    /// Another copy, verified.
    pub(super) fn copy(&mut self, material: &MaterialId, node: &NodeId) {
        self.assign(material, node);
        self.arrive(material, node);
    }

    /// The copy that is on its way to the node is there, and verified.
    pub(super) fn arrive(&mut self, material: &MaterialId, node: &NodeId) {
        let generation = self.generation(material, node);
        self.verify(material, node, generation);
    }

    pub(super) fn verify(&mut self, material: &MaterialId, node: &NodeId, generation: Generation) {
        let size = self.material(material).size;
        self.accept(verified(material, node, generation, size));
    }

    pub(super) fn material(&self, id: &MaterialId) -> MaterialRecord {
        self.view.get_record::<Materials>(id).unwrap().unwrap()
    }

    pub(super) fn exists(&self, id: &MaterialId) -> bool {
        self.view.get_record::<Materials>(id).unwrap().is_some()
    }

    pub(super) fn run(&self, id: &RunId) -> RunRecord {
        self.view.get_record::<Runs>(id).unwrap().unwrap()
    }

    pub(super) fn replica(&self, material: &MaterialId, node: &NodeId) -> Option<(ReplicaState, Generation)> {
        self.material(material).replica(node).map(|replica| (replica.state, replica.generation))
    }

    /// The assignment of a copy.
    pub(super) fn generation(&self, material: &MaterialId, node: &NodeId) -> Generation {
        self.replica(material, node).unwrap().1
    }

    pub(super) fn availability(&self, node: &NodeId) -> Availability {
        self.observed.availability(node, self.now_ms, &self.timing)
    }

    /// Where an upload of so many bytes may go, the best first.
    pub(super) fn candidates(&self, size: u64) -> Result<Vec<NodeId>, NoCandidate> {
        let found = candidates(&self.view, &self.observed, size, self.now_ms, &self.timing).unwrap();
        found.map(|found| found.into_iter().map(|candidate| candidate.node).collect())
    }

    /// The node tells what it holds, and both sides settle the difference: what it is to drop.
    pub(super) fn settle(&mut self, node: &NodeId, inventory: &Inventory) -> Vec<MaterialId> {
        let (commands, answer) = settle(&self.view, node, inventory).unwrap();
        for command in commands {
            self.accept(command);
        }
        let (commands, again) = settle(&self.view, node, inventory).unwrap();
        assert_eq!((commands, &again), (Vec::new(), &answer), "settling again changes nothing");
        answer.drop
    }

    /// What is planned is the same with what is remembered from the last round and without it.
    pub(super) fn plan(&self) -> Vec<Command> {
        let (agenda, touched) = &mut *self.agenda.borrow_mut();
        agenda.note(std::mem::take(touched));
        let planned = self.plan_with(&self.view, agenda);
        let mut anew = Agenda::default();
        assert_eq!(planned, self.plan_with(&self.view, &mut anew), "the agenda has missed something");
        assert_eq!(agenda.healing(), anew.healing(), "the agenda has not added up what lacks");
        planned
    }

    /// What the planner tells of what is being made whole.
    pub(super) fn healing(&self) -> Healing {
        self.plan();
        self.agenda.borrow().0.healing()
    }

    pub(super) fn plan_with(&self, view: &dyn View, agenda: &mut Agenda) -> Vec<Command> {
        plan(view, agenda, &self.observed, (self.now_ms, self.at()), &self.timing, &self.knobs).unwrap()
    }

    /// Plans, applies what was planned, and sees that nothing is planned twice.
    pub(super) fn plan_and_apply(&mut self) -> Vec<Command> {
        let commands = self.plan();
        for command in &commands {
            self.accept(command.clone());
        }
        assert_eq!(self.plan(), [], "a second round planned again what the first did");
        commands
    }

    pub(super) fn orders(&self, node: &NodeId) -> Vec<Order> {
        orders(&self.view, node, &self.observed, self.now_ms, &self.timing).unwrap()
    }

    pub(super) fn scene(&self) -> Scene<'_> {
        Scene { view: &self.view, observed: &self.observed, now_ms: self.now_ms, timing: &self.timing }
    }

    pub(super) fn submit(&mut self, inputs: &[&MaterialId]) -> RunId {
        let inputs = inputs.iter().map(|input| (*input).clone()).collect();
        match self.accept(create_run(None, inputs)) {
            Outcome::Run { run } => run,
            outcome => panic!("{outcome:?}"),
        }
    }

    pub(super) fn assign_run(&mut self, run: &RunId, node: &NodeId) -> Generation {
        match self.accept(Command::AssignRun { run: run.clone(), node: node.clone() }) {
            Outcome::Assigned { generation } => generation,
            outcome => panic!("{outcome:?}"),
        }
    }

    /// A material that a run's attempt makes on its node, its bytes still arriving.
    pub(super) fn output(&mut self, run: &RunId, attempt: Generation, node: &NodeId) -> (MaterialId, Generation) {
        match self.accept(create_output(run, attempt, node)) {
            Outcome::Material { material, generation, .. } => (material, generation),
            outcome => panic!("{outcome:?}"),
        }
    }
}
