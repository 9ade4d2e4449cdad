//! Who reads what here, told until the coordinators say that it is written down where it has to be.

use crate::blobs::Reads;
use microtome_proto::{
    MaterialId,
    internal::{Read, Uses},
    limits::USES_MAX,
};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Reads that are to be told, each with the latest time at which it can have been.
#[derive(Debug, Default)]
pub(super) struct Readers(BTreeMap<MaterialId, Instant>);

impl Readers {
    /// What the next heartbeat tells. It stays to be told until that was [`heard`](Self::heard).
    pub(super) fn tell(&mut self, reads: &Reads) -> Uses {
        let now = Instant::now();
        self.0.extend(reads.take().into_iter().map(|material| (material, now)));
        let told = |(material, read_at): (&MaterialId, &Instant)| Read {
            material: material.clone(),
            ago_ms: u64::try_from(now.duration_since(*read_at).as_millis()).unwrap_or(u64::MAX),
        };
        let mut open = reads.open();
        let (more_read, more_open) = (self.0.len() > USES_MAX, open.len() > USES_MAX);
        let cut = open.iter().nth(USES_MAX).cloned();
        if let Some(cut) = cut {
            open.split_off(&cut);
        }
        let read = self.0.iter().take(USES_MAX).map(told).collect();
        Uses { read, open: open.into_iter().collect(), more_read, more_open }
    }

    /// A leader has heard what was told; of `due` it wants to hear again.
    pub(super) fn heard(&mut self, told: &Uses, due: &[MaterialId]) {
        for read in &told.read {
            if !due.contains(&read.material) {
                self.0.remove(&read.material);
            }
        }
    }
}
