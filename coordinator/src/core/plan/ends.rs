//! Materials whose time is over, and reads that are to be written so that it is not: see [`uses`](crate::core::uses).

use super::Scene;
use crate::core::{
    command::{Command, Life},
    tables::{Ends, Materials},
    uses::{Ending, in_runs},
    view::{Typed, ViewError},
};
use microtome_proto::{MaterialId, Timestamp};
use std::collections::BTreeMap;

pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut commands = Vec::new();
    let reads = reads(scene)?;
    if !reads.is_empty() {
        commands.push(Command::Life(Life::Use { reads }));
    }
    let due = ending(scene)?;
    if !due.is_empty() {
        commands.push(Command::Life(Life::End { due }));
    }
    Ok(commands)
}

/// What nodes have told and the books do not cover yet: for each material the latest read.
fn reads(scene: &Scene<'_>) -> Result<Vec<(MaterialId, Timestamp)>, ViewError> {
    let mut latest = BTreeMap::<&MaterialId, Timestamp>::new();
    let told = scene.roster.iter().filter_map(|(_, peer)| peer.seen?.uses.as_ref());
    for (material, &read_at) in told.flat_map(|told| &told.due) {
        let known = latest.entry(material).or_insert(read_at);
        *known = read_at.max(*known);
    }
    let mut reads = Vec::new();
    for (material, read_at) in latest {
        if reads.len() >= scene.knobs.commands_max {
            break;
        }
        let record = scene.view.get_record::<Materials>(material)?;
        if record.is_some_and(|record| !record.is_deleted() && !record.covers(read_at)) {
            reads.push((material.clone(), read_at));
        }
    }
    Ok(reads)
}

/// Materials that are due and that nobody uses.
fn ending(scene: &Scene<'_>) -> Result<Vec<(MaterialId, Timestamp)>, ViewError> {
    let due = in_turn(scene)?;
    let in_runs = if due.is_empty() { Default::default() } else { in_runs(scene.view)? };
    let mut ending = Vec::new();
    for (ends_at, material) in due {
        if in_runs.contains(&material) {
            continue;
        }
        let Some(record) = scene.view.get_record::<Materials>(&material)? else { continue };
        let end = Ending {
            material: &material,
            record: &record,
            ends_at,
            at: scene.at,
            listens_for_ms: scene.observed.listens_for_ms(scene.now_ms),
            told_within_ms: scene.timing.unreachable_after_ms,
        };
        let mut holders = record.replicas.iter().filter_map(|replica| scene.roster.get(&replica.node));
        if holders.all(|peer| end.is_let_go(peer)) {
            ending.push((material, ends_at));
        }
    }
    Ok(ending)
}

/// Those whose time is over that this round looks at: where there are too many some by turns, so that what is used keeps
/// none from ending.
fn in_turn(scene: &Scene<'_>) -> Result<Vec<(Timestamp, MaterialId)>, ViewError> {
    let is_due = |key: &Result<(Timestamp, MaterialId), ViewError>| match key {
        Ok((ends_at, _)) => *ends_at <= scene.at,
        Err(_) => true,
    };
    let due = scene.view.scan_keys::<Ends>(&[], None).take_while(is_due).collect::<Result<Vec<_>, _>>()?;
    let (count, most) = (due.len(), scene.knobs.ends_max);
    if count <= most {
        return Ok(due);
    }
    let first = scene.observed.rounds() % count as u64 * most as u64 % count as u64;
    Ok(due.into_iter().cycle().skip(first as usize).take(most).collect())
}
