//! What one material wants done: which assignments are to end, which copies are too many, how many lack.

use super::{Scene, agenda::Due, healing::Share};
use crate::core::{
    command::Command,
    keys,
    standing::Standing,
    tables::{MaterialRecord, ReplicaRecord, Runs, RunsOnNode},
    view::{Typed, ViewError},
};
use microtome_proto::{MaterialId, NodeId, material::ReplicaState, node::Scheduling};
use std::{cmp::Reverse, collections::BTreeMap};

/// What one material wants.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Assignments that end because their node is gone.
    pub(super) ends: Vec<Command>,
    /// Copies that are too many.
    pub(super) drops: Vec<Command>,
    /// Copies that it has or that are on their way or being mended.
    population: usize,
    /// Copies that lack.
    lacks: usize,
    /// Copies under way that have something to copy from.
    pub(super) copying: usize,
    /// Whether any copy is under way.
    is_copying: bool,
    /// Whether copies that are too many wait for runs that work on them.
    is_worked_on: bool,
    /// When copies that are too many may be dropped, if that is not now.
    calm_at_ms: Option<u64>,
    /// What it adds to the cluster's healing, where it has fewer copies than wanted.
    pub(super) share: Option<Share>,
}

impl Findings {
    /// Why the material is looked at again before it or its nodes change.
    pub(super) fn dues(&self) -> Vec<Due> {
        let reasons = [
            (self.is_copying, Due::Copying),
            (!self.ends.is_empty(), Due::Ends),
            (!self.drops.is_empty() || self.is_worked_on, Due::Drops),
        ];
        let lacks = (0..self.lacks).map(|nth| Due::Lacks(self.population + nth));
        let reasons = reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, due)| due);
        reasons.chain(lacks).chain(self.calm_at_ms.map(Due::At)).collect()
    }
}

/// Looks at a material.
pub(super) fn examine(scene: &Scene<'_>, id: &MaterialId, record: &MaterialRecord) -> Result<Findings, ViewError> {
    let standing = Standing::of(record, scene.roster);
    let is_copying = record.replicas.iter().any(is_copying);
    let share = Share::of(scene, id, record, &standing);
    let found = Findings { is_copying, share, ..Findings::default() };
    let mut look = Look { scene, id, record, standing: &standing, found };
    look.all()?;
    Ok(look.found)
}

fn is_copying(replica: &ReplicaRecord) -> bool {
    replica.state == ReplicaState::Copying
}

struct Look<'a> {
    scene: &'a Scene<'a>,
    id: &'a MaterialId,
    record: &'a MaterialRecord,
    standing: &'a Standing<'a>,
    found: Findings,
}

impl Look<'_> {
    fn all(&mut self) -> Result<(), ViewError> {
        self.end_with_nodes();
        if self.record.is_deleted() {
            return Ok(());
        }
        let (roster, standing) = (self.scene.roster, self.standing);
        if !self.record.readable().any(|replica| roster.is(&replica.node, |peer| peer.counts())) {
            // No holder is expected back soon: what is on its way makes room for copies that have something to copy
            // from. It is planned anew when a holder is back.
            standing.copying.iter().for_each(|replica| self.drop(replica));
            return Ok(());
        }
        self.trim()?;
        if standing.up.is_empty() {
            // Nothing to copy from just now.
            return Ok(());
        }
        self.found.copying = standing.copying.len();
        self.found.population = standing.counted + standing.copying.len() + standing.mending.len();
        self.found.lacks = standing.shortage(self.record);
        Ok(())
    }

    /// What is on its way to a node that is gone will not arrive; what a removed node held is no longer its.
    fn end_with_nodes(&mut self) {
        let (roster, record, standing) = (self.scene.roster, self.record, self.standing);
        for replica in &standing.hopeless {
            if roster.is(&replica.node, |peer| peer.counts()) {
                self.drop(replica);
            } else {
                self.end(replica);
            }
        }
        let is_held = record.verified().any(|replica| roster.is(&replica.node, |peer| peer.counts()));
        for replica in record.replicas.iter().filter(|replica| !roster.is(&replica.node, |peer| peer.is_member())) {
            match replica.state {
                ReplicaState::Copying => {}
                // While no other node has its bytes the books go on telling where they were.
                ReplicaState::Verified | ReplicaState::Damaged if !is_held => {}
                _ => self.end(replica),
            }
        }
    }

    /// Copies beyond the population. Only those on nodes that answer, and have told what they hold, are counted for it
    /// and dropped: neither a short silence nor a start must cost a copy. One that is on its way in another's place is
    /// none too many while the balance is wanted. One of a part that was taken up was made where that is put
    /// together, and goes with it. One that a run on its node works on stays as long as the run.
    fn trim(&mut self) -> Result<(), ViewError> {
        let (record, standing) = (self.record, self.standing);
        if record.taken_by().is_some() {
            return Ok(());
        }
        let population = record.population as usize;
        let mut copying = standing.copying.clone();
        copying.sort_by_key(|replica| (self.offset(replica), Reverse(replica.generation)));
        let moving = if self.scene.rebalances { standing.moving } else { 0 };
        let excess = (standing.counted_up + copying.len()).saturating_sub(population + moving);
        for replica in copying.into_iter().take(excess) {
            self.drop(replica);
        }
        if standing.counted_up < population {
            return Ok(());
        }
        let mut surplus: Vec<_> = record.replicas.iter().filter(|it| it.state == ReplicaState::Damaged).collect();
        let roster = self.scene.roster;
        let sure = standing.up.iter().filter(|replica| roster.is(&replica.node, |peer| peer.is_settled()));
        let (draining, mut kept): (Vec<&ReplicaRecord>, Vec<&ReplicaRecord>) =
            sure.partition(|replica| roster.is(&replica.node, |peer| peer.is_draining()));
        surplus.extend(draining);
        while kept.len() > population
            && let Some(worst) = self.least_wanted(&kept)
        {
            surplus.push(kept.swap_remove(worst));
        }
        let calm_at_ms = self.calm_at_ms();
        if !surplus.is_empty() && calm_at_ms > self.scene.now_ms {
            self.found.calm_at_ms = Some(calm_at_ms);
            return Ok(());
        }
        for replica in surplus {
            if replica.state == ReplicaState::Verified && self.is_worked_on(&replica.node)? {
                self.found.is_worked_on = true;
            } else {
                self.drop(replica);
            }
        }
        Ok(())
    }

    /// Whether a run on the node has the material as its input.
    fn is_worked_on(&self, node: &NodeId) -> Result<bool, ViewError> {
        for entry in self.scene.view.scan_keys::<RunsOnNode>(&keys::node(node), None) {
            let run = self.scene.view.get_record::<Runs>(&entry?.1)?;
            if run.is_some_and(|run| run.inputs.contains(self.id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The copy to part with first: one that was moved, on a cordoned node, in a zone that has another one, on the
    /// fullest disk.
    fn least_wanted(&self, replicas: &[&ReplicaRecord]) -> Option<usize> {
        let mut zones = BTreeMap::<&str, usize>::new();
        let zone = |node: &NodeId| self.scene.roster.get(node).and_then(|peer| peer.record.zone.as_deref());
        for zone in replicas.iter().filter_map(|replica| zone(&replica.node)) {
            *zones.entry(zone).or_default() += 1;
        }
        let rank = |replica: &ReplicaRecord| {
            let peer = self.scene.roster.get(&replica.node);
            let is_moved = replicas.iter().any(|other| other.replaces.as_ref() == Some(&replica.node));
            let is_cordoned = peer.is_some_and(|peer| peer.record.scheduling == Scheduling::Cordoned);
            let is_crowded = zone(&replica.node).is_some_and(|zone| zones.get(zone).is_some_and(|&count| count > 1));
            let used_permille = peer.and_then(|peer| peer.seen).map_or(0, |seen| {
                let (total, room) = (u128::from(seen.report.disk_total.max(1)), u128::from(seen.report.room()));
                1000 - (1000 * room / total).min(1000)
            });
            (is_moved, is_cordoned, is_crowded, used_permille, replica.generation)
        };
        (0..replicas.len()).max_by_key(|&index| rank(replicas[index]))
    }

    /// When all nodes with a copy will have answered for a while.
    fn calm_at_ms(&self) -> u64 {
        let holders = self.standing.up.iter().filter_map(|replica| self.scene.observed.seen(&replica.node));
        holders.map(|seen| seen.up_since_ms + self.scene.knobs.trim_after_ms).max().unwrap_or(0)
    }

    fn offset(&self, replica: &ReplicaRecord) -> u64 {
        let arrival = self.scene.observed.arrival(self.id, &replica.node, replica.generation);
        arrival.map_or(0, |arrival| arrival.offset)
    }

    fn drop(&mut self, replica: &ReplicaRecord) {
        let (material, node, generation) = (self.id.clone(), replica.node.clone(), replica.generation);
        self.found.drops.push(Command::DropReplica { material, node, generation });
    }

    fn end(&mut self, replica: &ReplicaRecord) {
        let (material, node, generation) = (self.id.clone(), replica.node.clone(), replica.generation);
        self.found.ends.push(Command::ReplicaGone { material, node, generation });
    }
}
