//! Which copies go where.

use super::{Balance, Level, Move};
use crate::core::{
    keys,
    observed::Observed,
    placement::crowd,
    roster::Roster,
    standing::Standing,
    tables::{MaterialRecord, Materials, OnNode},
    view::{Typed, View, ViewError},
};
use microtome_proto::{MaterialId, NodeId};
use std::collections::BTreeMap;

/// So many of a node's copies are a fair sample of it: ids are in no order.
const SAMPLE: usize = 1_000;

/// How much is moved at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Moves in all.
    pub moves_max: usize,
    /// Moves to one node, and from one node.
    pub per_node_max: usize,
    /// Copies of a node that are looked at.
    pub seen_max: usize,
    /// Copies that could be moved from a node and are compared.
    pub found_max: usize,
}

impl Limits {
    /// So many moves, and so many to and from one node. Where some are under way a look at a sample is enough to find
    /// more; only where none is must it be known whether there are any.
    pub fn new(moves_max: usize, per_node_max: usize, is_moving: bool) -> Self {
        let seen_max = if is_moving { SAMPLE } else { usize::MAX };
        Self { moves_max, per_node_max, seen_max, found_max: SAMPLE }
    }

    /// All that there are: what comes about in the end.
    pub const NONE: Self =
        Self { moves_max: usize::MAX, per_node_max: usize::MAX, seen_max: usize::MAX, found_max: usize::MAX };
}

/// What moves are looked for in, and how many.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The books.
    pub view: &'a dyn View,
    /// The leader's eyes.
    pub observed: &'a Observed,
    /// All nodes.
    pub roster: &'a Roster<'a>,
    /// How many.
    pub limits: Limits,
}

impl Balance {
    /// The next moves, from the fullest node first; from then on they count as under way.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn moves(&mut self, search: &Search<'_>) -> Result<Vec<Move>, ViewError> {
        let mut moves = BTreeMap::new();
        let mut sources: Vec<_> = self.fractions().filter(|(_, used)| *used > self.mean).collect();
        sources.sort_by(|a, b| b.1.total_cmp(&a.1));
        let sources: Vec<_> = sources.into_iter().map(|(node, _)| node.clone()).collect();
        for from in sources {
            if self.is_even() {
                break;
            }
            for (material, record) in self.movable(search, &from)? {
                if moves.len() >= search.limits.moves_max {
                    break;
                }
                if moves.contains_key(&material) {
                    continue;
                }
                if let Some(to) = self.target(search, &material, &record, &from) {
                    self.book(&from, &to, record.size);
                    let size = record.size;
                    moves.insert(material.clone(), Move { material, size, from: from.clone(), to });
                }
            }
        }
        Ok(moves.into_values().collect())
    }

    /// Copies that a node could give away: the larger ones first, so that few are moved, but before those with which it
    /// would end below the mean all that would not. Nothing is looked at where nothing could begin now.
    fn movable(&self, search: &Search<'_>, from: &NodeId) -> Result<Vec<(MaterialId, MaterialRecord)>, ViewError> {
        let mut found = Vec::new();
        let Some(source) = self.levels.get(from) else { return Ok(found) };
        if !self.levels.values().any(|level| self.may_begin(search, source, level)) {
            return Ok(found);
        }
        for place in search.view.scan_keys::<OnNode>(&keys::node(from), None).take(search.limits.seen_max) {
            let (_, material) = place?;
            let Some(record) = search.view.get_record::<Materials>(&material)? else { continue };
            let is_up = Standing::of(&record, search.roster).counted_up == record.replicas.len();
            // Parts are gone soon, and looked for where they are.
            if record.is_settled()
                && !record.is_partial()
                && is_up
                && self.target(search, &material, &record, from).is_some()
            {
                found.push((material, record));
            }
            if found.len() >= search.limits.found_max {
                break;
            }
        }
        let excess = source.used - self.mean * source.total;
        found.sort_by_key(|(_, record)| {
            let overshoots = record.size as f64 > excess;
            (overshoots, if overshoots { record.size } else { u64::MAX - record.size })
        });
        Ok(found)
    }

    /// The emptiest node that may take a copy, in a zone that has no more of its copies than the one it leaves.
    fn target(
        &self,
        search: &Search<'_>,
        material: &MaterialId,
        record: &MaterialRecord,
        from: &NodeId,
    ) -> Option<NodeId> {
        let source = self.levels.get(from).filter(|_| record.size > 0)?;
        let others = record.replicas.iter().filter(|replica| replica.node != *from);
        let zone = |node: &NodeId| search.roster.get(node)?.record.zone.clone();
        let zones: Vec<String> = others.filter_map(|replica| zone(&replica.node)).collect();
        let crowd_before = crowd(source.zone.as_deref(), &zones);
        let may_take = |(node, level): &(&NodeId, &Level)| {
            self.may_begin(search, source, level)
                && closes_in(source, level, record.size)
                && level.room >= record.size
                && record.replica(node).is_none()
                && crowd(level.zone.as_deref(), &zones) <= crowd_before
                && !search.observed.failed_lately(material, node)
        };
        let targets = self.levels.iter().filter(may_take);
        targets.min_by(|a, b| a.1.fraction().total_cmp(&b.1.fraction())).map(|(node, _)| node.clone())
    }

    /// Whether anything is to go from one to the other, and may begin now.
    fn may_begin(&self, search: &Search<'_>, from: &Level, to: &Level) -> bool {
        let per_node_max = search.limits.per_node_max;
        self.is_worthwhile(from, to) && from.moves_out < per_node_max && to.moves_in < per_node_max
    }

    fn book(&mut self, from: &NodeId, to: &NodeId, size: u64) {
        if let Some(level) = self.levels.get_mut(from) {
            level.used -= size as f64;
            level.moves_out += 1;
        }
        if let Some(level) = self.levels.get_mut(to) {
            level.used += size as f64;
            level.room = level.room.saturating_sub(size);
            level.moves_in += 1;
        }
    }
}

/// Whether so many bytes bring the two levels closer to each other, and not far past each other.
fn closes_in(from: &Level, to: &Level, size: u64) -> bool {
    let gap = from.fraction() - to.fraction();
    gap - size as f64 / from.total - size as f64 / to.total >= -gap / 2.0
}
