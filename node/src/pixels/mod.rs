//! Pixels of the slides on this node.
//!
//! Three roads, cheapest first: a *native* tile is the file's own bytes behind a prefix, read straight from the page
//! cache on the asking thread, or from what that thread keeps of those that it is asked for again and again; a *rendered*
//! picture is decoded, resampled and encoded on a bounded pool and kept in a bounded cache; what is large, or raw, is cut for
//! its asker alone. It owns the opened slides and those bounds. It must never know where a copy came from, nor speak HTTP.

mod colours;
#[cfg(test)]
pub(crate) mod drawn;
mod failure;
mod hot;
mod pool;
mod ready;
mod recent;
mod region;
mod slides;
mod source;
mod spare;

pub(crate) use ready::{Format, Picture};
pub(crate) use region::Region;
pub(crate) use slides::Opened;

use crate::blobs::Blob;
use bytes::Bytes;
use colours::Colours;
use microtome_proto::Problem;
use microtome_server::Metrics;
use microtome_slide::{SlideError, icc::ToSrgb};
use pool::Pool;
use prometheus_client::metrics::counter::Counter;
use ready::ReadyCache;
use slides::Slides;
use std::{
    io,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Semaphore;

/// Quality of the JPEGs made here, on libjpeg's scale.
pub(crate) const JPEG_QUALITY: u8 = 85;
/// Requests that may wait for each processor.
const WAITING_PER_PROCESSOR_MAX: usize = 256;
/// Reads that may wait for the disk at once: it sorts them better than one after the other.
const DISK_READS_MAX: usize = 64;
/// Reads that may wait for such a place.
const DISK_READS_WAITING_MAX: usize = 4096;

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// What the pixels may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelLimits {
    /// Pictures that are drawn at once.
    pub(crate) workers: usize,
    /// Slides that stay open.
    pub(crate) slides_max: u64,
    /// Ready pictures kept in memory, in bytes.
    pub(crate) ready_bytes_max: u64,
    /// Regions being drawn and sent, in bytes.
    pub(crate) region_bytes_max: u64,
}

impl Default for PixelLimits {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(2, NonZero::get),
            slides_max: 10_000,
            ready_bytes_max: 256 << 20,
            region_bytes_max: 1 << 30,
        }
    }
}

/// The pixel engine.
pub(crate) struct Pixels {
    /// No other one in the process has it.
    number: u64,
    slides: Slides,
    ready: ReadyCache,
    colours: Colours,
    processors: Pool,
    disk: Pool,
    region_room: Arc<Semaphore>,
    counts: Counts,
}

/// What was done since start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// Tiles answered with the file's own bytes.
    native: Counter,
    /// Those among them for which nothing was waited for.
    at_hand: Counter,
    /// Pictures that were drawn to be kept; those answered from memory are not among them.
    drawn: Counter,
    /// Regions and other pictures that were cut for one asker.
    regions: Counter,
}

impl Pixels {
    /// With nothing opened yet.
    pub(crate) fn new(limits: &PixelLimits) -> Self {
        let workers = limits.workers.max(1);
        let counts = Counts::default();
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            slides: Slides::new(limits.slides_max),
            ready: ReadyCache::new(limits.ready_bytes_max, counts.drawn.clone()),
            colours: Colours::default(),
            processors: Pool::new("a processor", workers, workers * WAITING_PER_PROCESSOR_MAX),
            disk: Pool::new("the disk", DISK_READS_MAX, DISK_READS_WAITING_MAX),
            region_room: region::room(limits.region_bytes_max),
            counts,
        }
    }

    /// Shows what was done among the node's metrics.
    pub(crate) fn show_in(&self, metrics: &Metrics) {
        let Counts { native, at_hand, drawn, regions } = self.counts.clone();
        metrics.register(|registry| {
            registry.register("tiles_native", "Tiles answered with the file's own bytes", native);
            registry.register("tiles_at_hand", "Those for which nothing was waited for", at_hand);
            registry.register("pictures_drawn", "Tiles and other small pictures decoded and encoded", drawn);
            registry.register("regions_cut", "Large or raw pictures cut for one asker", regions);
            registry.register_collector(Box::new(self.slides.count()));
        });
    }

    /// The slide in `blob`, opened where it is not yet.
    ///
    /// # Errors
    /// `not_a_slide`, `unsupported_slide`, `damaged_slide`, or that there is too much to do.
    pub(crate) async fn slide(&self, blob: &Arc<Blob>) -> Result<Arc<Opened>, Problem> {
        self.slides.get(blob, &self.disk).await
    }

    /// The tile of the file's own grid as the file has it. `None` where it has to be drawn.
    ///
    /// # Errors
    /// `outside_slide`, `damaged_slide`, or that there is too much to do.
    pub(crate) async fn native(
        &self,
        opened: &Arc<Opened>,
        level: usize,
        column: u32,
        row: u32,
    ) -> Result<Option<Bytes>, Problem> {
        let mut tile = Vec::new();
        let read = match opened.blob().at_hand() {
            Some(at_hand) => opened.slide.native_tile(&at_hand, level, column, row, &mut tile),
            None => Err(SlideError::Io(io::ErrorKind::WouldBlock.into())),
        };
        let read = match read {
            Err(SlideError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                let opened = Arc::clone(opened);
                let again = move || {
                    let mut tile = Vec::new();
                    let read = opened.slide.native_tile(opened.source(), level, column, row, &mut tile);
                    read.map(|native| native.then_some(tile))
                };
                self.disk.run(again).await?
            }
            read => read.map(|native| native.then_some(tile)),
        };
        let tile = read.map_err(|error| opened.problem(&error))?;
        Ok(tile.map(|tile| {
            self.counts.native.inc();
            Bytes::from(tile)
        }))
    }

    /// The same of the tile that `place` names in the slide of the material `id`, whose copy `blob` finds, where the slide
    /// is open and nothing has to be waited for; with it the file's hash. `None` where it is not so, or where something is
    /// wrong.
    pub(crate) fn native_at_hand(
        &self,
        id: &str,
        blob: impl FnOnce() -> Option<Arc<Blob>>,
        place: impl Fn(&Opened) -> Option<(usize, u32, u32)>,
    ) -> Option<(Bytes, Arc<str>)> {
        let read = |opened: &Opened| {
            let (level, column, row) = place(opened)?;
            let at_hand = opened.blob().at_hand()?;
            let tile = hot::get(hot::Tile { slide: opened.number, level, column, row }, || {
                let mut tile = spare::take();
                let native = opened.slide.native_tile(&at_hand, level, column, row, &mut tile).ok()?;
                native.then(|| spare::lend(tile))
            })?;
            Some((tile, opened.content()))
        };
        let found = recent::with(self.number, id, read).or_else(|| {
            let opened = self.slides.at_hand(&blob()?)?;
            let found = read(&opened)?;
            recent::remember(self.number, opened);
            Some(found)
        })?;
        self.counts.native.inc();
        self.counts.at_hand.inc();
        Some(found)
    }

    /// A picture that costs work, its colours converted where `to_srgb` says how: from memory where it is ready, else
    /// drawn, once for all who ask for it now. What is large, or raw, is cut for its asker, and its bytes count against the
    /// bound on these until they are dropped.
    ///
    /// # Errors
    /// `outside_slide`, `damaged_slide`, `too_large`, `bad_icc_profile`, or that there is too much to do.
    pub(crate) async fn picture(
        &self,
        opened: &Arc<Opened>,
        picture: Picture,
        to_srgb: Option<ToSrgb>,
    ) -> Result<Bytes, Problem> {
        let Some(bytes) = region::alone(&picture) else {
            return self.ready.get(opened, picture, to_srgb, &self.processors).await;
        };
        let cut = region::cut(opened, picture, bytes, to_srgb, &self.region_room, &self.processors).await?;
        self.counts.regions.inc();
        Ok(cut)
    }

    /// The slide's ICC profile as the file has it.
    ///
    /// # Errors
    /// `damaged_slide`, or that there is too much to do.
    pub(crate) async fn icc_profile(&self, opened: &Arc<Opened>) -> Result<Option<Vec<u8>>, Problem> {
        colours::profile(opened, &self.disk).await
    }

    /// The way from the slide's colours to sRGB; nothing where it has no profile.
    ///
    /// # Errors
    /// `bad_icc_profile`, `damaged_slide`, or that there is too much to do.
    pub(crate) async fn to_srgb(&self, opened: &Arc<Opened>) -> Result<Option<ToSrgb>, Problem> {
        self.colours.get(opened, &self.disk).await
    }
}
