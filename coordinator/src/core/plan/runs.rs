//! Runs: to the nodes that hold their inputs, and away from nodes that died.

use super::Scene;
use crate::core::{
    command::Command,
    keys,
    tables::{Materials, NO_ATTEMPT, RunRecord, Runs, RunsOnNode, WaitingRuns},
    view::{Typed, ViewError},
};
use microtome_proto::{MaterialId, NodeId, RunId};
use std::{cmp::Reverse, collections::BTreeMap};

pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut commands = requeue(scene)?;
    if scene.view.scan_keys::<WaitingRuns>(&[], None).next().is_none() {
        return Ok(commands);
    }
    let mut slots = free_slots(scene)?;
    let waiting = if slots.values().any(|&free| free > 0) { in_turn(scene)? } else { Vec::new() };
    for run in waiting {
        if slots.values().all(|&free| free == 0) || commands.len() >= scene.knobs.commands_max {
            break;
        }
        let Some(record) = scene.view.get_record::<Runs>(&run)? else { continue };
        match inputs(scene, &record)? {
            Inputs::Gone(input) => commands.push(Command::RunFailed {
                run,
                attempt: NO_ATTEMPT,
                reason: format!("its input {input} was deleted before it could start"),
            }),
            Inputs::Missing => {}
            Inputs::Held(holders) => {
                if let Some(node) = choose(scene, &run, &record, &holders, &slots) {
                    if let Some(free) = slots.get_mut(&node) {
                        *free -= 1;
                    }
                    commands.push(Command::AssignRun { run, node });
                }
            }
        }
    }
    Ok(commands)
}

/// The waiting runs that this round looks at. Where there are too many these are the oldest and, by turns, some of the
/// others: those that wait for an input or for a node keep none from starting.
fn in_turn(scene: &Scene<'_>) -> Result<Vec<RunId>, ViewError> {
    let mut waiting = scene.view.scan_keys::<WaitingRuns>(&[], None).collect::<Result<Vec<_>, _>>()?;
    let most = scene.knobs.waiting_runs_max;
    if waiting.len() > most {
        let others = waiting.split_off(most / 2);
        let (count, at_once) = (others.len() as u64, most - waiting.len());
        let first = scene.observed.rounds() % count * at_once as u64 % count;
        waiting.extend(others.into_iter().cycle().skip(first as usize).take(at_once));
    }
    Ok(waiting)
}

/// Attempts on nodes that are down or removed end.
fn requeue(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut commands = Vec::new();
    for (node, peer) in scene.roster.iter().filter(|(_, peer)| !peer.counts()) {
        let why = if peer.is_member() { "does not answer" } else { "was removed" };
        for entry in scene.view.scan_records::<RunsOnNode>(&keys::node(node), None) {
            let ((_, run), attempt) = entry?;
            commands.push(Command::RequeueRun { run, attempt, reason: format!("node {node} {why}") });
        }
    }
    commands.truncate(scene.knobs.commands_max);
    Ok(commands)
}

/// How many runs each node could still begin. One that takes none is left out: no run waits for it.
fn free_slots(scene: &Scene<'_>) -> Result<BTreeMap<NodeId, usize>, ViewError> {
    let mut slots = BTreeMap::new();
    for (node, peer) in scene.roster.iter().filter(|(_, peer)| peer.takes_work()) {
        let told = peer.seen.and_then(|seen| seen.report.runs_max);
        let mut free = told.map_or(scene.knobs.runs_per_node_max, |runs_max| runs_max as usize);
        if free == 0 {
            continue;
        }
        for entry in scene.view.scan_keys::<RunsOnNode>(&keys::node(node), None) {
            entry?;
            free = free.saturating_sub(1);
        }
        slots.insert(node.clone(), free);
    }
    Ok(slots)
}

/// What a node has of a run's inputs.
#[derive(Default)]
struct Holding {
    inputs: usize,
    bytes: u64,
}

enum Inputs {
    /// One was deleted: the run can never start.
    Gone(MaterialId),
    /// One has not arrived, or no node that answers has it.
    Missing,
    /// All can be read; by node, what it has of them.
    Held(BTreeMap<NodeId, Holding>),
}

fn inputs(scene: &Scene<'_>, run: &RunRecord) -> Result<Inputs, ViewError> {
    let mut holders = BTreeMap::<NodeId, Holding>::new();
    for input in &run.inputs {
        let record = scene.view.get_record::<Materials>(input)?;
        let Some(record) = record.filter(|record| !record.is_deleted()) else {
            return Ok(Inputs::Gone(input.clone()));
        };
        let mut is_readable = false;
        for replica in record.verified().filter(|replica| scene.roster.is(&replica.node, |peer| peer.is_up())) {
            is_readable = true;
            let holding = holders.entry(replica.node.clone()).or_default();
            holding.inputs += 1;
            holding.bytes += record.size;
        }
        if !is_readable {
            return Ok(Inputs::Missing);
        }
    }
    Ok(Inputs::Held(holders))
}

/// The least busy of the nodes that hold all inputs; the run waits while they have no free slot. Where no node holds
/// all of them the one that holds the most bytes.
fn choose(
    scene: &Scene<'_>,
    run: &RunId,
    record: &RunRecord,
    holders: &BTreeMap<NodeId, Holding>,
    slots: &BTreeMap<NodeId, usize>,
) -> Option<NodeId> {
    let is_whole = |holding: &Holding| holding.inputs == record.inputs.len();
    let any_whole = holders.iter().any(|(node, holding)| is_whole(holding) && slots.contains_key(node));
    holders
        .iter()
        .filter(|(node, holding)| {
            (is_whole(holding) || !any_whole)
                && slots.get(*node).is_some_and(|&free| free > 0)
                && !scene.observed.refused_lately(run, node)
        })
        .min_by_key(|(node, holding)| {
            let load = scene.roster.get(node).map(|peer| peer.load());
            (Reverse(holding.bytes), Reverse(slots.get(*node)), load)
        })
        .map(|(node, _)| node.clone())
}
