//! Where a file may have its ICC profile, which is read when it is asked for.

use super::pictures;
use crate::{
    ReadAt,
    error::Result,
    limits::ICC_PROFILE_LEN_MAX,
    raster::Coding,
    tiff::{Tiff, tags},
};

/// Where it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Profile {
    /// In this directory of a TIFF.
    Directory(usize),
    /// In a plain picture that is coded so.
    Picture(Coding),
}

impl Profile {
    /// The profile; nothing where there is none.
    ///
    /// # Errors
    /// `Damaged` where it is not whole, lies outside the file or is over 16 MiB.
    pub(crate) fn read(self, source: &dyn ReadAt) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Picture(coding) => pictures::profile::read(source, coding),
            Self::Directory(index) => {
                let tiff = Tiff::open(source)?;
                let directory = tiff.directories.get(index);
                directory.map_or(Ok(None), |directory| tiff.bytes(directory, tags::ICC_PROFILE, ICC_PROFILE_LEN_MAX))
            }
        }
    }
}
