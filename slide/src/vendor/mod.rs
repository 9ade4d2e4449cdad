//! One file per maker of slides: each looks whether a TIFF is its own, and says which images are levels, which are
//! associated images, and what the scanner wrote besides.

mod aperio;
mod foreign;
mod generic;
mod properties;

use crate::{error::Result, raster::Raster, tiff::Tiff};
use std::collections::BTreeMap;

/// What a vendor's reader found in a file.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The vendor's name in the API.
    pub(crate) vendor: &'static str,
    /// The pyramid, largest first, each smaller than the one before; there is at least one.
    pub(crate) levels: Vec<Raster>,
    /// Pictures beside the pyramid, by name; no name twice.
    pub(crate) associated: Vec<(String, Raster)>,
    /// Micrometres per pixel, across and down.
    pub(crate) mpp: Option<(f64, f64)>,
    /// The objective's magnification.
    pub(crate) objective_power: Option<f64>,
    /// What the file says besides, under OpenSlide's names.
    pub(crate) properties: BTreeMap<String, String>,
}

/// Opens the file by the first vendor whose own it is.
pub(crate) fn open(tiff: &Tiff<'_>) -> Result<Parts> {
    if let Some(parts) = aperio::open(tiff)? {
        return Ok(parts);
    }
    foreign::refuse(tiff)?;
    generic::open(tiff)
}
