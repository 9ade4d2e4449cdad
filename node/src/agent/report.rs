//! How the node does, for its heartbeats.

use crate::Node;
use microtome_proto::{node::NodeReport, protocol::PROTOCOL};
use microtome_server::Metrics;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::{Arc, atomic::Ordering};
use sysinfo::System;

/// Looks at the machine; CPU use is told since the look before.
pub(super) struct Reporter {
    node: Arc<Node>,
    system: Arc<Mutex<System>>,
    gauges: Gauges,
}

/// The report's numbers that operators are alerted by.
#[derive(Clone, Default)]
struct Gauges {
    disk_full: Gauge,
    damaged: Gauge,
    scrub_left: Gauge,
}

impl Gauges {
    fn show_in(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            let Self { disk_full, damaged, scrub_left } = self.clone();
            registry.register(
                "disk_full",
                "1 while somebody else has filled the disk: nothing new is taken",
                disk_full,
            );
            registry.register("damaged_copies", "Copies of which something is damaged and not mended yet", damaged);
            registry.register("scrub_left_bytes", "Bytes that the present scrub has still to read", scrub_left);
        });
    }

    fn set(&self, report: &NodeReport) {
        self.disk_full.set(report.disk_full.into());
        self.damaged.set(report.damaged.cast_signed());
        self.scrub_left.set(report.scrub.as_ref().map_or(0, |scrub| scrub.left.cast_signed()));
    }
}

impl Reporter {
    pub(super) fn new(node: Arc<Node>) -> Self {
        let gauges = Gauges::default();
        gauges.show_in(&node.metrics);
        Self { node, system: Arc::new(Mutex::new(System::new())), gauges }
    }

    /// The present report. What the system does not tell is zero.
    pub(super) async fn report(&self) -> NodeReport {
        let (node, system) = (Arc::clone(&self.node), Arc::clone(&self.system));
        let looked = tokio::task::spawn_blocking(move || look(&node, &mut system.lock()));
        let report = looked.await.unwrap_or_default();
        self.gauges.set(&report);
        report
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
        protocol: PROTOCOL,
        runs_max: u32::try_from(node.runs.most()).ok(),
        tiles_served: node.tiles_served.load(Ordering::Relaxed),
        uptime_s: node.started.elapsed().as_secs(),
    }
}
