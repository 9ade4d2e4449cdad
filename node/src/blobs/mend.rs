//! Damage that the disk did to a copy: which of its groups, and how they are made right again.
//!
//! A group's bytes come from the page cache where that has them still, or from another copy; nothing is written that its
//! leaf does not prove. A damaged hash tree comes from another copy, or from the file itself where that is whole. Groups are
//! written in place: what is torn by a crash was damaged before. How other copies are reached is for the [`Supply`].

use super::{
    Blob, FILE, LEAVES, SPINE,
    proof::{Proof, damaged, is_damage},
    tree::{self, LEAF_LEN, Leaf, SpineBuilder},
};
use crate::disk;
use microtome_proto::MaterialId;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use std::{
    collections::BTreeSet,
    fmt, fs,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Arc, OnceLock},
};
use tokio::sync::Notify;

/// The damaged groups of a copy, in a file beside it while there are any.
const DAMAGED: &str = "damaged.json";
/// Most damaged groups that are written down of a copy; a scrub finds the others again.
const NOTED_MAX: usize = 1024;

/// A part of another copy.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// Bytes of its file.
    Bytes(Range<u64>),
    /// All leaves of its hash tree, so many bytes.
    Leaves(u64),
}

/// Brings pieces of other copies.
pub(crate) trait Supply: Send + Sync {
    /// The piece from a copy whose piece `is_right`. Blocks.
    ///
    /// # Errors
    /// Why none can be had, as the end of a sentence.
    fn fetch(
        &self,
        material: &MaterialId,
        piece: Piece,
        is_right: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Vec<u8>, String>;
}

/// What all copies of a node share in this.
#[derive(Clone, Default)]
pub(crate) struct Damage(Arc<Shared>);

#[derive(Default)]
struct Shared {
    reads: Counter,
    mended: Counter,
    supply: OnceLock<Box<dyn Supply>>,
    noticed: Notify,
}

impl fmt::Debug for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Damage").finish_non_exhaustive()
    }
}

impl Damage {
    /// From now on damage is mended with what `supply` brings.
    pub(crate) fn supply(&self, supply: impl Supply + 'static) {
        let _ = self.0.supply.set(Box::new(supply));
    }

    /// Counts reads that met damage.
    pub(crate) fn reads(&self) -> Counter {
        self.0.reads.clone()
    }

    /// Counts groups that were made right again.
    pub(crate) fn mended(&self) -> Counter {
        self.0.mended.clone()
    }

    /// Returns when damage was noticed that could not be mended on the spot.
    pub(crate) async fn noticed(&self) {
        self.0.noticed.notified().await;
    }

    fn fetch(&self, material: &MaterialId, piece: Piece, is_right: &(dyn Fn(&[u8]) -> bool + Sync)) -> Fetched {
        match self.0.supply.get() {
            Some(supply) => supply.fetch(material, piece, is_right),
            None => Err("other copies are out of reach".to_owned()),
        }
    }
}

type Fetched = Result<Vec<u8>, String>;

/// Which groups of a copy are damaged, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Noted {
    groups: Mutex<BTreeSet<u64>>,
    /// Held while groups are mended, so that each is fetched once.
    mending: Mutex<()>,
}

impl Noted {
    /// What was written down in a copy's folder.
    pub(super) fn read(folder: &Path) -> Self {
        let groups = fs::read(folder.join(DAMAGED)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { groups: Mutex::new(groups.unwrap_or_default()), ..Self::default() }
    }

    fn change(&self, folder: &Path, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let mut groups = self.groups.lock();
        if !change(&mut groups) {
            return;
        }
        let path = folder.join(DAMAGED);
        let written = match groups.is_empty() {
            true => fs::remove_file(&path),
            false => serde_json::to_vec(&*groups).map_err(io::Error::other).and_then(|json| disk::write(&path, &json)),
        };
        // A scrub finds them again.
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "damaged groups cannot be written down");
        }
    }
}

impl Blob {
    /// The groups that are known to be damaged.
    pub(crate) fn damaged_groups(&self) -> Vec<u64> {
        self.noted.groups.lock().iter().copied().collect()
    }

    /// Whether any group is known to be damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        !self.noted.groups.lock().is_empty()
    }

    /// Some of `groups` are damaged; which of them shows when they are mended. Blocks.
    pub(crate) fn note_damage(&self, groups: Range<u64>) {
        self.noted.change(&self.folder, |noted| {
            let before = noted.len();
            let room = NOTED_MAX.saturating_sub(before);
            let more: Vec<_> = groups.filter(|group| !noted.contains(group)).take(room).collect();
            noted.extend(more);
            let is_more = noted.len() > before;
            if is_more {
                self.damage.0.noticed.notify_one();
            }
            is_more
        });
    }

    /// Makes the damaged ones of `groups` right again. With `rewrite` also those are written that only the page cache
    /// has right: the disk had them wrong. Blocks.
    ///
    /// # Errors
    /// `InvalidData` where there is nothing to mend them with, the disk's own where it does not take them. What is
    /// damaged still is [noted](Self::note_damage).
    pub(crate) fn mend(&self, groups: Range<u64>, rewrite: bool) -> io::Result<()> {
        let _mending = self.noted.mending.lock();
        let prepared = self.mended_leaves(groups.clone()).and_then(|leaves| Ok((leaves, self.writable()?)));
        let (leaves, file) = prepared.inspect_err(|_| self.note_damage(groups.clone()))?;
        let mut result = Ok(());
        for (index, leaf) in groups.zip(leaves) {
            match self.mend_group(&file, index, &leaf, rewrite) {
                Ok(()) => self.noted.change(&self.folder, |noted| noted.remove(&index)),
                Err(error) => {
                    self.note_damage(index..index + 1);
                    result = Err(error);
                }
            }
        }
        result
    }

    /// The file, at its whole length.
    fn writable(&self) -> io::Result<File> {
        let file = File::options().read(true).write(true).open(self.folder.join(FILE))?;
        if file.metadata()?.len() < self.len() {
            file.set_len(self.len())?;
        }
        Ok(file)
    }

    fn mend_group(&self, file: &File, index: u64, leaf: &Leaf, rewrite: bool) -> io::Result<()> {
        let range = tree::group_range(self.len(), index);
        let is_right = |bytes: &[u8]| tree::leaf(self.len(), index, bytes) == *leaf;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let is_read = file.read_exact_at(&mut bytes, range.start).is_ok();
        let was_right = is_read && is_right(&bytes);
        if was_right && !rewrite {
            return Ok(());
        }
        if !was_right {
            let Range { start, end } = range;
            bytes = self
                .damage
                .fetch(&self.manifest.material, Piece::Bytes(range), &is_right)
                .map_err(|reason| damaged(format!("bytes {start} to {end} are damaged, and {reason}")))?;
        }
        file.write_all_at(&bytes, index * tree::GROUP_LEN)?;
        file.sync_data()?;
        self.damage.0.mended.inc();
        tracing::warn!(material = %self.manifest.material, group = index, "a damaged group of a copy is mended");
        Ok(())
    }

    /// The leaves of `groups`, proven anew, from a mended tree where it was damaged.
    fn mended_leaves(&self, groups: Range<u64>) -> io::Result<Vec<Leaf>> {
        let proven = || Proof::open(&self.folder, self.len(), &self.root)?.leaves(groups.clone());
        match proven() {
            Err(error) if is_damage(&error) => {
                self.mend_tree()?;
                proven()
            }
            leaves => leaves,
        }
    }

    fn mend_tree(&self) -> io::Result<()> {
        let spine = |leaves: &[u8]| {
            let mut builder = SpineBuilder::new(self.len());
            tree::from_bytes(leaves).into_iter().for_each(|leaf| builder.push(leaf));
            builder.finish().filter(|spine| tree::root(spine) == self.root)
        };
        let count = tree::group_count(self.len());
        let piece = Piece::Leaves(count * LEAF_LEN);
        let fetched = self.damage.fetch(&self.manifest.material, piece, &|leaves| spine(leaves).is_some());
        let leaves = match fetched {
            Ok(leaves) => leaves,
            Err(_) => self.leaves_of_file()?,
        };
        let spine = spine(&leaves).ok_or_else(|| damaged("the hash tree is damaged, and so is the file"))?;
        disk::write(&self.folder.join(LEAVES), &leaves)?;
        if spine.len() > 1 {
            disk::write(&self.folder.join(SPINE), &tree::to_bytes(&spine))?;
        }
        self.close();
        self.damage.0.mended.inc();
        tracing::warn!(material = %self.manifest.material, "the damaged hash tree of a copy is mended");
        Ok(())
    }

    /// The leaves that the file has as it is.
    fn leaves_of_file(&self) -> io::Result<Vec<u8>> {
        let file = File::open(self.folder.join(FILE))?;
        let mut bytes = Vec::new();
        let leaf = |index: u64| {
            let range = tree::group_range(self.len(), index);
            bytes.resize((range.end - range.start) as usize, 0);
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(tree::leaf(self.len(), index, &bytes))
        };
        let leaves = (0..tree::group_count(self.len())).map(leaf).collect::<io::Result<Vec<Leaf>>>();
        leaves.map(|leaves| tree::to_bytes(&leaves))
    }
}
