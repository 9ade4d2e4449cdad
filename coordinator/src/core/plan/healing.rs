//! What is being made whole, added up while planning looks at what is out of order: so telling it costs no look of its
//! own.

use super::Scene;
use crate::core::{standing::Standing, tables::MaterialRecord};
use microtome_proto::MaterialId;

/// What one material that has fewer copies than wanted adds to [`microtome_proto::cluster::Healing`].
#[derive(Debug)]
pub(super) struct Share {
    /// Copies under way that it needs.
    pub(super) copies: u64,
    /// Bytes still to copy.
    pub(super) bytes_left: u64,
    /// Bytes a second over the last seconds.
    pub(super) bytes_per_s: f64,
}

impl Share {
    /// None where nothing lacks, or the bytes have not arrived once yet.
    pub(super) fn of(
        scene: &Scene<'_>,
        id: &MaterialId,
        record: &MaterialRecord,
        standing: &Standing<'_>,
    ) -> Option<Self> {
        if record.is_deleted() || record.blake3.is_none() {
            return None;
        }
        let lacking = (record.population as usize).checked_sub(standing.counted).filter(|lacking| *lacking > 0)?;
        let bytes_left = standing.shortage(record) as u64 * record.size;
        let mut share = Self { copies: 0, bytes_left, bytes_per_s: 0.0 };
        for replica in standing.copying.iter().take(lacking) {
            let arrival = scene.observed.arrival(id, &replica.node, replica.generation);
            share.copies += 1;
            share.bytes_left += record.size.saturating_sub(arrival.map_or(0, |arrival| arrival.offset));
            share.bytes_per_s += arrival.map_or(0.0, |arrival| arrival.bytes_per_s);
        }
        Some(share)
    }
}
