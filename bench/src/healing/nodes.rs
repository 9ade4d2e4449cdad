//! Virtual nodes: disks that are counters, and copies that take the time which disks and network would.

use std::collections::BTreeMap;

use microtome_proto::internal::{Heartbeat, Incoming};
use microtome_proto::node::NodeReport;
use microtome_proto::{Generation, MaterialId, NodeId};

/// Bytes a second that a node's disk and network carry in each direction, shared by all copies that use them.
pub(crate) const PACE: u64 = 256 << 20;
/// How much slower a slow node is.
pub(crate) const SLOWER: u64 = 10;

/// A copy under way.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) generation: Generation,
    pub(crate) size: u64,
    pub(crate) offset: u64,
    pub(crate) sources: Vec<usize>,
}

/// A virtual node.
#[derive(Debug)]
pub(crate) struct VirtualNode {
    pub(crate) id: NodeId,
    /// Whether it runs and is heard.
    pub(crate) is_up: bool,
    /// Bytes a second.
    pub(crate) pace: u64,
    pub(crate) disk_total: u64,
    /// Bytes of whole copies.
    pub(crate) stored: u64,
    pub(crate) materials: u64,
    pub(crate) pulls: BTreeMap<MaterialId, Pull>,
    /// Whether the books may say something of it that it has not been told.
    pub(crate) is_owed_orders: bool,
}

impl VirtualNode {
    /// The fraction of its disk that whole copies use.
    pub(crate) fn used(&self) -> f64 {
        self.stored as f64 / self.disk_total as f64
    }

    fn report(&self) -> NodeReport {
        let arrived: u64 = self.pulls.values().map(|pull| pull.offset).sum();
        let promised = self.pulls.values().map(|pull| pull.size - pull.offset).sum();
        NodeReport {
            disk_total: self.disk_total,
            disk_free: self.disk_total.saturating_sub(self.stored + arrived),
            disk_promised: promised,
            stored: self.stored,
            materials: self.materials,
            ..NodeReport::default()
        }
    }

    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let incoming = |(material, pull): (&MaterialId, &Pull)| Incoming {
            material: material.clone(),
            generation: pull.generation,
            offset: pull.offset,
            check: None,
        };
        Heartbeat {
            instance: String::new(),
            report: self.report(),
            incoming: self.pulls.iter().map(incoming).collect(),
            ..Heartbeat::default()
        }
    }
}

/// A copy that has just become whole.
pub(crate) struct Arrived {
    pub(crate) nth: usize,
    pub(crate) material: MaterialId,
    pub(crate) generation: Generation,
    pub(crate) size: u64,
}

/// All copies go on for so many milliseconds. What has arrived whole, and how many bytes moved.
pub(crate) fn carry(nodes: &mut [VirtualNode], elapsed_ms: u64) -> (Vec<Arrived>, u64) {
    let mut readers = vec![0u64; nodes.len()];
    for pull in nodes.iter().filter(|node| node.is_up).flat_map(|node| node.pulls.values()) {
        pull.sources.iter().for_each(|&source| readers[source] += 1);
    }
    // What each node gives to each of those who read there.
    let gives: Vec<u64> = nodes
        .iter()
        .zip(&readers)
        .map(|(node, &readers)| if node.is_up { node.pace / readers.max(1) } else { 0 })
        .collect();
    let (mut arrived, mut moved) = (Vec::new(), 0);
    for (nth, node) in nodes.iter_mut().enumerate().filter(|(_, node)| node.is_up && !node.pulls.is_empty()) {
        let takes = node.pace / node.pulls.len() as u64;
        for (material, pull) in &mut node.pulls {
            let given: u64 = pull.sources.iter().map(|&source| gives[source]).sum();
            let step = (takes.min(given) * elapsed_ms / 1_000).min(pull.size - pull.offset);
            pull.offset += step;
            moved += step;
            node.is_owed_orders |= given == 0;
            if pull.offset == pull.size {
                let (material, generation, size) = (material.clone(), pull.generation, pull.size);
                arrived.push(Arrived { nth, material, generation, size });
            }
        }
        node.pulls.retain(|_, pull| pull.offset < pull.size);
    }
    for Arrived { nth, size, .. } in &arrived {
        nodes[*nth].stored += size;
        nodes[*nth].materials += 1;
    }
    (arrived, moved)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn node(nth: u64, pace: u64) -> VirtualNode {
        VirtualNode {
            id: NodeId::from_counter(nth),
            is_up: true,
            pace,
            disk_total: 1_000,
            stored: 0,
            materials: 0,
            pulls: BTreeMap::new(),
            is_owed_orders: false,
        }
    }

    #[test]
    fn copies_share_the_pace_of_both_ends() {
        let mut nodes = [node(1, 100), node(2, 100), node(3, 10)];
        let mut pull = |nth: usize, id: &str, size| {
            let pull = Pull { generation: Generation(1), size, offset: 0, sources: vec![0] };
            nodes[nth].pulls.insert(id.parse().unwrap(), pull);
        };
        pull(1, "m-a", 300);
        pull(2, "m-b", 10);
        // The first node gives 50 to each; the third takes no more than 10.
        let (arrived, moved) = carry(&mut nodes, 1_000);
        assert_eq!((arrived.len(), moved, nodes[2].stored), (1, 60, 10));
        let (arrived, moved) = carry(&mut nodes, 1_000);
        assert_eq!((arrived.len(), moved), (0, 100));
        nodes[0].is_up = false;
        assert_eq!(carry(&mut nodes, 1_000).1, 0);
        assert!(nodes[1].is_owed_orders, "it asks whom else it may read from");
    }
}
