//! One file per maker of slides: each looks whether a file is its own, and says which images are levels, which are
//! associated images, and what the scanner wrote besides.

mod aperio;
mod base64;
mod foreign;
mod generic;
mod hamamatsu;
mod leica;
mod ome;
mod philips;
mod pictures;
mod profile;
mod properties;
mod qptiff;
mod trestle;
mod ventana;
mod xml;

use crate::{ReadAt, error::Result, raster::Raster, tiff::Tiff};
use std::collections::BTreeMap;

pub(crate) use profile::Profile;

/// What a vendor's reader found in a file.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The vendor's name in the API.
    pub(crate) vendor: &'static str,
    /// The pyramid, largest first, each smaller than the one before; there is at least one.
    pub(crate) levels: Vec<Raster>,
    /// How much smaller each level is than the first, where the maker tells it; empty where the sizes do.
    pub(crate) downsamples: Vec<f64>,
    /// Pictures beside the pyramid, by name; no name twice.
    pub(crate) associated: Vec<(String, Raster)>,
    /// Micrometres per pixel, across and down.
    pub(crate) mpp: Option<(f64, f64)>,
    /// The objective's magnification.
    pub(crate) objective_power: Option<f64>,
    /// What the file says besides, under OpenSlide's names.
    pub(crate) properties: BTreeMap<String, String>,
    /// Whether tiles that lie over one that a finer level lacks are not to be trusted.
    pub(crate) holes_spoil: bool,
    /// Where the ICC profile may be.
    pub(crate) profile: Profile,
}

impl Parts {
    /// Nothing yet but the vendor's name.
    fn new(vendor: &'static str) -> Self {
        Self {
            vendor,
            levels: Vec::new(),
            downsamples: Vec::new(),
            associated: Vec::new(),
            mpp: None,
            objective_power: None,
            properties: BTreeMap::new(),
            holes_spoil: false,
            profile: Profile::Directory(0),
        }
    }
}

/// Opens a TIFF of one vendor; nothing where the file is none.
type Reader = fn(&dyn ReadAt, &Tiff<'_>) -> Result<Option<Parts>>;

/// Opens the file by the first vendor whose own it is.
pub(crate) fn open(source: &dyn ReadAt) -> Result<Parts> {
    if let Some(parts) = pictures::open(source)? {
        return Ok(parts);
    }
    let tiff = &Tiff::open(source)?;
    // In OpenSlide's order; those that it does not know come last.
    let readers: [Reader; 8] = [
        hamamatsu::open,
        |_, tiff| trestle::open(tiff),
        |_, tiff| aperio::open(tiff),
        |_, tiff| leica::open(tiff),
        philips::open,
        |_, tiff| ventana::open(tiff),
        |_, tiff| ome::open(tiff),
        |_, tiff| qptiff::open(tiff),
    ];
    for open in readers {
        if let Some(parts) = open(source, tiff)? {
            return Ok(parts);
        }
    }
    foreign::refuse(tiff)?;
    generic::open(tiff)
}
