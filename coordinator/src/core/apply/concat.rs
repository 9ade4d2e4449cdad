//! Materials that are put together from parts: made, and what becomes of the parts.

use super::{
    Applied, Stop, accounts,
    books::store_material,
    earlier, key_reused,
    materials::{check_name, check_population, is_same_place, living},
    meta, next, next_generation, nodes, refuse, spaces,
};
use crate::core::{
    command::Outcome,
    draft::Draft,
    tables::{Concat, MaterialRecord, Materials, ReplicaRecord, RequestRecord},
    view::Typed,
};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, Timestamp,
    limits::{CONCAT_PARTS_MAX, MATERIAL_SIZE_MAX},
    material::{Owner, ReplicaState, Terms},
};
use std::collections::BTreeSet;

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) request: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) media_type: &'a str,
    pub(super) blake3: Option<&'a str>,
    pub(super) population: u32,
    pub(super) parts: &'a [MaterialId],
    pub(super) given: &'a str,
    pub(super) owner: Option<&'a Owner>,
    pub(super) terms: &'a Terms,
}

pub(super) fn join(draft: &mut Draft<'_>, at: Timestamp, wanted: &Wanted<'_>, node: &NodeId) -> Applied {
    if let Some(earlier) = earlier(draft, wanted.request)? {
        let RequestRecord::Material(id) = earlier else { return key_reused() };
        let record = living(draft, &id)?;
        let is_same = matches!(&record.concat, Some(Concat::Final { given, .. }) if given == wanted.given)
            && record.announced.as_deref() == wanted.blake3
            && record.owner.as_ref() == wanted.owner
            && is_same_place(&record.terms, wanted.terms);
        return if is_same { Ok(made_before(id, &record)) } else { key_reused() };
    }
    accounts::must_live(draft, wanted.terms.case.as_ref())?;
    check_name(wanted.name)?;
    check_population(wanted.population)?;
    let distinct: BTreeSet<_> = wanted.parts.iter().collect();
    if wanted.parts.is_empty() || wanted.parts.len() > CONCAT_PARTS_MAX || distinct.len() != wanted.parts.len() {
        return refuse(Code::BadRequest, format!("a file has 1 to {CONCAT_PARTS_MAX} parts, none of them twice"));
    }
    let mut parts = Vec::with_capacity(wanted.parts.len());
    for id in wanted.parts {
        let record = part(draft, id)?;
        // An administrator may put together what others have sent.
        if wanted.owner.is_some() && record.owner.as_ref() != wanted.owner {
            return refuse(Code::NotFound, format!("there is no part {id}"));
        }
        if let Some(taker) = record.taken_by() {
            // Its sender asks again: the first answer was lost.
            let taken = living(draft, taker)?;
            if taken.joining() == Some(wanted.parts) {
                return Ok(made_before(taker.clone(), &taken));
            }
            return refuse(Code::Conflict, format!("{id} is a part of {taker} already"));
        }
        if record.blake3.is_none() {
            return refuse(Code::Conflict, format!("the part {id} has not all its bytes yet"));
        }
        parts.push(record);
    }
    let size = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.size));
    if size > MATERIAL_SIZE_MAX {
        return refuse(Code::TooLarge, format!("{size} bytes in all: a material has at most {MATERIAL_SIZE_MAX}"));
    }
    spaces::must_admit(draft, wanted.terms, wanted.owner, size)?;
    nodes::member(draft, node)?;
    let Some(cluster) = meta(draft)?.cluster else {
        return refuse(Code::NotReady, "the cluster is not founded yet");
    };
    let sequence = next(draft, |meta| &mut meta.material_last)?;
    let id = MaterialId::from_counter(&cluster, sequence);
    for (part, before) in wanted.parts.iter().zip(parts) {
        set_taken_by(draft, at, part, &before, Some(id.clone()))?;
    }
    let generation = next_generation(draft)?;
    let record = MaterialRecord {
        sequence,
        name: wanted.name.to_owned(),
        size,
        size_deferred: false,
        media_type: wanted.media_type.to_owned(),
        announced: wanted.blake3.map(str::to_owned),
        blake3: None,
        population: wanted.population,
        origin: None,
        concat: Some(Concat::Final { parts: wanted.parts.to_vec(), given: wanted.given.to_owned() }),
        owner: wanted.owner.cloned(),
        terms: wanted.terms.clone(),
        used_at: None,
        request: wanted.request.map(str::to_owned),
        created_at: at,
        deleted_at: None,
        replicas: vec![ReplicaRecord::new(node, ReplicaState::Receiving, generation)],
    };
    store_material(draft, at, &id, None, record)?;
    Ok(Outcome::Material { material: id, generation, existed: false })
}

fn made_before(material: MaterialId, record: &MaterialRecord) -> Outcome {
    let replica = record.receiving().or_else(|| record.replicas.first());
    Outcome::Material {
        material,
        generation: replica.map_or(Generation(0), |replica| replica.generation),
        existed: true,
    }
}

/// A part, whole or not.
fn part(draft: &Draft<'_>, id: &MaterialId) -> Result<MaterialRecord, Stop> {
    match draft.get_record::<Materials>(id)? {
        Some(record) if record.is_deleted() => refuse(Code::Gone, format!("the part {id} was deleted")),
        Some(record) if record.is_partial() => Ok(record),
        Some(_) => refuse(Code::BadRequest, format!("{id} is no part: it was made without 'Upload-Concat: partial'")),
        None => refuse(Code::NotFound, format!("there is no part {id}")),
    }
}

fn set_taken_by(
    draft: &mut Draft<'_>,
    at: Timestamp,
    part: &MaterialId,
    before: &MaterialRecord,
    taken_by: Option<MaterialId>,
) -> Result<(), Stop> {
    let after = MaterialRecord { concat: Some(Concat::Partial { taken_by }), ..before.clone() };
    store_material(draft, at, part, Some(before), after)
}

pub(super) fn release(draft: &mut Draft<'_>, at: Timestamp, material: &MaterialId, generation: Generation) -> Applied {
    let Some(before) = draft.get_record::<Materials>(material)? else { return Ok(Outcome::Done) };
    let is_latest = before.receiving().is_some_and(|replica| replica.generation == generation);
    let (Some(parts), true) = (before.joining(), is_latest) else {
        return refuse(
            Code::StaleGeneration,
            format!("{material} is not to be put together at generation {generation}"),
        );
    };
    for part in parts {
        if let Some(record) = draft.get_record::<Materials>(part)? {
            set_taken_by(draft, at, part, &record, None)?;
        }
    }
    let after = MaterialRecord { deleted_at: Some(at), replicas: Vec::new(), ..before.clone() };
    store_material(draft, at, material, Some(&before), after)?;
    Ok(Outcome::Done)
}

/// A file is whole or no more: parts that are still its own end.
pub(super) fn end_parts(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    parts: &[MaterialId],
) -> Result<(), Stop> {
    for part in parts {
        let Some(before) = draft.get_record::<Materials>(part)? else { continue };
        if before.taken_by() == Some(material) {
            let concat = Some(Concat::Partial { taken_by: None });
            let after = MaterialRecord { deleted_at: Some(at), concat, ..before.clone() };
            store_material(draft, at, part, Some(&before), after)?;
        }
    }
    Ok(())
}
