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
use std::{cmp::Reverse, collections::BTreeMap};

/// Copies that could be moved from a node are looked at up to this number in one round.
const LOOK_MAX: usize = 1_000;

/// How much is moved at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Moves in all.
    pub moves_max: usize,
    /// Moves to one node, and from one node.
    pub per_node_max: usize,
    /// Copies that are looked at on a node.
    pub look_max: usize,
}

impl Limits {
    /// So many moves, and so many to and from one node.
    pub fn new(moves_max: usize, per_node_max: usize) -> Self {
        Self { moves_max, per_node_max, look_max: LOOK_MAX }
    }

    /// All that there are: what comes about in the end.
    pub const NONE: Self = Self { moves_max: usize::MAX, per_node_max: usize::MAX, look_max: usize::MAX };
}

impl Balance {
    /// The next moves, from the fullest node first; from then on they count as under way.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn moves(
        &mut self,
        view: &dyn View,
        observed: &Observed,
        roster: &Roster<'_>,
        limits: &Limits,
    ) -> Result<Vec<Move>, ViewError> {
        let mut moves = BTreeMap::new();
        let mut sources: Vec<_> = self.levels.iter().filter(|(_, level)| level.fraction() > self.mean).collect();
        sources.sort_by(|a, b| b.1.fraction().total_cmp(&a.1.fraction()));
        let sources: Vec<_> = sources.into_iter().map(|(node, _)| node.clone()).collect();
        for from in sources {
            if self.is_even() || moves.len() >= limits.moves_max {
                break;
            }
            for (material, record) in self.movable(view, roster, &from, limits)? {
                if moves.len() >= limits.moves_max {
                    break;
                }
                if moves.contains_key(&material) {
                    continue;
                }
                if let Some(to) = self.target(&material, &record, &from, roster, observed, limits) {
                    self.book(&from, &to, record.size);
                    let size = record.size;
                    moves.insert(material.clone(), Move { material, size, from: from.clone(), to });
                }
            }
        }
        Ok(moves.into_values().collect())
    }

    /// Copies that a node could give away: the larger ones first, so that few are moved, but before those with which it
    /// would end below the mean all that would not.
    fn movable(
        &self,
        view: &dyn View,
        roster: &Roster<'_>,
        from: &NodeId,
        limits: &Limits,
    ) -> Result<Vec<(MaterialId, MaterialRecord)>, ViewError> {
        let mut found = Vec::new();
        let Some(level) = self.levels.get(from).filter(|level| level.moves_out < limits.per_node_max) else {
            return Ok(found);
        };
        let is_wanted =
            self.levels.values().any(|to| self.is_worthwhile(level, to) && to.moves_in < limits.per_node_max);
        if !is_wanted {
            return Ok(found);
        }
        for place in view.scan_keys::<OnNode>(&keys::node(from), None) {
            let (_, material) = place?;
            let Some(record) = view.get_record::<Materials>(&material)? else { continue };
            let is_at_rest = record.is_settled() && Standing::of(&record, roster).counted_up == record.replicas.len();
            let fits = |to: &Level| self.is_worthwhile(level, to) && closes_in(level, to, record.size);
            if is_at_rest && record.size > 0 && self.levels.values().any(fits) {
                found.push((material, record));
            }
            if found.len() >= limits.look_max {
                break;
            }
        }
        let excess = level.used - self.mean * level.total;
        found.sort_by_key(|(_, record)| {
            let overshoots = record.size as f64 > excess;
            (overshoots, if overshoots { Reverse(u64::MAX - record.size) } else { Reverse(record.size) })
        });
        Ok(found)
    }

    /// The emptiest node that may take a copy, in a zone that has no more of its copies than the one it leaves.
    fn target(
        &self,
        material: &MaterialId,
        record: &MaterialRecord,
        from: &NodeId,
        roster: &Roster<'_>,
        observed: &Observed,
        limits: &Limits,
    ) -> Option<NodeId> {
        let source = self.levels.get(from).filter(|level| level.moves_out < limits.per_node_max)?;
        let others = record.replicas.iter().filter(|replica| replica.node != *from);
        let zones: Vec<String> = others.filter_map(|replica| roster.get(&replica.node)?.record.zone.clone()).collect();
        let crowd_before = crowd(source.zone.as_deref(), &zones);
        let mut targets: Vec<_> = self
            .levels
            .iter()
            .filter(|(node, level)| {
                self.is_worthwhile(source, level)
                    && closes_in(source, level, record.size)
                    && level.room >= record.size
                    && level.moves_in < limits.per_node_max
                    && record.replica(node).is_none()
                    && crowd(level.zone.as_deref(), &zones) <= crowd_before
                    && !observed.failed_lately(material, node)
            })
            .collect();
        targets.sort_by(|a, b| a.1.fraction().total_cmp(&b.1.fraction()));
        targets.first().map(|(node, _)| (*node).clone())
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
