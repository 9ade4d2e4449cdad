//! The coordinator's own metrics, read when they are asked for.

use super::App;
use microtome_server::Metrics;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::gauge::ConstGauge,
};
use std::{
    fmt,
    sync::{Arc, Weak},
};

pub(super) fn register(metrics: &Metrics, app: &Arc<App>) {
    let gauges = Gauges(Arc::downgrade(app));
    metrics.register(|registry| registry.register_collector(Box::new(gauges)));
}

/// Knows the server without keeping it alive.
struct Gauges(Weak<App>);

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(app) = self.0.upgrade() else { return Ok(()) };
        let (term, applied) = app.group.position();
        let leads = app.group.leads_in_term().is_some();
        let mut gauges = vec![
            ("raft_term", "Raft's term", term),
            ("raft_is_leader", "1 where this coordinator leads", u64::from(leads)),
            ("raft_last_applied", "Index of the last log entry applied", applied),
            ("passwords_hashed", "Passwords hashed since the start", app.passwords.computed()),
        ];
        // What nodes do is known to the leader only.
        if leads && let Ok(overview) = app.glance(|scene| scene.overview()) {
            gauges.extend([
                ("nodes", "Nodes that belong to the cluster", overview.nodes),
                ("nodes_up", "Nodes that answer", overview.nodes_up),
                ("materials", "Materials", overview.materials),
                ("materials_bytes", "Bytes of materials, each counted once", overview.bytes),
            ]);
        }
        if let Some(healing) = app.control.healing_found() {
            gauges.extend([
                ("healing_materials", "Materials with fewer copies than wanted", healing.materials),
                ("healing_copies", "Copies under way", healing.copies),
                ("healing_bytes_left", "Bytes still to copy", healing.bytes_left),
            ]);
        }
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
