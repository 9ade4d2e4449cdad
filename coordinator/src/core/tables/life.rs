//! When materials end.

use super::MaterialRecord;
use crate::core::{keys, view::Table};
use microtome_proto::{MaterialId, Timestamp};

/// How exactly the books know when a material was read last: to a tenth of its idle time, within these bounds. So often
/// at most are they written to for a reader's sake.
const GRAIN_MS: (u64, u64) = (1_000, 3_600_000);

impl MaterialRecord {
    /// When it is to be looked whether it ends; never, where this is none. An upload under way ends by age alone: while
    /// bytes come it is in use, and when none come its node ends it.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let ends = [self.terms.expires_at, self.idle_ends_at()];
        ends.into_iter().flatten().min().filter(|_| !self.is_deleted())
    }

    /// When it ends unless somebody reads it: never earlier than its idle time after the last read that the books
    /// [cover](Self::covers).
    pub fn idle_ends_at(&self) -> Option<Timestamp> {
        let used_at = self.used_at.filter(|_| self.blake3.is_some())?;
        Some(used_at.plus_millis(self.idle_ms()?).plus_millis(self.grain_ms()?))
    }

    /// Whether a read at this time need not be written: what the books know keeps the material for all of its idle time
    /// from then on, or it does not end by that at all.
    pub fn covers(&self, read_at: Timestamp) -> bool {
        match (self.grain_ms(), self.used_at) {
            (Some(grain_ms), Some(used_at)) => read_at <= used_at.plus_millis(grain_ms),
            // Arriving is a use, too, and is written when it has.
            _ => true,
        }
    }

    /// Its idle time in milliseconds.
    pub fn idle_ms(&self) -> Option<u64> {
        self.terms.idle_s.map(|seconds| seconds.saturating_mul(1_000))
    }

    fn grain_ms(&self) -> Option<u64> {
        self.idle_ms().map(|idle_ms| (idle_ms / 10).clamp(GRAIN_MS.0, GRAIN_MS.1))
    }
}

table!(
    /// Index: materials by the time at which it is to be looked whether they end.
    Ends, b'E', (Timestamp, MaterialId) => (),
    |key| [keys::time(key.0), keys::material(&key.1)].concat(),
    |bytes| {
        let (at, rest) = keys::take_time(bytes)?;
        Some((at, keys::whole(keys::take_material(rest))?))
    }
);
