//! Nodes as the books and the leader's eyes together show them.

use super::{
    observed::{Observed, Seen, Timing},
    tables::{NodeRecord, Nodes},
    view::{Typed, View, ViewError},
};
use microtome_proto::{
    NodeId,
    node::{Availability, Lifecycle, Scheduling},
};
use std::collections::BTreeMap;

/// A node, and whether it answers.
#[derive(Debug, Clone)]
pub struct Peer<'a> {
    /// What the books say.
    pub record: NodeRecord,
    /// Whether it answers.
    pub availability: Availability,
    /// What was last heard of it.
    pub seen: Option<&'a Seen>,
}

impl Peer<'_> {
    /// Whether it belongs to the cluster.
    pub fn is_member(&self) -> bool {
        self.record.lifecycle == Lifecycle::Member
    }

    /// Whether it answers, so that bytes can be read there.
    pub fn is_up(&self) -> bool {
        self.is_member() && self.availability == Availability::Up
    }

    /// Whether the books know what it holds: not between its start and the end of its inventory.
    pub fn is_settled(&self) -> bool {
        self.seen.is_some_and(|seen| seen.settled)
    }

    /// Whether what it holds counts: also through a short silence.
    pub fn counts(&self) -> bool {
        self.is_member() && self.availability != Availability::Down
    }

    /// Whether what it holds is to be moved away.
    pub fn is_draining(&self) -> bool {
        self.record.scheduling == Scheduling::Draining
    }

    /// Whether new work may go there: not while it still tells what it holds.
    pub fn takes_work(&self) -> bool {
        self.is_up() && self.record.scheduling == Scheduling::Active && self.is_settled()
    }

    /// Whether it takes work in a moment, when it has told what it holds.
    pub fn is_settling(&self) -> bool {
        self.is_up() && self.record.scheduling == Scheduling::Active && !self.takes_work()
    }

    /// Whether it takes work soon: it was silent for a moment, or this leader has not heard it yet, or it still tells what
    /// it holds.
    pub fn is_expected(&self) -> bool {
        self.counts() && self.record.scheduling == Scheduling::Active && !self.takes_work()
    }

    /// How busy it is, for choosing the least busy one: requests first, then CPU in thousandths.
    pub fn load(&self) -> (u32, u64) {
        self.seen.map_or((u32::MAX, u64::MAX), |seen| {
            (seen.report.requests_active, (seen.report.cpu.clamp(0.0, 1.0) * 1000.0) as u64)
        })
    }
}

/// Some or all nodes.
#[derive(Debug, Clone, Default)]
pub struct Roster<'a> {
    peers: BTreeMap<NodeId, Peer<'a>>,
}

impl<'a> Roster<'a> {
    /// All nodes.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn all(view: &dyn View, observed: &'a Observed, now_ms: u64, timing: &Timing) -> Result<Self, ViewError> {
        let mut roster = Self::default();
        for entry in view.scan_records::<Nodes>(&[], None) {
            let (id, record) = entry?;
            roster.insert(id, record, observed, now_ms, timing);
        }
        Ok(roster)
    }

    /// The nodes named, those of them that are known.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn of<'n>(
        view: &dyn View,
        observed: &'a Observed,
        now_ms: u64,
        timing: &Timing,
        nodes: impl IntoIterator<Item = &'n NodeId>,
    ) -> Result<Self, ViewError> {
        let mut roster = Self::default();
        for id in nodes {
            if !roster.peers.contains_key(id)
                && let Some(record) = view.get_record::<Nodes>(id)?
            {
                roster.insert(id.clone(), record, observed, now_ms, timing);
            }
        }
        Ok(roster)
    }

    fn insert(&mut self, id: NodeId, record: NodeRecord, observed: &'a Observed, now_ms: u64, timing: &Timing) {
        let availability = observed.availability(&id, now_ms, timing);
        let seen = observed.seen(&id);
        self.peers.insert(id, Peer { record, availability, seen });
    }

    /// Looks at a node as if its record were another.
    pub fn suppose(&mut self, node: &NodeId, change: impl FnOnce(&mut NodeRecord)) {
        if let Some(peer) = self.peers.get_mut(node) {
            change(&mut peer.record);
        }
    }

    /// A node.
    pub fn get(&self, node: &NodeId) -> Option<&Peer<'a>> {
        self.peers.get(node)
    }

    /// All of them, in the order of their ids' text.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Peer<'a>)> {
        self.peers.iter()
    }

    /// Whether a node is known and `test` holds for it.
    pub fn is(&self, node: &NodeId, test: impl Fn(&Peer<'a>) -> bool) -> bool {
        self.peers.get(node).is_some_and(test)
    }
}
