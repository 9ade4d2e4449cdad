//! The cluster's numbers, and what is being made whole.

use super::Scene;
use crate::core::{
    roster::Roster,
    standing::{Standing, troubled},
    tables::{Materials, Meta},
    view::{Typed, ViewError},
};
use microtome_proto::{
    ClusterId,
    cluster::{Healing, Rebalance},
};

/// What the books and the leader know for `GET /v1/cluster`.
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
    /// What is being made whole.
    pub healing: Healing,
    /// What is being moved for the balance's sake.
    pub rebalance: Option<Rebalance>,
}

impl Scene<'_> {
    /// The cluster's numbers. Costs a look at everything that is out of order.
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
            healing: self.healing(&roster)?,
            rebalance: meta.rebalancing_since.map(|since| self.rebalance(since, &roster)).transpose()?,
        })
    }

    fn healing(&self, roster: &Roster<'_>) -> Result<Healing, ViewError> {
        let mut healing = Healing::default();
        for id in troubled(self.view, roster)? {
            let Some(record) = self.view.get_record::<Materials>(&id)? else { continue };
            if record.is_deleted() || record.blake3.is_none() {
                continue;
            }
            let standing = Standing::of(&record, roster);
            let lacking = (record.population as usize).saturating_sub(standing.counted);
            if lacking == 0 {
                continue;
            }
            healing.materials += 1;
            healing.bytes_left += standing.shortage(&record) as u64 * record.size;
            for replica in standing.copying.iter().take(lacking) {
                healing.copies += 1;
                let arrival = self.observed.arrival(&id, &replica.node, replica.generation);
                healing.bytes_left += record.size.saturating_sub(arrival.map_or(0, |arrival| arrival.offset));
                healing.bytes_per_s += arrival.map_or(0.0, |arrival| arrival.bytes_per_s);
            }
        }
        if healing.bytes_per_s > 0.0 {
            healing.seconds_left = Some(healing.bytes_left as f64 / healing.bytes_per_s);
        }
        Ok(healing)
    }
}
