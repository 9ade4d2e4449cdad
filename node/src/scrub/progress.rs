//! How far the scrub is: kept over restarts, shown to operators.

use crate::disk;
use microtome_proto::{MaterialId, Timestamp, node::ScrubReport};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fs, io, path::Path, time::Duration};

/// The version written.
const VERSION: u32 = 1;

/// A round over all copies, in ascending order of materials. Bytes that the last seconds before a crash had read are read
/// again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    version: u32,
    /// When the present round, or else the last one, began.
    started_at: Option<Timestamp>,
    /// When it ended; none while it goes on.
    finished_at: Option<Timestamp>,
    /// The copy that is walked over, or was the last.
    pub(super) material: Option<MaterialId>,
    /// Its first group that was not looked at yet; none where the copy is done.
    pub(super) group: Option<u64>,
    /// Bytes read in the round.
    pub(super) read: u64,
    /// Groups that it found damaged.
    pub(super) damaged: u64,
}

impl Progress {
    /// What was written down; a new one where that is nothing, or not understood.
    pub(super) fn load(path: &Path) -> Self {
        let read = fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.filter(|progress: &Self| progress.version == VERSION).unwrap_or_default()
    }

    /// Writes it down. Blocks.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        disk::write(path, &serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// Whether a round goes on.
    pub(super) fn is_under_way(&self) -> bool {
        self.started_at.is_some() && self.finished_at.is_none()
    }

    /// How long until the next round is to begin, one every `every`.
    pub(super) fn due_in(&self, now: Timestamp, every: Duration) -> Duration {
        let since = |at: Timestamp| {
            let ms = now.as_millis().saturating_sub(at.as_millis());
            Duration::from_millis(u64::try_from(ms).unwrap_or(0))
        };
        // A clock that was set back does not put it off for long.
        self.started_at.map_or(Duration::ZERO, |at| every.saturating_sub(since(at)).min(every))
    }

    /// Of all copies those that the round has still to walk over, each with the group to begin with.
    pub(super) fn rest(&self, all: Vec<MaterialId>) -> Vec<(MaterialId, u64)> {
        let from = |id: &MaterialId| match self.material.as_ref().map(|last| id.cmp(last)) {
            None | Some(Ordering::Greater) => Some(0),
            Some(Ordering::Equal) => self.group,
            Some(Ordering::Less) => None,
        };
        all.into_iter().filter_map(|id| from(&id).map(|from| (id, from))).collect()
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        *self = Self { version: VERSION, started_at: Some(now), ..Self::default() };
    }

    pub(super) fn finish(&mut self, now: Timestamp) {
        (self.finished_at, self.material, self.group) = (Some(now), None, None);
    }

    /// For people. `total` is what all copies have now.
    pub(super) fn report(&self, total: u64) -> Option<ScrubReport> {
        let started_at = self.started_at?;
        let read = self.read.min(total);
        let is_over = self.finished_at.is_some();
        Some(ScrubReport {
            started_at,
            finished_at: self.finished_at,
            read: self.read,
            left: if is_over { 0 } else { total - read },
            damaged: self.damaged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_goes_on_after_a_restart_and_the_next_is_due_in_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scrub.json");
        let mut progress = Progress::load(&path);
        let (start, week) = (Timestamp::from_millis(1_000_000), Duration::from_secs(7 * 86_400));
        assert_eq!(progress.due_in(start, week), Duration::ZERO, "there was none yet");
        progress.begin(start);
        (progress.material, progress.group, progress.read) = (Some("m-1".parse().unwrap()), Some(64), 1 << 20);
        progress.save(&path).unwrap();
        let mut again = Progress::load(&path);
        assert_eq!(again, progress);
        assert!(again.is_under_way());
        let ids: Vec<MaterialId> = ["m-0", "m-1", "m-2"].map(|id| id.parse().unwrap()).to_vec();
        assert_eq!(again.rest(ids.clone()), [(ids[1].clone(), 64), (ids[2].clone(), 0)]);
        let done = Progress { group: None, ..again.clone() };
        assert_eq!(done.rest(ids.clone()), [(ids[2].clone(), 0)]);
        assert_eq!(again.report(3 << 20).map(|report| (report.read, report.left)), Some((1 << 20, 2 << 20)));
        again.finish(Timestamp::from_millis(1_060_000));
        assert!(!again.is_under_way());
        assert_eq!(again.report(3 << 20).map(|report| report.left), Some(0));
        assert_eq!(again.due_in(Timestamp::from_millis(1_060_000), week), week - Duration::from_secs(60));
        assert_eq!(again.due_in(Timestamp::from_millis(0), week), week, "the clock was set back");
        fs::write(&path, b"{\"version\":9}").unwrap();
        assert_eq!(Progress::load(&path), Progress::default());
    }
}
