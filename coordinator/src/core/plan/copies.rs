//! Copies: the wanted population everywhere, no more and no less.

use super::Scene;
use crate::core::{
    command::Command,
    keys,
    placement::{Sites, Wish},
    standing::{Standing, troubled},
    tables::{MaterialRecord, Materials, ReplicaRecord, Runs, RunsOnNode},
    view::{Typed, ViewError},
};
use microtome_proto::{MaterialId, NodeId, material::ReplicaState, node::Scheduling};
use std::{cmp::Reverse, collections::BTreeMap};

pub(super) fn plan(scene: &Scene<'_>) -> Result<Vec<Command>, ViewError> {
    let mut round = Round { scene, ends: Vec::new(), drops: Vec::new(), wishes: Vec::new(), copying: 0 };
    for id in troubled(scene.view, scene.roster)? {
        if let Some(record) = scene.view.get_record::<Materials>(&id)? {
            round.examine(&id, &record)?;
        }
    }
    let copies = round.place()?;
    round.ends.extend(copies);
    round.ends.append(&mut round.drops);
    Ok(round.ends)
}

struct Round<'a> {
    scene: &'a Scene<'a>,
    /// Assignments that end because their node is gone.
    ends: Vec<Command>,
    /// Copies that are too many.
    drops: Vec<Command>,
    /// Copies that lack, each with the population that the material has without it.
    wishes: Vec<(usize, Wish)>,
    /// Copies under way that have something to copy from.
    copying: usize,
}

impl Round<'_> {
    fn examine(&mut self, id: &MaterialId, record: &MaterialRecord) -> Result<(), ViewError> {
        let standing = Standing::of(record, self.scene.roster);
        self.end_with_nodes(id, record, &standing);
        if record.is_deleted() {
            return Ok(());
        }
        let roster = self.scene.roster;
        if !record.readable().any(|replica| roster.is(&replica.node, |peer| peer.counts())) {
            // No holder is expected back soon: what is on its way makes room for copies that have something to copy
            // from. It is planned anew when a holder is back.
            for replica in &standing.copying {
                self.drop(id, replica);
            }
            return Ok(());
        }
        self.trim(id, record, &standing)?;
        if standing.up.is_empty() {
            // Nothing to copy from just now.
            return Ok(());
        }
        self.copying += standing.copying.len();
        for nth in 0..standing.shortage(record) {
            let population = standing.counted + standing.copying.len() + standing.mending.len() + nth;
            self.wishes.push((population, Wish::of(id, record, roster)));
        }
        Ok(())
    }

    /// What is on its way to a node that is gone will not arrive; what a removed node held is no longer its.
    fn end_with_nodes(&mut self, id: &MaterialId, record: &MaterialRecord, standing: &Standing<'_>) {
        let roster = self.scene.roster;
        for replica in &standing.hopeless {
            if roster.is(&replica.node, |peer| peer.counts()) {
                self.drop(id, replica);
            } else {
                self.end(id, replica);
            }
        }
        let is_held = record.verified().any(|replica| roster.is(&replica.node, |peer| peer.counts()));
        for replica in record.replicas.iter().filter(|replica| !roster.is(&replica.node, |peer| peer.is_member())) {
            match replica.state {
                ReplicaState::Copying => {}
                // While no other node has its bytes the books go on telling where they were.
                ReplicaState::Verified | ReplicaState::Damaged if !is_held => {}
                _ => self.end(id, replica),
            }
        }
    }

    /// Copies beyond the population. Only those on nodes that answer are counted for it and dropped: a short silence
    /// must not cost a copy. One that is on its way in another's place is none too many while the balance is wanted.
    /// One that a run on its node works on stays as long as the run.
    fn trim(&mut self, id: &MaterialId, record: &MaterialRecord, standing: &Standing<'_>) -> Result<(), ViewError> {
        let population = record.population as usize;
        let mut copying = standing.copying.clone();
        copying.sort_by_key(|replica| (self.offset(id, replica), Reverse(replica.generation)));
        let moving = if self.scene.rebalances { standing.moving } else { 0 };
        let excess = (standing.counted_up + copying.len()).saturating_sub(population + moving);
        for replica in copying.into_iter().take(excess) {
            self.drop(id, replica);
        }
        if standing.counted_up < population || !self.is_calm(standing) {
            return Ok(());
        }
        for replica in record.replicas.iter().filter(|replica| replica.state == ReplicaState::Damaged) {
            self.drop(id, replica);
        }
        let roster = self.scene.roster;
        let (draining, mut kept): (Vec<&ReplicaRecord>, Vec<&ReplicaRecord>) =
            standing.up.iter().partition(|replica| roster.is(&replica.node, |peer| peer.is_draining()));
        let mut surplus = draining;
        while kept.len() > population
            && let Some(worst) = self.least_wanted(&kept)
        {
            surplus.push(kept.swap_remove(worst));
        }
        for replica in surplus {
            if !self.is_worked_on(id, &replica.node)? {
                self.drop(id, replica);
            }
        }
        Ok(())
    }

    /// Whether a run on the node has the material as its input.
    fn is_worked_on(&self, id: &MaterialId, node: &NodeId) -> Result<bool, ViewError> {
        for entry in self.scene.view.scan_keys::<RunsOnNode>(&keys::node(node), None) {
            let run = self.scene.view.get_record::<Runs>(&entry?.1)?;
            if run.is_some_and(|run| run.inputs.contains(id)) {
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

    /// Whether all nodes with a copy have answered for a while.
    fn is_calm(&self, standing: &Standing<'_>) -> bool {
        standing
            .up
            .iter()
            .filter_map(|replica| self.scene.observed.seen(&replica.node))
            .all(|seen| self.scene.now_ms.saturating_sub(seen.up_since_ms) >= self.scene.knobs.trim_after_ms)
    }

    fn offset(&self, id: &MaterialId, replica: &ReplicaRecord) -> u64 {
        let arrival = self.scene.observed.arrival(id, &replica.node, replica.generation);
        arrival.map_or(0, |arrival| arrival.offset)
    }

    /// The lowest population first, as far as nodes and knobs allow.
    fn place(&mut self) -> Result<Vec<Command>, ViewError> {
        let knobs = self.scene.knobs;
        let budget = knobs.copies_max.saturating_sub(self.copying).min(knobs.commands_max);
        let mut commands = Vec::new();
        if self.wishes.is_empty() || budget == 0 {
            return Ok(commands);
        }
        self.wishes.sort_by(|a, b| (a.0, &a.1.material).cmp(&(b.0, &b.1.material)));
        let mut sites = Sites::survey(self.scene.view, self.scene.roster)?;
        let mut placed = BTreeMap::<MaterialId, Vec<NodeId>>::new();
        let mut room_max = sites.room_max(knobs.copies_per_node_max);
        for (_, mut wish) in self.wishes.drain(..) {
            if commands.len() >= budget || room_max.is_none() {
                break;
            }
            if room_max < Some(wish.size) {
                continue;
            }
            for node in placed.get(&wish.material).into_iter().flatten() {
                wish.zones.extend(self.scene.roster.get(node).and_then(|peer| peer.record.zone.clone()));
                wish.taken.push(node.clone());
            }
            if let Some(node) = sites.place_copy(&wish, self.scene.observed, knobs.copies_per_node_max) {
                placed.entry(wish.material.clone()).or_default().push(node.clone());
                commands.push(Command::AddReplica { material: wish.material, node });
                room_max = sites.room_max(knobs.copies_per_node_max);
            }
        }
        Ok(commands)
    }

    fn drop(&mut self, id: &MaterialId, replica: &ReplicaRecord) {
        if self.drops.len() < self.scene.knobs.commands_max {
            self.drops.push(Command::DropReplica {
                material: id.clone(),
                node: replica.node.clone(),
                generation: replica.generation,
            });
        }
    }

    fn end(&mut self, id: &MaterialId, replica: &ReplicaRecord) {
        if self.ends.len() < self.scene.knobs.commands_max {
            self.ends.push(Command::ReplicaGone {
                material: id.clone(),
                node: replica.node.clone(),
                generation: replica.generation,
            });
        }
    }
}
