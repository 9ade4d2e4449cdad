//! Damage that the disk did to a copy: which of its groups, and how they are made right again.
//!
//! A group's bytes come from the page cache where that has them still, or from another copy; nothing is written that its
//! leaf does not prove. A damaged hash tree comes from another copy, or from the file itself where that is whole. Groups are
//! written in place: what is torn by a crash was damaged before. How other copies are reached is for the [`Supply`].

use super::{
    Blob, FILE, LEAVES, SPINE,
    proof::{Proof, damaged, is_damage},
    tree::{self, GROUP_LEN, LEAF_LEN, Leaf, SpineBuilder},
};
use crate::disk;
use microtome_proto::MaterialId;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fmt, fs,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The damaged groups of a copy, in a file beside it while there are any.
const DAMAGED: &str = "damaged.json";
/// Most damaged groups that are written down of a copy. Where there are more, a walk over all of it finds the others again.
pub(super) const NOTED_MAX: usize = 1024;
/// How long a reader waits for those who mend the same copy.
const READER_WAITS_MAX: Duration = Duration::from_secs(2);
/// How long what could not be mended is not tried again for a reader.
const HOPELESS_FOR: Duration = Duration::from_secs(5);
/// The same of a hash tree, also for a scrub: all of the file would be read for each of its groups.
const TREE_HOPELESS_FOR: Duration = Duration::from_secs(60);

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

    /// Damage is there that was not mended on the spot.
    pub(super) fn notice(&self) {
        self.0.noticed.notify_one();
    }

    fn fetch(&self, material: &MaterialId, piece: Piece, is_right: &(dyn Fn(&[u8]) -> bool + Sync)) -> Fetched {
        match self.0.supply.get() {
            Some(supply) => supply.fetch(material, piece, is_right),
            None => Err("other copies are out of reach".to_owned()),
        }
    }
}

type Fetched = Result<Vec<u8>, String>;

/// What the file says. One that is not understood, an empty one say, stands for some that are not told.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    /// All damaged groups; of 0.1.0 some of them, where they are as many as are noted at most.
    All(BTreeSet<u64>),
    /// Some of them.
    Some { some: BTreeSet<u64> },
}

/// Which groups of a copy are damaged, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Noted {
    groups: Mutex<BTreeSet<u64>>,
    /// Others may be damaged, too: the copy is not whole before all of it has been walked over.
    is_cut: AtomicBool,
    /// The same, found out since the walk began.
    is_cut_anew: AtomicBool,
    is_any: AtomicBool,
    /// The file does not say so yet: the disk did not take it.
    is_unwritten: AtomicBool,
    /// Held while groups are mended, so that each is fetched once.
    mending: Mutex<Hopeless>,
}

/// When it was last found that nothing mends…
#[derive(Debug, Default)]
struct Hopeless {
    /// …these groups, which are noted.
    groups: Option<(Range<u64>, Instant)>,
    /// …the hash tree.
    tree: Option<Instant>,
}

impl Noted {
    /// What was written down in a copy's folder.
    pub(super) fn read(folder: &Path) -> Self {
        let stored = match fs::read(folder.join(DAMAGED)) {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(error) => (error.kind() == io::ErrorKind::NotFound).then(|| Stored::All(BTreeSet::new())),
        };
        let (groups, is_cut) = match stored {
            Some(Stored::All(all)) => {
                let is_cut = all.len() >= NOTED_MAX;
                (all, is_cut)
            }
            Some(Stored::Some { some }) => (some, true),
            None => (BTreeSet::new(), true),
        };
        let is_any = AtomicBool::new(!groups.is_empty());
        Self { groups: Mutex::new(groups), is_cut: AtomicBool::new(is_cut), is_any, ..Self::default() }
    }

    fn cut(&self) {
        self.is_cut_anew.store(true, Ordering::Relaxed);
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Whether anything changed. It is seen by all when this returns.
    fn change(&self, folder: &Path, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) -> bool {
        let mut groups = self.groups.lock();
        if !change(&mut groups) {
            return false;
        }
        self.is_any.store(!groups.is_empty(), Ordering::Relaxed);
        self.write_down(folder, &groups);
        true
    }

    /// Writes down what is known. Where a list does not fit on the disk an empty file may, and says enough.
    fn write_down(&self, folder: &Path, groups: &BTreeSet<u64>) {
        let path = folder.join(DAMAGED);
        let written = if self.is_cut.load(Ordering::Relaxed) || !groups.is_empty() {
            self.stored(groups).and_then(|json| disk::write(&path, &json)).or_else(|_| {
                self.cut();
                disk::write(&path, &[])
            })
        } else {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        self.is_unwritten.store(written.is_err(), Ordering::Relaxed);
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "damaged groups cannot be written down; it is tried again");
        }
    }

    fn stored(&self, groups: &BTreeSet<u64>) -> io::Result<Vec<u8>> {
        let groups = groups.clone();
        let stored = match self.is_cut.load(Ordering::Relaxed) {
            true => Stored::Some { some: groups },
            false => Stored::All(groups),
        };
        serde_json::to_vec(&stored).map_err(io::Error::other)
    }
}

impl Blob {
    /// The groups that are known to be damaged.
    pub(crate) fn damaged_groups(&self) -> Vec<u64> {
        self.noted.groups.lock().iter().copied().collect()
    }

    /// Whether any group is known to be damaged, or not all are known that may be.
    pub(crate) fn is_damaged(&self) -> bool {
        self.noted.is_any.load(Ordering::Relaxed) || self.knows_a_part()
    }

    /// Whether more groups may be damaged than are known to be.
    pub(crate) fn knows_a_part(&self) -> bool {
        self.noted.is_cut.load(Ordering::Relaxed)
    }

    /// A walk over all of the copy begins.
    pub(crate) fn survey_begins(&self) {
        self.noted.is_cut_anew.store(false, Ordering::Relaxed);
    }

    /// The walk has found everything right: what is not noted is.
    pub(crate) fn survey_ends(&self) {
        let groups = self.noted.groups.lock();
        self.noted.is_cut.store(self.noted.is_cut_anew.load(Ordering::Relaxed), Ordering::Relaxed);
        self.noted.write_down(&self.folder, &groups);
    }

    /// Writes down what is known to be damaged, where the disk did not take it before: after a restart the copy would count
    /// as whole. Blocks.
    pub(crate) fn note_again(&self) {
        let groups = self.noted.groups.lock();
        if self.noted.is_unwritten.load(Ordering::Relaxed) {
            self.noted.write_down(&self.folder, &groups);
        }
    }

    /// Some of `groups` are damaged; which of them shows when they are mended. Blocks.
    pub(crate) fn note_damage(&self, groups: Range<u64>) {
        let is_more = self.noted.change(&self.folder, |noted| {
            let before = noted.len();
            let room = NOTED_MAX.saturating_sub(before);
            let mut more: Vec<_> = groups.filter(|group| !noted.contains(group)).take(room + 1).collect();
            if more.len() > room {
                more.truncate(room);
                self.noted.cut();
            }
            noted.extend(more);
            noted.len() > before
        });
        if is_more {
            self.damage.notice();
        }
    }

    /// Of its file only the first `len` bytes are there.
    pub(super) fn note_missing(&self, len: u64) {
        if len < self.len() {
            tracing::error!(material = %self.manifest.material, len, size = self.len(), "a copy has lost bytes");
            self.note_damage(len / GROUP_LEN..self.group_count());
        }
    }

    /// Makes the damaged ones of `groups` right again. With `rewrite` also those are written that only the page cache
    /// has right: the disk had them wrong. Blocks.
    ///
    /// # Errors
    /// `InvalidData` where there is nothing to mend them with, the disk's own where it does not take them. What is
    /// damaged still is [noted](Self::note_damage).
    pub(crate) fn mend(&self, groups: Range<u64>, rewrite: bool) -> io::Result<()> {
        let mut hopeless = self.noted.mending.lock();
        if !rewrite {
            hopeless.tree = None;
        }
        self.mend_alone(&mut hopeless, groups, rewrite)
    }

    /// The same for a reader, who is not held up for long: where a mend failed a moment ago it is not tried again.
    ///
    /// # Errors
    /// Those of [`mend`](Self::mend).
    pub(super) fn mend_to_read(&self, groups: Range<u64>) -> io::Result<()> {
        let Some(mut hopeless) = self.noted.mending.try_lock_for(READER_WAITS_MAX) else {
            return Err(damaged("the copy is being mended"));
        };
        let is_hopeless = |(failed, when): &(Range<u64>, Instant)| {
            failed.start <= groups.start && groups.end <= failed.end && when.elapsed() < HOPELESS_FOR
        };
        if hopeless.groups.as_ref().is_some_and(is_hopeless) {
            return Err(damaged("it could not be mended a moment ago"));
        }
        self.mend_alone(&mut hopeless, groups, false)
    }

    fn mend_alone(&self, hopeless: &mut Hopeless, groups: Range<u64>, rewrite: bool) -> io::Result<()> {
        let prepared = self.mended_leaves(hopeless, groups.clone()).and_then(|leaves| Ok((leaves, self.writable()?)));
        let (leaves, file) = prepared.inspect_err(|_| {
            self.note_damage(groups.clone());
            hopeless.groups = Some((groups.clone(), Instant::now()));
        })?;
        let mut result = Ok(());
        for (index, leaf) in groups.clone().zip(leaves) {
            match self.mend_group(&file, index, &leaf, rewrite) {
                Ok(()) => drop(self.noted.change(&self.folder, |noted| noted.remove(&index))),
                Err(error) => {
                    self.note_damage(index..index + 1);
                    result = Err(error);
                }
            }
        }
        hopeless.groups = result.is_err().then(|| (groups, Instant::now()));
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
        file.write_all_at(&bytes, index * GROUP_LEN)?;
        file.sync_data()?;
        self.damage.0.mended.inc();
        tracing::warn!(material = %self.manifest.material, group = index, "a damaged group of a copy is mended");
        Ok(())
    }

    /// The leaves of `groups`, proven anew, from a mended tree where it was damaged.
    fn mended_leaves(&self, hopeless: &mut Hopeless, groups: Range<u64>) -> io::Result<Vec<Leaf>> {
        let proven = || Proof::open(&self.folder, self.len(), &self.root)?.leaves(groups.clone());
        match proven() {
            Err(error) if is_damage(&error) => {
                if hopeless.tree.is_some_and(|failed| failed.elapsed() < TREE_HOPELESS_FOR) {
                    return Err(error);
                }
                self.mend_tree().inspect_err(|_| hopeless.tree = Some(Instant::now()))?;
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
