//! What a node's inventory means: one page of it is compared with the books.
//!
//! The disk is the truth about bytes. Copies that the books have and the disk has not are lost; copies that are there
//! and proven count again, unless their material is deleted; all else on the disk is to go. The inventory must not be
//! older than the last assignment to its node: see [`super::observed::Observed::inventory_began`].

use super::{
    apply::with_held,
    command::Command,
    keys,
    tables::{Arriving, MaterialRecord, Materials, Meta, OnNode, ReplicaRecord},
    view::{Typed, View, ViewError},
};
use microtome_proto::{
    Generation, MaterialId, NodeId,
    internal::{Held, Inventory, Settled},
    limits::INVENTORY_PAGE_MAX,
    material::ReplicaState,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

/// Copies that one command takes out of the books: a page of a disk that was emptied speaks for all of them, and an
/// entry of the log has to fit into a message.
const LOST_MAX: usize = INVENTORY_PAGE_MAX;

/// Each [`Command::SettleNode`] to propose, none if nothing changes, and the answer to the node once they are applied.
///
/// # Errors
/// Where the state cannot be read.
pub fn settle(view: &dyn View, node: &NodeId, inventory: &Inventory) -> Result<(Vec<Command>, Settled), ViewError> {
    let mut page = Page {
        view,
        node,
        held: inventory.held.iter().map(|held| (&held.material, held)).collect(),
        generation_last: Generation(view.get_record::<Meta>(&())?.unwrap_or_default().generation_last),
        lost: BTreeMap::new(),
        found: Vec::new(),
        drop: BTreeSet::new(),
    };
    page.settle_books(inventory)?;
    page.settle_disk()?;
    if inventory.last {
        page.settle_arriving(&inventory.incoming.iter().cloned().collect())?;
    }
    let mut lost = page.lost.into_iter().peekable();
    let mut held = page.found;
    let mut commands = Vec::new();
    while lost.peek().is_some() || !held.is_empty() {
        let lost = lost.by_ref().take(LOST_MAX).collect();
        commands.push(Command::SettleNode { node: node.clone(), lost, held: mem::take(&mut held) });
    }
    Ok((commands, Settled { drop: page.drop.into_iter().collect() }))
}

/// Whether the books have all of a copy on the disk.
fn is_whole(replica: &ReplicaRecord) -> bool {
    matches!(replica.state, ReplicaState::Verified | ReplicaState::Damaged)
}

struct Page<'a> {
    view: &'a dyn View,
    node: &'a NodeId,
    held: BTreeMap<&'a MaterialId, &'a Held>,
    generation_last: Generation,
    lost: BTreeMap<MaterialId, Generation>,
    found: Vec<Held>,
    drop: BTreeSet<MaterialId>,
}

impl Page<'_> {
    /// Copies that should be whole, in the part of the books that the page speaks for.
    fn settle_books(&mut self, inventory: &Inventory) -> Result<(), ViewError> {
        let end = self.held.last_key_value().map(|(material, _)| (*material).clone());
        let after = inventory.after.as_ref().map(|after| (self.node.clone(), after.clone()));
        for place in self.view.scan_keys::<OnNode>(&keys::node(self.node), after.as_ref()) {
            let (_, material) = place?;
            if !inventory.last && end.as_ref().is_none_or(|end| material > *end) {
                break;
            }
            if self.held.contains_key(&material) {
                continue;
            }
            let record = self.view.get_record::<Materials>(&material)?;
            let Some(replica) = record.as_ref().and_then(|record| record.replica(self.node)) else { continue };
            if is_whole(replica) || replica.state == ReplicaState::Dropping {
                self.lost.insert(material, replica.generation);
            }
        }
        Ok(())
    }

    /// Whole copies on the disk.
    fn settle_disk(&mut self) -> Result<(), ViewError> {
        for (&material, &held) in &self.held {
            if held.generation > self.generation_last {
                // From a future that these books do not know: nothing is decided about it.
                continue;
            }
            let record = self.view.get_record::<Materials>(material)?;
            match record.as_ref().map(|record| (record, with_held(record, self.node, held))) {
                Some((before, Some(after))) => {
                    if *before != after {
                        self.found.push(held.clone());
                    }
                }
                told => {
                    self.drop.insert(material.clone());
                    let replica = told.and_then(|(before, _)| before.replica(self.node));
                    if let Some(replica) = replica.filter(|replica| is_whole(replica)) {
                        self.lost.insert(material.clone(), replica.generation);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the page tells of a whole copy that is to count from now on.
    fn is_found(&self, material: &MaterialId) -> bool {
        self.found.iter().any(|held| held.material == *material)
    }

    /// Uploads and clones under way.
    fn settle_arriving(&mut self, incoming: &BTreeSet<(MaterialId, Generation)>) -> Result<(), ViewError> {
        for entry in self.view.scan_records::<Arriving>(&keys::node(self.node), None) {
            let ((_, material), arriving) = entry?;
            if self.is_found(&material) || incoming.contains(&(material.clone(), arriving.generation)) {
                continue;
            }
            let record = self.view.get_record::<Materials>(&material)?;
            // What is put together is begun, or begun anew, when it is ordered.
            if record.is_none_or(|record| record.joining().is_none()) {
                self.lost.insert(material, arriving.generation);
            }
        }
        for (material, generation) in incoming {
            let record = self.view.get_record::<Materials>(material)?;
            let replica = record.as_ref().and_then(|record: &MaterialRecord| record.replica(self.node));
            let stands = match replica.map(|replica| (replica.state, replica.generation)) {
                // It became whole while the node was counting, and will count.
                _ if self.is_found(material) => true,
                None | Some((ReplicaState::Dropping, _)) => false,
                // A half one beside a whole one: the order that drops it names its generation.
                Some((ReplicaState::Verified | ReplicaState::Damaged, _)) => true,
                Some((_, assigned)) => assigned == *generation,
            };
            if !stands && *generation <= self.generation_last {
                self.drop.insert(material.clone());
            }
        }
        Ok(())
    }
}
