//! What the planner need not look at again: the memory that makes a round cost what has changed since the last one, not all
//! that is out of order.
//!
//! After a zone is lost a tenth of all materials is out of order for hours, and most of them can only wait for their turn.
//! So each material that may want something stands here with the reasons for which it is to be looked at again; it is
//! examined anew when its record was written, when a node that holds it comes, goes or is to be emptied, and when its time
//! has come. The agenda only saves work: with an empty one a round plans the same (every plan in the tests is made with
//! both). It is the leader's own and never stored.

use super::{Scene, examine::examine};
use crate::core::{
    keys,
    roster::Peer,
    standing::troubled,
    tables::{MaterialRecord, Materials, OnNode},
    view::{Change, Table, Typed, ViewError},
};
use microtome_proto::{MaterialId, NodeId, cluster::Healing, node::Availability};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

/// So many materials are noted one by one; when more were written, all are looked at again. Bounds the memory of a
/// coordinator that follows and never plans.
const TOUCHED_MAX: usize = 100_000;
/// So many entries of the agenda are examined about as fast as a node's copies are walked.
const ENTRIES_PER_NODE: usize = 1_000;

/// Materials that were written since the last round. Whoever writes changes into the view notes them here, too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Touched {
    materials: BTreeSet<MaterialId>,
    is_all: bool,
}

impl Touched {
    /// Any of them: the whole state was replaced.
    pub fn all() -> Self {
        Self { materials: BTreeSet::new(), is_all: true }
    }

    /// Changes are written.
    pub fn note(&mut self, changes: &[Change]) {
        if self.is_all {
            return;
        }
        let of_materials = changes.iter().filter(|(key, _)| key.first() == Some(&Materials::TAG));
        self.materials.extend(of_materials.filter_map(|(key, _)| Materials::decode(&key[1..])));
        if self.materials.len() > TOUCHED_MAX {
            *self = Self::all();
        }
    }
}

/// Why a material is looked at again, in the order in which its reasons are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// Copies of it are on their way: how far they are is news each round.
    Copying,
    /// Assignments are to end with their nodes.
    Ends,
    /// Copies are to be dropped.
    Drops,
    /// A copy lacks, and it has so many without it.
    Lacks(usize),
    /// A copy lacks, and all nodes that take work have one: until other nodes do.
    Stuck,
    /// At this time, in milliseconds.
    At(u64),
}

/// What of a node decides what its copies are worth.
#[derive(Debug, Clone, PartialEq)]
struct Posture {
    is_member: bool,
    is_draining: bool,
    availability: Availability,
    up_since_ms: Option<u64>,
    is_settled: bool,
    takes_work: bool,
}

impl Posture {
    fn of(peer: &Peer<'_>) -> Self {
        Self {
            is_member: peer.is_member(),
            is_draining: peer.is_draining(),
            availability: peer.availability,
            up_since_ms: peer.seen.map(|seen| seen.up_since_ms),
            is_settled: peer.is_settled(),
            takes_work: peer.takes_work(),
        }
    }

    /// Whether copies there are not kept, so that all of them are looked at: see [`troubled`].
    fn is_loose(&self) -> bool {
        !self.is_member || self.is_draining || self.availability == Availability::Down
    }
}

/// A material that may want something.
#[derive(Debug, Clone)]
struct Entry {
    dues: Vec<Due>,
    /// The bytes that it still needs, where it has fewer copies than wanted.
    lacks_bytes: Option<u64>,
}

/// Materials that may want something, with what was last known of the nodes.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    /// Whether all that is out of order stands here.
    is_complete: bool,
    postures: BTreeMap<NodeId, Posture>,
    touched: BTreeSet<MaterialId>,
    entries: BTreeMap<MaterialId, Entry>,
    queue: BTreeMap<Due, BTreeSet<MaterialId>>,
    /// What all entries lack, and the copies under way as the last round found them.
    healing: Healing,
}

impl Agenda {
    /// What was written since the last round, before the view was read that the next one looks at.
    pub fn note(&mut self, touched: Touched) {
        self.is_complete &= !touched.is_all;
        self.touched.extend(touched.materials);
    }

    /// Brings it up to date. How many copies are under way that have something to copy from.
    pub(super) fn refresh(&mut self, scene: &Scene<'_>) -> Result<usize, ViewError> {
        let mut again = mem::take(&mut self.touched);
        if mem::replace(&mut self.is_complete, true) {
            self.node_changes(scene, &mut again)?;
        } else {
            (self.entries, self.queue, self.healing) = Default::default();
            self.postures = scene.roster.iter().map(|(id, peer)| (id.clone(), Posture::of(peer))).collect();
            again = troubled(scene.view, scene.roster)?;
        }
        again.extend(self.due(Due::Copying).cloned());
        again
            .extend(self.queue.range(Due::At(0)..=Due::At(scene.now_ms)).flat_map(|(_, materials)| materials).cloned());
        // Whatever has copies under way is looked at below.
        (self.healing.copies, self.healing.bytes_per_s) = (0, 0.0);
        let mut copying = 0;
        for material in again {
            copying += self.examine(scene, material)?;
        }
        Ok(copying)
    }

    /// What was being made whole in the last round.
    pub fn healing(&self) -> Healing {
        let Healing { bytes_left, bytes_per_s, .. } = self.healing;
        let seconds_left = (bytes_per_s > 0.0).then(|| bytes_left as f64 / bytes_per_s);
        Healing { seconds_left, ..self.healing.clone() }
    }

    /// What stands here for that reason, in the order of ids.
    pub(super) fn due(&self, due: Due) -> impl Iterator<Item = &MaterialId> {
        self.queue.get(&due).into_iter().flatten()
    }

    /// Materials that lack a copy, each with the population that it has without it: the lowest first.
    pub(super) fn lacking(&self) -> impl Iterator<Item = &MaterialId> {
        self.queue.range(Due::Lacks(0)..Due::Stuck).flat_map(|(_, materials)| materials)
    }

    /// No node that takes work can ever have a copy that these lack.
    pub(super) fn stick(&mut self, materials: Vec<MaterialId>) {
        for material in materials {
            let Some(mut entry) = self.remove(&material) else { continue };
            entry.dues.retain(|due| !matches!(due, Due::Lacks(_)));
            entry.dues.push(Due::Stuck);
            self.insert(material, entry);
        }
    }

    fn examine(&mut self, scene: &Scene<'_>, material: MaterialId) -> Result<usize, ViewError> {
        self.remove(&material);
        let Some(record) = scene.view.get_record::<Materials>(&material)? else { return Ok(0) };
        if record.is_settled() && !self.is_anywhere_loose(&record) {
            return Ok(0);
        }
        let findings = examine(scene, &material, &record)?;
        if let Some(share) = &findings.share {
            self.healing.copies += share.copies;
            self.healing.bytes_per_s += share.bytes_per_s;
        }
        let lacks_bytes = findings.share.as_ref().map(|share| share.bytes_left);
        self.insert(material, Entry { dues: findings.dues(), lacks_bytes });
        Ok(findings.copying)
    }

    fn is_anywhere_loose(&self, record: &MaterialRecord) -> bool {
        record.replicas.iter().any(|replica| self.postures.get(&replica.node).is_some_and(Posture::is_loose))
    }

    /// Finds the materials for which a change of nodes means something.
    fn node_changes(&mut self, scene: &Scene<'_>, again: &mut BTreeSet<MaterialId>) -> Result<(), ViewError> {
        let (mut loosened, mut flipped, mut others_work) = (Vec::new(), Vec::new(), false);
        for (id, after) in scene.roster.iter().map(|(id, peer)| (id, Posture::of(peer))) {
            let before = self.postures.get(id);
            if before == Some(&after) {
                continue;
            }
            others_work |= before.is_some_and(|before| before.takes_work) != after.takes_work;
            if after.is_loose() || before.is_some_and(Posture::is_loose) {
                loosened.push(id);
            } else {
                flipped.push(id);
            }
            self.postures.insert(id.clone(), after);
        }
        for id in loosened {
            for place in scene.view.scan_keys::<OnNode>(&keys::node(id), None) {
                again.insert(place?.1);
            }
        }
        if others_work {
            again.extend(self.due(Due::Stuck).cloned());
        }
        // A node that answers or does so no more means something only to what is out of order already.
        if self.entries.len() <= flipped.len() * ENTRIES_PER_NODE {
            again.extend(self.entries.keys().cloned());
            return Ok(());
        }
        for id in flipped {
            for place in scene.view.scan_keys::<OnNode>(&keys::node(id), None) {
                again.extend(Some(place?.1).filter(|material| self.entries.contains_key(material)));
            }
        }
        Ok(())
    }

    fn insert(&mut self, material: MaterialId, entry: Entry) {
        for due in &entry.dues {
            self.queue.entry(*due).or_default().insert(material.clone());
        }
        if let Some(bytes) = entry.lacks_bytes {
            self.healing.materials += 1;
            self.healing.bytes_left += bytes;
        }
        self.entries.insert(material, entry);
    }

    fn remove(&mut self, material: &MaterialId) -> Option<Entry> {
        let entry = self.entries.remove(material)?;
        for due in &entry.dues {
            if let Some(materials) = self.queue.get_mut(due)
                && materials.remove(material)
                && materials.is_empty()
            {
                self.queue.remove(due);
            }
        }
        if let Some(bytes) = entry.lacks_bytes {
            self.healing.materials -= 1;
            self.healing.bytes_left -= bytes;
        }
        Some(entry)
    }
}
