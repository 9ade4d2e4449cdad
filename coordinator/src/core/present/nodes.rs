//! Nodes as the API shows them.

use super::{PresentError, Scene, page::page};
use crate::core::{
    keys, pace,
    tables::{Arriving, Materials, NodeRecord, Nodes, RunsOnNode, Totals},
    view::{Typed, ViewError},
};
use microtome_proto::{
    NodeId,
    node::{Drain, Lifecycle, Node, Scheduling},
    page::{Page, PageQuery},
};

impl Scene<'_> {
    /// A node; also one that was removed.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn node(&self, id: &NodeId) -> Result<Option<Node>, ViewError> {
        self.view.get_record::<Nodes>(id)?.map(|record| self.present_node(id.clone(), record)).transpose()
    }

    /// All nodes ever registered, in that order.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn nodes(&self, query: &PageQuery) -> Result<Page<Node>, PresentError> {
        let (entries, next_cursor) = page::<Nodes>(self.view, query)?;
        let items = entries.into_iter().map(|(id, record)| self.present_node(id, record)).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor })
    }

    fn present_node(&self, id: NodeId, record: NodeRecord) -> Result<Node, ViewError> {
        let totals = self.view.get_record::<Totals>(&id)?.unwrap_or_default();
        let is_drained = record.lifecycle == Lifecycle::Member && record.scheduling == Scheduling::Draining;
        let drain = if is_drained { Some(self.drain(&id)?) } else { None };
        let seen = self.observed.seen(&id);
        Ok(Node {
            availability: self.observed.availability(&id, self.now_ms, self.timing),
            id,
            name: record.name,
            url: record.url,
            zone: record.zone,
            labels: record.labels,
            version: record.version,
            scheduling: record.scheduling,
            lifecycle: record.lifecycle,
            registered_at: record.registered_at,
            seen_at: seen.map(|seen| seen.beat_at),
            report: seen.map(|seen| seen.report.clone()),
            replicas: totals.replicas,
            drain,
        })
    }

    /// What a draining node still has. Costs a look at the copies under way in the cluster, not at those that it holds.
    fn drain(&self, id: &NodeId) -> Result<Drain, ViewError> {
        let totals = self.view.get_record::<Totals>(id)?.unwrap_or_default();
        let mut uploads = 0;
        for entry in self.view.scan_records::<Arriving>(&keys::node(id), None) {
            uploads += u64::from(!entry?.1.copying);
        }
        let runs = self.view.scan_keys::<RunsOnNode>(&keys::node(id), None).collect::<Result<Vec<_>, _>>()?;
        let away = pace::of_copies(self.view, self.observed, |material| {
            let record = self.view.get_record::<Materials>(material)?;
            Ok(record.is_some_and(|record| record.verified().any(|replica| replica.node == *id)))
        })?;
        let bytes_left = totals.bytes.saturating_sub(away.arrived);
        Ok(Drain {
            copies: totals.replicas,
            uploads,
            runs: runs.len() as u64,
            bytes_left,
            bytes_per_s: away.bytes_per_s,
            seconds_left: away.seconds(bytes_left),
        })
    }
}
