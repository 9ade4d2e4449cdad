//! How a material's or a run's record is written: its indexes and sums follow from its form before and after.

use super::{Stop, accounts, concat, meta, spaces};
use crate::core::{
    draft::Draft,
    tables::{
        Arriving, ArrivingRecord, ByHash, Concat, Damaged, Ends, InCase, InSpace, Joining, Leaving, MaterialRecord,
        Materials, MaterialsByAge, Meta, OnNode, RequestRecord, Requests, RunRecord, Runs, RunsOnNode, Totals,
        TotalsRecord, Unsettled, WaitingRuns,
    },
    view::{Table, Typed, ViewError, stored_key, stored_record},
};
use microtome_proto::{MaterialId, NodeId, RunId, Timestamp, material::ReplicaState, protocol, run::RunState};
use std::collections::{BTreeMap, BTreeSet};

/// Writes a material. An upload that lost its only place is deleted with it; of a deleted material every copy is to be
/// freed; a deleted material without copies is no more; a copy takes the place of another only while that one is there.
/// One that never arrived gives its request's key back, so that who asks again is given one that can. One that is to be put
/// together from parts is not lost with its place, since its parts are there; whole or deleted, it takes them along.
pub(super) fn store_material(
    draft: &mut Draft<'_>,
    at: Timestamp,
    id: &MaterialId,
    before: Option<&MaterialRecord>,
    mut after: MaterialRecord,
) -> Result<(), Stop> {
    let is_lost = after.blake3.is_none() && after.receiving().is_none() && after.joining().is_none();
    if is_lost && !after.is_deleted() {
        after.deleted_at = Some(at);
    }
    if after.is_deleted() {
        if after.blake3.is_none() {
            after.request = None;
        }
        for replica in &mut after.replicas {
            replica.state = ReplicaState::Dropping;
        }
    }
    note_arrival(at, before, &mut after);
    let places: BTreeSet<_> = after.replicas.iter().map(|replica| replica.node.clone()).collect();
    for replica in &mut after.replicas {
        replica.replaces = replica.replaces.take().filter(|from| places.contains(from));
    }
    let ended = before.and_then(MaterialRecord::joining).filter(|_| after.joining().is_none());
    if let (Some(_), Some(Concat::Final { parts, .. })) = (ended, &mut after.concat) {
        parts.clear();
    }
    let after = (!after.is_deleted() || !after.replicas.is_empty()).then_some(after);
    if before == after.as_ref() {
        return Ok(());
    }
    match &after {
        Some(record) => draft.put::<Materials>(id, record)?,
        None => draft.remove::<Materials>(id),
    }
    match (before.and_then(|record| record.request.as_ref()), after.as_ref().and_then(|record| record.request.as_ref()))
    {
        (None, Some(request)) => draft.put::<Requests>(request, &RequestRecord::Material(id.clone()))?,
        (Some(request), None) => draft.remove::<Requests>(request),
        _ => {}
    }
    if let Some(before) = before.filter(|_| after.as_ref().is_none_or(MaterialRecord::is_deleted)) {
        spaces::depart(draft, id, before)?;
    }
    // Those that speak an older protocol keep no such index: all come to the same state.
    let belongs = meta(draft)?.protocol() >= protocol::BELONGING;
    reindex(draft, &material_index(id, before, belongs)?, material_index(id, after.as_ref(), belongs)?);
    sum(draft, before, after.as_ref())?;
    spaces::sum(draft, before, after.as_ref())?;
    if let Some(case) = before.and_then(|record| record.terms.case.as_ref()) {
        accounts::empty(draft, case)?;
    }
    concat::end_parts(draft, at, id, ended.unwrap_or_default())
}

/// That it arrives counts as a use, and so does that its idle time becomes another: from then on it is counted.
fn note_arrival(at: Timestamp, before: Option<&MaterialRecord>, after: &mut MaterialRecord) {
    let counts = |record: &MaterialRecord| record.terms.idle_s.filter(|_| record.blake3.is_some());
    match counts(after) {
        None => after.used_at = None,
        idle_s if before.and_then(counts) != idle_s => after.used_at = after.used_at.max(Some(at)),
        Some(_) => {}
    }
}

/// Writes a run.
pub(super) fn store_run(
    draft: &mut Draft<'_>,
    id: &RunId,
    before: Option<&RunRecord>,
    after: &RunRecord,
) -> Result<(), Stop> {
    if before == Some(after) {
        return Ok(());
    }
    draft.put::<Runs>(id, after)?;
    if before.is_none()
        && let Some(request) = &after.request
    {
        draft.put::<Requests>(request, &RequestRecord::Run(id.clone()))?;
    }
    reindex(draft, &run_index(id, before)?, run_index(id, Some(after))?);
    Ok(())
}

/// Index entries in their stored form.
#[derive(Default)]
struct Index(BTreeMap<Vec<u8>, Vec<u8>>);

impl Index {
    fn add<T: Table>(&mut self, key: &T::Key, record: &T::Record) -> Result<(), ViewError> {
        let key = stored_key::<T>(key);
        let record = stored_record::<T>(&key, record)?;
        self.0.insert(key, record);
        Ok(())
    }
}

fn reindex(draft: &mut Draft<'_>, before: &Index, after: Index) {
    for key in before.0.keys().filter(|key| !after.0.contains_key(*key)) {
        draft.set_stored(key.clone(), None);
    }
    for (key, record) in after.0 {
        if before.0.get(&key) != Some(&record) {
            draft.set_stored(key, Some(record));
        }
    }
}

fn material_index(id: &MaterialId, record: Option<&MaterialRecord>, belongs: bool) -> Result<Index, ViewError> {
    let mut index = Index::default();
    let Some(record) = record else { return Ok(index) };
    if !record.is_partial() {
        index.add::<MaterialsByAge>(&record.sequence, id)?;
        if let Some(space) = &record.terms.space {
            index.add::<InSpace>(&(space.clone(), record.sequence), id)?;
        }
    }
    if let Some(place) = spaces::by_hash(id, record).filter(|_| belongs) {
        index.add::<ByHash>(&place, &())?;
    }
    if let Some(case) = record.terms.case.as_ref().filter(|_| !record.is_deleted()) {
        index.add::<InCase>(&(case.clone(), record.sequence), id)?;
    }
    if record.joining().is_some() {
        index.add::<Joining>(id, &())?;
    }
    if !record.is_settled() {
        index.add::<Unsettled>(id, &())?;
    }
    if let Some(at) = record.ends_at() {
        index.add::<Ends>(&(at, id.clone()), &())?;
    }
    for replica in &record.replicas {
        let place = (replica.node.clone(), id.clone());
        index.add::<OnNode>(&place, &())?;
        let arriving = |copying| ArrivingRecord { generation: replica.generation, size: record.size, copying };
        match replica.state {
            ReplicaState::Receiving => index.add::<Arriving>(&place, &arriving(false))?,
            ReplicaState::Copying => index.add::<Arriving>(&place, &arriving(true))?,
            ReplicaState::Verified => {}
            ReplicaState::Damaged => index.add::<Damaged>(&place, &replica.generation)?,
            ReplicaState::Dropping => index.add::<Leaving>(&place, &replica.generation)?,
        }
    }
    Ok(index)
}

fn run_index(id: &RunId, record: Option<&RunRecord>) -> Result<Index, ViewError> {
    let mut index = Index::default();
    let Some(record) = record else { return Ok(index) };
    match (record.state, &record.node) {
        (RunState::Waiting, _) => index.add::<WaitingRuns>(id, &())?,
        (state, Some(node)) if !state.is_final() => {
            index.add::<RunsOnNode>(&(node.clone(), id.clone()), &record.attempt)?;
        }
        _ => {}
    }
    Ok(index)
}

fn sum(
    draft: &mut Draft<'_>,
    before: Option<&MaterialRecord>,
    after: Option<&MaterialRecord>,
) -> Result<(), ViewError> {
    let living = |record: Option<&MaterialRecord>| {
        let shown = record.filter(|record| !record.is_deleted() && !record.is_partial());
        shown.map_or((0, 0), |record| (1, record.size))
    };
    let (old, new) = (living(before), living(after));
    if old != new {
        let mut meta = meta(draft)?;
        meta.materials = (meta.materials + new.0).saturating_sub(old.0);
        meta.bytes = (meta.bytes + new.1).saturating_sub(old.1);
        draft.put::<Meta>(&(), &meta)?;
    }
    let holders = |record: Option<&MaterialRecord>| -> BTreeSet<NodeId> {
        record.into_iter().flat_map(MaterialRecord::verified).map(|replica| replica.node.clone()).collect()
    };
    let size = |record: Option<&MaterialRecord>| record.map_or(0, |record| record.size);
    let (old, new) = (holders(before), holders(after));
    for node in old.symmetric_difference(&new) {
        let totals = draft.get_record::<Totals>(node)?.unwrap_or_default();
        let totals = if new.contains(node) {
            TotalsRecord { replicas: totals.replicas + 1, bytes: totals.bytes + size(after) }
        } else {
            TotalsRecord {
                replicas: totals.replicas.saturating_sub(1),
                bytes: totals.bytes.saturating_sub(size(before)),
            }
        };
        if totals == TotalsRecord::default() {
            draft.remove::<Totals>(node);
        } else {
            draft.put::<Totals>(node, &totals)?;
        }
    }
    Ok(())
}
