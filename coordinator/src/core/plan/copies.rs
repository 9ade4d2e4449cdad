//! Copies: the wanted population everywhere, no more and no less.

use super::{
    Scene,
    agenda::{Agenda, Due},
    examine::{Findings, examine},
};
use crate::core::{
    command::Command,
    placement::{Sites, Wish},
    tables::Materials,
    view::{Typed, ViewError},
};
use microtome_proto::{MaterialId, NodeId};
use std::collections::BTreeMap;

pub(super) fn plan(scene: &Scene<'_>, agenda: &mut Agenda) -> Result<Vec<Command>, ViewError> {
    let copying = agenda.refresh(scene)?;
    let mut commands = gather(scene, agenda.due(Due::Ends), |found| found.ends)?;
    let drops = gather(scene, agenda.due(Due::Drops), |found| found.drops)?;
    commands.extend(place(scene, agenda, copying)?);
    commands.extend(drops);
    Ok(commands)
}

/// Commands of one kind, in the order of materials, as many as a round may have.
fn gather<'m>(
    scene: &Scene<'_>,
    materials: impl Iterator<Item = &'m MaterialId>,
    kind: impl Fn(Findings) -> Vec<Command>,
) -> Result<Vec<Command>, ViewError> {
    let mut commands = Vec::new();
    for id in materials {
        if commands.len() >= scene.knobs.commands_max {
            break;
        }
        if let Some(record) = scene.view.get_record::<Materials>(id)? {
            commands.extend(kind(examine(scene, id, &record)?));
        }
    }
    commands.truncate(scene.knobs.commands_max);
    Ok(commands)
}

/// Copies that lack, the lowest population first, as far as nodes and knobs allow.
fn place(scene: &Scene<'_>, agenda: &mut Agenda, copying: usize) -> Result<Vec<Command>, ViewError> {
    let knobs = scene.knobs;
    let budget = knobs.copies_max.saturating_sub(copying).min(knobs.commands_max);
    let (mut commands, mut stuck) = (Vec::new(), Vec::new());
    if budget == 0 || agenda.lacking().next().is_none() {
        return Ok(commands);
    }
    let mut sites = Sites::survey(scene.view, scene.roster)?;
    let mut placed = BTreeMap::<MaterialId, Vec<NodeId>>::new();
    let mut room_max = sites.room_max(knobs.copies_per_node_max);
    for id in agenda.lacking() {
        if commands.len() >= budget || room_max.is_none() {
            break;
        }
        let Some(record) = scene.view.get_record::<Materials>(id)? else { continue };
        if room_max < Some(record.size) {
            continue;
        }
        let mut wish = Wish::of(id, &record, scene.roster);
        for node in placed.get(id).into_iter().flatten() {
            wish.zones.extend(scene.roster.get(node).and_then(|peer| peer.record.zone.clone()));
            wish.taken.push(node.clone());
        }
        if let Some(node) = sites.place_copy(&wish, scene.observed, knobs.copies_per_node_max) {
            placed.entry(id.clone()).or_default().push(node.clone());
            commands.push(Command::AddReplica { material: id.clone(), node });
            room_max = sites.room_max(knobs.copies_per_node_max);
        } else if !placed.contains_key(id) && sites.iter().all(|(node, _)| wish.taken.contains(node)) {
            stuck.push(id.clone());
        }
    }
    agenda.stick(stuck);
    Ok(commands)
}
