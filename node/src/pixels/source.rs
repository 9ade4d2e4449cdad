//! A copy on disk as the slide reader wants it.

use crate::blobs::{AtHand, Blob};
use microtome_slide::ReadAt;
use std::{io, sync::Arc};

/// Reads that may wait for the disk.
pub(crate) struct Waiting(pub(crate) Arc<Blob>);

impl ReadAt for Waiting {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

/// Reads that fail with `WouldBlock` where they had to wait.
impl ReadAt for AtHand<'_> {
    fn len(&self) -> u64 {
        self.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buf, offset)
    }
}
