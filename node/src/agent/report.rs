//! How the node does, for its heartbeats.

use crate::Node;
use microtome_proto::node::NodeReport;
use parking_lot::Mutex;
use std::sync::{Arc, atomic::Ordering};
use sysinfo::System;

/// Looks at the machine; CPU use is told since the look before.
pub(super) struct Reporter {
    node: Arc<Node>,
    system: Arc<Mutex<System>>,
}

impl Reporter {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, system: Arc::new(Mutex::new(System::new())) }
    }

    /// The present report. What the system does not tell is zero.
    pub(super) async fn report(&self) -> NodeReport {
        let (node, system) = (Arc::clone(&self.node), Arc::clone(&self.system));
        tokio::task::spawn_blocking(move || look(&node, &mut system.lock())).await.unwrap_or_default()
    }
}

fn look(node: &Node, system: &mut System) -> NodeReport {
    system.refresh_cpu_usage();
    system.refresh_memory();
    let usage = node.space.look();
    if let Err(error) = &usage {
        tracing::warn!(%error, "the free space of the data folder cannot be told");
    }
    let (materials, stored) = node.blobs.totals();
    NodeReport {
        disk_total: usage.as_ref().map_or(0, |usage| usage.total),
        disk_free: usage.as_ref().map_or(0, |usage| usage.free),
        disk_reserve: node.space.reserve(),
        disk_promised: node.space.promised(),
        disk_full: node.space.is_full(),
        stored,
        materials,
        damaged: node.blobs.damaged().len() as u64,
        mended: node.blobs.damage().mended().get(),
        scrub: node.scrub.report(stored),
        cpu: f64::from(system.global_cpu_usage() / 100.0).clamp(0.0, 1.0),
        memory_total: system.total_memory(),
        memory_free: system.available_memory(),
        load: System::load_average().one,
        requests_active: node.requests_active.load(Ordering::Relaxed),
        tiles_served: node.tiles_served.load(Ordering::Relaxed),
        uptime_s: node.started.elapsed().as_secs(),
    }
}
