//! The note of an upload's last, begun group.

use crate::{
    blobs::{self, tree::Leaf},
    disk,
    incoming::TAIL,
};
use serde::{Deserialize, Serialize};
use std::{io, path::Path};

const VERSION: u32 = 1;

/// Up to where bytes are durable within a group that has no leaf yet. Overtaken by the group's leaf.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tail {
    version: u32,
    offset: u64,
    /// The leaf that the group's bytes up to `offset` would have.
    leaf: String,
}

impl Tail {
    pub(super) fn new(offset: u64, leaf: &Leaf) -> Self {
        Self { version: VERSION, offset, leaf: blobs::format_hash(leaf) }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn leaf(&self) -> Option<Leaf> {
        blobs::parse_hash(&self.leaf)
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        disk::write(&folder.join(TAIL), &serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// The note in `folder`. One that is missing or not understood only costs the sender the begun group.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let bytes = std::fs::read(folder.join(TAIL)).ok()?;
        let tail: Self = serde_json::from_slice(&bytes).ok()?;
        (tail.version == VERSION).then_some(tail)
    }
}
