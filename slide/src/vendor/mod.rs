//! One file per maker of slides: each looks whether a file is its own, and says which images are levels, which are
//! associated images, and what the scanner wrote besides.

mod aperio;
mod foreign;
mod generic;
mod hamamatsu;
mod pictures;
mod properties;

use crate::{ReadAt, error::Result, raster::Raster, tiff::Tiff};
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

impl Parts {
    /// Nothing yet but the vendor's name.
    fn new(vendor: &'static str) -> Self {
        Self {
            vendor,
            levels: Vec::new(),
            associated: Vec::new(),
            mpp: None,
            objective_power: None,
            properties: BTreeMap::new(),
        }
    }
}

/// Opens the file by the first vendor whose own it is.
pub(crate) fn open(source: &dyn ReadAt) -> Result<Parts> {
    if let Some(parts) = pictures::open(source)? {
        return Ok(parts);
    }
    let tiff = &Tiff::open(source)?;
    if let Some(parts) = aperio::open(tiff)? {
        return Ok(parts);
    }
    if let Some(parts) = hamamatsu::open(source, tiff)? {
        return Ok(parts);
    }
    foreign::refuse(tiff)?;
    generic::open(tiff)
}
