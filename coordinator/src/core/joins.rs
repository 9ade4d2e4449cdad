//! Materials that are to be put together: where their parts are, and where that can be done.
//!
//! A node puts together what it has all parts of. Parts that are elsewhere are copied there first, as any copy is.

use super::{
    observed::{Observed, Timing},
    placement::{NoCandidate, Sites},
    roster::Roster,
    tables::{MaterialRecord, Materials},
    view::{Typed, View, ViewError},
};
use microtome_proto::{MaterialId, NodeId, node::Candidate};

/// The parts of one material, in order.
pub(super) struct Parts(Vec<(MaterialId, MaterialRecord)>);

impl Parts {
    /// None where one of them is not in the books.
    pub(super) fn read(view: &dyn View, ids: &[MaterialId]) -> Result<Option<Self>, ViewError> {
        let mut parts = Vec::with_capacity(ids.len());
        for id in ids {
            match view.get_record::<Materials>(id)? {
                Some(record) if record.is_partial() && !record.is_deleted() => parts.push((id.clone(), record)),
                _ => return Ok(None),
            }
        }
        Ok(Some(Self(parts)))
    }

    /// Bytes of all of them.
    pub(super) fn size(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, part)| sum.saturating_add(part.size))
    }

    /// Those that a node has nothing whole of.
    pub(super) fn missing_at(&self, node: &NodeId) -> impl Iterator<Item = &(MaterialId, MaterialRecord)> {
        self.0.iter().filter(move |(_, part)| !part.readable().any(|replica| replica.node == *node))
    }

    /// Whether each of them can be read at `node`, or copied to it from another one that answers.
    pub(super) fn can_be_had_at(&self, node: &NodeId, roster: &Roster<'_>) -> bool {
        self.missing_at(node).all(|(_, part)| part.verified().any(|it| roster.is(&it.node, |peer| peer.is_up())))
    }

    /// Nodes that could put them together, the best first: those that have the most of them, so that little is copied.
    /// Each has room for the whole, and for the parts that it lacks.
    pub(super) fn sites(&self, sites: &Sites, roster: &Roster<'_>) -> Vec<Candidate> {
        let size = self.size();
        let mut able: Vec<_> = sites
            .iter()
            .filter(|(node, site)| site.is_able_to_join() && self.can_be_had_at(node, roster))
            .map(|(node, site)| (self.missing_at(node).map(|(_, part)| part.size).sum::<u64>(), node, site))
            .filter(|(missing, _, site)| site.room >= size.saturating_add(*missing))
            .map(|(missing, node, site)| (missing, site.candidate(node, size)))
            .collect();
        able.sort_by(|(a_missing, a), (b_missing, b)| {
            a_missing.cmp(b_missing).then_with(|| b.score.total_cmp(&a.score)).then_with(|| a.node.cmp(&b.node))
        });
        able.into_iter().map(|(_, candidate)| candidate).collect()
    }
}

/// Where these parts would be put together, best first and at least one; or why nowhere. None where one of them is not
/// there.
///
/// # Errors
/// Where the state cannot be read.
pub fn candidates(
    view: &dyn View,
    observed: &Observed,
    parts: &[MaterialId],
    now_ms: u64,
    timing: &Timing,
) -> Result<Option<Result<Vec<Candidate>, NoCandidate>>, ViewError> {
    let Some(parts) = Parts::read(view, parts)? else { return Ok(None) };
    let roster = Roster::all(view, observed, now_ms, timing)?;
    let sites = Sites::survey(view, &roster)?;
    let candidates = parts.sites(&sites, &roster);
    let mut able = sites.iter().filter(|(_, site)| site.is_able_to_join()).peekable();
    Ok(Some(if !candidates.is_empty() {
        Ok(candidates)
    } else if able.peek().is_some() && !able.any(|(node, _)| parts.can_be_had_at(node, &roster)) {
        Err(NoCandidate::Unreadable)
    } else {
        Err(sites.why_none(&roster, true))
    }))
}
