//! Nodes as the API shows them.

use super::{PresentError, Scene, page::page};
use crate::core::{
    tables::{NodeRecord, Nodes, Totals},
    view::{Typed, ViewError},
};
use microtome_proto::{
    NodeId,
    node::Node,
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
        })
    }
}
