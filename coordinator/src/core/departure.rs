//! What becomes of what a node holds when it no longer counts: asked before it is drained or removed. Looks at all that
//! is there.

use super::{
    keys,
    observed::Observed,
    pace,
    placement::{Sites, Wish},
    present::Scene,
    roster::Roster,
    standing::Standing,
    tables::{MaterialRecord, Materials, OnNode},
    view::{Typed, ViewError},
};
use microtome_proto::{
    MaterialId, NodeId,
    limits::MATERIALS_TOLD_MAX,
    material::ReplicaState,
    node::{Lifecycle, Scheduling},
    operation::{Amount, Departure, NoPlace, Unplaced},
};
use std::collections::BTreeMap;

/// How a node goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What it holds is moved away while it is there to be read.
    Drained,
    /// It is there no more.
    Removed,
}

/// What becomes of what `node` holds, if it went now.
///
/// # Errors
/// Where the state cannot be read.
pub fn departure(scene: &Scene<'_>, node: &NodeId, way: Way) -> Result<Departure, ViewError> {
    let mut roster = Roster::all(scene.view, scene.observed, scene.now_ms, scene.timing)?;
    roster.suppose(node, |record| match way {
        Way::Drained => record.scheduling = Scheduling::Draining,
        Way::Removed => record.lifecycle = Lifecycle::Removed,
    });
    let sites = Sites::survey(scene.view, &roster)?;
    let room = sites.room();
    let mut look = Look { node, way, roster: &roster, sites, found: Departure::default(), unplaced: BTreeMap::new() };
    for place in scene.view.scan_keys::<OnNode>(&keys::node(node), None) {
        let (_, material) = place?;
        if let Some(record) = scene.view.get_record::<Materials>(&material)? {
            look.at(&material, &record);
        }
    }
    let Look { found, unplaced, .. } = look;
    let pace = pace::of_copies(scene.view, scene.observed, |_| Ok(true))?;
    Ok(Departure {
        room,
        seconds: pace.seconds(found.to_copy.bytes),
        unplaced: unplaced.into_iter().map(|(why, amount)| Unplaced { why, amount }).collect(),
        ..found
    })
}

struct Look<'a> {
    node: &'a NodeId,
    way: Way,
    /// As it will be.
    roster: &'a Roster<'a>,
    /// The others, each with what would be placed there by now.
    sites: Sites,
    found: Departure,
    unplaced: BTreeMap<NoPlace, Amount>,
}

impl Look<'_> {
    fn at(&mut self, material: &MaterialId, record: &MaterialRecord) {
        let replica = record.replica(self.node);
        match replica.map(|replica| replica.state) {
            Some(ReplicaState::Receiving) => self.found.uploads += 1,
            Some(ReplicaState::Verified | ReplicaState::Damaged) => self.at_copy(material, record),
            _ => {}
        }
    }

    fn at_copy(&mut self, material: &MaterialId, record: &MaterialRecord) {
        self.found.held.add(record.size);
        let is_elsewhere = |node: &NodeId| node != self.node && self.roster.is(node, |peer| peer.counts());
        let is_only_here = !record.verified().any(|replica| is_elsewhere(&replica.node));
        if is_only_here {
            self.found.only_here.add(record.size);
            if self.found.only_here_materials.len() < MATERIALS_TOLD_MAX {
                self.found.only_here_materials.push(material.clone());
            }
            if self.way == Way::Removed {
                return;
            }
        }
        let standing = Standing::of(record, self.roster);
        if standing.counted >= record.population as usize {
            return;
        }
        match self.place(material, record, &standing) {
            Ok(()) => self.found.to_copy.add(record.size),
            Err(why) => self.unplaced.entry(why).or_default().add(record.size),
        }
    }

    /// Finds a place for the copy that is needed instead, unless it is on its way already.
    fn place(
        &mut self,
        material: &MaterialId,
        record: &MaterialRecord,
        standing: &Standing<'_>,
    ) -> Result<(), NoPlace> {
        if standing.shortage(record) == 0 {
            return Ok(());
        }
        if standing.up.is_empty() {
            return Err(NoPlace::NoSource);
        }
        let wish = Wish::of(material, record, self.roster);
        // Where it failed lately it may well go in a while.
        if self.sites.place_copy(&wish, &Observed::default(), usize::MAX).is_some() {
            return Ok(());
        }
        let has_other = self.sites.iter().any(|(node, _)| !wish.taken.contains(node));
        Err(if has_other { NoPlace::NoRoom } else { NoPlace::NoNode })
    }
}
