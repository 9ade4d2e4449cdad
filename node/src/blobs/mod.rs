//! Whole, verified copies of materials on this node's disk.
//!
//! It owns `materials/`: what is there is durable and has the hash that its manifest names. A copy comes in by one
//! rename and goes out by one. It must never know how bytes arrive, only which have, nor what is in them.

mod arrived;
mod bits;
mod blob;
mod checked;
mod manifest;
mod mend;
mod open_files;
mod pages;
mod passing;
mod proof;
mod reads;
mod scan;
pub(crate) mod tree;
mod walk;

pub(crate) use arrived::Arrived;
pub(crate) use blob::{AtHand, Blob, Reading, not_arrived};
pub(crate) use manifest::{MANIFEST_VERSION, Manifest};
pub(crate) use manifest::{format_hash, parse_hash};
pub(crate) use mend::{Damage, Piece, Supply};
pub(crate) use passing::Passing;
pub(crate) use proof::{LEAVES, Proof, SPINE};
pub(crate) use reads::Reads;
pub(crate) use walk::Walk;

use crate::disk::{self, Layout};
use microtome_proto::{Generation, MaterialId, internal::Held};
use open_files::OpenFiles;
use parking_lot::{Mutex, RwLock};
use std::{collections::HashMap, io, path::Path, sync::Arc, time::Duration};

/// The name of the plain file in a copy's folder.
pub(crate) const FILE: &str = "file";
/// The name of the manifest in a copy's folder.
pub(crate) const MANIFEST: &str = "manifest.json";

/// What became of an order to free a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    /// It is gone.
    Gone,
    /// There is none.
    Absent,
    /// The one that is here is of a newer generation, and stays.
    Newer,
}

/// All whole copies on this node.
#[derive(Debug)]
pub(crate) struct Blobs {
    layout: Layout,
    held: RwLock<HashMap<MaterialId, Arc<Blob>>>,
    /// Held while folders are moved, so that two changes of one copy do not meet.
    moving: Mutex<()>,
    open_files: Arc<OpenFiles>,
    damage: Damage,
}

impl Blobs {
    /// Reads all manifests, no contents. What cannot be understood is set aside; a copy that has lost bytes is damaged. At most
    /// `open_max` copies are kept open at once.
    ///
    /// # Errors
    /// Where the folder cannot be read or changed.
    pub(crate) fn open(layout: Layout, open_max: usize, damage: Damage) -> io::Result<Self> {
        let blobs = Self {
            layout,
            held: RwLock::default(),
            moving: Mutex::default(),
            open_files: Arc::new(OpenFiles::new(open_max)),
            damage,
        };
        // A rename that a former life did not live to sync is shown, and the disk may not have it: what is told of is there.
        disk::sync_folder(&blobs.layout.materials())?;
        for (id, folder) in disk::entries(&blobs.layout, &blobs.layout.materials())? {
            let copy = scan::copy(&id, &folder)?;
            match copy.and_then(|(manifest, len)| Ok((blobs.blob(manifest, &folder)?, len))) {
                Ok((blob, len)) => {
                    blob.note_missing(len);
                    blobs.held.write().insert(id, Arc::new(blob));
                }
                Err(reason) => disk::set_aside(&blobs.layout, &folder, &reason)?,
            }
        }
        Ok(blobs)
    }

    /// The copy of a material, if it is here.
    pub(crate) fn get(&self, id: &MaterialId) -> Option<Arc<Blob>> {
        self.held.read().get(id).cloned()
    }

    /// How many copies are here, and how many bytes they have.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let held = self.held.read();
        (held.len() as u64, held.values().map(|blob| blob.len()).sum())
    }

    /// All copies, in ascending order of materials.
    pub(crate) fn held(&self) -> Vec<Held> {
        let mut all: Vec<_> = self.held.read().values().map(|blob| blob.manifest().held()).collect();
        all.sort_unstable_by(|a, b| a.material.cmp(&b.material));
        all
    }

    /// Takes in the finished folder `from`, whose file, leaves and spine are whole and durable. Blocks.
    pub(crate) fn publish(&self, from: &Path, manifest: &Manifest) -> io::Result<Arc<Blob>> {
        let _moving = self.moving.lock();
        let to = self.layout.material(&manifest.material);
        write_manifest(from, manifest)?;
        if let Some(old) = self.get(&manifest.material) {
            old.close();
        }
        if to.try_exists()? {
            disk::to_trash(&self.layout, &to)?;
        }
        disk::rename(from, &to).inspect_err(|_| {
            // It is tried again from there, also where only making it durable failed.
            let _ = std::fs::rename(&to, from);
        })?;
        self.insert(manifest.clone(), &to)
    }

    /// A copy that is being made in `folder`, as its manifest will describe it: read as far as it has `arrived`.
    pub(crate) fn arriving(&self, manifest: Manifest, folder: &Path, arrived: Arc<Arrived>) -> Option<Arc<Blob>> {
        Some(Arc::new(self.blob(manifest, folder).ok()?.arriving(arrived)))
    }

    /// The copy of a material that is here under an older generation is counted under a newer one. Blocks.
    pub(crate) fn adopt(&self, id: &MaterialId, generation: Generation) -> io::Result<Arc<Blob>> {
        let _moving = self.moving.lock();
        let blob = self.get(id).ok_or(io::ErrorKind::NotFound)?;
        if blob.manifest().generation >= generation {
            return Ok(blob);
        }
        let manifest = Manifest { generation, ..blob.manifest().clone() };
        write_manifest(blob.folder(), &manifest)?;
        // The new one reads it there.
        blob.note_again();
        blob.close();
        self.insert(manifest, blob.folder())
    }

    /// Copies of which groups are known to be damaged.
    pub(crate) fn damaged(&self) -> Vec<Arc<Blob>> {
        self.held.read().values().filter(|blob| blob.is_damaged()).cloned().collect()
    }

    /// Parts of files that are put together.
    pub(crate) fn parts(&self) -> Vec<Arc<Blob>> {
        self.held.read().values().filter(|blob| blob.manifest().is_partial()).cloned().collect()
    }

    /// Moves a copy of at most `generation` to the trash. Blocks.
    pub(crate) fn remove(&self, id: &MaterialId, generation: Generation) -> io::Result<Removed> {
        let _moving = self.moving.lock();
        let Some(blob) = self.get(id) else { return Ok(Removed::Absent) };
        if blob.manifest().generation > generation {
            return Ok(Removed::Newer);
        }
        match disk::to_trash(&self.layout, blob.folder()) {
            // It was moved before, and the disk failed to make that durable.
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk::sync_folder(&self.layout.materials())?,
            moved => moved?,
        }
        self.held.write().remove(id);
        blob.close();
        Ok(Removed::Gone)
    }

    /// Whether it is this very copy that is here.
    pub(crate) fn holds(&self, blob: &Arc<Blob>) -> bool {
        self.get(&blob.manifest().material).is_some_and(|held| Arc::ptr_eq(&held, blob))
    }

    /// Sets a copy aside that cannot be mended: it is no copy any more. `false` where it was not here. Blocks.
    pub(crate) fn give_up(&self, blob: &Arc<Blob>, reason: &str) -> io::Result<bool> {
        let _moving = self.moving.lock();
        if !self.holds(blob) {
            return Ok(false);
        }
        match disk::set_aside(&self.layout, blob.folder(), reason) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.held.write().remove(&blob.manifest().material);
        blob.close();
        Ok(true)
    }

    /// The materials of all copies, in ascending order.
    pub(crate) fn ids(&self) -> Vec<MaterialId> {
        let mut ids: Vec<_> = self.held.read().keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// Lets go of what was opened longer ago than `age`: what is read next is checked again.
    pub(crate) fn close_opened_before(&self, age: Duration) {
        self.open_files.close_opened_before(age);
    }

    /// Which copies are read.
    pub(crate) fn reads(&self) -> &Reads {
        &self.open_files.reads
    }

    /// What all copies here share in damage.
    pub(crate) fn damage(&self) -> &Damage {
        &self.damage
    }

    fn insert(&self, manifest: Manifest, folder: &Path) -> io::Result<Arc<Blob>> {
        let id = manifest.material.clone();
        let blob = Arc::new(self.blob(manifest, folder).map_err(io::Error::other)?);
        self.held.write().insert(id, Arc::clone(&blob));
        if blob.is_damaged() {
            // Readers met it while the copy was being made.
            self.damage.notice();
        }
        Ok(blob)
    }

    fn blob(&self, manifest: Manifest, folder: &Path) -> Result<Blob, String> {
        Blob::new(manifest, folder.to_owned(), Arc::clone(&self.open_files), self.damage.clone())
            .ok_or_else(|| "its manifest names no BLAKE3 hash".to_owned())
    }
}

fn write_manifest(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(manifest).map_err(io::Error::other)?;
    disk::write(&folder.join(MANIFEST), &json)
}

#[cfg(test)]
#[path = "blobs_test.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "mend_test.rs"]
mod mend_tests;
