//! Who uses what: what is read is not idle, and what is in use does not end.
//!
//! A material ends by idleness only when nobody has read it for its idle time, whatever happens to leaders and nodes
//! meanwhile. Why that holds: let `R` be the last read, and `D` the end that the books tell
//! ([`MaterialRecord::idle_ends_at`]).
//!
//! 1. A node keeps each read in memory and tells it with every heartbeat until a leader has answered that it need not
//!    ([`due`]): that is when what is *committed* covers it. So no change of leader loses one, and once it is covered,
//!    `D` lies at least the idle time behind `R`.
//! 2. A leader ends nothing before it has heard each holder after `D` ([`Ending`]): a read up to `D` that was not
//!    covered yet is in that heartbeat. One behind `D` came too late.
//! 3. A node that is killed takes along what it had not told. That was read before it was started again: so nothing of
//!    what it holds ends before it has known of all reads for the idle time. One that is stopped properly writes down what
//!    it knows.
//! 4. Holders that are silent are waited for until they are called down. What one of them had not told was read shortly
//!    after it was heard last, or before this leader began to listen: it is let go when the idle time has passed since
//!    then. Only one that is cut off from the coordinators, and all the while gives readers bytes, serves some of whom
//!    nobody hears.
//!
//! Times of reads are the leader's: the node tells how long ago they were, and its clock does not matter. Those of the
//! coordinators do, as they do for what ends by age.

use super::{
    roster::Peer,
    tables::{MaterialRecord, Materials, Runs, RunsOnNode, WaitingRuns},
    view::{Typed, View, ViewError},
};
use microtome_proto::{MaterialId, Timestamp, internal::Uses, node::Availability, protocol};
use std::collections::{BTreeMap, BTreeSet};

/// What a node told of its readers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Reads that the books did not cover when they were told.
    pub(super) due: BTreeMap<MaterialId, Timestamp>,
    /// What was being read.
    open: BTreeSet<MaterialId>,
    /// Whether there was more of either than it could tell.
    read_is_cut_short: bool,
    open_is_cut_short: bool,
    /// For how long it has known of all reads, in milliseconds.
    known_for_ms: u64,
}

impl Told {
    /// As it came in a heartbeat at this time, `due` of it.
    pub fn new(uses: &Uses, due: BTreeMap<MaterialId, Timestamp>) -> Self {
        let open = uses.open.iter().cloned().collect();
        Self {
            due,
            open,
            read_is_cut_short: uses.more_read,
            open_is_cut_short: uses.more_open,
            known_for_ms: uses.known_for_ms,
        }
    }
}

/// The reads in a heartbeat that came at this time which the books do not cover yet. Materials that do not end when they
/// lie idle are never among them.
///
/// # Errors
/// Where the state cannot be read.
pub fn due(view: &dyn View, at: Timestamp, uses: &Uses) -> Result<BTreeMap<MaterialId, Timestamp>, ViewError> {
    let mut due = BTreeMap::new();
    for read in &uses.read {
        let read_at = at.minus_millis(read.ago_ms);
        let record = view.get_record::<Materials>(&read.material)?;
        if record.is_some_and(|record| !record.is_deleted() && !record.covers(read_at)) {
            due.insert(read.material.clone(), read_at);
        }
    }
    Ok(due)
}

/// What runs that have not ended work on, or have made.
///
/// # Errors
/// Where the state cannot be read.
pub fn in_runs<V: View + ?Sized>(view: &V) -> Result<BTreeSet<MaterialId>, ViewError> {
    let waiting = view.scan_keys::<WaitingRuns>(&[], None);
    let assigned = view.scan_keys::<RunsOnNode>(&[], None).map(|key| key.map(|(_, run)| run));
    let mut used = BTreeSet::new();
    for run in waiting.chain(assigned) {
        if let Some(record) = view.get_record::<Runs>(&run?)? {
            used.extend(record.inputs.into_iter().chain(record.made));
        }
    }
    Ok(used)
}

/// A material whose end by the books has come, as its holders are asked about it.
pub(super) struct Ending<'a> {
    pub(super) material: &'a MaterialId,
    pub(super) record: &'a MaterialRecord,
    pub(super) ends_at: Timestamp,
    /// Now.
    pub(super) at: Timestamp,
    /// For how long this leader listens, in milliseconds.
    pub(super) listens_for_ms: u64,
    /// After so long a node that answers has told all that it knows, in milliseconds.
    pub(super) told_within_ms: u64,
}

impl Ending<'_> {
    /// Whether nothing that is known of a node that has a copy keeps the material.
    pub(super) fn is_let_go(&self, peer: &Peer<'_>) -> bool {
        if !peer.is_member() {
            return true;
        }
        if peer.availability == Availability::Down {
            let silent_for_ms = peer.seen.map_or(self.listens_for_ms, |seen| self.at.millis_since(seen.beat_at));
            return self.is_by_age() || self.is_idle_for(silent_for_ms.saturating_sub(self.told_within_ms));
        }
        let Some(seen) = peer.seen.filter(|_| peer.is_up()) else { return false };
        if seen.report.protocol < protocol::BELONGING {
            // It tells nothing of its readers.
            return self.is_by_age();
        }
        // One that has just registered tells all else with its first heartbeat.
        let Some(told) = &seen.uses else { return false };
        if told.open_is_cut_short || told.open.contains(self.material) || seen.beat_at < self.ends_at {
            return false;
        }
        let known_for_ms = told.known_for_ms.saturating_add(self.at.millis_since(seen.beat_at));
        let is_read = told.read_is_cut_short || told.due.contains_key(self.material);
        self.is_by_age() || (!is_read && self.is_idle_for(known_for_ms))
    }

    fn is_by_age(&self) -> bool {
        self.record.terms.expires_at.is_some_and(|expires_at| expires_at <= self.at)
    }

    fn is_idle_for(&self, ms: u64) -> bool {
        self.record.idle_ms().is_some_and(|idle_ms| idle_ms <= ms)
    }
}
