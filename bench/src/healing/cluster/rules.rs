//! The rules that planning must keep, looked at in each round.

use std::collections::BTreeMap;

use microtome_coordinator::core::plan::Knobs;
use microtome_coordinator::core::tables::{Arriving, MaterialRecord, Materials};
use microtome_coordinator::core::view::{Typed as _, ViewError};
use microtome_proto::NodeId;
use microtome_proto::node::Availability;

use super::Cluster;
use crate::books::zone;
use crate::healing::nodes::VirtualNode;

impl Cluster {
    /// The lowest population comes first, and no zone gets a second copy: there are always others.
    pub(super) fn is_placed_well(&mut self, record: &MaterialRecord, node: &NodeId) {
        let zone_of = |node: &NodeId| self.which.get(node.as_str()).map(|&nth| zone(nth));
        let counts = |node: &NodeId| self.observed.availability(node, self.now_ms, &self.timing) != Availability::Down;
        let here: Vec<_> = record.replicas.iter().filter(|replica| counts(&replica.node)).collect();
        let is_apart = here.iter().all(|replica| zone_of(&replica.node) != zone_of(node));
        let population = here.len();
        self.tally.rule(is_apart, || format!("two copies in the zone of {node}: {record:?}"));
        let before = std::mem::replace(&mut self.population, population);
        self.tally.rule(before <= population, || format!("a population of {before} was raised before {record:?}"));
    }

    /// Where other nodes are silent than before, other materials lack copies.
    pub(super) fn note_silence(&mut self) {
        let is_silent =
            |node: &&VirtualNode| self.observed.availability(&node.id, self.now_ms, &self.timing) != Availability::Up;
        let silent = self.nodes.iter().filter(is_silent).map(|node| node.id.clone()).collect();
        if self.silent != silent {
            (self.silent, self.population) = (silent, 0);
        }
    }

    /// No more is begun than may be under way. What has nothing to copy from just now does not count.
    pub(super) fn keeps_knobs(&mut self) -> Result<(), ViewError> {
        let (mut all, mut copying) = (0, BTreeMap::<NodeId, usize>::new());
        for place in self.view.scan_keys::<Arriving>(&[], None) {
            let (node, material) = place?;
            let record = self.view.get_record::<Materials>(&material)?;
            let is_heard = |node: &NodeId| !self.silent.contains(node);
            all += usize::from(record.is_some_and(|it| it.verified().any(|replica| is_heard(&replica.node))));
            *copying.entry(node).or_default() += 1;
        }
        let Knobs { copies_max, copies_per_node_max, .. } = self.knobs;
        let most = copying.values().copied().max().unwrap_or(0);
        self.tally.rule(all <= copies_max, || format!("{all} copies were under way at once"));
        self.tally.rule(most <= copies_per_node_max, || format!("{most} copies were under way to one node"));
        Ok(())
    }
}
