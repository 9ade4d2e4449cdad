//! A copy that is not whole yet: one folder in `incoming/`, of an upload or of a clone.
//!
//! It owns the folder's names, the note of what is expected, and the step by which a finished folder becomes a copy. How
//! bytes arrive, and what their notes say, is the upload's or the clone's.

mod expected;

use expected::Way;

pub(crate) use expected::Expected;

use crate::{
    blobs::{self, Blob, Blobs, LEAVES, MANIFEST_VERSION, Manifest, SPINE, tree},
    disk::{self, Layout},
};
use microtome_proto::{MaterialId, Timestamp};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The name of the note in the folder.
const NOTE: &str = "incoming.json";
/// An upload's note of its last, begun group.
pub(crate) const TAIL: &str = "tail.json";
/// A clone's note of the ranges that are durable.
pub(crate) const RANGES: &str = "ranges.json";
/// Where a clone's leaves are gathered until they are proven.
pub(crate) const GATHERED: &str = "leaves.gathered";

/// One folder in `incoming/`.
#[derive(Debug)]
pub(crate) struct Incoming {
    layout: Layout,
    folder: PathBuf,
    expected: Expected,
    /// The length that its sender told later.
    told: OnceLock<u64>,
}

impl Incoming {
    /// Makes the folder, durably. Blocks.
    pub(crate) fn create(layout: &Layout, expected: Expected) -> io::Result<Self> {
        let folder = layout.incoming_of(&expected.material);
        disk::create_folder(&folder)?;
        let incoming = Self { layout: layout.clone(), folder, expected, told: OnceLock::new() };
        incoming.write_note(&incoming.expected)?;
        Ok(incoming)
    }

    /// Reads the note of a folder that a former start left behind.
    fn load(layout: &Layout, id: &MaterialId, folder: PathBuf, note: &[u8]) -> Result<Self, String> {
        let expected = Expected::read(note).map_err(|reason| format!("its note cannot be read: {reason}"))?;
        if expected.material != *id {
            return Err(format!("its note speaks of {}", expected.material));
        }
        Ok(Self { layout: layout.clone(), folder, expected, told: OnceLock::new() })
    }

    /// What a former start left behind: folders that can be gone on with. A folder that was being made when the node
    /// stopped, and one whose copy is whole already, go to the trash; what is not understood is set aside. Blocks.
    pub(crate) fn left_behind(layout: &Layout, blobs: &Blobs) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for (id, folder) in disk::entries(layout, &layout.incoming())? {
            let whole = blobs.get(&id).is_some();
            if whole || !folder.join(NOTE).try_exists()? {
                disk::to_trash(layout, &folder)?;
                continue;
            }
            let loaded = match std::fs::read(folder.join(NOTE)) {
                Ok(note) => Self::load(layout, &id, folder.clone(), &note),
                Err(error) if disk::is_lost(&error) => Err(format!("its note cannot be read: {error}")),
                Err(error) => return Err(error),
            };
            match loaded {
                Ok(incoming) => found.push(incoming),
                Err(reason) => disk::set_aside(layout, &folder, &reason)?,
            }
        }
        Ok(found)
    }

    /// Whether it is a clone, and no upload.
    pub(crate) fn is_clone(&self) -> bool {
        self.expected.way == Way::Clone
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
    }

    /// Bytes that it will have, or at most may have while it [lacks its size](Self::lacks_size).
    pub(crate) fn size(&self) -> u64 {
        self.told.get().copied().unwrap_or(self.expected.size)
    }

    /// Whether its sender has not told yet how many bytes it has.
    pub(crate) fn lacks_size(&self) -> bool {
        self.expected.size_deferred && self.told.get().is_none()
    }

    /// Its sender tells how many bytes it has, once and for all; durable when this returns. Blocks.
    pub(crate) fn tell_size(&self, size: u64) -> io::Result<()> {
        self.write_note(&self.expected.of_size(size))?;
        let _ = self.told.set(size);
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same folder under another assignment, durably. Blocks.
    pub(crate) fn reassigned(&self, expected: Expected) -> io::Result<Self> {
        let (layout, folder) = (self.layout.clone(), self.folder.clone());
        let incoming = Self { layout, folder, expected, told: OnceLock::new() };
        incoming.write_note(&incoming.expected)?;
        Ok(incoming)
    }

    /// Makes the folder a copy: its file and leaves are whole and durable, `spine` proves them. Blocks.
    pub(crate) fn publish(&self, blobs: &Blobs, spine: &[tree::Leaf]) -> io::Result<Arc<Blob>> {
        if spine.len() > 1 {
            disk::write(&self.folder.join(SPINE), &tree::to_bytes(spine))?;
        }
        let blob = blobs.publish(&self.folder, &self.manifest(blobs::format_hash(&tree::root(spine))))?;
        for name in [NOTE, TAIL, RANGES] {
            // Of no use any more, and in nobody's way where it stays.
            let _ = std::fs::remove_file(self.layout.material(&self.expected.material).join(name));
        }
        Ok(blob)
    }

    /// What describes the copy that it becomes, with the hash `blake3`.
    pub(crate) fn manifest(&self, blake3: String) -> Manifest {
        let expected = &self.expected;
        Manifest {
            version: MANIFEST_VERSION,
            material: expected.material.clone(),
            generation: expected.generation,
            size: self.size(),
            blake3,
            name: expected.name.clone(),
            media_type: expected.media_type.clone(),
            concat: expected.concat.clone(),
            owner: expected.owner.clone(),
            metadata: expected.metadata.clone(),
            created_at: Timestamp::now(),
        }
    }

    /// Moves the folder to the trash. Blocks.
    pub(crate) fn discard(&self) -> io::Result<()> {
        match disk::to_trash(&self.layout, &self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Opens a file in the folder to read and write it, and makes it where it is missing.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        File::options().create(true).truncate(false).read(true).write(true).open(self.folder.join(name))
    }

    /// How much has surely arrived of an upload, going by its leaves: they are written last. A guess, to be proven.
    pub(crate) fn arrived_guess(&self) -> u64 {
        let leaves = std::fs::metadata(self.folder.join(LEAVES)).map_or(0, |meta| meta.len() / tree::LEAF_LEN);
        (leaves * tree::GROUP_LEN).min(self.size())
    }

    /// For how long nothing has been written here, by the files' times.
    pub(crate) fn untouched_for(&self) -> Duration {
        let written = [NOTE, LEAVES, TAIL].iter().filter_map(|name| {
            let meta = std::fs::metadata(self.folder.join(name)).ok()?;
            meta.modified().ok()?.elapsed().ok()
        });
        written.min().unwrap_or_default()
    }

    fn write_note(&self, expected: &Expected) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(expected).map_err(io::Error::other)?;
        disk::write(&self.folder.join(NOTE), &json)
    }
}
