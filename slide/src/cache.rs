//! Decoded pieces of files that can only be decoded in large pieces: a plain picture, a long stretch of a JPEG. One cache
//! for the whole process, shared by all slides, with a bound in bytes; who asks for a piece that another one is decoding
//! waits for it and does not decode it again. Knows nothing of where pieces come from; starts no threads.

use crate::{
    Rgb, SlideError,
    error::Result,
    limits::{PIECE_PIXELS_ALONE, PIECES_LEN_MAX},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Who keeps pieces here. Its pieces go when it is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    id: u64,
}

/// A decoded piece, or why it cannot be decoded.
type Piece = Result<Arc<Rgb>>;

#[derive(Debug)]
struct Entry {
    piece: Arc<OnceLock<Piece>>,
    len: usize,
    /// When it was asked for, counted in questions.
    asked: u64,
}

#[derive(Debug, Default)]
struct Cache {
    entries: HashMap<(u64, u64), Entry>,
    /// Bytes of all entries.
    len: usize,
    asked: u64,
}

static CACHE: OnceLock<Mutex<Cache>> = OnceLock::new();
static KEEPERS: AtomicU64 = AtomicU64::new(0);
/// Held while a large piece is decoded, so that the memory this takes besides has a bound however many are asked for.
static LARGE: Mutex<()> = Mutex::new(());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done by what can panic while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cache() -> MutexGuard<'static, Cache> {
    lock(CACHE.get_or_init(Mutex::default))
}

impl Keeper {
    pub(crate) fn new() -> Self {
        Self { id: KEEPERS.fetch_add(1, Ordering::Relaxed) }
    }

    /// The piece of this number, which has about `pixels` pixels: what is kept, or what `decode` gives. A piece that is
    /// damaged is not tried again while it is remembered.
    pub(crate) fn get(&self, number: u64, pixels: u64, decode: impl FnOnce() -> Result<Rgb>) -> Piece {
        let key = (self.id, number);
        let piece = cache().entry(key);
        let mut decoded = false;
        let found = piece.get_or_init(|| {
            decoded = true;
            let _alone = (pixels > PIECE_PIXELS_ALONE).then(|| lock(&LARGE));
            decode().map(Arc::new)
        });
        if decoded {
            cache().settle(key, &piece);
        }
        match found {
            Ok(piece) => Ok(piece.clone()),
            Err(error) => Err(again(error)),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut cache = cache();
        let mut gone = 0;
        cache.entries.retain(|(keeper, _), entry| {
            let stays = *keeper != self.id;
            gone += if stays { 0 } else { entry.len };
            stays
        });
        cache.len -= gone;
    }
}

impl Cache {
    /// The place of a piece, made where there is none.
    fn entry(&mut self, key: (u64, u64)) -> Arc<OnceLock<Piece>> {
        self.asked += 1;
        let asked = self.asked;
        let entry = self.entries.entry(key).or_insert_with(|| Entry { piece: Arc::default(), len: 0, asked });
        entry.asked = asked;
        entry.piece.clone()
    }

    /// Counts a piece that was just decoded, and lets the longest unasked go until all fit.
    fn settle(&mut self, key: (u64, u64), piece: &Arc<OnceLock<Piece>>) {
        // What was not the file's fault may go better the next time.
        let stays = !matches!(piece.get(), Some(Err(SlideError::Io(_))));
        match self.entries.get_mut(&key) {
            Some(entry) if Arc::ptr_eq(&entry.piece, piece) && stays => {
                // So much is an entry at least, which bounds their number too.
                let len = piece.get().and_then(|piece| piece.as_ref().ok()).map_or(0, |piece| piece.data.len());
                entry.len = len.max(64 << 10);
                self.len += entry.len;
            }
            Some(entry) if Arc::ptr_eq(&entry.piece, piece) => {
                self.entries.remove(&key);
            }
            // Its keeper is gone.
            _ => {}
        }
        while self.len > PIECES_LEN_MAX {
            let settled = self.entries.iter().filter(|(_, entry)| entry.len > 0);
            let Some(oldest) = settled.min_by_key(|(_, entry)| entry.asked).map(|(key, _)| *key) else { return };
            self.len -= self.entries.remove(&oldest).map_or(0, |entry| entry.len);
        }
    }
}

/// The same error once more.
fn again(error: &SlideError) -> SlideError {
    match error {
        SlideError::NotASlide(why) => SlideError::NotASlide(why.clone()),
        SlideError::Unsupported(why) => SlideError::Unsupported(why.clone()),
        SlideError::Damaged(why) => SlideError::Damaged(why.clone()),
        SlideError::Outside(why) => SlideError::Outside(why.clone()),
        SlideError::TooLarge(why) => SlideError::TooLarge(why.clone()),
        SlideError::BadProfile(why) => SlideError::BadProfile(why.clone()),
        SlideError::Io(error) => SlideError::Io(std::io::Error::new(error.kind(), error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Barrier, sync::atomic::AtomicUsize, thread, time::Duration};

    fn held(keeper: &Keeper) -> (usize, usize) {
        let cache = cache();
        let mine = cache.entries.iter().filter(|((id, _), _)| *id == keeper.id);
        mine.fold((0, 0), |(count, len), (_, entry)| (count + 1, len + entry.len))
    }

    #[test]
    fn a_crowd_that_asks_at_once_has_one_decode() {
        let (keeper, decodes, start) = (Keeper::new(), AtomicUsize::new(0), Barrier::new(16));
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    start.wait();
                    let piece = keeper.get(7, 100, || {
                        decodes.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(20));
                        Ok(Rgb::white(10, 10))
                    });
                    assert_eq!(piece.unwrap().width, 10);
                });
            }
        });
        assert_eq!(decodes.into_inner(), 1);
        assert_eq!(held(&keeper), (1, 64 << 10), "small pieces are counted as if they were larger");
    }

    #[test]
    fn what_is_kept_has_a_bound_and_goes_with_its_keeper() {
        let keeper = Keeper::new();
        let side = 2048;
        let len = side as usize * side as usize * 3;
        let pieces = (PIECES_LEN_MAX / len + 3) as u64;
        for number in 0..pieces {
            keeper.get(number, 1, || Ok(Rgb::white(side, side))).unwrap();
            // The first is asked for all the time and so stays.
            keeper.get(0, 1, || panic!("it was let go")).unwrap();
        }
        assert!(held(&keeper).1 <= PIECES_LEN_MAX && cache().len <= PIECES_LEN_MAX);
        let id = keeper.id;
        drop(keeper);
        assert!(cache().entries.keys().all(|(keeper, _)| *keeper != id));
    }

    #[test]
    fn damage_is_remembered_and_a_failed_read_is_tried_again() {
        let keeper = Keeper::new();
        let damaged = || Err(SlideError::Damaged("torn".into()));
        assert!(keeper.get(0, 1, damaged).unwrap_err().to_string().contains("torn"));
        assert!(keeper.get(0, 1, || panic!("tried again")).unwrap_err().to_string().contains("torn"));
        let read = || Err(SlideError::Io(std::io::ErrorKind::TimedOut.into()));
        assert!(matches!(keeper.get(1, 1, read), Err(SlideError::Io(_))));
        assert!(keeper.get(1, 1, || Ok(Rgb::white(1, 1))).is_ok());
    }
}
