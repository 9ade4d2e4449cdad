//! The cluster's numbers.

use super::Scene;
use crate::core::{
    roster::Roster,
    tables::Meta,
    view::{Typed, ViewError},
};
use microtome_proto::ClusterId;

/// What the books and the leader know for `GET /v1/cluster`. What is being made whole the planner knows:
/// [`Agenda::healing`](crate::core::plan::Agenda::healing).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overview {
    /// None before the cluster was founded.
    pub id: Option<ClusterId>,
    /// Its name.
    pub name: String,
    /// Nodes that belong to it.
    pub nodes: u64,
    /// Those of them that answer.
    pub nodes_up: u64,
    /// Materials that are not deleted.
    pub materials: u64,
    /// Their bytes, each counted once.
    pub bytes: u64,
}

impl Scene<'_> {
    /// The cluster's numbers. Costs a look at its nodes.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn overview(&self) -> Result<Overview, ViewError> {
        let roster = Roster::all(self.view, self.observed, self.now_ms, self.timing)?;
        let meta = self.view.get_record::<Meta>(&())?.unwrap_or_default();
        let members = || roster.iter().filter(|(_, peer)| peer.is_member());
        Ok(Overview {
            id: meta.cluster,
            name: meta.name,
            nodes: members().count() as u64,
            nodes_up: members().filter(|(_, peer)| peer.is_up()).count() as u64,
            materials: meta.materials,
            bytes: meta.bytes,
        })
    }
}
