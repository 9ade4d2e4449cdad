//! Regions, and other pictures as large: cut for one asker, too different from each other to be kept, and bounded in
//! memory until they are sent.

use super::{Format, JPEG_QUALITY, Opened, pool::Pool};
use bytes::Bytes;
use microtome_proto::{Code, Problem, limits::REGION_PIXELS_MAX};
use microtome_slide::{SlideError, icc::ToSrgb, iiif::Plan};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bound is counted in pieces of so many bytes.
const PIECE_LEN: u64 = 4 << 10;
/// The pixels, and as much again for their encoded form.
const BYTES_PER_PIXEL: u64 = 6;
/// What a turned picture takes beside these: itself, before it was turned.
const TURNED_BYTES_PER_PIXEL: u64 = 3;
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
}

/// What is cut for its asker alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Region(Region),
    /// A large picture of the IIIF Image API.
    Iiif(Plan),
}

impl Cut {
    /// Bytes that it takes while it is made.
    fn bytes(&self) -> Result<u64, Problem> {
        match self {
            Self::Region(region) if region.pixels() > REGION_PIXELS_MAX => Err(Problem::new(
                Code::TooLarge,
                format!("a region of {} × {} pixels has more than {REGION_PIXELS_MAX}", region.width, region.height),
            )),
            Self::Region(region) => Ok(region.pixels() * BYTES_PER_PIXEL),
            Self::Iiif(plan) => Ok(pixels(plan) * (BYTES_PER_PIXEL + TURNED_BYTES_PER_PIXEL)),
        }
    }

    fn draw(&self, opened: &Opened, to_srgb: Option<&ToSrgb>) -> Result<Vec<u8>, SlideError> {
        let mut image = match self {
            Self::Region(Region { x, y, level, width, height, .. }) => {
                opened.slide.region(*x, *y, *level, *width, *height)?
            }
            Self::Iiif(plan) => plan.draw(&opened.slide)?,
        };
        if let Some(to_srgb) = to_srgb {
            to_srgb.apply(&mut image)?;
        }
        match self {
            Self::Region(Region { format: Some(format), .. }) => format.encode(image),
            Self::Region(_) => Ok(exact(image.data)),
            Self::Iiif(plan) => plan.encode(image, JPEG_QUALITY),
        }
    }
}

/// The bytes in no more memory than they take: a picture may have that of a larger one before it.
fn exact(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.shrink_to_fit();
    bytes
}

/// How many pixels the picture has.
pub(crate) fn pixels(plan: &Plan) -> u64 {
    let (width, height) = plan.size();
    u64::from(width) * u64::from(height)
}

/// Room for regions of `bytes_max` bytes, and at least for the largest one.
pub(crate) fn room(bytes_max: u64) -> Arc<Semaphore> {
    let pieces = bytes_max.max(REGION_PIXELS_MAX * BYTES_PER_PIXEL).div_ceil(PIECE_LEN);
    Arc::new(Semaphore::new(usize::try_from(pieces).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)))
}

pub(crate) async fn cut(
    opened: &Arc<Opened>,
    cut: Cut,
    to_srgb: Option<ToSrgb>,
    room: &Arc<Semaphore>,
    pool: &Pool,
) -> Result<Bytes, Problem> {
    let pieces = pieces(cut.bytes()?);
    let wait = tokio::time::timeout(ROOM_WITHIN, Arc::clone(room).acquire_many_owned(pieces));
    let Ok(Ok(mut kept)) = wait.await else {
        return Err(Problem::new(Code::TooManyRequests, "other regions take up the memory that there is for them"));
    };
    let opened = Arc::clone(opened);
    let work = move || {
        let bytes = cut.draw(&opened, to_srgb.as_ref()).map_err(|error| opened.problem(&error))?;
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
