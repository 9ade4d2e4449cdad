//! Materials: made, renamed, deleted.

use super::{
    Applied, Stop, accounts, books::store_material, earlier, key_reused, meta, next, next_generation, nodes, refuse,
    runs, spaces,
};
use crate::core::{
    command::Outcome,
    draft::Draft,
    tables::{Concat, MaterialRecord, Materials, ReplicaRecord, RequestRecord},
    view::Typed,
};
use microtome_proto::{
    Code, Generation, MaterialId, NodeId, Timestamp,
    limits::{MATERIAL_SIZE_MAX, NAME_LEN_MAX, POPULATION_MAX},
    material::{Origin, Owner, ReplicaState, Terms},
};

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) request: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) size: u64,
    pub(super) size_deferred: bool,
    pub(super) media_type: &'a str,
    pub(super) blake3: Option<&'a str>,
    pub(super) population: u32,
    pub(super) origin: Option<&'a Origin>,
    pub(super) partial: bool,
    pub(super) owner: Option<&'a Owner>,
    pub(super) terms: &'a Terms,
}

pub(super) fn create(draft: &mut Draft<'_>, at: Timestamp, wanted: &Wanted<'_>, node: &NodeId) -> Applied {
    if let Some(earlier) = earlier(draft, wanted.request)? {
        return repeat(draft, &earlier, wanted);
    }
    check_name(wanted.name)?;
    check_population(wanted.population)?;
    if wanted.size > MATERIAL_SIZE_MAX {
        return refuse(Code::TooLarge, format!("{} bytes: a material has at most {MATERIAL_SIZE_MAX}", wanted.size));
    }
    accounts::must_live(draft, wanted.terms.case.as_ref())?;
    spaces::must_admit(draft, wanted.terms, wanted.owner, if wanted.size_deferred { 0 } else { wanted.size })?;
    nodes::member(draft, node)?;
    let Some(cluster) = meta(draft)?.cluster else {
        return refuse(Code::NotReady, "the cluster is not founded yet");
    };
    let sequence = next(draft, |meta| &mut meta.material_last)?;
    let id = MaterialId::from_counter(&cluster, sequence);
    if let Some(origin) = wanted.origin {
        runs::remember(draft, origin, &id)?;
    }
    let generation = next_generation(draft)?;
    let record = MaterialRecord {
        sequence,
        name: wanted.name.to_owned(),
        size: if wanted.size_deferred { 0 } else { wanted.size },
        size_deferred: wanted.size_deferred,
        media_type: wanted.media_type.to_owned(),
        announced: wanted.blake3.map(str::to_owned),
        blake3: None,
        population: if wanted.partial { 1 } else { wanted.population },
        origin: wanted.origin.cloned(),
        concat: wanted.partial.then_some(Concat::Partial { taken_by: None }),
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

/// The answer to a request that was carried out before.
fn repeat(draft: &Draft<'_>, earlier: &RequestRecord, wanted: &Wanted<'_>) -> Applied {
    let RequestRecord::Material(id) = earlier else { return key_reused() };
    let record = living(draft, id)?;
    if record.size_deferred != wanted.size_deferred
        || (!wanted.size_deferred && record.size != wanted.size)
        || record.announced.as_deref() != wanted.blake3
        || record.origin.as_ref() != wanted.origin
        || record.owner.as_ref() != wanted.owner
        || !is_same_place(&record.terms, wanted.terms)
        || record.concat.is_some() != wanted.partial
        || record.is_partial() != wanted.partial
    {
        return key_reused();
    }
    // Of a material that has arrived no assignment is open: any of its copies' will do.
    let replica = record.receiving().or_else(|| record.replicas.first());
    let generation = replica.map_or(Generation(0), |replica| replica.generation);
    Ok(Outcome::Material { material: id.clone(), generation, existed: true })
}

/// Whether two things belong to the same place; when they end is told anew with each request.
pub(super) fn is_same_place(one: &Terms, other: &Terms) -> bool {
    (&one.space, &one.key, &one.case) == (&other.space, &other.key, &other.case)
}

pub(super) fn move_upload(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    generation: Generation,
    node: &NodeId,
) -> Applied {
    let before = living(draft, material)?;
    nodes::member(draft, node)?;
    let Some(place) = before.receiving().filter(|replica| replica.generation == generation) else {
        return refuse(Code::StaleGeneration, format!("the upload of {material} is not at generation {generation}"));
    };
    if place.node != *node && before.replica(node).is_some() {
        return refuse(Code::Conflict, format!("node {node} has a copy of {material} already"));
    }
    let generation = next_generation(draft)?;
    let mut after = before.clone();
    after.replicas.retain(|replica| replica.state != ReplicaState::Receiving);
    after.replicas.push(ReplicaRecord::new(node, ReplicaState::Receiving, generation));
    store_material(draft, at, material, Some(&before), after)?;
    Ok(Outcome::Assigned { generation })
}

pub(super) fn update(
    draft: &mut Draft<'_>,
    at: Timestamp,
    material: &MaterialId,
    name: Option<&str>,
    population: Option<u32>,
) -> Applied {
    let before = living(draft, material)?;
    if before.is_partial() {
        return refuse(Code::NotFound, format!("there is no material {material}"));
    }
    let mut after = before.clone();
    if let Some(name) = name {
        check_name(name)?;
        name.clone_into(&mut after.name);
    }
    if let Some(population) = population {
        check_population(population)?;
        after.population = population;
    }
    store_material(draft, at, material, Some(&before), after)?;
    Ok(Outcome::Done)
}

pub(super) fn delete(draft: &mut Draft<'_>, at: Timestamp, material: &MaterialId) -> Applied {
    if let Some(record) = draft.get_record::<Materials>(material)?
        && let Some(taker) = record.taken_by()
    {
        let detail = format!("{material} is a part of {taker}, which is being put together: delete that one");
        return refuse(Code::Conflict, detail);
    }
    if !discard(draft, at, material)? {
        return refuse(Code::NotFound, format!("there is no material {material}"));
    }
    Ok(Outcome::Done)
}

/// Deletes a material if there is one.
pub(super) fn discard(draft: &mut Draft<'_>, at: Timestamp, material: &MaterialId) -> Result<bool, Stop> {
    let Some(before) = draft.get_record::<Materials>(material)? else { return Ok(false) };
    let mut after = before.clone();
    after.deleted_at = after.deleted_at.or(Some(at));
    store_material(draft, at, material, Some(&before), after)?;
    Ok(true)
}

/// A material that is not deleted.
pub(super) fn living(draft: &Draft<'_>, material: &MaterialId) -> Result<MaterialRecord, Stop> {
    match draft.get_record::<Materials>(material)? {
        Some(record) if record.is_deleted() => refuse(Code::Gone, format!("material {material} was deleted")),
        Some(record) => Ok(record),
        None => refuse(Code::NotFound, format!("there is no material {material}")),
    }
}

pub(super) fn check_name(name: &str) -> Result<(), Stop> {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return refuse(Code::BadRequest, format!("a name has 1 to {NAME_LEN_MAX} bytes"));
    }
    Ok(())
}

pub(super) fn check_population(population: u32) -> Result<(), Stop> {
    if !(1..=POPULATION_MAX).contains(&population) {
        return refuse(
            Code::BadRequest,
            format!("population {population}: 1 to {POPULATION_MAX} copies can be wanted"),
        );
    }
    Ok(())
}
