//! The balance between nodes as the API shows it: what is being moved, and what would be.

use super::Scene;
use crate::core::{
    balance::{Balance, Limits, Search, TOLERANCE},
    pace::{self, Pace},
    roster::Roster,
    tables::Meta,
    view::{Typed, ViewError},
};
use microtome_proto::{
    NodeId,
    cluster::Rebalance,
    operation::{Amount, NodeLevel, Rebalanced},
};
use std::collections::BTreeMap;

impl Scene<'_> {
    /// What rebalancing would do from now on. Looks at all copies on the fuller nodes.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn rebalanced(&self) -> Result<Rebalanced, ViewError> {
        let roster = Roster::all(self.view, self.observed, self.now_ms, self.timing)?;
        let mut balance = Balance::survey(self.view, &roster)?;
        let before: BTreeMap<NodeId, f64> = balance.fractions().map(|(node, used)| (node.clone(), used)).collect();
        let mut to_move = Amount::default();
        balance.moving.iter().for_each(|moving| to_move.add(moving.what.size));
        let (view, observed) = (self.view, self.observed);
        let moves = balance.moves(&Search { view, observed, roster: &roster, limits: Limits::NONE })?;
        moves.iter().for_each(|one| to_move.add(one.size));
        let nodes = balance.fractions().map(|(node, used_then)| NodeLevel {
            node: node.clone(),
            name: roster.get(node).map(|peer| peer.record.name.clone()).unwrap_or_default(),
            used: before.get(node).copied().unwrap_or(used_then),
            used_then,
        });
        let meta = self.view.get_record::<Meta>(&())?.unwrap_or_default();
        Ok(Rebalanced {
            dry_run: true,
            goes_on: meta.rebalancing_since.is_some(),
            to_move,
            evens_out: balance.is_even(),
            tolerance: TOLERANCE,
            nodes: nodes.collect(),
            seconds: pace::of_copies(self.view, self.observed, |_| Ok(true))?.seconds(to_move.bytes),
            waits_for: balance.waits_for,
        })
    }

    /// What is being moved; none while nobody wants it. Costs a look at everything that the books call unsettled.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn rebalance(&self) -> Result<Option<Rebalance>, ViewError> {
        let meta = self.view.get_record::<Meta>(&())?.unwrap_or_default();
        let Some(since) = meta.rebalancing_since else { return Ok(None) };
        let roster = Roster::all(self.view, self.observed, self.now_ms, self.timing)?;
        let balance = Balance::survey(self.view, &roster)?;
        let (mut pace, mut bytes) = (Pace::default(), 0);
        for moving in balance.moving.iter().filter(|moving| moving.is_copying) {
            pace.add(self.observed.arrival(&moving.what.material, &moving.what.to, moving.generation));
            bytes += moving.what.size;
        }
        let bytes_left = balance.bytes_left() + bytes.saturating_sub(pace.arrived);
        let used = || balance.fractions().map(|(_, used)| used);
        Ok(Some(Rebalance {
            since,
            copies: pace.copies,
            bytes_left,
            bytes_per_s: pace.bytes_per_s,
            seconds_left: pace.seconds(bytes_left),
            fullest: used().fold(0.0, f64::max),
            emptiest: used().fold(1.0, f64::min),
        }))
    }
}
