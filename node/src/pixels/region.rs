//! Regions: cut for one asker, too different from each other to be kept, and bounded in memory until they are sent.

use super::{Format, Opened, pool::Pool};
use bytes::Bytes;
use microtome_proto::{Code, Problem, limits::REGION_PIXELS_MAX};
use microtome_slide::SlideError;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bound is counted in pieces of so many bytes.
const PIECE_LEN: u64 = 4 << 10;
/// The pixels, and as much again for their encoded form.
const BYTES_PER_PIXEL: u64 = 6;
/// How long a region may wait for room.
const ROOM_WITHIN: Duration = Duration::from_secs(20);

/// A region of a slide: `x` and `y` in level-0 pixels, `width` and `height` in pixels of `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) x: i64,
    pub(crate) y: i64,
    pub(crate) level: usize,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// `None`: the pixels themselves, 8-bit RGB.
    pub(crate) format: Option<Format>,
}

impl Region {
    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn draw(&self, opened: &Opened) -> Result<Vec<u8>, SlideError> {
        let image = opened.slide.region(self.x, self.y, self.level, self.width, self.height)?;
        match self.format {
            Some(format) => format.encode(&image),
            None => Ok(image.data),
        }
    }
}

/// Room for regions of `bytes_max` bytes, and at least for the largest one.
pub(crate) fn room(bytes_max: u64) -> Arc<Semaphore> {
    let pieces = bytes_max.max(REGION_PIXELS_MAX * BYTES_PER_PIXEL).div_ceil(PIECE_LEN);
    Arc::new(Semaphore::new(usize::try_from(pieces).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)))
}

pub(crate) async fn cut(
    opened: &Arc<Opened>,
    region: Region,
    room: &Arc<Semaphore>,
    pool: &Pool,
) -> Result<Bytes, Problem> {
    if region.pixels() > REGION_PIXELS_MAX {
        return Err(Problem::new(
            Code::TooLarge,
            format!("a region of {} × {} pixels has more than {REGION_PIXELS_MAX}", region.width, region.height),
        ));
    }
    let pieces = pieces(region.pixels() * BYTES_PER_PIXEL);
    let wait = tokio::time::timeout(ROOM_WITHIN, Arc::clone(room).acquire_many_owned(pieces));
    let Ok(Ok(mut kept)) = wait.await else {
        return Err(Problem::new(Code::TooManyRequests, "other regions take up the memory that there is for them"));
    };
    let opened = Arc::clone(opened);
    let work = move || {
        let bytes = region.draw(&opened).map_err(|error| opened.problem(&error))?;
        // From here on only what is still to be sent takes room.
        let surplus = kept.num_permits().saturating_sub(self::pieces(bytes.len() as u64) as usize);
        drop(kept.split(surplus));
        Ok(Bytes::from_owner(Kept { bytes, _room: kept }))
    };
    pool.run(work).await?
}

fn pieces(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE_LEN)).unwrap_or(u32::MAX)
}

/// A region's bytes, which keep their room until they are dropped.
struct Kept {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
