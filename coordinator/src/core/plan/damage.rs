//! Damaged copies: what the nodes tell of theirs is brought into the books, and out of them again when it is mended.

use super::Scene;
use crate::core::{
    command::Command,
    keys,
    tables::{Damaged, Materials},
    view::{Typed, ViewError},
};
use microtome_proto::{MaterialId, NodeId, material::ReplicaState};

pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut commands = Vec::new();
    for (node, peer) in scene.roster.iter().filter(|(_, peer)| peer.is_up()) {
        if let Some(seen) = peer.seen.filter(|seen| seen.settled)
            && let Some(told) = &seen.damaged
        {
            for (material, &generation) in told {
                let record = scene.view.get_record::<Materials>(material)?;
                let replica = record.as_ref().and_then(|record| record.replica(node));
                let counts = replica
                    .is_some_and(|replica| (replica.state, replica.generation) == (ReplicaState::Verified, generation));
                if counts {
                    let (material, node) = (material.clone(), node.clone());
                    commands.push(Command::ReplicaDamaged { material, node, generation });
                }
            }
            mended(scene, node, |material| told.contains_key(material), &mut commands)?;
        }
    }
    commands.truncate(scene.knobs.commands_max);
    Ok(commands)
}

/// Copies that the books call damaged, and their node no more.
fn mended(
    scene: &Scene<'_>,
    node: &NodeId,
    is_told: impl Fn(&MaterialId) -> bool,
    commands: &mut Vec<Command>,
) -> Result<(), ViewError> {
    for entry in scene.view.scan_records::<Damaged>(&keys::node(node), None) {
        let ((_, material), generation) = entry?;
        if is_told(&material) {
            continue;
        }
        let Some(record) = scene.view.get_record::<Materials>(&material)? else { continue };
        if let Some(blake3) = record.blake3 {
            let (node, size) = (node.clone(), record.size);
            commands.push(Command::ReplicaVerified { material, node, generation, size, blake3 });
        }
    }
    Ok(())
}
