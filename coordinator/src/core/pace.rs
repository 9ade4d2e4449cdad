//! How fast copies are made just now, as nodes told with their last heartbeats.

use super::{
    observed::{Arrival, Observed},
    tables::Arriving,
    view::{Typed, View, ViewError},
};
use microtome_proto::MaterialId;

/// Some copies under way.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Pace {
    /// How many.
    pub(super) copies: u64,
    /// Bytes of them that have arrived.
    pub(super) arrived: u64,
    /// Bytes a second.
    pub(super) bytes_per_s: f64,
}

impl Pace {
    /// One more copy, as far as it was heard of.
    pub(super) fn add(&mut self, arrival: Option<&Arrival>) {
        self.copies += 1;
        self.arrived += arrival.map_or(0, |arrival| arrival.offset);
        self.bytes_per_s += arrival.map_or(0.0, |arrival| arrival.bytes_per_s);
    }

    /// How long so many bytes take; none while nothing moves.
    pub(super) fn seconds(&self, bytes: u64) -> Option<f64> {
        (self.bytes_per_s > 0.0).then(|| bytes as f64 / self.bytes_per_s)
    }
}

/// The copies under way of those materials for which `is_meant` holds.
pub(super) fn of_copies(
    view: &dyn View,
    observed: &Observed,
    mut is_meant: impl FnMut(&MaterialId) -> Result<bool, ViewError>,
) -> Result<Pace, ViewError> {
    let mut pace = Pace::default();
    for entry in view.scan_records::<Arriving>(&[], None) {
        let ((node, material), record) = entry?;
        if record.copying && is_meant(&material)? {
            pace.add(observed.arrival(&material, &node, record.generation));
        }
    }
    Ok(pace)
}
