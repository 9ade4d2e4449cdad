//! A bound on the copies that are open at once.

use super::{
    FILE, MANIFEST,
    checked::{Checked, PAGE_LEN},
    pages::Pages,
    proof::{Proof, damaged},
    reads::Reads,
    tree,
};
use parking_lot::{Mutex, RwLock};
use rustix::{
    fs::{Advice, fadvise},
    io::{ReadWriteFlags, preadv2},
};
use std::{
    cell::RefCell,
    fs::File,
    io::{self, IoSliceMut},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

thread_local! {
    /// What lies before and behind the wanted bytes in their pages, and is read for the checksum alone.
    static EDGES: RefCell<[[u8; PAGE_LEN as usize]; 2]> = const { RefCell::new([[0; PAGE_LEN as usize]; 2]) };
}

/// A copy's open files, and what of it has been found right since it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    /// No other one has it.
    pub(super) number: u64,
    pub(super) file: File,
    pub(super) proof: Proof,
    pub(super) checked: Checked,
    size: u64,
    since: Instant,
}

impl Opened {
    /// Fills `buf` from `offset` on, if its pages are in the page cache and are what was proven of them.
    pub(super) fn read_cached(&self, buf: &mut [u8], offset: u64) -> bool {
        let end = offset + buf.len() as u64;
        let (first, last) = (offset / PAGE_LEN * PAGE_LEN, end.next_multiple_of(PAGE_LEN).min(self.size));
        if buf.is_empty() || !self.checked.knows(&(first..last)) {
            return buf.is_empty();
        }
        EDGES.with_borrow_mut(|[before, behind]| {
            let (before, behind) = (&mut before[..(offset - first) as usize], &mut behind[..(last - end) as usize]);
            let parts = &mut [IoSliceMut::new(before), IoSliceMut::new(buf), IoSliceMut::new(behind)];
            let read = preadv2(&self.file, parts, first, ReadWriteFlags::NOWAIT);
            read.is_ok_and(|read| read as u64 == last - first) && self.checked.are_right(first, [before, buf, behind])
        })
    }

    /// Reads what is in the page cache of the bytes from `offset` on, unproven; how many that are.
    pub(super) fn cached(&self, buf: &mut [u8], offset: u64) -> usize {
        preadv2(&self.file, &mut [IoSliceMut::new(buf)], offset, ReadWriteFlags::NOWAIT).unwrap_or(0)
    }

    fn open(number: u64, folder: &Path, size: u64, root: &tree::Leaf) -> io::Result<Self> {
        let file = File::open(folder.join(FILE)).map_err(|error| match error.kind() {
            // It is the file that is not there, not the copy.
            io::ErrorKind::NotFound if folder.join(MANIFEST).exists() => damaged("the file is missing"),
            _ => error,
        })?;
        // Tiles lie scattered: what is read ahead of one is seldom wanted.
        let _ = fadvise(&file, 0, None, Advice::Random);
        let checked = Checked::new(size);
        Ok(Self { number, file, proof: Proof::open(folder, size, root)?, checked, size, since: Instant::now() })
    }
}

/// One copy's place among the open ones.
#[derive(Debug, Default)]
pub(super) struct Slot {
    opened: RwLock<Option<Arc<Opened>>>,
    used: AtomicU64,
}

/// The open copies, least recently used ones of which are closed when there are too many. What is opened again is
/// proven again, and what is known of it takes no memory meanwhile.
#[derive(Debug)]
pub(super) struct OpenFiles {
    max: usize,
    clock: AtomicU64,
    open: Mutex<Vec<Arc<Slot>>>,
    pub(super) pages: Pages,
    pub(super) reads: Reads,
}

impl OpenFiles {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            clock: AtomicU64::new(1),
            open: Mutex::default(),
            pages: Pages::default(),
            reads: Reads::default(),
        }
    }

    /// The slot's files if they are open. Never waits for those who open or close them.
    pub(super) fn get(&self, slot: &Slot) -> Option<Arc<Opened>> {
        let opened = slot.opened.try_read()?.clone()?;
        // Written only when it changes: a tile's thread should not take this line of memory from the others.
        let now = self.clock.load(Ordering::Relaxed);
        if slot.used.load(Ordering::Relaxed) != now {
            slot.used.store(now, Ordering::Relaxed);
        }
        Some(opened)
    }

    /// The slot's files, opened where they are not.
    pub(super) fn get_or_open(
        &self,
        slot: &Arc<Slot>,
        folder: &Path,
        size: u64,
        root: &tree::Leaf,
    ) -> io::Result<Arc<Opened>> {
        if let Some(opened) = self.get(slot) {
            return Ok(opened);
        }
        let mut place = slot.opened.write();
        if let Some(opened) = place.as_ref() {
            return Ok(Arc::clone(opened));
        }
        let now = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        let opened = Arc::new(Opened::open(now, folder, size, root)?);
        *place = Some(Arc::clone(&opened));
        drop(place);
        slot.used.store(now, Ordering::Relaxed);
        self.admit(Arc::clone(slot));
        Ok(opened)
    }

    /// Closes the slot's files once nobody reads them any more.
    pub(super) fn close(&self, slot: &Arc<Slot>) {
        slot.opened.write().take();
        self.open.lock().retain(|other| !Arc::ptr_eq(other, slot));
    }

    /// Closes what was opened longer ago than `age`.
    pub(super) fn close_opened_before(&self, age: Duration) {
        self.open.lock().retain(|slot| {
            let mut opened = slot.opened.write();
            if opened.as_ref().is_some_and(|opened| opened.since.elapsed() > age) {
                *opened = None;
            }
            opened.is_some()
        });
    }

    fn admit(&self, slot: Arc<Slot>) {
        let mut open = self.open.lock();
        if open.len() >= self.max {
            open.sort_by_key(|slot| std::cmp::Reverse(slot.used.load(Ordering::Relaxed)));
            let kept = self.max - self.max.div_ceil(8);
            for old in open.drain(kept..) {
                old.opened.write().take();
            }
        }
        open.push(slot);
    }
}
