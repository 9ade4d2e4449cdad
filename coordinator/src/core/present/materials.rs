//! Materials as the API shows them, and where their bytes are.

use super::{
    PresentError, Scene,
    page::{page, page_of, page_within},
};
use crate::core::{
    access::Principal,
    keys,
    roster::{Peer, Roster},
    tables::{InCase, InSpace, MaterialRecord, Materials, MaterialsByAge, ReplicaRecord},
    view::{Typed, ViewError},
};
use microtome_proto::{
    CaseId, MaterialId, NodeId,
    internal::Located,
    material::{Material, MaterialState, Replica, ReplicaState},
    page::{Page, PageQuery},
};

impl Scene<'_> {
    /// Whether a material is shown to nobody: a part of a file that is put together.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn is_hidden(&self, id: &MaterialId) -> Result<bool, ViewError> {
        Ok(self.view.get_record::<Materials>(id)?.is_some_and(|record| record.is_partial()))
    }

    /// A material, hidden or not; also a deleted one until its last copy is freed.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn material(&self, id: &MaterialId) -> Result<Option<Material>, ViewError> {
        let Some(record) = self.view.get_record::<Materials>(id)? else { return Ok(None) };
        let roster = self.roster_of([&record])?;
        Ok(Some(present(id.clone(), record, &roster)))
    }

    /// Materials, the newest first.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn materials(&self, query: &PageQuery) -> Result<Page<Material>, PresentError> {
        let (entries, next_cursor) = page::<MaterialsByAge>(self.view, query)?;
        Ok(Page { items: self.all_of(entries.into_iter().map(|(_, id)| id))?, next_cursor })
    }

    /// Those of them that lie in a space.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn materials_in(&self, space: &str, query: &PageQuery) -> Result<Page<Material>, PresentError> {
        let (entries, next_cursor) = page_within::<InSpace>(self.view, &keys::text(space), query)?;
        Ok(Page { items: self.all_of(entries.into_iter().map(|(_, id)| id))?, next_cursor })
    }

    /// Those of them that somebody may read. A page may have fewer than there are, also none, and yet not be the last:
    /// it costs so many looks at most.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn materials_for(&self, asker: &Principal, query: &PageQuery) -> Result<Page<Material>, PresentError> {
        let is_readable = |_: &u64, id: &MaterialId| match self.view.get_record::<Materials>(id)? {
            Some(record) => Ok(asker.rights_on(self.view, id, &record)?.read),
            None => Ok(false),
        };
        let (entries, next_cursor) = page_of::<MaterialsByAge>(self.view, &[], query, is_readable)?;
        Ok(Page { items: self.all_of(entries.into_iter().map(|(_, id)| id))?, next_cursor })
    }

    /// Those of a case.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn materials_of_case(&self, case: &CaseId, query: &PageQuery) -> Result<Page<Material>, PresentError> {
        let (entries, next_cursor) = page_within::<InCase>(self.view, &keys::numbered(case.as_str()), query)?;
        Ok(Page { items: self.all_of(entries.into_iter().map(|(_, id)| id))?, next_cursor })
    }

    fn all_of(&self, ids: impl IntoIterator<Item = MaterialId>) -> Result<Vec<Material>, ViewError> {
        let mut records = Vec::new();
        for id in ids {
            if let Some(record) = self.view.get_record::<Materials>(&id)? {
                records.push((id, record));
            }
        }
        let roster = self.roster_of(records.iter().map(|(_, record)| record))?;
        Ok(records.into_iter().map(|(id, record)| present(id, record, &roster)).collect())
    }

    /// Where a material's bytes can be read just now: on nodes that answer, the least busy first. Where none of them
    /// does, on those that were silent for a short while only: the reader may have more luck than the leader. Damaged
    /// copies serve where there is no other. None for a material that is unknown or deleted.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn located(&self, id: &MaterialId) -> Result<Option<Located>, ViewError> {
        let record = self.view.get_record::<Materials>(id)?.filter(|record| !record.is_deleted());
        let Some(record) = record else { return Ok(None) };
        let roster = self.roster_of([&record])?;
        let of = |replicas: Vec<&ReplicaRecord>| {
            let peers = replicas.into_iter().filter_map(|replica| roster.get(&replica.node));
            peers.filter(|peer| peer.counts()).collect::<Vec<_>>()
        };
        let mut holders = of(record.verified().collect());
        if holders.is_empty() {
            holders = of(record.readable().collect());
        }
        if holders.iter().any(|peer| peer.is_up()) {
            holders.retain(|peer| peer.is_up());
        }
        holders.sort_by_key(|peer| peer.load());
        let receiving = record.receiving().and_then(|replica| roster.get(&replica.node));
        let receiving = receiving.filter(|peer| peer.counts());
        Ok(Some(Located {
            holders: holders.into_iter().map(|peer| peer.record.url.clone()).collect(),
            receiving: receiving.map(|peer| peer.record.url.clone()),
            joining: record.joining().is_some(),
        }))
    }

    /// The node that answers and has got furthest with a copy of its own: it serves what it has.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn arriving(&self, id: &MaterialId) -> Result<Option<String>, ViewError> {
        let record = self.view.get_record::<Materials>(id)?.filter(|record| !record.is_deleted());
        let Some(record) = record else { return Ok(None) };
        let roster = self.roster_of([&record])?;
        let copying = record.replicas.iter().filter(|replica| replica.state == ReplicaState::Copying);
        let peers = copying.filter_map(|replica| roster.get(&replica.node)).filter(|peer| peer.is_up());
        let offset = |peer: &&Peer<'_>| Some(peer.seen?.incoming.get(id)?.offset);
        Ok(peers.max_by_key(offset).map(|peer| peer.record.url.clone()))
    }

    fn roster_of<'m>(&self, records: impl IntoIterator<Item = &'m MaterialRecord>) -> Result<Roster<'_>, ViewError> {
        let nodes: Vec<&NodeId> =
            records.into_iter().flat_map(|record| &record.replicas).map(|replica| &replica.node).collect();
        Roster::of(self.view, self.observed, self.now_ms, self.timing, nodes)
    }
}

fn present(id: MaterialId, record: MaterialRecord, roster: &Roster<'_>) -> Material {
    let is_up = |node: &NodeId| roster.is(node, |peer| peer.is_up());
    let url = |node: &NodeId| roster.get(node).map(|peer| peer.record.url.clone()).unwrap_or_default();
    let live = record.verified().filter(|replica| is_up(&replica.node)).count();
    let is_joining = record.joining().is_some();
    let state = if record.is_deleted() {
        MaterialState::Deleting
    } else if is_joining && !record.receiving().is_some_and(|replica| is_up(&replica.node)) {
        // Its parts are acknowledged, and no node that answers has them together.
        MaterialState::Unavailable
    } else if record.blake3.is_none() {
        MaterialState::Receiving
    } else if live >= record.population as usize {
        MaterialState::Ready
    } else if live > 0 || record.readable().any(|replica| is_up(&replica.node)) {
        MaterialState::Degraded
    } else {
        MaterialState::Unavailable
    };
    let upload_url = record.receiving().filter(|_| !is_joining);
    let upload_url = upload_url.map(|replica| format!("{}/v1/uploads/{id}", url(&replica.node)));
    let arrival = |replica: &ReplicaRecord| {
        let arrival = roster.get(&replica.node)?.seen?.incoming.get(&id)?;
        (arrival.generation == replica.generation).then_some(arrival)
    };
    let replicas = record
        .replicas
        .iter()
        .map(|replica| Replica {
            node: replica.node.clone(),
            state: replica.state,
            generation: replica.generation,
            url: url(&replica.node),
            live: is_up(&replica.node),
            offset: arrival(replica).map(|arrival| arrival.offset),
            check: arrival(replica).and_then(|arrival| arrival.check.clone()),
        })
        .collect();
    let population_live = u32::try_from(live).unwrap_or(u32::MAX);
    Material {
        view: format!("/view/{id}"),
        id,
        size_unknown: record.lacks_size(),
        name: record.name,
        size: record.size,
        media_type: record.media_type,
        blake3: record.blake3,
        state,
        population: record.population,
        population_live,
        replicas,
        created_at: record.created_at,
        terms: record.terms,
        used_at: record.used_at,
        origin: record.origin,
        upload_url,
    }
}
