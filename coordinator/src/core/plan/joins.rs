//! What is to be put together: a place for it where all its parts are, or come to be.
//!
//! It stays where it is as long as that node has all parts, or takes those that it lacks. Where the node is gone or given
//! no work any more, another one that has or can have the parts takes over; where there is none it waits.

use super::Scene;
use crate::core::{
    command::Command,
    joins::Parts,
    placement::Sites,
    tables::{Joining, MaterialRecord, Materials},
    view::{Typed, ViewError},
};
use microtome_proto::{MaterialId, NodeId};

/// Looked at in one round.
const JOINS_AT_ONCE: usize = 100;

pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut commands = Vec::new();
    let mut sites = None;
    for id in in_turn(scene)? {
        if commands.len() >= scene.knobs.commands_max {
            break;
        }
        let Some(record) = scene.view.get_record::<Materials>(&id)? else { continue };
        let Some(parts) = record.joining().map(|parts| Parts::read(scene.view, parts)).transpose()?.flatten() else {
            continue;
        };
        let place = record.receiving();
        match place.map(|place| stand(scene, &place.node, &parts)) {
            Some(Stand::Waits) => {}
            Some(Stand::Lacks(node)) => commands.extend(fetch(scene, &node, &parts)),
            Some(Stand::Gone) | None => {
                let sites = match &mut sites {
                    Some(sites) => sites,
                    none => none.insert(Sites::survey(scene.view, scene.roster)?),
                };
                commands.extend(settle_down(scene, sites, &id, &record, &parts));
            }
        }
    }
    commands.truncate(scene.knobs.commands_max);
    Ok(commands)
}

/// Those that this round looks at, with all their parts. Where there are too many they take turns.
fn in_turn(scene: &Scene<'_>) -> Result<Vec<MaterialId>, ViewError> {
    let mut joining = scene.view.scan_keys::<Joining>(&[], None).collect::<Result<Vec<_>, _>>()?;
    if joining.len() > JOINS_AT_ONCE {
        let count = joining.len() as u64;
        joining.rotate_left((scene.observed.rounds() % count * JOINS_AT_ONCE as u64 % count) as usize);
        joining.truncate(JOINS_AT_ONCE);
    }
    Ok(joining)
}

/// What a place is worth.
enum Stand {
    /// All parts are there, or it will be heard of.
    Waits,
    /// It takes what it lacks.
    Lacks(NodeId),
    /// It will not have all of them.
    Gone,
}

fn stand(scene: &Scene<'_>, node: &NodeId, parts: &Parts) -> Stand {
    let Some(peer) = scene.roster.get(node) else { return Stand::Gone };
    let is_whole = parts.missing_at(node).next().is_none();
    let has_failed = || parts.missing_at(node).any(|(id, _)| scene.observed.failed_lately(id, node));
    if peer.counts() && (is_whole || peer.is_expected()) {
        Stand::Waits
    } else if peer.takes_work() && !has_failed() {
        Stand::Lacks(node.clone())
    } else {
        Stand::Gone
    }
}

/// Has some of the missing parts copied to `node`.
fn fetch(scene: &Scene<'_>, node: &NodeId, parts: &Parts) -> Vec<Command> {
    let is_under_way = |part: &MaterialRecord| part.replica(node).is_some();
    let under_way = parts.missing_at(node).filter(|(_, part)| is_under_way(part)).count();
    let budget = scene.knobs.copies_per_node_max.saturating_sub(under_way);
    let to_begin = parts.missing_at(node).filter(|(id, part)| {
        let has_source = part.verified().any(|replica| scene.roster.is(&replica.node, |peer| peer.is_up()));
        !is_under_way(part) && has_source && !scene.observed.failed_lately(id, node)
    });
    let begin = |(id, _): &(MaterialId, _)| Command::AddReplica { material: id.clone(), node: node.clone() };
    to_begin.take(budget).map(begin).collect()
}

/// Finds a place. A node where it failed lately is passed over for a while.
fn settle_down(
    scene: &Scene<'_>,
    sites: &mut Sites,
    id: &MaterialId,
    record: &MaterialRecord,
    parts: &Parts,
) -> Option<Command> {
    let is_free = |node: &NodeId| record.replica(node).is_none() && !scene.observed.failed_lately(id, node);
    let node = parts.sites(sites, scene.roster).into_iter().map(|it| it.node).find(is_free)?;
    let missing: u64 = parts.missing_at(&node).map(|(_, part)| part.size).sum();
    sites.book(&node, parts.size().saturating_add(missing));
    let material = id.clone();
    Some(match record.receiving() {
        Some(place) => Command::MoveUpload { material, generation: place.generation, node },
        None => Command::AddReplica { material, node },
    })
}
