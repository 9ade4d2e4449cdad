//! What ends materials, and what keeps them.

use super::{
    Applied, Stop,
    books::store_material,
    materials::{discard, living, update},
    replicas::assigned,
};
use crate::core::{
    command::{Life, Outcome},
    draft::Draft,
    tables::{MaterialRecord, Materials},
    uses::in_runs,
    view::Typed,
};
use microtome_proto::{Code, Generation, MaterialId, NodeId, Timestamp};

pub(super) fn apply(draft: &mut Draft<'_>, at: Timestamp, command: &Life) -> Applied {
    match command {
        Life::End { due } => end(draft, at, due),
        Life::Use { reads } => read(draft, at, reads),
        Life::Set { material, name, population, expires_at, idle_s } => {
            update(draft, at, material, name.as_deref(), *population)?;
            let before = living(draft, material)?;
            let mut after = before.clone();
            after.terms.expires_at = expires_at.unwrap_or(before.terms.expires_at);
            after.terms.idle_s = idle_s.unwrap_or(before.terms.idle_s);
            store_material(draft, at, material, Some(&before), after)?;
            Ok(Outcome::Done)
        }
        Life::Refuse { material, node, generation } => refuse_upload(draft, at, material, node, *generation),
    }
}

/// What was extended or read since this was planned has another end, and stays.
fn end(draft: &mut Draft<'_>, at: Timestamp, due: &[(MaterialId, Timestamp)]) -> Applied {
    let in_runs = in_runs(draft)?;
    for (material, ends_at) in due.iter().filter(|(material, _)| !in_runs.contains(material)) {
        let record = draft.get_record::<Materials>(material)?;
        let is_still_due = record.and_then(|record| record.ends_at()) == Some(*ends_at) && *ends_at <= at;
        if is_still_due {
            discard(draft, at, material)?;
        }
    }
    Ok(Outcome::Done)
}

fn read(draft: &mut Draft<'_>, at: Timestamp, reads: &[(MaterialId, Timestamp)]) -> Applied {
    for (material, read_at) in reads {
        let Some(before) = draft.get_record::<Materials>(material)? else { continue };
        // Nobody reads in the future, whatever a clock says.
        let read_at = (*read_at).min(at);
        if !before.is_deleted() && !before.covers(read_at) {
            let after = MaterialRecord { used_at: before.used_at.max(Some(read_at)), ..before.clone() };
            store_material(draft, at, material, Some(&before), after)?;
        }
    }
    Ok(Outcome::Done)
}

/// Only what has never counted can be refused.
fn refuse_upload(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    node: &NodeId,
    generation: Generation,
) -> Result<Outcome, Stop> {
    let before = living(draft, material)?;
    assigned(&before, material, node, generation)?;
    if before.blake3.is_some() {
        return super::refuse(Code::StaleGeneration, format!("a copy of {material} counts already"));
    }
    let mut after = MaterialRecord { deleted_at: Some(at), ..before.clone() };
    after.replicas.retain(|replica| replica.node != *node);
    store_material(draft, at, material, Some(&before), after)?;
    Ok(Outcome::Done)
}
