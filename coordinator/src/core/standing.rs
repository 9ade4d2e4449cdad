//! Where a material stands: the books' copies, seen through the leader's eyes.

use super::{
    keys,
    roster::Roster,
    tables::{MaterialRecord, OnNode, ReplicaRecord, Unsettled},
    view::{Typed, View, ViewError},
};
use microtome_proto::{MaterialId, NodeId, material::ReplicaState};
use std::collections::BTreeSet;

/// A material's copies by what they are worth just now.
pub(super) struct Standing<'m> {
    /// Verified, on nodes that answer.
    pub(super) up: Vec<&'m ReplicaRecord>,
    /// Verified, on nodes that count and are not being emptied: these make up the population.
    pub(super) counted: usize,
    /// Verified, on nodes that answer, have told what they hold, and are not being emptied.
    pub(super) counted_up: usize,
    /// On their way to nodes that count and are not being emptied.
    pub(super) copying: Vec<&'m ReplicaRecord>,
    /// Those of them that take the place of one in `counted_up`: in the end they make no copy more.
    pub(super) moving: usize,
    /// Damaged, on nodes that answer and are not being emptied: mended where another copy is up.
    pub(super) mending: Vec<&'m ReplicaRecord>,
    /// On their way to nodes that are down or to be emptied: not waited for.
    pub(super) hopeless: Vec<&'m ReplicaRecord>,
}

impl<'m> Standing<'m> {
    pub(super) fn of(record: &'m MaterialRecord, roster: &Roster<'_>) -> Self {
        let mut standing = Self {
            up: Vec::new(),
            counted: 0,
            counted_up: 0,
            copying: Vec::new(),
            moving: 0,
            mending: Vec::new(),
            hopeless: Vec::new(),
        };
        for replica in &record.replicas {
            let is_up = roster.is(&replica.node, |peer| peer.is_up());
            let is_sure = is_up && roster.is(&replica.node, |peer| peer.is_settled());
            let is_kept = roster.is(&replica.node, |peer| peer.counts() && !peer.is_draining());
            match replica.state {
                ReplicaState::Verified => {
                    if is_up {
                        standing.up.push(replica);
                    }
                    standing.counted += usize::from(is_kept);
                    standing.counted_up += usize::from(is_kept && is_sure);
                }
                ReplicaState::Copying if is_kept => standing.copying.push(replica),
                ReplicaState::Copying => standing.hopeless.push(replica),
                ReplicaState::Damaged if is_kept && is_up => standing.mending.push(replica),
                ReplicaState::Damaged | ReplicaState::Receiving | ReplicaState::Dropping => {}
            }
        }
        let is_kept = |node: &NodeId| roster.is(node, |peer| peer.is_up() && !peer.is_draining());
        let stays = |from: &NodeId| is_kept(from) && standing.up.iter().any(|replica| replica.node == *from);
        standing.moving = standing.copying.iter().filter(|moved| moved.replaces.as_ref().is_some_and(stays)).count();
        standing
    }

    /// Copies that are neither there nor on their way nor being mended. A material whose bytes have not arrived lacks none.
    pub(super) fn shortage(&self, record: &MaterialRecord) -> usize {
        if record.is_deleted() || record.blake3.is_none() {
            return 0;
        }
        (record.population as usize).saturating_sub(self.counted + self.copying.len() + self.mending.len())
    }
}

/// Materials that may want something done: those that the books call unsettled, and those with a copy on a node that
/// does not keep it (down, draining or removed). All others are as they should be.
pub(super) fn troubled(view: &dyn View, roster: &Roster<'_>) -> Result<BTreeSet<MaterialId>, ViewError> {
    let mut materials = view.scan_keys::<Unsettled>(&[], None).collect::<Result<BTreeSet<_>, _>>()?;
    for (id, _) in roster.iter().filter(|(_, peer)| !peer.counts() || peer.is_draining()) {
        for place in view.scan_keys::<OnNode>(&keys::node(id), None) {
            materials.insert(place?.1);
        }
    }
    Ok(materials)
}
