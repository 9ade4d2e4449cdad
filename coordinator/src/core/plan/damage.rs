//! Damaged copies: what the nodes tell of theirs is brought into the books, and out of them again when it is mended.

use super::Scene;
use crate::core::{
    command::Command,
    tables::{Damaged, Materials},
    view::{Typed, ViewError},
};
use microtome_proto::{Generation, MaterialId, NodeId, limits::DAMAGED_MAX, material::ReplicaState};
use std::collections::BTreeMap;

pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut commands = Vec::new();
    for (node, _) in scene.roster.iter() {
        for (material, &generation) in told(scene, node).into_iter().flatten() {
            let record = scene.view.get_record::<Materials>(material)?;
            let replica = record.as_ref().and_then(|record| record.replica(node));
            let counts = replica
                .is_some_and(|replica| (replica.state, replica.generation) == (ReplicaState::Verified, generation));
            if counts {
                let (material, node) = (material.clone(), node.clone());
                commands.push(Command::ReplicaDamaged { material, node, generation });
            }
        }
    }
    mended(scene, &mut commands)?;
    commands.truncate(scene.knobs.commands_max);
    Ok(commands)
}

/// What a node that answers tells of its damaged copies, once it agrees with the books.
fn told<'a>(scene: &Scene<'a>, node: &NodeId) -> Option<&'a BTreeMap<MaterialId, Generation>> {
    let peer = scene.roster.get(node).filter(|peer| peer.is_up())?;
    peer.seen.filter(|seen| seen.settled)?.damaged.as_ref()
}

/// Copies that the books call damaged, and their node no more.
fn mended(scene: &Scene<'_>, commands: &mut Vec<Command>) -> Result<(), ViewError> {
    for entry in scene.view.scan_records::<Damaged>(&[], None) {
        let ((node, material), generation) = entry?;
        let is_told = |told: &BTreeMap<MaterialId, Generation>| {
            // A node tells of so many at most, the first ones: of what comes behind them nothing is known.
            let is_beyond =
                || told.len() >= DAMAGED_MAX && told.last_key_value().is_some_and(|(last, _)| material > *last);
            told.contains_key(&material) || is_beyond()
        };
        if told(scene, &node).is_none_or(is_told) {
            continue;
        }
        let Some(record) = scene.view.get_record::<Materials>(&material)? else { continue };
        if let Some(blake3) = record.blake3 {
            let size = record.size;
            commands.push(Command::ReplicaVerified { material, node, generation, size, blake3 });
        }
    }
    Ok(())
}
