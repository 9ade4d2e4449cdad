//! How unequally full the nodes are, and which copies to move so that they are equally full.
//!
//! A node's level is the fraction of its disk that is used once everything under way has ended: what the books have
//! there and on its way, less what is being moved away, and whatever else lies on the disk. Counted so, a move changes
//! the levels when it is planned, not when it is done, and none is planned twice.
//!
//! Copies go only from nodes above the mean to nodes below it, while one of the two is further from it than
//! [`TOLERANCE`]: so hardly a byte is moved that need not be. A copy that is larger than the gap between its two nodes may
//! turn it round, but only to half of it: so there is an end.

mod moves;

pub use moves::{Limits, Search};

use super::{
    placement::{Site, Sites},
    roster::Roster,
    tables::{Materials, Totals, Unsettled},
    view::{Typed, View, ViewError},
};
use microtome_proto::{Generation, MaterialId, NodeId, material::ReplicaState};
use std::collections::BTreeMap;

/// How far from the mean a node may be, as a fraction of its disk.
pub const TOLERANCE: f64 = 0.02;

/// A copy to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its material.
    pub material: MaterialId,
    /// Bytes.
    pub size: u64,
    /// The node that gives it away.
    pub from: NodeId,
    /// The node that takes it.
    pub to: NodeId,
}

/// A move under way, until the copy that it replaces is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    /// The move.
    pub what: Move,
    /// The assignment of the new copy.
    pub generation: Generation,
    /// Whether it is still on its way.
    pub is_copying: bool,
}

#[derive(Debug, Clone)]
struct Level {
    zone: Option<String>,
    /// Bytes of the disk.
    total: f64,
    /// Bytes used when all that is under way has ended.
    used: f64,
    /// Bytes that can still be promised.
    room: u64,
    moves_in: usize,
    moves_out: usize,
}

impl Level {
    fn fraction(&self) -> f64 {
        self.used / self.total
    }
}

/// The nodes that take part, and what is being moved between them.
#[derive(Debug, Clone)]
pub struct Balance {
    levels: BTreeMap<NodeId, Level>,
    /// The level of all of them together, which moving does not change.
    mean: f64,
    /// Moves under way.
    pub moving: Vec<Moving>,
    /// Copies of any kind on their way to these nodes.
    pub copying: usize,
    /// Nodes that will soon take part: they were silent for a moment, or still tell what they hold.
    pub waits_for: Vec<NodeId>,
}

impl Balance {
    /// Looks at all nodes, and at everything that is not settled.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn survey(view: &dyn View, roster: &Roster<'_>) -> Result<Self, ViewError> {
        let sites = Sites::survey(view, roster)?;
        let mut levels = BTreeMap::new();
        for (node, site) in sites.iter() {
            levels.extend(level(view, roster, node, site)?.map(|level| (node.clone(), level)));
        }
        let moving = moves_under_way(view)?;
        for Moving { what, is_copying, .. } in &moving {
            if let Some(from) = levels.get_mut(&what.from) {
                from.used -= what.size as f64;
                from.moves_out += usize::from(*is_copying);
            }
            if let Some(to) = levels.get_mut(&what.to) {
                to.moves_in += usize::from(*is_copying);
            }
        }
        let (used, total) = levels.values().fold((0.0, 0.0), |sum, level| (sum.0 + level.used, sum.1 + level.total));
        let waits_for = roster.iter().filter(|(_, peer)| peer.is_expected()).map(|(node, _)| node.clone()).collect();
        let copying = sites.iter().map(|(_, site)| site.copying).sum();
        Ok(Self { levels, mean: used / f64::max(total, 1.0), moving, copying, waits_for })
    }

    /// How full each node is, 0 to 1.
    pub fn fractions(&self) -> impl Iterator<Item = (&NodeId, f64)> {
        self.levels.iter().map(|(node, level)| (node, level.fraction()))
    }

    /// Whether every node is close enough to the mean.
    pub fn is_even(&self) -> bool {
        !self.levels.values().any(|level| self.is_over(level) || self.is_under(level))
    }

    /// Bytes to be moved before every node is close enough to the mean, beyond what is under way.
    pub fn bytes_left(&self) -> u64 {
        let beyond = |distance: f64, total: f64| (distance - TOLERANCE * total).max(0.0);
        let (mut over, mut under) = (0.0, 0.0);
        for level in self.levels.values() {
            over += beyond(level.used - self.mean * level.total, level.total);
            under += beyond(self.mean * level.total - level.used, level.total);
        }
        f64::max(over, under) as u64
    }

    fn is_over(&self, level: &Level) -> bool {
        level.fraction() > self.mean + TOLERANCE
    }

    fn is_under(&self, level: &Level) -> bool {
        level.fraction() < self.mean - TOLERANCE
    }

    /// Whether anything is to go from one to the other.
    fn is_worthwhile(&self, from: &Level, to: &Level) -> bool {
        from.fraction() > self.mean && to.fraction() < self.mean && (self.is_over(from) || self.is_under(to))
    }
}

fn level(view: &dyn View, roster: &Roster<'_>, node: &NodeId, site: &Site) -> Result<Option<Level>, ViewError> {
    let Some(seen) = roster.get(node).and_then(|peer| peer.seen).filter(|_| site.disk_total > 0) else {
        return Ok(None);
    };
    let totals = view.get_record::<Totals>(node)?.unwrap_or_default();
    let report = &seen.report;
    let arrived: u64 = seen.incoming.values().map(|arrival| arrival.offset).sum();
    let occupied = report.disk_total.saturating_sub(report.disk_free);
    let foreign = occupied.saturating_sub(report.stored).saturating_sub(arrived);
    Ok(Some(Level {
        zone: site.zone.clone(),
        total: site.disk_total as f64,
        used: (foreign + totals.bytes + site.arriving_bytes) as f64,
        room: site.room,
        moves_in: 0,
        moves_out: 0,
    }))
}

/// Copies that take the place of one which is still there.
fn moves_under_way(view: &dyn View) -> Result<Vec<Moving>, ViewError> {
    let mut moving = Vec::new();
    for material in view.scan_keys::<Unsettled>(&[], None) {
        let material = material?;
        let Some(record) = view.get_record::<Materials>(&material)?.filter(|record| !record.is_deleted()) else {
            continue;
        };
        for replica in record.replicas.iter().filter(|replica| replica.state != ReplicaState::Dropping) {
            let Some(from) = replica.replaces.clone() else { continue };
            if record.verified().any(|other| other.node == from) {
                let (material, size, to) = (material.clone(), record.size, replica.node.clone());
                moving.push(Moving {
                    what: Move { material, size, from, to },
                    generation: replica.generation,
                    is_copying: replica.state == ReplicaState::Copying,
                });
            }
        }
    }
    Ok(moving)
}
