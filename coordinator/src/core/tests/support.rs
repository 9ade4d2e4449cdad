//! What the tests say to a [`World`], by name.

use crate::core::command::Command;
use microtome_proto::{
    Generation, MaterialId, NodeId, RunId,
    internal::{Held, Inventory, RunBeat},
    material::{Condition, Origin, Owner, Terms},
    node::{NodeReport, Scheduling},
    protocol::PROTOCOL,
    run::Progress,
};
use proptest::prelude::ProptestConfig;
use std::collections::BTreeMap;

pub(super) use super::world::World;

pub(super) const GIB: u64 = 1 << 30;

pub(super) fn register(name: &str, zone: Option<&str>) -> Command {
    Command::RegisterNode {
        instance: format!("instance of {name}"),
        name: name.to_owned(),
        url: url(name),
        zone: zone.map(str::to_owned),
        labels: BTreeMap::new(),
        version: "0.1.0".to_owned(),
    }
}

/// Where a node of that name is reached.
pub(super) fn url(name: &str) -> String {
    format!("http://{name}:7500")
}

pub(super) fn add(material: &MaterialId, node: &NodeId) -> Command {
    Command::AddReplica { material: material.clone(), node: node.clone() }
}

/// How many copies these commands begin.
pub(super) fn copies(planned: &[Command]) -> usize {
    planned.iter().filter(|command| matches!(command, Command::AddReplica { .. })).count()
}

pub(super) fn want(material: &MaterialId, population: u32) -> Command {
    Command::UpdateMaterial { material: material.clone(), name: None, population: Some(population) }
}

pub(super) fn delete(material: &MaterialId) -> Command {
    Command::DeleteMaterial { material: material.clone() }
}

pub(super) fn remove(node: &NodeId, force: bool) -> Command {
    Command::RemoveNode { node: node.clone(), force }
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
        partial: false,
        owner: None,
        terms: Terms::default(),
        node: node.clone(),
    }
}

/// What the tests say of parts that are to be put together.
pub(super) const GIVEN: &str = "final;/v1/uploads/m-1 /v1/uploads/m-2";

pub(super) fn create_part(size: u64, node: &NodeId) -> Command {
    let mut command = create(size, 1, node);
    if let Command::CreateMaterial { partial, .. } = &mut command {
        *partial = true;
    }
    command
}

pub(super) fn join(parts: &[MaterialId], node: &NodeId) -> Command {
    Command::JoinParts {
        request: None,
        name: "slide.svs".to_owned(),
        media_type: "image/tiff".to_owned(),
        blake3: None,
        population: 1,
        parts: parts.to_vec(),
        given: GIVEN.to_owned(),
        owner: None,
        terms: Terms::default(),
        node: node.clone(),
    }
}

/// Somebody who sends files.
pub(super) fn lab() -> Owner {
    Owner { space: "lab".to_owned(), name: "ada".to_owned() }
}

/// The same as somebody's own.
pub(super) fn owned(whose: &Owner, mut command: Command) -> Command {
    if let Command::CreateMaterial { owner, .. } | Command::JoinParts { owner, .. } = &mut command {
        *owner = Some(whose.clone());
    }
    command
}

/// The same in a space, under a key of it.
pub(super) fn under(space: &str, key: &str, condition: Option<Condition>, mut command: Command) -> Command {
    if let Command::CreateMaterial { terms, .. } | Command::JoinParts { terms, .. } = &mut command {
        let key = (!key.is_empty()).then(|| key.to_owned());
        *terms = Terms { space: Some(space.to_owned()), key, condition, ..Terms::default() };
    }
    command
}

/// The same under an `Idempotency-Key`.
pub(super) fn with_key(key: &str, mut command: Command) -> Command {
    if let Command::CreateMaterial { request, .. } | Command::JoinParts { request, .. } = &mut command {
        *request = Some(key.to_owned());
    }
    command
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
        partial: false,
        owner: None,
        terms: Terms::default(),
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
        owner: None,
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

/// All that a node holds, on one page.
pub(super) fn page(held: Vec<Held>) -> Inventory {
    Inventory { after: None, held, last: true, incoming: Vec::new(), count: None }
}

pub(super) fn report(free: u64) -> NodeReport {
    NodeReport { disk_total: 100 * GIB, disk_free: free, protocol: PROTOCOL, ..NodeReport::default() }
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
