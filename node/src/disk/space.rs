//! Room: what the file system has free, what is promised to uploads and clones under way, what is kept back.
//!
//! A promise is made before the first byte and shrinks as bytes are written, so that racing uploads cannot overfill the
//! disk: at any moment promises ≤ free − reserve, as long as nobody else writes to the file system. Where somebody does, and
//! half the reserve is gone, the disk is *full*: what is written then is deletes and repairs alone, until the reserve is
//! there again.

use parking_lot::Mutex;
use rustix::fs::statvfs;
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Without another setting the reserve is this part of the file system, within the bounds below.
const RESERVE_PART: u64 = 50;
const RESERVE_MIN: u64 = 64 << 20;
const RESERVE_MAX: u64 = 10 << 30;
/// Least that must be free where a disk was full, whatever is kept back.
const ROOM_AGAIN: u64 = 1 << 20;

/// How long a disk is taken for full after a write failed, whatever it says.
const MET_FULL_FOR: Duration = Duration::from_secs(10);

/// What a file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Its size in bytes.
    pub(crate) total: u64,
    /// What an ordinary user can still write, in bytes.
    pub(crate) free: u64,
}

/// There is no room; nothing was promised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSpace {
    /// More than can be promised.
    #[error(
        "{wanted} bytes are wanted, and {room} can be promised here ({free} free, {promised} promised, {reserve} kept back)"
    )]
    Full {
        /// Bytes wanted.
        wanted: u64,
        /// Bytes that could have been promised.
        room: u64,
        /// Bytes free.
        free: u64,
        /// Bytes promised to others.
        promised: u64,
        /// Bytes kept back.
        reserve: u64,
    },
    /// The file system does not tell.
    #[error("the free space of {0} cannot be told: {1}")]
    Unknown(PathBuf, io::Error),
}

/// The room of one data folder.
#[derive(Debug)]
pub(crate) struct Space {
    folder: PathBuf,
    reserve: u64,
    promised: Mutex<u64>,
    full: AtomicBool,
    /// When a write failed for want of room.
    met: Mutex<Option<Instant>>,
}

impl Space {
    /// The room at `folder`, of which `reserve` bytes are kept back: 2 % of the file system where that is left out.
    ///
    /// # Errors
    /// Where the file system does not tell its size.
    pub(crate) fn new(folder: PathBuf, reserve: Option<u64>) -> io::Result<Arc<Self>> {
        let mut space =
            Self { folder, reserve: 0, promised: Mutex::new(0), full: AtomicBool::new(false), met: Mutex::default() };
        let total = space.usage()?.total;
        space.reserve = reserve.unwrap_or_else(|| (total / RESERVE_PART).clamp(RESERVE_MIN, RESERVE_MAX));
        Ok(Arc::new(space))
    }

    /// Looks whether the disk is full, or is no more.
    ///
    /// # Errors
    /// Where the file system does not tell.
    pub(crate) fn look(&self) -> io::Result<Usage> {
        let usage = self.usage()?;
        let was_met = || self.met.lock().is_some_and(|met| met.elapsed() < MET_FULL_FOR);
        if usage.free < self.reserve / 2 {
            self.set_full(true, usage.free);
        } else if usage.free >= self.reserve.max(ROOM_AGAIN) && !was_met() {
            self.set_full(false, usage.free);
        }
        Ok(usage)
    }

    /// A write failed for want of room, whatever the file system says is free: its inodes may be used up, or a quota.
    pub(crate) fn met_full(&self) {
        *self.met.lock() = Some(Instant::now());
        self.set_full(true, self.usage().map_or(0, |usage| usage.free));
    }

    /// Whether somebody else has filled the disk: nothing new is written.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn set_full(&self, full: bool, free: u64) {
        if self.full.swap(full, Ordering::Relaxed) == full {
            return;
        }
        let (folder, reserve) = (self.folder.display(), self.reserve);
        match full {
            true => tracing::error!(
                %folder, free, reserve,
                "the disk is full, and not by this node alone: it takes no uploads and clones until there is room again"
            ),
            false => tracing::info!(%folder, free, reserve, "the disk has room again"),
        }
    }

    /// What the file system has.
    ///
    /// # Errors
    /// Where it does not tell.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let stat = statvfs(&self.folder)?;
        Ok(Usage {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    /// Bytes kept back.
    pub(crate) fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Bytes promised and not yet written.
    pub(crate) fn promised(&self) -> u64 {
        *self.promised.lock()
    }

    /// Promises `bytes`, if there is room for them.
    ///
    /// # Errors
    /// [`NoSpace`]; nothing is promised then.
    pub(crate) fn promise(self: &Arc<Self>, bytes: u64) -> Result<Promise, NoSpace> {
        self.take(bytes)?;
        Ok(Promise { space: Arc::clone(self), left: Mutex::new(bytes) })
    }

    /// Counts `bytes` as promised, if there is room for them.
    fn take(&self, bytes: u64) -> Result<(), NoSpace> {
        let mut promised = self.promised.lock();
        let free = self.look().map_err(|error| NoSpace::Unknown(self.folder.clone(), error))?.free;
        let room = if self.is_full() { 0 } else { free.saturating_sub(self.reserve).saturating_sub(*promised) };
        if bytes > room {
            let (promised, reserve) = (*promised, self.reserve);
            return Err(NoSpace::Full { wanted: bytes, room, free, promised, reserve });
        }
        *promised = promised.saturating_add(bytes);
        Ok(())
    }

    /// Promises `bytes` again that had been promised before the node was started anew.
    pub(crate) fn promise_again(self: &Arc<Self>, bytes: u64) -> Promise {
        let mut promised = self.promised.lock();
        *promised = promised.saturating_add(bytes);
        Promise { space: Arc::clone(self), left: Mutex::new(bytes) }
    }
}

/// Promised bytes; what has not been written is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Promise {
    space: Arc<Space>,
    left: Mutex<u64>,
}

impl Promise {
    /// Where the bytes are promised.
    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    /// Promises more, until `left` bytes can still be written.
    ///
    /// # Errors
    /// [`NoSpace`]; nothing more is promised then.
    pub(crate) fn raise_to(&self, left: u64) -> Result<(), NoSpace> {
        let mut own = self.left.lock();
        if left > *own {
            self.space.take(left - *own)?;
            *own = left;
        }
        Ok(())
    }

    /// Promised bytes that have not been written.
    pub(crate) fn left(&self) -> u64 {
        *self.left.lock()
    }

    /// `bytes` of the promised ones have been written.
    pub(crate) fn spend(&self, bytes: u64) {
        let left = self.left().saturating_sub(bytes);
        self.set_left(left);
    }

    /// Of the promised bytes only `left` are still to be written.
    pub(crate) fn set_left(&self, left: u64) {
        let mut own = self.left.lock();
        let mut all = self.space.promised.lock();
        *all = all.saturating_sub(*own).saturating_add(left);
        *own = left;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.set_left(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_add_up_and_are_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path().to_owned(), Some(0)).unwrap();
        let free = space.usage().unwrap().free;
        let first = space.promise(free / 2).unwrap();
        assert!(matches!(space.promise(free / 4 * 3), Err(NoSpace::Full { .. })));
        first.set_left(100);
        assert_eq!(space.promised(), 100);
        first.raise_to(50).unwrap();
        assert_eq!(space.promised(), 100);
        first.raise_to(130).unwrap();
        assert!(first.raise_to(u64::MAX).is_err());
        assert_eq!(space.promised(), 130);
        first.spend(30);
        assert_eq!(space.promised(), 100);
        drop(first);
        assert_eq!(space.promised(), 0);
    }

    #[test]
    fn a_disk_is_full_when_half_the_reserve_is_gone_and_until_all_of_it_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut space = Space::new(dir.path().to_owned(), Some(0)).unwrap();
        let free = space.usage().unwrap().free;
        let full_with = |space: &mut Arc<Space>, reserve: u64| {
            Arc::get_mut(space).unwrap().reserve = reserve;
            space.look().unwrap();
            space.is_full()
        };
        // Others write to the disk meanwhile, but not as much as that.
        assert!(!full_with(&mut space, free / 2));
        assert!(!full_with(&mut space, free / 2 * 3), "the reserve is begun");
        assert!(full_with(&mut space, free * 3), "and half gone");
        assert!(full_with(&mut space, free / 2 * 3), "it is not all there again");
        assert!(!full_with(&mut space, free / 2));
        space.met_full();
        space.look().unwrap();
        assert!(space.is_full(), "whatever it says of its free bytes");
    }

    /// Its inodes are used up, say, which its free bytes do not tell.
    #[test]
    fn a_disk_that_took_no_write_takes_nothing_new_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path().to_owned(), Some(0)).unwrap();
        let before = space.promise(100).unwrap();
        space.met_full();
        let met = space.met.lock().unwrap();
        // Looked at by each heartbeat and for each promise.
        space.look().unwrap();
        assert!(space.is_full());
        assert!(matches!(space.promise(1), Err(NoSpace::Full { wanted: 1, room: 0, .. })));
        assert!(before.raise_to(101).is_err());
        assert_eq!(space.promised(), 100, "what was promised stays so");

        *space.met.lock() = met.checked_sub(MET_FULL_FOR);
        assert!(space.is_full(), "it has to be looked at");
        drop(space.promise(1).unwrap());
        assert!(!space.is_full());
        space.met_full();
        space.look().unwrap();
        assert!(space.is_full(), "it is for as long again");
    }

    #[test]
    fn the_reserve_is_promised_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path().to_owned(), Some(u64::MAX)).unwrap();
        assert!(space.promise(1).is_err());
        assert!(space.promise(0).is_ok(), "an empty file always has room");
    }
}
