//! Copies: assigned, proven, freed, lost, and found again.

use super::{Applied, Stop, books::store_material, materials::living, meta, next_generation, nodes, refuse, spaces};
use crate::core::{
    command::Outcome,
    draft::Draft,
    tables::{MaterialRecord, Materials, ReplicaRecord},
    view::Typed,
};
use microtome_proto::{Code, Generation, MaterialId, NodeId, Timestamp, internal::Held, material::ReplicaState};

/// Assigns one more copy, or one in place of that on the node `replaces`.
pub(super) fn add(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    node: &NodeId,
    replaces: Option<&NodeId>,
) -> Applied {
    let before = living(draft, material)?;
    nodes::member(draft, node)?;
    match before.replica(node) {
        Some(replica) if replica.state == ReplicaState::Dropping => {
            return refuse(Code::Conflict, format!("node {node} has not freed its last copy of {material} yet"));
        }
        Some(replica) => return Ok(Outcome::Assigned { generation: replica.generation }),
        None => {}
    }
    if before.joining().is_some() {
        return place_join(draft, at, material, &before, node);
    }
    if before.verified().next().is_none() {
        return refuse(Code::Conflict, format!("there is no verified copy of {material} to copy from"));
    }
    if let Some(from) = replaces
        && before.replica(from).is_none_or(|replica| replica.state != ReplicaState::Verified)
    {
        return refuse(Code::Conflict, format!("node {from} has no verified copy of {material} to be moved"));
    }
    let generation = next_generation(draft)?;
    let mut after = before.clone();
    let added = ReplicaRecord::new(node, ReplicaState::Copying, generation);
    after.replicas.push(ReplicaRecord { replaces: replaces.cloned(), ..added });
    store_material(draft, at, material, Some(&before), after)?;
    Ok(Outcome::Assigned { generation })
}

/// A place for what is to be put together and has none.
fn place_join(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    before: &MaterialRecord,
    node: &NodeId,
) -> Applied {
    if let Some(place) = before.receiving() {
        return refuse(Code::Conflict, format!("{material} is put together on node {}", place.node));
    }
    let generation = next_generation(draft)?;
    let mut after = before.clone();
    after.replicas.push(ReplicaRecord::new(node, ReplicaState::Receiving, generation));
    store_material(draft, at, material, Some(before), after)?;
    Ok(Outcome::Assigned { generation })
}

pub(super) fn verified(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    node: &NodeId,
    generation: Generation,
    (size, blake3): (u64, &str),
) -> Applied {
    let before = living(draft, material)?;
    let state = assigned(&before, material, node, generation)?.state;
    if state == ReplicaState::Dropping {
        return refuse(Code::StaleGeneration, format!("the copy of {material} on {node} is to be freed"));
    }
    let is_right = before.may_have(size)
        && before.blake3.as_deref().or(before.announced.as_deref()).is_none_or(|wanted| wanted == blake3);
    let mut after = before.clone();
    if is_right {
        after.blake3 = Some(blake3.to_owned());
        after.size = size;
        set_state(&mut after, node, ReplicaState::Verified);
        if let Some((code, detail)) = spaces::arrive(draft, at, material, &before, &mut after)? {
            store_material(draft, at, material, Some(&before), after)?;
            return Ok(Outcome::Refused { code, detail });
        }
    } else if before.joining().is_some() {
        // The parts never make what was announced.
        after.deleted_at = Some(at);
    } else if !matches!(state, ReplicaState::Verified | ReplicaState::Damaged) {
        // What was whole once stays: it may be the last from which anything can be read.
        after.replicas.retain(|replica| replica.node != *node);
    }
    store_material(draft, at, material, Some(&before), after)?;
    if is_right {
        return Ok(Outcome::Done);
    }
    let detail =
        format!("the copy of {material} on {node}, {size} bytes with BLAKE3 {blake3}, is not what was announced");
    Ok(Outcome::Refused { code: Code::HashMismatch, detail })
}

pub(super) fn damaged(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    node: &NodeId,
    generation: Generation,
) -> Applied {
    let before = living(draft, material)?;
    let mut after = before.clone();
    if assigned(&before, material, node, generation)?.state == ReplicaState::Verified {
        set_state(&mut after, node, ReplicaState::Damaged);
    }
    store_material(draft, at, material, Some(&before), after)?;
    Ok(Outcome::Done)
}

pub(super) fn free(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    node: &NodeId,
    generation: Generation,
) -> Applied {
    let Some(before) = draft.get_record::<Materials>(material)? else { return Ok(Outcome::Done) };
    let state = assigned(&before, material, node, generation)?.state;
    if state == ReplicaState::Verified && verified_on_members(draft, &before)? <= before.population as usize {
        return refuse(
            Code::Conflict,
            format!("no more copies of {material} than the {} wanted are verified", before.population),
        );
    }
    if state == ReplicaState::Damaged && verified_on_members(draft, &before)? == 0 {
        return refuse(Code::Conflict, format!("no copy of {material} is whole: this one may have what others lack"));
    }
    let mut after = before.clone();
    set_state(&mut after, node, ReplicaState::Dropping);
    store_material(draft, at, material, Some(&before), after)?;
    Ok(Outcome::Done)
}

pub(super) fn gone(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    node: &NodeId,
    generation: Generation,
) -> Applied {
    let Some(before) = draft.get_record::<Materials>(material)? else { return Ok(Outcome::Done) };
    if before.replica(node).is_none() {
        return Ok(Outcome::Done);
    }
    assigned(&before, material, node, generation)?;
    let mut after = before.clone();
    after.replicas.retain(|replica| replica.node != *node);
    store_material(draft, at, material, Some(&before), after)?;
    Ok(Outcome::Done)
}

pub(super) fn settle(
    draft: &mut Draft<'_>,
    at: Timestamp,
    node: &NodeId,
    lost: &[(MaterialId, Generation)],
    held: &[Held],
) -> Applied {
    nodes::member(draft, node)?;
    for (material, generation) in lost {
        let Some(before) = draft.get_record::<Materials>(material)? else { continue };
        let mut after = before.clone();
        after.replicas.retain(|replica| replica.node != *node || replica.generation != *generation);
        store_material(draft, at, material, Some(&before), after)?;
    }
    let generation_last = Generation(meta(draft)?.generation_last);
    for held in held.iter().filter(|held| held.generation <= generation_last) {
        let Some(before) = draft.get_record::<Materials>(&held.material)? else { continue };
        if let Some(mut after) = with_held(&before, node, held) {
            // Where it is refused its sender asks in vain, and nobody is told: the node told of all that it holds.
            spaces::arrive(draft, at, &held.material, &before, &mut after)?;
            store_material(draft, at, &held.material, Some(&before), after)?;
        }
    }
    Ok(Outcome::Done)
}

/// The material with a copy that its node holds and has proven; none where it does not count. The disk is the truth
/// about bytes: a copy with the material's hash counts under the generation that it was made with, also where its
/// assignment was given up meanwhile; one that was damaged stays so until its node says otherwise. Where the hash is not
/// known yet only the upload's own assignment may tell it.
pub(crate) fn with_held(before: &MaterialRecord, node: &NodeId, held: &Held) -> Option<MaterialRecord> {
    let replica = before.replica(node);
    let is_right = match &before.blake3 {
        Some(blake3) => *blake3 == held.blake3,
        None => {
            before.announced.as_ref().is_none_or(|announced| *announced == held.blake3)
                && replica.is_some_and(|replica| replica.generation == held.generation)
        }
    };
    let is_leaving = replica.is_some_and(|replica| replica.state == ReplicaState::Dropping);
    if before.is_deleted() || is_leaving || !before.may_have(held.size) || !is_right {
        return None;
    }
    let mut after = before.clone();
    after.blake3 = Some(held.blake3.clone());
    after.size = held.size;
    let state = match replica {
        Some(replica) if replica.state == ReplicaState::Damaged && replica.generation == held.generation => {
            replica.state
        }
        _ => ReplicaState::Verified,
    };
    let counted = ReplicaRecord::new(node, state, held.generation);
    match after.replicas.iter_mut().find(|replica| replica.node == *node) {
        Some(replica) => *replica = counted,
        None => after.replicas.push(counted),
    }
    Some(after)
}

/// Verified copies on nodes that belong to the cluster: what a removed node held is not relied on.
fn verified_on_members(draft: &Draft<'_>, record: &MaterialRecord) -> Result<usize, Stop> {
    let mut count = 0;
    for replica in record.verified() {
        count += usize::from(nodes::is_member(draft, &replica.node)?);
    }
    Ok(count)
}

/// The copy that a report is about.
pub(super) fn assigned<'m>(
    record: &'m MaterialRecord,
    material: &MaterialId,
    node: &NodeId,
    generation: Generation,
) -> Result<&'m ReplicaRecord, Stop> {
    match record.replica(node) {
        Some(replica) if replica.generation == generation => Ok(replica),
        Some(replica) => refuse(
            Code::StaleGeneration,
            format!("the copy of {material} on {node} has generation {}, not {generation}", replica.generation),
        ),
        None => refuse(Code::StaleGeneration, format!("no copy of {material} is assigned to {node}")),
    }
}

fn set_state(record: &mut MaterialRecord, node: &NodeId, state: ReplicaState) {
    for replica in record.replicas.iter_mut().filter(|replica| replica.node == *node) {
        replica.state = state;
    }
}
