//! One copy, read with proof.

use super::{
    Arrived, Damage, Manifest,
    mend::Noted,
    open_files::{OpenFiles, Opened, Slot},
    pages::PAGE_LEN,
    proof::{damaged, is_damage},
    tree::{self, GROUP_LEN, Leaf},
};
use microtome_proto::MaterialId;
use rustix::io::Errno;
use std::{
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU32},
};

/// Longest read, in bytes, that is taken for a look-up in a table.
const LOOK_UP_LEN_MAX: usize = 8;

/// A whole, verified, durable copy of a material; or one that is being made, of which what has arrived can be read.
///
/// The first read of a group after the copy was opened, and each that has to wait for the disk, reads the group whole and
/// compares it with its proven leaf; others compare their pages with the checksums of what was proven. So a read gives
/// the right bytes or an error, never wrong bytes; and where another copy can be reached, it gives the right ones.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(super) manifest: Manifest,
    pub(super) root: Leaf,
    pub(super) folder: PathBuf,
    slot: Arc<Slot>,
    open_files: Arc<OpenFiles>,
    pub(super) damage: Damage,
    pub(super) noted: Noted,
    /// See [`Reads`](super::Reads).
    read_in: AtomicU32,
    /// Nothing where all of it is there.
    arrived: Option<Arc<Arrived>>,
}

impl Blob {
    /// `None` where the manifest's hash is none.
    pub(super) fn new(manifest: Manifest, folder: PathBuf, open_files: Arc<OpenFiles>, damage: Damage) -> Option<Self> {
        let root = manifest.root()?;
        let noted = Noted::read(&folder);
        let (slot, read_in) = (Arc::default(), AtomicU32::default());
        Some(Self { manifest, root, folder, slot, open_files, damage, noted, read_in, arrived: None })
    }

    /// The same, of which only what has `arrived` is there.
    pub(super) fn arriving(self, arrived: Arc<Arrived>) -> Self {
        Self { arrived: Some(arrived), ..self }
    }

    /// Whether the bytes of `range` are there.
    pub(crate) fn has(&self, range: &Range<u64>) -> bool {
        self.arrived.as_ref().is_none_or(|arrived| arrived.has(range))
    }

    /// What is written down of it.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.manifest.size
    }

    /// How many groups it has.
    pub(crate) fn group_count(&self) -> u64 {
        tree::group_count(self.len())
    }

    /// How many bytes `groups` have.
    pub(crate) fn bytes_of(&self, groups: Range<u64>) -> u64 {
        let start = |group: u64| tree::group_range(self.len(), group).start;
        start(groups.end) - start(groups.start)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fills `buf` from `offset` on. What is damaged is mended first. Blocks.
    ///
    /// # Errors
    /// `UnexpectedEof` beyond the end, `InvalidData` where the disk has changed the bytes and nothing mends them,
    /// `NotFound` where they have not arrived yet or the copy has been dropped meanwhile.
    pub(crate) fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let read = self.read_as_it_is(buf, offset);
        if !read.as_ref().is_err_and(is_damage) {
            return read;
        }
        self.mend_to_read(self.groups(buf.len(), offset)?).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("the file is missing"),
            _ => error,
        })?;
        self.read_as_it_is(buf, offset)
    }

    /// The same, but damage is noted and mended later: for those who mend their own copies with this one.
    pub(crate) fn read_for_others(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let read = self.read_as_it_is(buf, offset);
        if read.as_ref().is_err_and(is_damage) {
            self.note_damage(self.groups(buf.len(), offset)?);
        }
        read
    }

    fn read_as_it_is(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let groups = self.groups(buf.len(), offset)?;
        let read = self.opened().and_then(|opened| match opened.read_cached(buf, offset) {
            true => Ok(()),
            false => self.read_checking(&opened, groups, buf, offset),
        });
        read.map_err(as_damage).inspect_err(|error| self.tell(error))
    }

    /// Somebody reads it: it is not idle.
    pub(crate) fn note_read(&self) {
        self.open_files.reads.note(&self.read_in, &self.manifest.material);
    }

    /// Somebody reads it for a while.
    pub(crate) fn reading(&self) -> Reading {
        let reading = Reading { open_files: Arc::clone(&self.open_files), material: self.manifest.material.clone() };
        reading.open_files.reads.begin(&reading.material);
        reading
    }

    /// The copy for reads that need no wait; nothing where its files are not open. A use of it.
    pub(crate) fn at_hand(&self) -> Option<AtHand<'_>> {
        self.note_read();
        Some(AtHand { blob: self, opened: self.open_files.get(&self.slot)? })
    }

    /// The leaves' bytes of `groups`, proven as they are now. Damage is noted, to be mended. Blocks.
    pub(crate) fn leaves(&self, groups: Range<u64>) -> io::Result<Vec<u8>> {
        let leaves = self.opened().and_then(|opened| opened.proof.leaves_anew(groups.clone()));
        leaves.map(|leaves| tree::to_bytes(&leaves)).map_err(as_damage).inspect_err(|error| {
            self.tell(error);
            if is_damage(error) {
                self.note_damage(groups.start..groups.start + 1);
            }
        })
    }

    /// Lets go of the files once nobody reads them any more.
    pub(crate) fn close(&self) {
        self.open_files.close(&self.slot);
    }

    pub(super) fn opened(&self) -> io::Result<Arc<Opened>> {
        self.open_files.get_or_open(&self.slot, &self.folder, self.len(), &self.root)
    }

    /// The groups that have bytes of a stretch, which must be there.
    pub(super) fn groups(&self, len: usize, offset: u64) -> io::Result<Range<u64>> {
        let range = match offset.checked_add(len as u64) {
            Some(end) if end <= self.len() => offset..end,
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        if !self.has(&range) {
            return Err(not_arrived(&range));
        }
        Ok(range.start / GROUP_LEN..range.end.div_ceil(GROUP_LEN))
    }

    /// Groups that lie whole in `buf` are read and checked in place; a part of a group needs the rest of it beside.
    fn read_checking(&self, opened: &Opened, groups: Range<u64>, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let leaves = opened.proof.leaves(groups.clone())?;
        let end = offset + buf.len() as u64;
        let mut whole = groups.clone().filter(|&index| {
            let group = tree::group_range(self.len(), index);
            group.start >= offset && group.end <= end
        });
        let (first, last) = (whole.clone().next(), whole.next_back());
        if let (Some(first), Some(last)) = (first, last) {
            let start = tree::group_range(self.len(), first).start - offset;
            let stop = tree::group_range(self.len(), last).end - offset;
            opened.file.read_exact_at(part(buf, start..stop)?, offset + start)?;
        }
        let mut beside = Vec::new();
        for (index, leaf) in groups.zip(leaves) {
            let group = tree::group_range(self.len(), index);
            if group.start >= offset && group.end <= end {
                let bytes = part(buf, group.start - offset..group.end - offset)?;
                self.check(opened, index, bytes, &leaf)?;
                continue;
            }
            beside.resize((group.end - group.start) as usize, 0);
            opened.file.read_exact_at(&mut beside, group.start)?;
            self.check(opened, index, &beside, &leaf)?;
            let common = group.start.max(offset)..group.end.min(end);
            let from = part(&mut beside, common.start - group.start..common.end - group.start)?;
            part(buf, common.start - offset..common.end - offset)?.copy_from_slice(from);
        }
        Ok(())
    }

    fn check(&self, opened: &Opened, index: u64, bytes: &[u8], leaf: &Leaf) -> io::Result<()> {
        if tree::leaf(self.len(), index, bytes) != *leaf {
            let group = tree::group_range(self.len(), index);
            return Err(damaged(format!("bytes {} to {} are damaged", group.start, group.end)));
        }
        opened.checked.found_right(index * GROUP_LEN, bytes);
        Ok(())
    }

    fn tell(&self, error: &io::Error) {
        if is_damage(error) {
            self.damage.reads().inc();
            tracing::error!(material = %self.manifest.material, %error, "a copy is damaged on this node's disk");
        }
    }
}

/// Somebody reads a copy, as long as this lives.
#[derive(Debug)]
pub(crate) struct Reading {
    open_files: Arc<OpenFiles>,
    material: MaterialId,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.open_files.reads.end(&self.material);
    }
}

/// A copy whose files are open, read where nothing has to be waited for: pages that have been proven and are in the page
/// cache.
pub(crate) struct AtHand<'a> {
    blob: &'a Blob,
    opened: Arc<Opened>,
}

impl AtHand<'_> {
    /// The copy's length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.blob.len()
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// `WouldBlock` where it would have to wait: use [`Blob::read_exact_at`] on the blocking pool then.
    pub(crate) fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.blob.groups(buf.len(), offset)?;
        match buf.len() {
            ..=LOOK_UP_LEN_MAX => self.look_up(buf, offset),
            _ => self.read(buf, offset),
        }
    }

    /// The same of bytes that have been checked, without a call of the kernel where their page is kept.
    fn look_up(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let (number, at) = (offset / PAGE_LEN as u64, (offset % PAGE_LEN as u64) as usize);
        let pages = &self.blob.open_files.pages;
        if pages.get(self.opened.number, number, at, buf) {
            return Ok(());
        }
        let (mut page, start) = ([0; PAGE_LEN], offset - at as u64);
        let len = (self.len() - start).min(PAGE_LEN as u64) as usize;
        self.read(&mut page[..len], start)?;
        pages.put(self.opened.number, number, &page);
        match page[..len].get(at..at + buf.len()) {
            Some(wanted) => {
                buf.copy_from_slice(wanted);
                Ok(())
            }
            // They end in the next page.
            None => self.read(buf, offset),
        }
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match self.opened.read_cached(buf, offset) {
            true => Ok(()),
            // Any failure is left to the blocking read, which tells it properly.
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// Of a copy that is being made, some bytes are not there yet.
pub(crate) fn not_arrived(range: &Range<u64>) -> io::Error {
    let what = format!("bytes {} to {} have not arrived here yet", range.start, range.end);
    io::Error::new(io::ErrorKind::NotFound, what)
}

/// A file on disk that ends before its manifest says so, or that the disk cannot read, is damaged; the reader had asked for
/// what should be there.
fn as_damage(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("the file is cut short"),
        _ if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => damaged("the disk cannot read it"),
        _ => error,
    }
}

fn part(buf: &mut [u8], range: Range<u64>) -> io::Result<&mut [u8]> {
    let len = buf.len();
    buf.get_mut(range.start as usize..range.end as usize)
        .ok_or_else(|| io::Error::other(format!("{range:?} lies outside a buffer of {len} bytes")))
}
