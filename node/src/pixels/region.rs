//! Large regions, and other pictures as large: cut for one asker, too different from each other to be kept, and bounded in
//! memory until they are sent.

use super::{Format, Opened, Picture, pool::Pool};
use bytes::Bytes;
use microtome_proto::{Code, Problem, limits::REGION_PIXELS_MAX};
use microtome_slide::icc::ToSrgb;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most pixels of a picture that is kept; what is larger is seldom asked for twice.
const KEPT_PIXELS_MAX: u64 = 1 << 20;
/// The bound is counted in pieces of so many bytes.
const PIECE_LEN: u64 = 4 << 10;
/// The pixels, and as much again for their encoded form.
const BYTES_PER_PIXEL: u64 = 6;
/// What a turned picture takes beside these: itself, before it was turned.
const TURNED_BYTES_PER_PIXEL: u64 = 3;
/// How long a region may wait for room.
const ROOM_WITHIN: Duration = Duration::from_secs(20);

/// A region of a slide: `x` and `y` in level-0 pixels, `width` and `height` in pixels of `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
}

/// Bytes that a picture takes while it is made, where it is too large to be kept, or nobody would ask for it twice, as for
/// the pixels themselves; nothing where it is kept.
pub(super) fn alone(picture: &Picture) -> Option<u64> {
    let (pixels, pixel_bytes, kept) = match picture {
        Picture::Region(region) => (region.pixels(), BYTES_PER_PIXEL, region.format.is_some()),
        Picture::Iiif(plan) => {
            let (width, height) = plan.size();
            (u64::from(width) * u64::from(height), BYTES_PER_PIXEL + TURNED_BYTES_PER_PIXEL, true)
        }
        Picture::Tile { .. } | Picture::DeepZoom { .. } | Picture::Associated { .. } => return None,
    };
    (!kept || pixels > KEPT_PIXELS_MAX).then_some(pixels * pixel_bytes)
}

/// Room for regions of `bytes_max` bytes, and at least for the largest one.
pub(super) fn room(bytes_max: u64) -> Arc<Semaphore> {
    let pieces = bytes_max.max(REGION_PIXELS_MAX * BYTES_PER_PIXEL).div_ceil(PIECE_LEN);
    Arc::new(Semaphore::new(usize::try_from(pieces).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)))
}

/// Cuts a picture that takes so many `bytes` while it is made.
pub(super) async fn cut(
    opened: &Arc<Opened>,
    picture: Picture,
    bytes: u64,
    to_srgb: Option<ToSrgb>,
    room: &Arc<Semaphore>,
    pool: &Pool,
) -> Result<Bytes, Problem> {
    let pieces = pieces(bytes);
    let wait = tokio::time::timeout(ROOM_WITHIN, Arc::clone(room).acquire_many_owned(pieces));
    let Ok(Ok(mut kept)) = wait.await else {
        return Err(Problem::new(Code::TooManyRequests, "other regions take up the memory that there is for them"));
    };
    let opened = Arc::clone(opened);
    let work = move || {
        let bytes = picture.draw(&opened, to_srgb.as_ref()).map_err(|error| opened.problem(&error))?;
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
