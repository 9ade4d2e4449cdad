//! The cluster's identity and protocol. Nodes: their registration, what the operator wants of them and of the balance between them, their end.

use super::{Applied, Stop, meta, next, refuse};
use crate::core::{
    command::Outcome,
    draft::Draft,
    keys,
    tables::{Instances, Materials, Meta, NodeRecord, Nodes, OnNode},
    view::Typed,
};
use microtome_proto::{
    ClusterId, Code, NodeId, Timestamp,
    material::ReplicaState,
    node::{Lifecycle, Scheduling},
};
use std::collections::BTreeMap;

/// What a node tells of itself at each of its starts.
pub(super) struct Told<'a> {
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    pub(super) zone: Option<&'a str>,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) version: &'a str,
}

pub(super) fn found(draft: &mut Draft<'_>, cluster: &ClusterId, name: &str) -> Applied {
    let mut meta = meta(draft)?;
    if meta.cluster.is_none() {
        meta.cluster = Some(cluster.clone());
        name.clone_into(&mut meta.name);
        draft.put::<Meta>(&(), &meta)?;
    }
    Ok(Outcome::Done)
}

pub(super) fn register(draft: &mut Draft<'_>, at: Timestamp, instance: &str, told: &Told<'_>) -> Applied {
    if meta(draft)?.cluster.is_none() {
        return refuse(Code::NotReady, "the cluster is not founded yet");
    }
    let known = draft.get_record::<Instances>(&instance.to_owned())?;
    let (id, before) = match known {
        Some(id) => {
            let record = member(draft, &id)?;
            (id, Some(record))
        }
        None => {
            let id = NodeId::from_counter(next(draft, |meta| &mut meta.node_last)?);
            draft.put::<Instances>(&instance.to_owned(), &id)?;
            (id, None)
        }
    };
    let record = NodeRecord {
        instance: instance.to_owned(),
        name: told.name.to_owned(),
        url: told.url.to_owned(),
        zone: told.zone.map(str::to_owned),
        labels: told.labels.clone(),
        version: told.version.to_owned(),
        scheduling: before.as_ref().map_or_else(Scheduling::default, |before| before.scheduling),
        lifecycle: Lifecycle::Member,
        registered_at: before.as_ref().map_or(at, |before| before.registered_at),
    };
    if before.as_ref() != Some(&record) {
        draft.put::<Nodes>(&id, &record)?;
    }
    Ok(Outcome::Node { node: id })
}

pub(super) fn schedule(draft: &mut Draft<'_>, node: &NodeId, scheduling: Scheduling) -> Applied {
    let mut record = member(draft, node)?;
    if record.scheduling != scheduling {
        record.scheduling = scheduling;
        draft.put::<Nodes>(node, &record)?;
    }
    Ok(Outcome::Done)
}

pub(super) fn remove(draft: &mut Draft<'_>, node: &NodeId, force: bool) -> Applied {
    let mut record = known(draft, node)?;
    if record.lifecycle != Lifecycle::Removed {
        if !force {
            holds_nothing_alone(draft, node)?;
        }
        record.lifecycle = Lifecycle::Removed;
        draft.put::<Nodes>(node, &record)?;
    }
    Ok(Outcome::Done)
}

/// Refuses where a node has bytes that no other member has. Looks at all that is there: a drained node has nothing.
fn holds_nothing_alone(draft: &Draft<'_>, node: &NodeId) -> Result<(), Stop> {
    for place in draft.scan_keys::<OnNode>(&keys::node(node), None) {
        let (_, material) = place?;
        let Some(record) = draft.get_record::<Materials>(&material)? else { continue };
        let state = record.replica(node).map(|replica| replica.state);
        let mut is_alone =
            matches!(state, Some(ReplicaState::Receiving | ReplicaState::Verified | ReplicaState::Damaged));
        for other in record.verified().filter(|replica| replica.node != *node) {
            is_alone &= !is_member(draft, &other.node)?;
        }
        if is_alone {
            return refuse(Code::Conflict, format!("what node {node} has of {material} is on no other node"));
        }
    }
    Ok(())
}

pub(super) fn raise_protocol(draft: &mut Draft<'_>, protocol: u32) -> Applied {
    let mut meta = meta(draft)?;
    if protocol > meta.protocol() {
        meta.raised_to = protocol;
        draft.put::<Meta>(&(), &meta)?;
    }
    Ok(Outcome::Done)
}

pub(super) fn rebalance(draft: &mut Draft<'_>, at: Timestamp, wanted: bool) -> Applied {
    let mut meta = meta(draft)?;
    let since = meta.rebalancing_since;
    meta.rebalancing_since = if wanted { since.or(Some(at)) } else { None };
    if meta.rebalancing_since != since {
        draft.put::<Meta>(&(), &meta)?;
    }
    Ok(Outcome::Done)
}

fn known(draft: &Draft<'_>, node: &NodeId) -> Result<NodeRecord, Stop> {
    match draft.get_record::<Nodes>(node)? {
        Some(record) => Ok(record),
        None => refuse(Code::NotFound, format!("there is no node {node}")),
    }
}

/// Whether a node belongs to the cluster.
pub(super) fn is_member(draft: &Draft<'_>, node: &NodeId) -> Result<bool, Stop> {
    Ok(draft.get_record::<Nodes>(node)?.is_some_and(|record| record.lifecycle == Lifecycle::Member))
}

/// A node that belongs to the cluster.
pub(super) fn member(draft: &Draft<'_>, node: &NodeId) -> Result<NodeRecord, Stop> {
    let record = known(draft, node)?;
    if record.lifecycle == Lifecycle::Removed {
        return refuse(
            Code::Gone,
            format!("node {node} was removed from the cluster; with an empty data folder it may join as a new one"),
        );
    }
    Ok(record)
}
