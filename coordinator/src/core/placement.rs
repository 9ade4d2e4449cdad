//! Where bytes go: which nodes have room, and which of them is best.
//!
//! Room is what a node last told, less what has been assigned to it since and it has not told yet.

use super::{
    affinity,
    observed::{Observed, Timing},
    roster::{Peer, Roster},
    tables::{Arriving, ArrivingRecord, MaterialRecord},
    view::{Typed, View, ViewError},
};
use microtome_proto::{MaterialId, NodeId, material::ReplicaState, node::Candidate, protocol::CONCATENATION};
use std::collections::BTreeMap;

/// A node that takes new bytes, with what is planned for it.
#[derive(Debug, Clone)]
pub(super) struct Site {
    url: String,
    pub(super) zone: Option<String>,
    pub(super) room: u64,
    pub(super) disk_total: u64,
    cpu: f64,
    protocol: u32,
    /// Copies and uploads on their way.
    arriving: usize,
    /// Their bytes, told or not.
    pub(super) arriving_bytes: u64,
    /// Copies on their way.
    pub(super) copying: usize,
}

impl Site {
    /// Without what is on its way there.
    fn of(peer: &Peer<'_>) -> Option<Self> {
        let report = &peer.seen?.report;
        Some(Self {
            url: peer.record.url.clone(),
            zone: peer.record.zone.clone(),
            room: report.room(),
            disk_total: report.disk_total,
            cpu: report.cpu,
            protocol: report.protocol,
            arriving: 0,
            arriving_bytes: 0,
            copying: 0,
        })
    }

    /// A copy or an upload is on its way there; what the node has told of it is in its report.
    fn expect(&mut self, record: &ArrivingRecord, is_told: bool) {
        self.arriving += 1;
        self.arriving_bytes += record.size;
        self.copying += usize::from(record.copying);
        if !is_told {
            self.room = self.room.saturating_sub(record.size);
        }
    }

    /// Whether its program knows of parts, and of files that are put together.
    pub(super) fn is_able_to_join(&self) -> bool {
        self.protocol >= CONCATENATION
    }

    /// As it is shown where an upload of `size` bytes may go.
    pub(super) fn candidate(&self, node: &NodeId, size: u64) -> Candidate {
        Candidate { node: node.clone(), url: self.url.clone(), room: self.room, score: self.score(size) }
    }

    /// A larger score comes first: the fraction of the disk that would be left free, less a little for what is on its
    /// way already and for a busy CPU, so that equal nodes take turns.
    fn score(&self, size: u64) -> f64 {
        let left = self.room.saturating_sub(size) as f64 / self.disk_total.max(1) as f64;
        left - 0.02 * self.arriving.min(25) as f64 - 0.1 * self.cpu.clamp(0.0, 1.0)
    }
}

/// All nodes that take new bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Sites(BTreeMap<NodeId, Site>);

impl Sites {
    pub(super) fn survey(view: &dyn View, roster: &Roster<'_>) -> Result<Self, ViewError> {
        let takes_work = roster.iter().filter(|(_, peer)| peer.takes_work());
        let mut sites = Self(takes_work.filter_map(|(id, peer)| Some((id.clone(), Site::of(peer)?))).collect());
        // One walk over all that is on its way: to most nodes nothing is.
        for entry in view.scan_records::<Arriving>(&[], None) {
            let ((node, material), record) = entry?;
            if let Some(site) = sites.0.get_mut(&node) {
                let told = roster.get(&node).and_then(|peer| peer.seen).and_then(|seen| seen.incoming.get(&material));
                site.expect(&record, told.is_some_and(|told| told.generation == record.generation));
            }
        }
        Ok(sites)
    }

    /// All of them, in the order of their ids' text.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Site)> {
        self.0.iter()
    }

    /// Nodes with room for `size` bytes, the best first.
    fn with_room(&self, size: u64) -> Vec<(&NodeId, &Site, f64)> {
        let mut sites: Vec<_> = self
            .0
            .iter()
            .filter(|(_, site)| site.room >= size)
            .map(|(id, site)| (id, site, site.score(size)))
            .collect();
        sites.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.0.cmp(b.0)));
        sites
    }

    /// Why none of them takes an upload; one of a part, or of what is put together, needs one that is able to.
    pub(super) fn why_none(&self, roster: &Roster<'_>, is_of_parts: bool) -> NoCandidate {
        if is_of_parts && !self.0.is_empty() && !self.0.values().any(Site::is_able_to_join) {
            NoCandidate::Older
        } else if roster.iter().any(|(_, peer)| peer.is_settling()) {
            NoCandidate::Settling
        } else if roster.iter().any(|(_, peer)| peer.is_up()) {
            NoCandidate::Full
        } else {
            NoCandidate::Silent
        }
    }

    /// Bytes that can still be promised on all of them.
    pub(super) fn room(&self) -> u64 {
        self.0.values().map(|site| site.room).sum()
    }

    /// The largest copy that any node could still take: what is larger need not be looked at.
    pub(super) fn room_max(&self, copies_per_node_max: usize) -> Option<u64> {
        self.0.values().filter(|site| site.copying < copies_per_node_max).map(|site| site.room).max()
    }

    /// So many bytes more are to come to a node.
    pub(super) fn book(&mut self, node: &NodeId, bytes: u64) {
        if let Some(site) = self.0.get_mut(node) {
            site.room = site.room.saturating_sub(bytes);
            site.arriving += 1;
        }
    }

    /// Chooses a node for one more copy and books its room there: in a zone with as few of its copies as can be, and of
    /// those the one with the best score.
    pub(super) fn place_copy(
        &mut self,
        wish: &Wish,
        observed: &Observed,
        copies_per_node_max: usize,
    ) -> Option<NodeId> {
        let crowd = |site: &Site| crowd(site.zone.as_deref(), &wish.zones);
        let (node, _) = self
            .0
            .iter()
            .filter(|(node, site)| {
                site.room >= wish.size
                    && site.copying < copies_per_node_max
                    && (!wish.is_partial || site.is_able_to_join())
                    && !wish.taken.contains(node)
                    && !observed.failed_lately(&wish.material, node)
            })
            .min_by(|(_, a), (_, b)| {
                crowd(a).cmp(&crowd(b)).then_with(|| b.score(wish.size).total_cmp(&a.score(wish.size)))
            })?;
        let node = node.clone();
        let site = self.0.get_mut(&node)?;
        site.room -= wish.size;
        site.arriving += 1;
        site.copying += 1;
        Some(node)
    }
}

/// How many of the copies in `zones` stand in this one. A node without a zone stands alone.
pub(super) fn crowd(zone: Option<&str>, zones: &[String]) -> usize {
    zone.map_or(0, |zone| zones.iter().filter(|taken| *taken == zone).count())
}

/// One more copy that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) material: MaterialId,
    pub(super) size: u64,
    /// Whether it is a part, which must not come to a program that would show it.
    pub(super) is_partial: bool,
    /// Nodes where the books have a copy in whatever state, or are about to.
    pub(super) taken: Vec<NodeId>,
    /// The zones of the copies that count, one entry for each.
    pub(super) zones: Vec<String>,
}

impl Wish {
    /// One more copy of a material, spread over the zones of those that stay.
    pub(super) fn of(material: &MaterialId, record: &MaterialRecord, roster: &Roster<'_>) -> Self {
        let zones = record
            .replicas
            .iter()
            .filter(|replica| replica.state != ReplicaState::Dropping)
            .filter_map(|replica| roster.get(&replica.node))
            .filter(|peer| peer.counts() && !peer.is_draining())
            .filter_map(|peer| peer.record.zone.clone())
            .collect();
        let taken = record.replicas.iter().map(|replica| replica.node.clone()).collect();
        let is_partial = record.is_partial();
        Self { material: material.clone(), size: record.size, is_partial, taken, zones }
    }
}

/// Why an upload has no place to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCandidate {
    /// No node answers.
    Silent,
    /// A node that answers takes it in a moment, when it has told what it holds.
    Settling,
    /// No node that takes work has room.
    Full,
    /// No node that takes work knows of parts: they are of the version before.
    Older,
    /// No node that answers has one of the parts.
    Unreadable,
}

/// Where an upload of `size` bytes would go, best first and at least one; or why it has no place to go.
///
/// # Errors
/// Where the state cannot be read.
pub fn candidates(
    view: &dyn View,
    observed: &Observed,
    size: u64,
    now_ms: u64,
    timing: &Timing,
) -> Result<Result<Vec<Candidate>, NoCandidate>, ViewError> {
    let roster = Roster::all(view, observed, now_ms, timing)?;
    let sites = Sites::survey(view, &roster)?;
    let candidates: Vec<_> =
        sites.with_room(size).into_iter().map(|(node, site, _)| site.candidate(node, size)).collect();
    Ok(if candidates.is_empty() { Err(sites.why_none(&roster, false)) } else { Ok(candidates) })
}

/// The same for a part of a file: its sender's node first, see [`affinity`](super::affinity).
///
/// # Errors
/// Where the state cannot be read.
pub fn candidates_of_part(
    view: &dyn View,
    observed: &Observed,
    (size, sender): (u64, &str),
    now_ms: u64,
    timing: &Timing,
) -> Result<Result<Vec<Candidate>, NoCandidate>, ViewError> {
    let roster = Roster::all(view, observed, now_ms, timing)?;
    let sites = Sites::survey(view, &roster)?;
    let able = sites.with_room(size).into_iter().filter(|(_, site, _)| site.is_able_to_join());
    let mut drawn: Vec<_> = able
        .map(|(node, site, _)| (affinity::drawn(sender, node, site.disk_total), site.candidate(node, size)))
        .collect();
    drawn.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let candidates: Vec<_> = drawn.into_iter().map(|(_, candidate)| candidate).collect();
    Ok(if candidates.is_empty() { Err(sites.why_none(&roster, true)) } else { Ok(candidates) })
}
