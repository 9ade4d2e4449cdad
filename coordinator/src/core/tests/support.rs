//! A cluster's books and its leader's eyes, handled as in life: commands are applied, heartbeats arrive.

use crate::core::{
    apply::apply,
    command::{Command, Outcome, Proposal},
    observed::{Observed, Timing},
    orders::orders,
    plan::{Agenda, Knobs, Touched, plan},
    present::Scene,
    tables::{MaterialRecord, Materials, RunRecord, Runs},
    view::{Change, Memory, Typed, View},
};
use microtome_proto::{
    ClusterId, Code, Generation, MaterialId, NodeId, RunId, Timestamp,
    cluster::Healing,
    internal::{Heartbeat, Held, Incoming, Order, RunBeat},
    material::{Origin, ReplicaState},
    node::{NodeReport, Scheduling},
    protocol::PROTOCOL,
    run::Progress,
};
use proptest::prelude::ProptestConfig;
use std::{cell::RefCell, collections::BTreeMap};

pub(super) const GIB: u64 = 1 << 30;

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
        };
        world.accept(Command::Found { cluster: ClusterId::from_random(7), name: "lab".to_owned() });
        world.accept(Command::RaiseProtocol { protocol: PROTOCOL });
        world
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
        apply(&self.view, &Proposal { at: self.at(), command }).unwrap()
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
        self.beat_with(node, report(100 * GIB), Vec::new(), Vec::new());
    }

    pub(super) fn beat_with(&mut self, node: &NodeId, report: NodeReport, incoming: Vec<Incoming>, runs: Vec<RunBeat>) {
        let damaged = self.damaged.get(node).cloned().unwrap_or_default();
        let beat = Heartbeat { instance: String::new(), report, incoming, damaged, runs };
        self.observed.beat(node, self.now_ms, self.at(), &beat, &self.timing);
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
            for command in self.plan() {
                self.accept(command.clone());
                match &command {
                    Command::AddReplica { material, node } | Command::MoveReplica { material, node, .. } => {
                        let generation = self.replica(material, node).unwrap().1;
                        self.verify(material, node, generation);
                    }
                    Command::DropReplica { material, node, generation } => {
                        self.accept(gone(material, node, *generation));
                    }
                    _ => {}
                }
                planned.push(command);
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
            let generation = self.assign(&material, node);
            self.verify(&material, node, generation);
        }
        material
    }

    pub(super) fn assign(&mut self, material: &MaterialId, node: &NodeId) -> Generation {
        match self.accept(Command::AddReplica { material: material.clone(), node: node.clone() }) {
            Outcome::Assigned { generation } => generation,
            outcome => panic!("{outcome:?}"),
        }
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
        plan(view, agenda, &self.observed, self.now_ms, &self.timing, &self.knobs).unwrap()
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

pub(super) fn register(name: &str, zone: Option<&str>) -> Command {
    Command::RegisterNode {
        instance: format!("instance of {name}"),
        name: name.to_owned(),
        url: format!("http://{name}:7500"),
        zone: zone.map(str::to_owned),
        labels: BTreeMap::new(),
        version: "0.1.0".to_owned(),
    }
}

pub(super) fn add(material: &MaterialId, node: &NodeId) -> Command {
    Command::AddReplica { material: material.clone(), node: node.clone() }
}

pub(super) fn schedule(world: &mut World, node: &NodeId, scheduling: Scheduling) {
    world.accept(Command::ScheduleNode { node: node.clone(), scheduling });
}

pub(super) fn create(size: u64, population: u32, node: &NodeId) -> Command {
    Command::CreateMaterial {
        request: None,
        name: "slide.svs".to_owned(),
        size,
        size_deferred: false,
        media_type: "image/tiff".to_owned(),
        blake3: None,
        population,
        origin: None,
        node: node.clone(),
    }
}

pub(super) fn create_output(run: &RunId, attempt: Generation, node: &NodeId) -> Command {
    Command::CreateMaterial {
        request: None,
        name: "mask.png".to_owned(),
        size: 10,
        size_deferred: false,
        media_type: "image/png".to_owned(),
        blake3: None,
        population: 1,
        origin: Some(Origin { run: run.clone(), attempt }),
        node: node.clone(),
    }
}

pub(super) fn create_run(request: Option<&str>, inputs: Vec<MaterialId>) -> Command {
    Command::CreateRun {
        request: request.map(str::to_owned),
        pipeline: "tissue".to_owned(),
        name: "tissue".to_owned(),
        inputs,
        parameters: serde_json::json!({}),
    }
}

/// The hash that all tests give a material's bytes.
pub(super) fn hash(material: &MaterialId) -> String {
    format!("hash of {material}")
}

pub(super) fn verified(material: &MaterialId, node: &NodeId, generation: Generation, size: u64) -> Command {
    Command::ReplicaVerified {
        material: material.clone(),
        node: node.clone(),
        generation,
        size,
        blake3: hash(material),
    }
}

pub(super) fn free(material: &MaterialId, node: &NodeId, generation: Generation) -> Command {
    Command::DropReplica { material: material.clone(), node: node.clone(), generation }
}

pub(super) fn gone(material: &MaterialId, node: &NodeId, generation: Generation) -> Command {
    Command::ReplicaGone { material: material.clone(), node: node.clone(), generation }
}

pub(super) fn held(material: &MaterialId, generation: Generation, size: u64) -> Held {
    Held { material: material.clone(), generation, size, blake3: hash(material) }
}

pub(super) fn report(free: u64) -> NodeReport {
    NodeReport { disk_total: 100 * GIB, disk_free: free, ..NodeReport::default() }
}

pub(super) fn run_beat(run: &RunId, attempt: Generation) -> RunBeat {
    let progress = Progress { value: 0.5, label: "half".to_owned() };
    RunBeat { run: run.clone(), attempt, progress, bytes_moved: 0 }
}

/// So many random histories, or as many as `PROPTEST_CASES` says.
pub(super) fn histories(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}
